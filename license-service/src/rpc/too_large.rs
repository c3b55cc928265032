//! A report that is too large to be read is refused by name, as one is that has too many events.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response};
use tonic::{Code, Status, body::Body, server::NamedService};
use tower::Service;

use crate::metering::Metering;

/// How tonic says that a message is too large; it has no other sign of it.
const SIGN: &str = "decoded message length too large";

/// A service whose messages have a bound.
#[derive(Debug, Clone)]
pub(crate) struct TooLarge<S> {
    inner: S,
    metering: Arc<Metering>,
}

impl<S> TooLarge<S> {
    pub(crate) fn new(inner: S, metering: Arc<Metering>) -> Self {
        Self { inner, metering }
    }
}

impl<S: NamedService> NamedService for TooLarge<S> {
    const NAME: &'static str = S::NAME;
}

/// The status in the place of tonic's, if that is what it says.
pub(super) fn named(status: Status, metering: &Metering) -> Status {
    if status.code() == Code::OutOfRange && status.message().contains(SIGN) {
        return metering.too_large("the octets of this request").into();
    }
    status
}

impl<S> Service<Request<Body>> for TooLarge<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let (answer, metering) = (self.inner.call(request), self.metering.clone());
        Box::pin(async move {
            let answer = answer.await?;
            let status = Status::from_header_map(answer.headers());
            Ok(match status.filter(|status| status.code() == Code::OutOfRange) {
                Some(status) => named(status, &metering).into_http(),
                None => answer,
            })
        })
    }
}
