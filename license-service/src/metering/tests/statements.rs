//! The life of a statement: it grows, becomes final, and what comes later stands on the next one.

use super::*;
use licensor::key::fingerprint;
use prost::Message;
use proto::licensing::v1::StatementState;

const ZONE: &str = "Europe/Amsterdam";

#[tokio::test]
async fn a_statement_grows_becomes_final_and_is_adjusted_on_the_next() {
    let scene = Scene::open(&[acme(ZONE)]).await;
    scene.count("1", 105).await;
    let draft = scene.statement("2026-11").await;
    assert_eq!((draft.state(), draft.digest.as_str()), (StatementState::Draft, ""));
    assert_eq!((draft.owner.as_str(), draft.company.as_str()), ("Example GmbH", "Example"));
    let line = &draft.lines[1];
    assert_eq!((line.service.as_str(), line.used, line.surplus), ("mail", 105, 5));
    assert_eq!(line.amount.as_ref().unwrap().minor_units, 5);
    // The month has ended, and its grace has not.
    scene.now_is("2026-12-03T22:59:59Z").await;
    let late = at(scene.usage("2", 10), "2026-11-30T22:59:59Z");
    let next = at(scene.usage("3", 1), "2026-11-30T23:00:00Z");
    assert_eq!(scene.report(&[late, next]).await, [Outcome::Accepted, Outcome::Accepted]);
    assert_eq!(scene.statement("2026-11").await.lines[1].used, 115);
    assert_eq!(scene.events(EventKind::StatementFinal).await.len(), 0);
    scene.now_is("2026-12-03T23:00:00Z").await;
    let closed = scene.statement("2026-11").await;
    assert_eq!(closed.state(), StatementState::Final);
    assert_eq!((closed.lines[1].used, closed.lines[1].surplus), (115, 15));
    assert_eq!(closed.totals[0].minor_units, 10);
    let naked = Statement { digest: String::new(), ..closed.clone() };
    assert_eq!(closed.digest, fingerprint(&naked.encode_to_vec()));
    let told = scene.events(EventKind::StatementFinal).await;
    assert_eq!((told.len(), &told[0].event.arguments["digest"]), (1, &closed.digest));

    // Later usage of November stands on the statement of December, and leaves the one of November alone.
    let (first, second) = ("2026-11-12T00:00:00Z", "2026-11-13T00:00:00Z");
    let usage = [at(scene.usage("4", 4), first), at(scene.usage("5", 3), second)];
    assert_eq!(scene.report(&usage).await, [Outcome::Accepted, Outcome::Accepted]);
    let scene = scene.reopen().await;
    assert_eq!(scene.statement("2026-11").await, closed);
    assert_eq!(scene.used("2026-11").await, 122);
    let december = scene.statement("2026-12").await;
    assert_eq!(december.lines[1].used, 1);
    let late = &december.adjustments[0];
    assert_eq!((late.month.as_str(), late.service.as_str(), late.quantity), ("2026-11", "mail", 7));
    assert_eq!((late.used_before, late.used_after), (115, 122));
    assert_eq!((late.surplus_before, late.surplus_after, late.events), (15, 22, 2));
    // Two begun tens were stated, and a third one has begun.
    assert_eq!(late.amount.as_ref().unwrap().minor_units, 5);
    assert_eq!(december.totals[0].minor_units, 5);

    // What comes after December is final goes on from there.
    scene.now_is("2027-01-10T00:00:00Z").await;
    let usage = at(scene.usage("6", 8), first);
    assert_eq!(scene.report(&[usage]).await, [Outcome::Accepted]);
    let january = scene.statement("2027-01").await;
    let late = &january.adjustments[0];
    assert_eq!((late.used_before, late.used_after, late.quantity), (122, 130, 8));
    assert_eq!(late.amount.as_ref().unwrap().minor_units, 0);
    assert_eq!(scene.used("2026-11").await, 130);
    assert_eq!(scene.check().await, 6);
}

#[tokio::test]
async fn what_was_due_while_the_server_stood_still_becomes_final_at_its_start() {
    let scene = Scene::at("2026-08-20T12:00:00Z", &[acme("Asia/Kolkata")]).await;
    scene.count("1", 1).await;
    scene.clock.set(instant("2026-12-20T12:00:00Z"));
    let scene = scene.reopen().await;
    let (statements, next) = scene.metering.statements("", "", 100).await.unwrap();
    let states: Vec<_> = statements.iter().map(|s| (s.month.as_str(), s.state())).collect();
    let closed = StatementState::Final;
    let expected = [("2026-08", closed), ("2026-09", closed), ("2026-10", closed), ("2026-11", closed)];
    assert_eq!(states[..4], expected);
    assert_eq!(states[4..], [("2026-12", StatementState::Draft)]);
    assert_eq!(next, "");
    assert_eq!(scene.events(EventKind::StatementFinal).await.len(), 4);
    // Page by page it is the same.
    let (mut paged, mut token) = (Vec::new(), String::new());
    loop {
        let (page, next) = scene.metering.statements("acme", &token, 2).await.unwrap();
        assert!(page.len() <= 2);
        paged.extend(page);
        if next.is_empty() {
            break;
        }
        token = next;
    }
    assert_eq!(paged, statements);
}

#[tokio::test]
async fn terms_are_those_of_the_end_of_the_month() {
    let scene = Scene::open(&[acme(ZONE)]).await;
    scene.count("1", 150).await;
    scene.clock.set(instant("2026-11-30T12:00:00Z"));
    let mut second = Entitlement { version: 2, ..acme(ZONE) };
    second.services[0].allowance.base = 120;
    second.services.remove(1);
    scene.install(std::slice::from_ref(&second));
    scene.metering.tick().await.unwrap();
    // The third one comes after the end, and before the statement is final.
    scene.clock.set(instant("2026-12-01T12:00:00Z"));
    let mut third = Entitlement { version: 3, ..second };
    third.services[0].allowance.base = 10;
    scene.install(&[third]);
    scene.metering.tick().await.unwrap();
    scene.now_is("2026-12-10T12:00:00Z").await;
    let statement = scene.statement("2026-11").await;
    assert_eq!((statement.state(), statement.entitlement_version), (StatementState::Final, 2));
    assert_eq!(statement.entitlement_id, "acme-2");
    let lines: Vec<_> = statement.lines.iter().map(|line| (line.service.as_str(), line.surplus)).collect();
    assert_eq!(lines, [("mail", 30)]);
    assert_eq!(scene.statement("2026-12").await.entitlement_version, 3);
}

#[tokio::test]
async fn a_service_that_is_gone_is_stated_with_its_last_terms() {
    let scene = Scene::open(&[acme(ZONE)]).await;
    let logins = |id: &str, quantity| Reported { service: "logins".into(), ..scene.usage(id, quantity) };
    let outcome = scene.report(&[logins("1", 5), logins("2", 9), logins("3", 2)]).await;
    assert_eq!(outcome, vec![Outcome::Accepted; 3]);
    let mut next = Entitlement { version: 2, ..acme(ZONE) };
    next.services.remove(1);
    scene.install(&[next]);
    let outcome = scene.report(&[logins("4", 1)]).await;
    assert_eq!(refusal(&outcome[0]), Reason::ServiceUnknown);
    let statement = scene.statement("2026-11").await;
    let line = &statement.lines[0];
    assert_eq!((line.service.as_str(), line.used, line.surplus, line.events), ("logins", 9, 6, 3));
    assert_eq!((line.price.as_ref(), line.amount.as_ref()), (None, None));
}

#[tokio::test]
async fn usage_from_before_the_first_statement_is_an_adjustment() {
    // October can still be stated; September cannot.
    let scene = Scene::at("2026-11-02T12:00:00Z", &[acme(ZONE)]).await;
    let usage =
        [at(scene.usage("1", 130), "2026-09-15T12:00:00Z"), at(scene.usage("2", 20), "2026-10-15T12:00:00Z")];
    assert_eq!(scene.report(&usage).await, [Outcome::Accepted, Outcome::Accepted]);
    let october = scene.statement("2026-10").await;
    assert_eq!((october.state(), october.lines[1].used), (StatementState::Draft, 20));
    let late = &october.adjustments[0];
    assert_eq!((late.month.as_str(), late.used_before, late.used_after), ("2026-09", 0, 130));
    assert_eq!((late.surplus_after, late.amount.as_ref().unwrap().minor_units), (30, 15));
    assert_eq!(scene.used("2026-09").await, 130);
    let unknown = scene.metering.statement("acme", Month::parse("2026-09").unwrap()).await.unwrap_err();
    assert_eq!(unknown.reason, Reason::StatementUnknown);
}

#[tokio::test]
async fn the_grace_is_configured_and_vendors_are_told_apart() {
    let other = Entitlement { vendor: "other".into(), ..acme("America/St_Johns") };
    let mut scene = Scene::open(&[acme(ZONE), other]).await;
    scene.config.grace = hours(0);
    let scene = scene.reopen().await;
    for (id, vendor) in [("1", "acme"), ("2", "other")] {
        let usage = Reported { vendor: vendor.into(), ..scene.usage(id, 1) };
        assert_eq!(scene.report(&[usage]).await, [Outcome::Accepted]);
    }
    // December has begun in Amsterdam, and not in St John's.
    scene.now_is("2026-12-01T03:29:59Z").await;
    let november = Month::parse("2026-11").unwrap();
    let state = async |vendor| scene.metering.statement(vendor, november).await.unwrap().state();
    assert_eq!(state("acme").await, StatementState::Final);
    assert_eq!(state("other").await, StatementState::Draft);
    scene.now_is("2026-12-01T03:30:00Z").await;
    assert_eq!(state("other").await, StatementState::Final);
    let error = scene.metering.statement("", november).await.unwrap_err();
    assert_eq!(error.reason, Reason::InvalidArgument);
}

#[tokio::test]
async fn a_statement_may_have_more_lines_than_a_value_has_room_for() {
    let mut entitlement = acme(ZONE);
    for number in 0..400 {
        let service = entitlement.services[0].clone();
        entitlement.services.push(Service { name: format!("service-{number:03}"), ..service });
    }
    let scene = Scene::open(std::slice::from_ref(&entitlement)).await;
    scene.now_is("2026-12-10T12:00:00Z").await;
    // In the same second: the later one holds.
    scene.install(&[Entitlement { version: 2, ..entitlement }]);
    scene.metering.tick().await.unwrap();
    scene.install(&[Entitlement { version: 3, ..acme(ZONE) }]);
    let scene = scene.reopen().await;
    assert_eq!(scene.statement("2026-11").await.lines.len(), 402);
    assert_eq!(scene.statement("2026-12").await.entitlement_version, 3);
}
