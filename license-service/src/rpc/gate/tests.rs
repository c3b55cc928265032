use std::{
    collections::HashSet,
    future::{pending, ready},
    sync::Mutex,
};

use licensor::error::Reason;
use prost::Message;
use prost_types::FileDescriptorSet;
use tonic::{Code, transport::server::UdsConnectInfo};

use super::*;
use crate::{
    access::test_bench::{Bench, DAY, bearer},
    config::AccessConfig,
};

const ACQUIRE: &str = "/licensor.licensing.v1.LicensingService/AcquireLicense";

/// How a service answers.
#[derive(Clone, Copy)]
enum Manner {
    /// With an answer that ends at once.
    AtOnce,
    /// Never.
    Never,
    /// At once, with a stream that never sends anything.
    Silent,
    /// At once, with a stream that sends without a pause.
    Chatty,
    /// Once all messages of the call have been read.
    AfterAll,
}

/// A service that keeps what came through the gate.
#[derive(Clone)]
struct Fake {
    manner: Manner,
    seen: Arc<Mutex<Vec<Option<Caller>>>>,
}

impl Fake {
    fn new(manner: Manner) -> Self {
        Self { manner, seen: Arc::default() }
    }

    fn callers(&self) -> Vec<String> {
        let seen = self.seen.lock().unwrap();
        seen.iter().map(|caller| caller.as_ref().map_or("nobody".into(), Caller::name)).collect()
    }
}

/// A body that never ends; sends empty messages, or nothing.
struct Endless(bool);

impl http_body::Body for Endless {
    type Data = <Body as http_body::Body>::Data;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<BodyFrame, Status>>> {
        if self.0 { Poll::Ready(Some(Ok(Frame::data(Default::default())))) } else { Poll::Pending }
    }
}

impl Service<Request<Body>> for Fake {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        self.seen.lock().unwrap().push(request.extensions().get().cloned());
        match self.manner {
            Manner::AtOnce => Box::pin(ready(Ok(Response::new(Body::empty())))),
            Manner::Never => Box::pin(pending()),
            Manner::Silent => Box::pin(ready(Ok(Response::new(Body::new(Endless(false)))))),
            Manner::Chatty => Box::pin(ready(Ok(Response::new(Body::new(Endless(true)))))),
            Manner::AfterAll => Box::pin(async move {
                let mut body = request.into_body();
                while let Some(frame) = next(&mut body).await {
                    if let Err(status) = frame {
                        return Ok(status.into_http());
                    }
                }
                Ok(Response::new(Body::empty()))
            }),
        }
    }
}

async fn next(body: &mut Body) -> Option<Result<BodyFrame, Status>> {
    std::future::poll_fn(|cx| http_body::Body::poll_frame(Pin::new(body), cx)).await
}

fn request(path: &str, token: &str, body: Body) -> Request<Body> {
    let mut request = Request::builder().uri(path).body(body).unwrap();
    *request.headers_mut() = bearer(token);
    request
}

fn error(headers: &HeaderMap) -> Error {
    Status::from_header_map(headers).expect("no status").into()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_goes_through_with_its_caller_or_not_at_all() {
    let bench = Bench::open(AccessConfig::default()).await;
    let (token, _) = bench.token(&[Permission::Licenses], DAY).await;
    let fake = Fake::new(Manner::AtOnce);
    let mut gated = Gate::Network(bench.access.clone()).before(fake.clone());
    for (path, token, code) in [
        (ACQUIRE, "lic_", Code::Unauthenticated),
        ("/licensor.licensing.v1.MeteringService/GetUsage", &token, Code::PermissionDenied),
        // What does not stand in the table is not there, for nobody.
        ("/licensor.licensing.v1.LicensingService/Conjure", &token, Code::Unimplemented),
        ("/licensor.licensing.v1.LicensingService/Conjure", "lic_", Code::Unimplemented),
    ] {
        let answer = gated.call(request(path, token, Body::empty())).await.unwrap();
        let status = Status::from_header_map(answer.headers()).unwrap();
        assert_eq!(status.code(), code, "{path}");
    }
    assert!(fake.callers().is_empty());
    let answer = gated.call(request(ACQUIRE, &token, Body::empty())).await.unwrap();
    assert!(Status::from_header_map(answer.headers()).is_none());
    assert_eq!(fake.callers(), ["billing"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_open_of_a_token_ends_when_it_is_revoked() {
    let bench = Bench::open(AccessConfig::default()).await;
    let gate = Gate::Network(bench.access.clone());
    for manner in [Manner::Never, Manner::Silent, Manner::Chatty, Manner::AfterAll] {
        let (token, shown) = bench.token(&[Permission::Licenses], DAY).await;
        let call = gate.before(Fake::new(manner)).call(request(ACQUIRE, &token, Body::new(Endless(false))));
        let (sender, begun) = tokio::sync::oneshot::channel();
        let outcome = tokio::spawn(async move {
            let mut sender = Some(sender);
            let mut call = call;
            // Whoever waits has been asked once, at least.
            let answer = std::future::poll_fn(|cx| {
                let answer = call.as_mut().poll(cx);
                let _ = sender.take().map(|sender| sender.send(()));
                answer
            });
            let (head, mut body) = answer.await.unwrap().into_parts();
            if Status::from_header_map(&head.headers).is_some() {
                return error(&head.headers);
            }
            loop {
                if let Ok(trailers) = next(&mut body).await.expect("no trailers").unwrap().into_trailers() {
                    assert!(next(&mut body).await.is_none());
                    return error(&trailers);
                }
                tokio::task::yield_now().await;
            }
        });
        begun.await.unwrap();
        assert!(!outcome.is_finished());
        bench.access.tokens().revoke(&shown.id, "uid:0").await.unwrap();
        assert_eq!(outcome.await.unwrap().reason, Reason::AccessTokenRevoked);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_message_is_taken_from_a_caller_whose_time_is_over() {
    let bench = Bench::open(AccessConfig::default()).await;
    let (token, _) = bench.token(&[Permission::Licenses], DAY).await;
    let (caller, _place) = bench.admit(&token, Permission::Licenses).unwrap();
    let mut body = Body::new(Asking { body: Body::new(Endless(true)), caller });
    next(&mut body).await.unwrap().unwrap();
    bench.clock.advance(DAY);
    let refused = Error::from(next(&mut body).await.unwrap().unwrap_err());
    assert_eq!(refused.reason, Reason::AccessTokenExpired);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_has_a_place_until_it_is_dropped() {
    let config = AccessConfig { concurrent_calls: 1, ..AccessConfig::default() };
    let bench = Bench::open(config).await;
    let (token, _) = bench.token(&[Permission::Licenses], DAY).await;
    let gate = Gate::Network(bench.access.clone());
    let call = |manner| gate.before(Fake::new(manner)).call(request(ACQUIRE, &token, Body::empty()));
    let open = call(Manner::Silent).await.unwrap();
    let refused = error(call(Manner::AtOnce).await.unwrap().headers());
    assert_eq!(refused.reason, Reason::Overloaded);
    assert!(refused.retry_after.is_some());
    drop(open);
    let answer = call(Manner::AtOnce).await.unwrap();
    assert!(Status::from_header_map(answer.headers()).is_none());
}

#[tokio::test]
async fn on_the_admin_socket_the_administrator_calls() {
    let fake = Fake::new(Manner::AtOnce);
    let mut gated = Gate::Local.before(fake.clone());
    let answer = gated.call(Request::builder().uri(ACQUIRE).body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(error(answer.headers()).reason, Reason::Internal, "nobody is the administrator by default");
    let (stream, _other) = tokio::net::UnixStream::pair().unwrap();
    let mut request = Request::builder().uri(ACQUIRE).body(Body::empty()).unwrap();
    let credentials = UdsConnectInfo { peer_addr: None, peer_cred: stream.peer_cred().ok() };
    request.extensions_mut().insert(credentials);
    let answer = gated.call(request).await.unwrap();
    assert!(Status::from_header_map(answer.headers()).is_none());
    assert_eq!(fake.callers(), [format!("uid:{}", stream.peer_cred().unwrap().uid())]);
}

#[test]
fn every_method_behind_the_gate_stands_in_the_table() {
    let set = FileDescriptorSet::decode(proto::FILE_DESCRIPTOR_SET).unwrap();
    let table: HashSet<_> = METHODS.iter().map(|(method, _)| (*method).to_owned()).collect();
    assert_eq!(table.len(), METHODS.len());
    let mut methods = Vec::new();
    for service in set
        .file
        .iter()
        .filter(|file| file.package() == "licensor.licensing.v1")
        .flat_map(|file| &file.service)
    {
        if ["LicensingService", "MeteringService"].contains(&service.name()) {
            let path = |name| format!("/licensor.licensing.v1.{}/{name}", service.name());
            methods.extend(service.method.iter().map(|method| path(method.name())));
        }
    }
    assert!(methods.len() >= 2, "{methods:?}");
    for method in methods {
        assert!(table.contains(&method), "{method}");
    }
}
