//! Links and sessions on an injected clock.

use super::*;
use crate::test_screen::{LINK as LINK_LIFETIME, SESSION as SESSION_LIFETIME, TestScreen, UID};

const SECOND: Duration = Duration::from_secs(1);

/// Signs the administrator in; the secret of the session.
async fn signed_in(bench: &TestScreen) -> String {
    let (link, _) = bench.sessions().link(UID).await.unwrap();
    bench.sessions().follow(&link).await.unwrap()
}

fn provided(name: &str, role: Role) -> Person {
    Person { name: name.into(), role, uid: None }
}

#[tokio::test]
async fn a_link_signs_in_once_and_whoever_tries_it_again_is_told_of() {
    let bench = TestScreen::open().await;
    let (link, expires_at) = bench.sessions().link(UID).await.unwrap();
    assert_eq!(expires_at, 1_800_000_060);
    let secret = bench.sessions().follow(&link).await.unwrap();
    let session = bench.sessions().find(&secret).await.unwrap().unwrap();
    let expected = Person { name: format!("uid:{UID}"), role: Role::Administrator, uid: Some(UID) };
    assert_eq!(session.person, expected);
    let [begun] = &bench.events(EventKind::SignedIn).await[..] else { panic!("not one event") };
    assert_eq!(begun.event.arguments["person"], format!("uid:{UID}"));
    assert!(bench.events(EventKind::SignInRefused).await.is_empty());

    for _ in 0..2 {
        assert_eq!(bench.sessions().follow(&link).await, Err(Refusal::LinkUsed));
    }
    let refused = bench.events(EventKind::SignInRefused).await;
    assert_eq!(refused.len(), 1, "it is told once");
    assert_eq!(refused[0].event.kind.id(), 172);
    assert_eq!(bench.events(EventKind::SignedIn).await.len(), 1);
    assert!(bench.sessions().find(&secret).await.unwrap().is_some(), "who was first stays signed in");
}

#[tokio::test]
async fn of_two_with_one_link_at_the_same_time_one_gets_in() {
    let bench = TestScreen::open().await;
    for _ in 0..20 {
        let (link, _) = bench.sessions().link(UID).await.unwrap();
        let (one, other) = tokio::join!(bench.sessions().follow(&link), bench.sessions().follow(&link));
        assert!(one.is_ok() != other.is_ok(), "{one:?} {other:?}");
        assert!(one == Err(Refusal::LinkUsed) || other == Err(Refusal::LinkUsed), "{one:?} {other:?}");
    }
    assert_eq!(bench.events(EventKind::SignedIn).await.len(), 20);
    assert_eq!(bench.events(EventKind::SignInRefused).await.len(), 20, "whoever was second is told of");
}

#[tokio::test]
async fn a_link_that_is_too_old_signs_nobody_in() {
    let bench = TestScreen::open().await;
    let (good, _) = bench.sessions().link(UID).await.unwrap();
    let (old, _) = bench.sessions().link(UID).await.unwrap();
    bench.clock.advance(LINK_LIFETIME - SECOND);
    bench.sessions().follow(&good).await.unwrap();
    bench.clock.advance(SECOND);
    assert_eq!(bench.sessions().follow(&old).await, Err(Refusal::LinkExpired));
}

#[tokio::test]
async fn a_link_that_was_not_made_here_is_unknown() {
    let bench = TestScreen::open().await;
    let (link, _) = bench.sessions().link(UID).await.unwrap();
    let session = signed_in(&bench).await;
    let mut forged = link.clone().into_bytes();
    forged[0] = if forged[0] == b'A' { b'B' } else { b'A' };
    let forged = String::from_utf8(forged).unwrap();
    let long = "A".repeat(100_000);
    let cut = &link[..link.len() - 1];
    for wrong in [cut, &link[..8], "", "=", "ä", &format!("{link}A"), &forged, &session, &long] {
        assert_eq!(bench.sessions().follow(wrong).await, Err(Refusal::LinkUnknown), "{wrong}");
        assert!(bench.sessions().find(wrong).await.unwrap().is_none() || wrong == session, "{wrong}");
    }
    assert!(bench.sessions().find(&link).await.unwrap().is_none(), "a link is no session");
    bench.sessions().follow(&link).await.unwrap();
}

#[tokio::test]
async fn a_session_ends_at_its_time() {
    let bench = TestScreen::open().await;
    let secret = signed_in(&bench).await;
    bench.clock.advance(SESSION_LIFETIME - SECOND);
    assert!(bench.sessions().find(&secret).await.unwrap().is_some());
    bench.clock.advance(SECOND);
    assert!(bench.sessions().find(&secret).await.unwrap().is_none());
}

#[tokio::test]
async fn who_is_no_administrator_any_more_is_signed_in_no_more() {
    let bench = TestScreen::open().await;
    let (link, _) = bench.sessions().link(UID).await.unwrap();
    let local = signed_in(&bench).await;
    let other = bench.sessions().sign_in(&provided("jan@example", Role::Viewer)).await.unwrap();

    let same = bench.restarted(&[UID]);
    assert!(same.find(&local).await.unwrap().is_some(), "a restart signs nobody out");
    let without = bench.restarted(&[]);
    assert!(without.find(&local).await.unwrap().is_none());
    assert_eq!(without.follow(&link).await, Err(Refusal::NotAdministrator));
    let session = without.find(&other).await.unwrap().unwrap();
    assert_eq!(session.person, provided("jan@example", Role::Viewer), "whom the provider knows stays");
}

#[tokio::test]
async fn signing_out_ends_this_session_and_no_other() {
    let bench = TestScreen::open().await;
    let (one, other) = (signed_in(&bench).await, signed_in(&bench).await);
    let session = bench.sessions().find(&one).await.unwrap().unwrap();
    bench.sessions().sign_out(&session).await.unwrap();
    assert!(bench.sessions().find(&one).await.unwrap().is_none());
    assert!(bench.sessions().find(&other).await.unwrap().is_some());
    let [ended] = &bench.events(EventKind::SignedOut).await[..] else { panic!("not one event") };
    assert_eq!(ended.event.arguments["person"], format!("uid:{UID}"));
}

async fn records(bench: &TestScreen) -> usize {
    bench.store.scan(b"web/", b"web/", 10_000).await.unwrap().len()
}

#[tokio::test]
async fn records_of_the_past_are_swept_however_many_are_good() {
    let bench = TestScreen::open().await;
    let sign_in = async |count: usize| {
        for _ in 0..count {
            bench.sessions().sign_in(&provided("jan@example", Role::Viewer)).await.unwrap();
        }
    };
    // More of each than are looked at in one go.
    sign_in(100).await;
    bench.clock.advance(SESSION_LIFETIME / 2);
    sign_in(100).await;
    bench.clock.advance(SESSION_LIFETIME / 2);
    sign_in(200).await;
    assert_eq!(records(&bench).await, 300, "the first hundred are gone");

    for _ in 0..10 {
        bench.sessions().link(UID).await.unwrap();
    }
    bench.clock.advance(Duration::from_secs(86_400));
    for _ in 0..100 {
        bench.sessions().link(UID).await.unwrap();
    }
    assert_eq!(
        records(&bench).await,
        110,
        "links are remembered for a day after their end, sessions are not"
    );
    bench.clock.advance(LINK_LIFETIME);
    bench.sessions().link(UID).await.unwrap();
    assert!(records(&bench).await < 110);
}

#[tokio::test]
async fn a_link_that_was_used_is_remembered_for_a_day() {
    let bench = TestScreen::open().await;
    let (link, _) = bench.sessions().link(UID).await.unwrap();
    bench.sessions().follow(&link).await.unwrap();
    bench.clock.advance(Duration::from_secs(86_400));
    bench.sessions().link(UID).await.unwrap();
    assert_eq!(bench.sessions().follow(&link).await, Err(Refusal::LinkUsed));
    bench.clock.advance(LINK_LIFETIME);
    bench.sessions().link(UID).await.unwrap();
    assert_eq!(bench.sessions().follow(&link).await, Err(Refusal::LinkUnknown));
}

#[tokio::test]
async fn secrets_are_not_in_the_store() {
    let bench = TestScreen::open().await;
    let (used, _) = bench.sessions().link(UID).await.unwrap();
    let (link, _) = bench.sessions().link(UID).await.unwrap();
    let session = bench.sessions().follow(&used).await.unwrap();
    let pairs = bench.store.scan(b"", b"", 10_000).await.unwrap();
    let stored: Vec<u8> = pairs.into_iter().flat_map(|(key, value)| [key, value].concat()).collect();
    let holds = |needle: &[u8]| stored.windows(needle.len()).any(|window| window == needle);
    let form = bench.sessions().find(&session).await.unwrap().unwrap().form_token;
    assert!(holds(form.as_bytes()), "what is looked for in the right place is found");
    for secret in [used, link, session] {
        let raw = BASE64_URL_SAFE_NO_PAD.decode(&secret).unwrap();
        assert!(!holds(&raw) && !holds(secret.as_bytes()));
        assert!(holds(&sha256(&raw)));
    }
}

#[test]
fn a_secret_does_not_get_into_a_log() {
    let secret = Secret::new().unwrap();
    assert_eq!(format!("{secret:?}"), "Secret(…)");
}

#[tokio::test]
async fn who_was_let_in_by_other_rules_signs_in_anew() {
    let bench = TestScreen::open().await;
    let secret = bench.sessions().sign_in(&provided("jan@example", Role::Administrator)).await.unwrap();
    let local = signed_in(&bench).await;
    assert!(bench.sessions().find(&secret).await.unwrap().is_some());
    let changed = bench.with_rules(b"others");
    assert_eq!(changed.find(&secret).await.unwrap(), None);
    assert!(
        changed.find(&local).await.unwrap().is_some(),
        "rules of a provider are not those of this machine"
    );
    let again = changed.sign_in(&provided("jan@example", Role::Viewer)).await.unwrap();
    let session = changed.find(&again).await.unwrap().unwrap();
    assert!(changed.goes_on(&session).await);
    changed.sign_out(&session).await.unwrap();
    assert!(!changed.goes_on(&session).await);
}
