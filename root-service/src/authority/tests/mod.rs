//! The authority on a clock that the tests move, over a real store.

mod entitlement;
mod revocation;
mod rotation;

use std::{sync::Arc, time::Duration};

use licensor::{
    clock::{Clock, ManualClock, SharedClock, from_unix_seconds},
    error::{Error, Reason},
    event::{EventFilter, EventLog},
    key::{KeyAlgorithm, PrivateKey},
    serve::PeerCertificate,
    store::{SharedStore, SledOptions, SledStore},
    telemetry::Metrics,
};
use verifier::Certificate;

use super::*;
use crate::ledger::Ledger;

const DAY: Duration = Duration::from_secs(86_400);

struct Bench {
    clock: Arc<ManualClock>,
    authority: Arc<Authority>,
    _folder: tempfile::TempDir,
}

impl Bench {
    async fn new() -> Self {
        Self::with(|_| {}).await
    }

    async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config: Config = serde_json::from_value(
            serde_json::json!({ "data_dir": folder.path(), "public_address": "root.test:7443" }),
        )
        .unwrap();
        change(&mut config);
        let clock = ManualClock::at(from_unix_seconds(1_800_000_000));
        let shared: SharedClock = clock.clone();
        AuthorityFiles::new(&config).unwrap().create_anchor(&config, clock.now()).unwrap();
        let options = SledOptions {
            directory: folder.path().join("store"),
            cache_bytes: 1 << 24,
            minimum_free_bytes: 0,
        };
        let store: SharedStore = Arc::new(SledStore::open(&options).unwrap());
        let events = EventLog::open(store.clone(), shared.clone(), Metrics::shared()).await.unwrap();
        let ledger = Ledger::new(store, Arc::new(events), config.expiry.clone());
        let authority = Authority::open(&config, shared, Arc::new(ledger), None).await.unwrap();
        Self { clock, authority: Arc::new(authority), _folder: folder }
    }

    async fn token(&self, node: &str) -> String {
        let order = TokenOrder {
            node: node.into(),
            owner: "Example".into(),
            dns_names: Vec::new(),
            ip_addresses: Vec::new(),
            ttl: Duration::from_secs(3600),
            by: "test".into(),
            root: false,
        };
        self.authority.create_token(order).await.unwrap().0
    }

    async fn enroll(&self, node: &str) -> Issued {
        let token = self.token(node).await;
        self.authority.enroll(&token, licensor_only(&request())).await.unwrap()
    }

    async fn renew(&self, issued: &Issued, csr: &[u8]) -> Result<Issued, Error> {
        let peer = PeerCertificate::read(&[&issued.certificate.licensor]).unwrap();
        let caller = self.authority.identify(Some(&peer)).await?;
        self.authority.renew(caller, licensor_only(csr)).await
    }

    /// The revocation list, as a stranger reads it.
    fn list(&self) -> verifier::RevocationList {
        let published = self.authority.revocation_list("").unwrap();
        let issuers = [self.authority.active().unwrap().trust_anchor().to_vec()];
        let list = verifier::RevocationList::verify(&published.der, &issuers).unwrap();
        list.check_dates(licensor::clock::unix_seconds(self.clock.now()), 0).unwrap();
        list
    }

    fn list_der(&self, key_id: &str) -> Vec<u8> {
        self.authority.revocation_list(key_id).unwrap().der.clone()
    }

    /// Moves the clock, and lets the warnings be raised.
    async fn advance(&self, by: Duration) {
        self.clock.advance(by);
        self.authority.ledger().raise_due(self.clock.now()).await.unwrap();
    }

    /// Ids of the events about a node, with whether they are active.
    async fn events(&self, node: &str) -> Vec<(u32, bool)> {
        let filter = EventFilter { node: Some(node.into()), ..EventFilter::default() };
        let (events, _) = self.authority.ledger().events().list(1, 1000, &filter).await.unwrap();
        events.iter().map(|stored| (stored.event.kind.id(), stored.ended.is_none())).collect()
    }
}

fn request() -> Vec<u8> {
    PrivateKey::generate(KeyAlgorithm::P256).unwrap().certificate_request().unwrap()
}

fn licensor_only(csr: &[u8]) -> CertificateRequests<'_> {
    CertificateRequests { licensor: csr, server: &[], authority: &[] }
}

fn reason<T: std::fmt::Debug>(result: Result<T, Error>) -> Reason {
    result.unwrap_err().reason
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_supersedes_and_its_repetition_gives_the_same_certificate() {
    let bench = Bench::new().await;
    let first = bench.enroll("a").await;
    let csr = request();
    let second = bench.renew(&first, &csr).await.unwrap();
    assert_eq!(bench.renew(&first, &csr).await.unwrap().certificate, second.certificate);
    assert_eq!(reason(bench.renew(&first, &request()).await), Reason::CertificateSuperseded);
    bench.renew(&second, &request()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_renewals_at_once_with_different_keys_one_wins() {
    let bench = Bench::new().await;
    let first = Arc::new(bench.enroll("a").await);
    let bench = Arc::new(bench);
    let tasks: Vec<_> = (0..16)
        .map(|_| {
            let (bench, first) = (Arc::clone(&bench), Arc::clone(&first));
            tokio::spawn(async move {
                bench.renew(&first, &request()).await.map(|issued| issued.certificate.serial)
            })
        })
        .collect();
    let mut won = 0;
    for task in tasks {
        match task.await.unwrap() {
            Ok(_) => won += 1,
            Err(error) => assert_eq!(error.reason, Reason::CertificateSuperseded),
        }
    }
    assert_eq!(won, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_good_for_one_key_until_it_expires() {
    let bench = Bench::new().await;
    let token = bench.token("a").await;
    let csr = request();
    let first = bench.authority.enroll(&token, licensor_only(&csr)).await.unwrap();
    let again = bench.authority.enroll(&token, licensor_only(&csr)).await.unwrap();
    assert_eq!(again.certificate, first.certificate);
    for _ in 0..2 {
        let misused = bench.authority.enroll(&token, licensor_only(&request())).await;
        assert_eq!(reason(misused), Reason::TokenAlreadyUsed);
    }
    let misuses = bench.events("a").await.into_iter().filter(|(id, _)| *id == 108).count();
    assert_eq!(misuses, 1, "whoever has the token cannot fill the log");
    bench.clock.advance(Duration::from_secs(3600));
    assert_eq!(reason(bench.authority.enroll(&token, licensor_only(&csr)).await), Reason::TokenExpired);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_three_events_come_once_and_in_order_and_end_with_the_renewal() {
    let bench = Bench::new().await;
    let first = bench.enroll("a").await;
    for days in [334, 2, 10, 12, 1, 5, 1, 0] {
        bench.advance(DAY * days).await;
        bench.advance(Duration::ZERO).await;
    }
    assert_eq!(bench.events("a").await, [(106, false), (100, false), (16, true), (17, true), (18, true)]);
    let second = bench.renew(&first, &request()).await.unwrap();
    let ended: Vec<_> = bench.events("a").await;
    assert_eq!(ended, [(106, false), (100, false), (16, false), (17, false), (18, false), (101, false)]);
    bench.advance(DAY * 336).await;
    assert_eq!(
        bench.events("a").await.last(),
        Some(&(16, true)),
        "the new certificate is warned of on its own"
    );
    assert_ne!(first.certificate.serial, second.certificate.serial);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_long_silence_only_the_most_severe_event_is_raised() {
    let bench = Bench::new().await;
    bench.enroll("late").await;
    let renewed = bench.enroll("renewed").await;
    bench.clock.advance(DAY * 300);
    bench.renew(&renewed, &request()).await.unwrap();
    bench.advance(DAY * 100).await;
    assert_eq!(bench.events("late").await, [(106, false), (100, false), (18, true)]);
    assert_eq!(
        bench.events("renewed").await,
        [(106, false), (100, false), (101, false)],
        "a superseded one raises none"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_leaves_the_next_look_alone_unless_its_warning_is_due_before() {
    let mut bench = Bench::new().await;
    let first = bench.enroll("a").await;
    let month = Some(from_unix_seconds(first.certificate.not_after) - DAY * 30);
    bench.clock.advance(DAY * 100);
    let second = bench.renew(&first, &request()).await.unwrap();
    assert_eq!(bench.authority.ledger().next_due().await.unwrap(), month);
    bench.advance(DAY * 235).await;
    let month = Some(from_unix_seconds(second.certificate.not_after) - DAY * 30);
    assert_eq!(bench.authority.ledger().next_due().await.unwrap(), month);
    Arc::get_mut(&mut bench.authority).unwrap().profile.validity = DAY;
    let short = bench.renew(&second, &request()).await.unwrap();
    bench.advance(DAY).await;
    let ids: Vec<_> = bench.events("a").await.into_iter().map(|(id, _)| id).collect();
    assert_eq!(ids, [106, 100, 101, 101, 18], "{}", short.certificate.serial);
    let next = bench.authority.ledger().next_due().await.unwrap().unwrap();
    assert!(next > bench.clock.now() + DAY * 1000, "nothing comes after expiry but the end of the authority");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_authority_warns_of_its_own_end_and_issues_nothing_after_it() {
    let bench =
        Bench::with(|config| config.authority.anchor_validity = licensor::config::Span(DAY * 400)).await;
    let first = bench.enroll("a").await;
    bench.advance(DAY * 371).await;
    bench.advance(DAY * 23).await;
    bench.advance(DAY * 6).await;
    let own: Vec<_> = bench.events("").await.into_iter().map(|(id, _)| id).collect();
    assert_eq!(own, [109, 16, 17, 18]);
    assert_eq!(reason(bench.renew(&first, &request()).await), Reason::AuthorityExpired);
    // It renews itself with the same key, and goes on.
    let former = bench.authority.active().unwrap();
    let renewed = bench.authority.renew_anchor("test").await.unwrap();
    assert_eq!((renewed.key_id(), &renewed.facts.subject), (former.key_id(), &former.facts.subject));
    assert_ne!(renewed.facts.serial, former.facts.serial);
    bench.enroll("b").await;
    let own = bench.events("").await;
    assert_eq!(own, [(109, false), (16, false), (17, false), (18, false), (116, false)]);
    bench.advance(DAY * 371).await;
    assert_eq!(bench.events("").await.last(), Some(&(16, true)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_renewal_is_allowed_for_a_while_and_no_longer() {
    let bench = Bench::new().await;
    let punctual = bench.enroll("punctual").await;
    let late = bench.enroll("late").await;
    bench.clock.advance(DAY * 394);
    bench.renew(&punctual, &request()).await.unwrap();
    bench.clock.advance(DAY);
    assert_eq!(reason(bench.renew(&late, &request()).await), Reason::CertificateExpired);
    bench.enroll("late").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_behind_not_before_is_named() {
    let bench = Bench::new().await;
    let first = bench.enroll("a").await;
    bench.clock.set(bench.authority.active().unwrap().validity.not_before);
    bench.renew(&first, &request()).await.unwrap();
    let second = bench.enroll("b").await;
    bench.clock.set(bench.authority.active().unwrap().validity.not_before - Duration::from_secs(1));
    assert_eq!(reason(bench.renew(&second, &request()).await), Reason::CertificateNotYetValid);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_certificate_outlives_its_issuer_and_no_serial_repeats() {
    let bench =
        Bench::with(|config| config.authority.anchor_validity = licensor::config::Span(DAY * 100)).await;
    let csr = request();
    let mut serials = std::collections::HashSet::new();
    for node in ["a", "b", "c"] {
        let token = bench.token(node).await;
        let issued = bench.authority.enroll(&token, licensor_only(&csr)).await.unwrap();
        assert_eq!(
            from_unix_seconds(issued.certificate.not_after),
            bench.authority.active().unwrap().validity.not_after
        );
        assert!(serials.insert(issued.certificate.serial.clone()));
        assert_eq!(issued.certificate.serial.len(), 40);
        let facts = Certificate::parse(&issued.certificate.licensor).unwrap();
        assert_eq!(facts.serial, issued.certificate.serial);
        assert_eq!(facts.spiffe_id.unwrap(), format!("spiffe://licensor.local/licensing-server/{node}"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_renewal_window_lies_around_two_thirds_of_the_lifetime() {
    let bench = Bench::new().await;
    let issued = bench.enroll("a").await;
    let (start, end) = issued.renewal_window;
    let share = |at: SystemTime| {
        let since = at.duration_since(from_unix_seconds(issued.certificate.issued_at)).unwrap();
        since.as_secs_f64() / (365.0 * DAY.as_secs_f64())
    };
    assert!((0.62..0.64).contains(&share(start)) && (0.69..0.71).contains(&share(end)));
}

#[tokio::test(flavor = "multi_thread")]
async fn past_the_bound_on_signing_callers_are_told_when_to_come_back() {
    let bench = Bench::with(|config| config.limits.signing = 0).await;
    let token = bench.token("a").await;
    let error = bench.authority.enroll(&token, licensor_only(&request())).await.unwrap_err();
    assert_eq!(error.reason, Reason::Overloaded);
    assert!(error.retry_after.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_for_tokens_are_checked() {
    let bench = Bench::new().await;
    let order = |change: fn(&mut TokenOrder)| {
        let mut order = TokenOrder {
            node: "a".into(),
            owner: "Example".into(),
            dns_names: Vec::new(),
            ip_addresses: Vec::new(),
            ttl: DAY,
            by: "test".into(),
            root: false,
        };
        change(&mut order);
        order
    };
    let wrong: [fn(&mut TokenOrder); 8] = [
        |order| order.node = String::new(),
        |order| order.node = "a/b".into(),
        |order| order.node = "x".repeat(64),
        |order| order.owner = " ".into(),
        |order| order.owner = "a\nb".into(),
        |order| order.dns_names = vec!["*.example.com".into()],
        |order| order.ip_addresses = vec!["1.2.3".into()],
        |order| order.ttl = Duration::ZERO,
    ];
    for change in wrong {
        assert_eq!(reason(bench.authority.create_token(order(change)).await), Reason::InvalidArgument);
    }
    bench.authority.create_token(order(|_| {})).await.unwrap();
}
