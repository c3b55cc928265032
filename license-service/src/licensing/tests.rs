//! Seats and licences on the manual clock, with a real store.

use std::time::Duration;

use licensor::event::EventKind;
use verifier::{
    Entitlement, EntitlementClaims, Trust,
    entitlement::{Borrow, Dates, Kind, Module},
    verify_license,
};

use super::*;
use crate::{
    renewal::test_node::TestNode,
    test_root::{OWNER, TestRoot},
};

struct Case {
    node: TestNode,
    licensing: Arc<Licensing>,
}

fn user_module(name: &str, quantity: u32) -> Module {
    let borrow = Some(Borrow { longest: 30 * 86_400, seats: 1 });
    Module { name: name.into(), quantity, lease: 3600, borrow, ..Module::default() }
}

fn entitlement(version: u64, modules: Vec<Module>) -> Entitlement {
    Entitlement { vendor: "Example".into(), version, modules, ..Entitlement::default() }
}

fn claims(entitlement: Entitlement) -> (EntitlementClaims, String) {
    let claims = EntitlementClaims {
        iss: "spiffe://licensor.test/entitlements/1".into(),
        sub: OWNER.into(),
        jti: "1".into(),
        iat: 0,
        nbf: 0,
        entitlement,
    };
    use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
    let payload = BASE64_URL_SAFE_NO_PAD.encode(serde_json::to_vec(&claims).unwrap());
    (claims, format!("e30.{payload}.AA"))
}

fn of(user: &str) -> Wanted {
    Wanted { module: "crm".into(), user: user.into(), ..Wanted::default() }
}

impl Case {
    async fn with(new: Entitlement) -> Self {
        let root = TestRoot::anchor("Root");
        let node = TestNode::enrolled(&root).await;
        let licensing = node.licensing().await;
        let case = Self { node, licensing };
        case.activate(new, false).await.unwrap();
        case
    }

    async fn of_seats(quantity: u32) -> Self {
        Self::with(entitlement(1, vec![user_module("crm", quantity)])).await
    }

    async fn activate(&self, new: Entitlement, remove: bool) -> Result<Vec<Superfluous>> {
        let (claims, jws) = claims(new);
        self.licensing.activate(claims, jws, remove, "uid:0").await.map(|(_, removed)| removed)
    }

    async fn acquire(&self, user: &str) -> Result<Issued> {
        self.licensing.acquire(of(user)).await
    }

    fn in_use(&self) -> u32 {
        self.licensing.modules("")[0].in_use
    }

    fn pass(&self, seconds: u64) {
        self.node.clock.advance(Duration::from_secs(seconds));
    }

    fn now(&self) -> i64 {
        unix_seconds(self.node.now())
    }

    /// The same, as a start finds it.
    async fn restarted(self) -> Self {
        let licensing = self.node.licensing().await;
        Self { licensing, ..self }
    }
}

fn reason<T: std::fmt::Debug>(result: Result<T>) -> Reason {
    result.unwrap_err().reason
}

#[tokio::test(flavor = "multi_thread")]
async fn a_licence_that_is_issued_stands_up_to_the_verifier() {
    let case = Case::of_seats(1).await;
    let issued = case.acquire("anna").await.unwrap();
    let credential = case.node.credential();
    let trust = Trust { anchors: &credential.issuance.anchors, ..Trust::default() };
    let claims = verify_license(&issued.license, trust, case.now()).unwrap();
    assert_eq!((claims.sub.as_str(), claims.jti.as_str()), ("anna", issued.id.as_str()));
    assert_eq!(claims.exp - claims.iat, 3600);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_again_has_the_same_seat_also_after_a_restart() {
    let case = Case::of_seats(1).await;
    let first = case.acquire("anna").await.unwrap();
    let again = case.acquire("anna").await.unwrap();
    assert_ne!(first.id, again.id, "no two licences have one jti");
    let case = case.restarted().await;
    case.acquire("anna").await.unwrap();
    assert_eq!(case.in_use(), 1);
    assert_eq!(reason(case.acquire("ben").await), Reason::SeatsExhausted);
    case.licensing.release(&first.id).await.unwrap();
    assert_eq!(case.in_use(), 0);
    case.acquire("ben").await.unwrap();
    assert_eq!(reason(case.licensing.release(&again.id).await), Reason::LicenseUnknown);
}

#[tokio::test(flavor = "multi_thread")]
async fn other_devices_and_sessions_take_seats_of_their_own() {
    let case = Case::of_seats(3).await;
    for (device, session) in [("a", ""), ("", "a"), ("a", "a"), ("a", "")] {
        let wanted = Wanted { device: device.into(), session: session.into(), ..of("anna") };
        case.licensing.acquire(wanted).await.unwrap();
    }
    assert_eq!(case.in_use(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seat_of_a_client_that_crashed_returns_after_the_lease_and_the_margin() {
    let case = Case::of_seats(1).await;
    case.acquire("anna").await.unwrap();
    case.pass(3600 + 59);
    let error = case.acquire("ben").await.unwrap_err();
    assert_eq!(error.reason, Reason::SeatsExhausted);
    assert!(error.message.contains("anna until "), "{error}");
    assert_eq!(error.retry_after, Some(Duration::from_secs(1)));
    case.pass(1);
    case.acquire("ben").await.unwrap();
    assert_eq!(case.restarted().await.in_use(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_extension_lasts_a_whole_lease_from_now_on() {
    let case = Case::of_seats(1).await;
    let first = case.acquire("anna").await.unwrap();
    case.pass(3000);
    let extended = case.licensing.extend(&first.id).await.unwrap();
    assert_eq!(unix_seconds(extended.expires_at), case.now() + 3600);
    case.pass(3600 + 60);
    assert_eq!(reason(case.licensing.extend(&first.id).await), Reason::LicenseUnknown);
    for nonsense in ["", "x", "00", &"0".repeat(32), "-", "ä", &"f".repeat(10_000)] {
        assert_eq!(reason(case.licensing.extend(nonsense).await), Reason::LicenseUnknown);
        assert_eq!(reason(case.licensing.release(nonsense).await), Reason::LicenseUnknown);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_licence_outlives_the_licensor_certificate_and_none_is_issued_after_it() {
    let case = Case::of_seats(2).await;
    let not_after = case.node.credential().facts.not_after;
    let left = not_after - case.now();
    case.pass(left.unsigned_abs() - 10);
    let issued = case.acquire("anna").await.unwrap();
    assert_eq!(unix_seconds(issued.expires_at), not_after);
    case.pass(10);
    assert_eq!(reason(case.acquire("ben").await), Reason::LicensorCertificateExpired);
    assert_eq!(reason(case.licensing.extend(&issued.id).await), Reason::LicensorCertificateExpired);
    assert_eq!(reason(case.licensing.assign(of("ben"), "uid:0").await), Reason::LicensorCertificateExpired);
    case.licensing.release(&issued.id).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_is_refused_by_name() {
    let case = Case::of_seats(1).await;
    let wanted =
        |module: &str, user: &str| Wanted { module: module.into(), user: user.into(), ..Wanted::default() };
    assert_eq!(reason(case.licensing.acquire(wanted("none", "anna")).await), Reason::ModuleUnknown);
    for user in ["", "a\nb", &"x".repeat(257)] {
        assert_eq!(reason(case.licensing.acquire(wanted("crm", user)).await), Reason::InvalidArgument);
    }
    let (mut other, jws) = claims(entitlement(2, vec![user_module("crm", 1)]));
    other.sub = "Somebody Else".into();
    case.licensing.activate(other, jws, false, "uid:0").await.unwrap();
    assert_eq!(reason(case.acquire("anna").await), Reason::EntitlementOfAnotherOwner);
}

#[tokio::test(flavor = "multi_thread")]
async fn modules_of_one_name_need_their_vendor_named() {
    let case = Case::of_seats(1).await;
    let other = Entitlement { vendor: "Other".into(), ..entitlement(1, vec![user_module("crm", 1)]) };
    case.activate(other, false).await.unwrap();
    assert_eq!(reason(case.acquire("anna").await), Reason::InvalidArgument);
    for vendor in ["Example", "Other"] {
        case.licensing.acquire(Wanted { vendor: vendor.into(), ..of("anna") }).await.unwrap();
    }
    assert!(case.licensing.modules("").iter().all(|module| module.in_use == 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn all_users_of_a_site_and_of_a_satellite_share_a_seat() {
    let kinds = [("site", Kind::Site), ("satellite", Kind::Satellite)];
    let modules = kinds.map(|(name, kind)| Module { kind, ..user_module(name, 1) });
    let case = Case::with(entitlement(1, modules.to_vec())).await;
    for user in ["anna", "ben"] {
        for module in ["site", "satellite"] {
            let wanted = Wanted { module: module.into(), device: "paris".into(), ..of(user) };
            case.licensing.acquire(wanted).await.unwrap();
        }
    }
    let other = Wanted { module: "satellite".into(), device: "rome".into(), ..of("anna") };
    assert_eq!(reason(case.licensing.acquire(other).await), Reason::SeatsExhausted);
    let wanted = Wanted { module: "site".into(), ..of("anna") };
    assert_eq!(reason(case.licensing.assign(wanted, "uid:0").await), Reason::InvalidArgument);
}

#[tokio::test(flavor = "multi_thread")]
async fn borrowing_has_a_longest_term_and_seats_of_its_own() {
    let case = Case::of_seats(3).await;
    let wanted = |user: &str| Wanted { device: "laptop".into(), ..of(user) };
    let day = Duration::from_secs(86_400);
    let borrowed = case.licensing.borrow(wanted("anna"), 20 * day).await.unwrap();
    assert_eq!(unix_seconds(borrowed.expires_at), case.now() + 20 * 86_400);
    assert_eq!(reason(case.licensing.borrow(wanted("ben"), day).await), Reason::SeatsExhausted);
    assert_eq!(reason(case.licensing.borrow(wanted("ben"), 31 * day).await), Reason::BorrowingNotAllowed);
    assert_eq!(reason(case.licensing.borrow(of("ben"), day).await), Reason::InvalidArgument);
    assert_eq!(reason(case.licensing.borrow(wanted("ben"), Duration::ZERO).await), Reason::InvalidArgument);
    case.licensing.release(&borrowed.id).await.unwrap();
    case.licensing.borrow(wanted("ben"), day).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_assigned_seat_stays_and_its_user_needs_no_other() {
    let case = Case::of_seats(2).await;
    let since = case.now();
    case.licensing.assign(of("anna"), "uid:0").await.unwrap();
    let again = case.licensing.assign(of("anna"), "uid:1").await.unwrap();
    assert_eq!((again.record.assigned_by.as_str(), case.in_use()), ("uid:0", 1));
    let licence = case.acquire("anna").await.unwrap();
    case.acquire("ben").await.unwrap();
    assert_eq!(reason(case.acquire("carl").await), Reason::SeatsExhausted);
    assert_eq!(reason(case.licensing.assign(of("carl"), "uid:0").await), Reason::SeatsExhausted);
    case.licensing.release(&licence.id).await.unwrap();
    case.pass(365 * 3600);
    let case = case.restarted().await;
    assert_eq!(case.in_use(), 1);
    case.licensing.assign(of("carl"), "uid:0").await.unwrap();
    case.pass(10);
    case.licensing.unassign(of("anna"), "uid:0").await.unwrap();
    assert_eq!(reason(case.licensing.unassign(of("anna"), "uid:0").await), Reason::AssignmentUnknown);
    assert_eq!(case.in_use(), 1);
    let ledger = &case.node.ledger;
    let until = case.now() + 1;
    assert_eq!(ledger.highest_number_of_users("Example", since, until).await.unwrap(), 2);
    assert_eq!(ledger.highest_number_of_users("Example", until, until + 1).await.unwrap(), 1);
    assert_eq!(ledger.highest_number_of_users("Example", 0, since).await.unwrap(), 0);
    assert_eq!(case.node.count(EventKind::LicenseAssigned).await, 2);
    assert_eq!(case.node.count(EventKind::LicenseUnassigned).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entitlement_below_what_is_in_use_is_refused_until_what_is_superfluous_is_removed() {
    let case = Case::of_seats(4).await;
    case.acquire("temp").await.unwrap();
    case.acquire("ben").await.unwrap();
    case.licensing.assign(of("anna"), "uid:0").await.unwrap();
    case.pass(5);
    case.acquire("carl").await.unwrap();
    let fewer = || entitlement(2, vec![user_module("crm", 2)]);
    let error = case.activate(fewer(), false).await.unwrap_err();
    assert_eq!(error.reason, Reason::SeatsInUse);
    assert!(error.message.contains("carl") && !error.message.contains("anna"), "{error}");
    assert_eq!(case.in_use(), 4);
    let removed = case.activate(fewer(), true).await.unwrap();
    assert_eq!((removed[0].in_use, removed[0].total, removed[0].holders.len()), (4, 2, 2));
    assert_eq!(removed[0].holders[0].user, "carl");
    let case = case.restarted().await;
    let seats = case.licensing.seats("", "", false, "", 100).await.unwrap().0;
    let mut seats: Vec<_> = seats.iter().map(|seat| (seat.record.user.as_str(), seat.place.number)).collect();
    seats.sort_unstable();
    assert_eq!(seats.len(), 2);
    assert!(seats.iter().any(|(user, _)| *user == "anna") && seats.iter().all(|(_, number)| *number < 2));
    assert_eq!(reason(case.acquire("dora").await), Reason::SeatsExhausted);
    // What is gone altogether takes everything with it.
    assert_eq!(reason(case.activate(entitlement(3, Vec::new()), false).await), Reason::SeatsInUse);
    case.activate(entitlement(3, Vec::new()), true).await.unwrap();
    assert_eq!(reason(case.activate(entitlement(2, Vec::new()), true).await), Reason::EntitlementOutdated);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_gets_another_number_keeps_his_lease() {
    let case = Case::of_seats(3).await;
    let carl = case.acquire("carl").await.unwrap();
    case.licensing.assign(of("anna"), "uid:0").await.unwrap();
    let ben = case.acquire("ben").await.unwrap();
    case.pass(5);
    let carl = case.licensing.extend(&carl.id).await.unwrap();
    let removed = case.activate(entitlement(2, vec![user_module("crm", 2)]), true).await.unwrap();
    assert_eq!(removed[0].holders[0].user, "carl", "his lease ends last");
    assert_eq!(reason(case.licensing.extend(&carl.id).await), Reason::LicenseUnknown);
    case.licensing.extend(&ben.id).await.unwrap();
    let case = case.restarted().await;
    let numbers = case.licensing.seats("", "", false, "", 10).await.unwrap().0;
    assert!(numbers.iter().all(|seat| seat.place.number < 2));
    case.licensing.extend(&ben.id).await.unwrap();
    case.licensing.release(&ben.id).await.unwrap();
    assert_eq!(case.in_use(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_expiry_licences_come_with_a_warning_and_after_the_grace_only_extensions() {
    let start = Case::of_seats(1).await.now();
    let dates = Dates {
        expires: Some(start + 100),
        grace_ends: Some(start + 200),
        maintenance_ends: Some(start + 50),
        ..Dates::default()
    };
    let case = Case::with(Entitlement { dates, ..entitlement(1, vec![user_module("crm", 3)]) }).await;
    let first = case.acquire("anna").await.unwrap();
    assert!(first.warnings.is_empty());
    case.pass(50);
    assert!(case.acquire("anna").await.unwrap().warnings[0].contains("maintenance"));
    case.pass(50);
    assert!(case.acquire("ben").await.unwrap().warnings[0].contains("expired"));
    case.pass(100);
    assert_eq!(reason(case.acquire("carl").await), Reason::EntitlementExpired);
    assert_eq!(reason(case.licensing.assign(of("carl"), "uid:0").await), Reason::EntitlementExpired);
    case.licensing.extend(&first.id).await.unwrap();
    case.licensing.release(&first.id).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_was_set_back_gives_no_seats_until_it_is_right_or_accepted() {
    let case = Case::of_seats(5).await;
    let issued = case.acquire("anna").await.unwrap();
    case.licensing.seen().note(case.now() + 3600);
    assert_eq!(reason(case.acquire("ben").await), Reason::ClockRolledBack);
    assert_eq!(reason(case.licensing.extend(&issued.id).await), Reason::ClockRolledBack);
    case.licensing.release(&issued.id).await.unwrap();
    case.pass(3600 - 60);
    case.acquire("ben").await.unwrap();
    case.licensing.seen().note(case.now() + 86_400);
    assert_eq!(reason(case.acquire("carl").await), Reason::ClockRolledBack);
    case.licensing.accept_clock().await.unwrap();
    case.acquire("carl").await.unwrap();
}

/// Many clients at once: no more seats than there are, none lost, and the ledger has what the book has.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn seats_are_never_over_issued_whatever_happens_at_the_same_time() {
    const SEATS: usize = 7;
    let case = Case::of_seats(SEATS as u32).await;
    let held = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let mut clients = tokio::task::JoinSet::new();
    for client in 0..40 {
        let (licensing, held) = (Arc::clone(&case.licensing), Arc::clone(&held));
        clients.spawn(async move {
            use std::sync::atomic::Ordering::SeqCst;
            for round in 0..25 {
                let wanted = of(&format!("{}", (client + round) % 20));
                let wanted = Wanted { session: client.to_string(), ..wanted };
                // The same call twice at the same time is one seat.
                let (first, second) =
                    tokio::join!(licensing.acquire(wanted.clone()), licensing.acquire(wanted));
                let Some(issued) = first.ok().or(second.ok()) else { continue };
                assert!(held.fetch_add(1, SeqCst) < SEATS, "more seats are out than there are");
                let issued = licensing.extend(&issued.id).await.unwrap();
                held.fetch_sub(1, SeqCst);
                licensing.release(&issued.id).await.unwrap();
            }
        });
    }
    while let Some(client) = clients.join_next().await {
        client.unwrap();
    }
    assert_eq!(case.in_use(), 0);
    assert_eq!(case.restarted().await.in_use(), 0);
}
