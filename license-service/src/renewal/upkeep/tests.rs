use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering},
};

use licensor::{
    config::Limits,
    event::EventKind,
    serve::{Acceptor, bind, grpc_server},
    tls::{Current, Swappable, server_config},
};
use proto::certification::v1::{
    EnrollRequest, EnrollResponse, GetEntitlementRequest, GetEntitlementResponse, GetRevocationListRequest,
    GetRevocationListResponse, GetTrustBundleRequest, GetTrustBundleResponse, RenewRequest, RenewResponse,
    TrustBundle,
    certification_service_server::{CertificationService, CertificationServiceServer},
};
use tokio::sync::watch;
use tonic::{Request, Response, Status};

use super::*;
use crate::{renewal::test_node::TestNode, test_root::TestRoot};

const POLL_INTERVAL: Duration = Duration::from_secs(900);

/// A root that answers what an upkeep asks, and counts.
#[derive(Debug, Default)]
struct Answers {
    bundle: Mutex<TrustBundle>,
    bundles: AtomicUsize,
    lists: AtomicUsize,
}

impl Answers {
    fn counts(&self) -> (usize, usize) {
        (self.lists.load(Ordering::SeqCst), self.bundles.load(Ordering::SeqCst))
    }
}

#[tonic::async_trait]
impl CertificationService for Answers {
    async fn get_entitlement(
        &self,
        _: Request<GetEntitlementRequest>,
    ) -> Result<Response<GetEntitlementResponse>, Status> {
        Ok(Response::new(GetEntitlementResponse::default()))
    }

    async fn enroll(&self, _: Request<EnrollRequest>) -> Result<Response<EnrollResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn renew(&self, _: Request<RenewRequest>) -> Result<Response<RenewResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn get_trust_bundle(
        &self,
        _: Request<GetTrustBundleRequest>,
    ) -> Result<Response<GetTrustBundleResponse>, Status> {
        let bundle = self.bundle.lock().unwrap().clone();
        self.bundles.fetch_add(1, Ordering::SeqCst);
        Ok(Response::new(GetTrustBundleResponse { trust_bundle: Some(bundle) }))
    }

    async fn get_revocation_list(
        &self,
        _: Request<GetRevocationListRequest>,
    ) -> Result<Response<GetRevocationListResponse>, Status> {
        self.lists.fetch_add(1, Ordering::SeqCst);
        Ok(Response::new(GetRevocationListResponse::default()))
    }
}

/// Waits until it comes to that.
async fn wait_until(met: impl Fn() -> bool) {
    while !met() {
        tokio::task::yield_now().await;
    }
}

/// A licensing server with its upkeep, and a root that answers until `stop`.
struct Scene {
    root: TestRoot,
    node: TestNode,
    answers: Arc<Answers>,
    upkeep: Upkeep,
    stop: watch::Sender<bool>,
    shutdown: Shutdown,
}

async fn scene() -> Scene {
    let mut root = TestRoot::anchor("Root");
    let listener = bind(([127, 0, 0, 1], 0).into(), "listen").await.unwrap();
    root.address = listener.local_addr().unwrap().to_string();
    let node = TestNode::enrolled(&root).await;
    let clock: SharedClock = node.clock.clone();
    let answers = Arc::new(Answers { bundle: Mutex::new(root.bundle()), ..Answers::default() });
    let served = Arc::new(Current(Arc::new(Swappable::new(root.own_server()))));
    let limits = Limits::default();
    let (stop, shutdown) = Shutdown::channel();
    let acceptor = Acceptor {
        tls: server_config(served, clock.clone()).unwrap(),
        limits: limits.clone(),
        metrics: node.metrics.clone(),
    };
    let server = grpc_server(&limits, &node.metrics, &clock)
        .add_service(CertificationServiceServer::from_arc(answers.clone()));
    let stopped = shutdown.clone();
    let incoming = acceptor.accept(listener, shutdown.clone());
    tokio::spawn(async move { server.serve_with_incoming_shutdown(incoming, stopped.wait()).await });
    let upkeep = Upkeep {
        revocation: RevocationWatch {
            renewal: node.renewal.clone(),
            clock: clock.clone(),
            metrics: node.metrics.clone(),
            file: node.folder().join("revocation-list.crl"),
        },
        clock,
        poll_interval: POLL_INTERVAL,
        check_interval: POLL_INTERVAL * 1_000,
    };
    Scene { root, node, answers, upkeep, stop, shutdown }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_round_asks_for_list_and_bundle_and_for_an_expired_certificate_for_the_list_alone() {
    let Scene { root, node, answers, upkeep, stop, .. } = scene().await;
    let mut known = None;
    assert_eq!(upkeep.ask(&node.credential(), &mut known).await, POLL_INTERVAL);
    assert_eq!(answers.counts(), (1, 1));
    let renewed = root.renewed();
    *answers.bundle.lock().unwrap() = renewed.bundle();
    for _ in 0..2 {
        assert_eq!(upkeep.ask(&node.credential(), &mut known).await, POLL_INTERVAL);
        assert_eq!(node.credential().issuance.anchors, renewed.anchors);
    }
    assert_eq!(answers.counts(), (3, 3));
    assert_eq!(node.count(EventKind::TrustChanged).await, 1);
    node.advance(101);
    assert_eq!(upkeep.ask(&node.credential(), &mut known).await, POLL_INTERVAL);
    assert_eq!(answers.counts(), (4, 3));
    stop.send_replace(true);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_bundle_is_no_reason_for_another_round() {
    let Scene { root, node, answers, upkeep, stop, shutdown } = scene().await;
    let renewed = root.renewed();
    *answers.bundle.lock().unwrap() = renewed.bundle();
    let upkeep = tokio::spawn(upkeep.run(shutdown));
    wait_until(|| node.credential().issuance.anchors == renewed.anchors).await;
    // Whoever wanted to begin another one would have by now.
    for _ in 0..10_000 {
        tokio::task::yield_now().await;
    }
    assert_eq!(answers.counts(), (1, 1));
    stop.send_replace(true);
    upkeep.await.unwrap().unwrap();
}
