//! A new credential is swapped in under open connections: none is dropped, and no call fails.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use licensor::clock::{Clock, ManualClock, SystemClock};
use licensor_tests::{
    DAY, FakeClock, Line, Node, NodeOptions, Root, RootOptions, Wire, admin, block_on, certificates, spawn,
    wait_for,
};
use proto::{
    certification::v1::{GetTrustBundleRequest, certification_service_client::CertificationServiceClient},
    licensing::v1::{
        AcquireLicenseRequest, GetStatusRequest, RenewCertificateRequest,
        licensing_admin_service_client::LicensingAdminServiceClient,
        licensing_service_client::LicensingServiceClient, status_service_client::StatusServiceClient,
    },
};
use tonic::Status;

fn serial(channel: &Wire) -> Result<String, Status> {
    let mut client = StatusServiceClient::new(channel.clone());
    let status = block_on(client.get_status(GetStatusRequest {}))?.into_inner();
    Ok(status.certificate.unwrap_or_default().serial)
}

fn acquire(subject: &str) -> AcquireLicenseRequest {
    AcquireLicenseRequest {
        vendor: "Example".into(),
        module: "crm".into(),
        subject: subject.into(),
        ..Default::default()
    }
}

#[test]
fn a_renewal_drops_no_connection_to_the_node_and_new_ones_get_the_new_certificate() {
    let root = Root::started(RootOptions::default());
    let node = Node::started(&root, "berlin-1", NodeOptions::default());
    let anchor = root.data("trust-anchor.pem");
    let line = Line::open(&node, &anchor);
    let before = serial(&line.channel).unwrap();
    let renewed = node.json(&["renew"]);
    assert_ne!(renewed["serial"], *before);
    assert_eq!(serial(&line.channel).unwrap(), renewed["serial"]);
    assert_eq!(line.opened(), 1, "the connection was dropped");

    let newest = wait_for("the new server certificate", || {
        let shown = Line::open(&node, &anchor).server_certificate();
        (shown != line.server_certificate()).then_some(shown)
    });
    assert_eq!(newest, certificates(&node.data("server-certificate.pem"))[0]);
    serial(&line.channel).unwrap();
    assert_eq!(line.opened(), 1, "the connection was dropped");
}

#[test]
fn no_call_fails_while_the_node_renews_fifty_times() {
    let root = Root::started(RootOptions::default());
    let node = Node::started(&root, "berlin-1", NodeOptions::default());
    let line = Line::open(&node, &root.data("trust-anchor.pem"));
    let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let callers: Vec<_> = (0..8)
        .map(|caller| {
            let mut client = LicensingServiceClient::new(line.channel.clone());
            let (stop, done) = (Arc::clone(&stop), Arc::clone(&done));
            spawn(async move {
                while !stop.load(Ordering::SeqCst) {
                    client.acquire_license(acquire(&format!("user-{caller}"))).await?;
                    done.fetch_add(1, Ordering::SeqCst);
                }
                Ok::<(), Status>(())
            })
        })
        .collect();
    let mut administrator = LicensingAdminServiceClient::new(admin(&node));
    for _ in 0..50 {
        let before = done.load(Ordering::SeqCst);
        block_on(administrator.renew_certificate(RenewCertificateRequest { same_key: false })).unwrap();
        wait_for("calls after a renewal", || (done.load(Ordering::SeqCst) > before).then_some(()));
    }
    stop.store(true, Ordering::SeqCst);
    for caller in callers {
        block_on(caller).unwrap().unwrap();
    }
    assert_eq!(line.opened(), 1, "the connection was dropped");
    let listed = root.json(&["certificates", "list", "--node", "berlin-1"]);
    assert_eq!(listed.as_array().unwrap().len(), 51);
}

#[test]
fn the_root_replaces_its_server_certificate_under_open_connections() {
    let mut fake = FakeClock::new();
    let root = Root::started(RootOptions {
        tables: "[expiry]\ncheck_interval = \"100ms\"\n".into(),
        environment: fake.environment(),
        ..RootOptions::default()
    });
    let anchor = root.data("trust-anchor.pem");
    let clock = ManualClock::at(SystemClock::shared().now());
    let line = Line::open_at(&root, &anchor, clock.clone());
    let mut client = CertificationServiceClient::new(line.channel.clone());
    block_on(client.get_trust_bundle(GetTrustBundleRequest {})).unwrap();
    // Two thirds of its life, a licensor certificate's year and 90 days, are over.
    fake.advance(310 * DAY);
    clock.advance(Duration::from_secs(310 * DAY.unsigned_abs()));
    let newest = wait_for("the root's new server certificate", || {
        let shown = Line::open_at(&root, &anchor, clock.clone()).server_certificate();
        (shown != line.server_certificate()).then_some(shown)
    });
    let valid = verifier::Certificate::parse(&newest).unwrap();
    assert!(valid.issued_at() > licensor::clock::unix_seconds(clock.now()) - DAY);
    block_on(client.get_trust_bundle(GetTrustBundleRequest {})).unwrap();
    assert_eq!(line.opened(), 1, "the connection was dropped");
}
