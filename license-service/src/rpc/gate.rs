//! The gate before the services that need a caller: lets calls in with their `Caller`, and ends what is open of a caller
//! that is good no more.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use http::{HeaderMap, Request, Response};
use http_body::Frame;
use licensor::{
    admin,
    error::{Error, Result},
    serve::Peer,
};
use tonic::{Status, body::Body, server::NamedService};
use tower::Service;

use crate::{
    access::{Access, Caller, Place},
    config::Permission,
};

/// What each method of the services behind the gate needs. One that does not stand here is not served.
const METHODS: &[(&str, Permission)] = &[
    ("/licensor.licensing.v1.LicensingService/ListModules", Permission::Licenses),
    ("/licensor.licensing.v1.LicensingService/AcquireLicense", Permission::Licenses),
    ("/licensor.licensing.v1.LicensingService/ExtendLicense", Permission::Licenses),
    ("/licensor.licensing.v1.LicensingService/ReleaseLicense", Permission::Licenses),
    ("/licensor.licensing.v1.LicensingService/BorrowLicense", Permission::Licenses),
    ("/licensor.licensing.v1.LicensingService/AssignLicense", Permission::Assignments),
    ("/licensor.licensing.v1.LicensingService/UnassignLicense", Permission::Assignments),
    ("/licensor.licensing.v1.LicensingService/ListAssignments", Permission::Assignments),
    ("/licensor.licensing.v1.MeteringService/ReportUsage", Permission::Usage),
    ("/licensor.licensing.v1.MeteringService/ReportUsageStream", Permission::Usage),
    ("/licensor.licensing.v1.MeteringService/GetUsage", Permission::Statements),
    ("/licensor.licensing.v1.MeteringService/ListStatements", Permission::Statements),
    ("/licensor.licensing.v1.MeteringService/GetStatement", Permission::Statements),
];

/// Lets callers through to a service.
#[derive(Debug, Clone)]
pub(crate) enum Gate {
    /// On the TLS port: applications.
    Network(Arc<Access>),
    /// On the admin socket, where `Administrators` has looked already: the administrator.
    Local,
}

impl Gate {
    /// Puts the gate before a service.
    pub(crate) fn before<S>(&self, inner: S) -> Gated<S> {
        Gated { inner, gate: self.clone() }
    }

    fn admit(&self, request: &Request<Body>, permission: Permission) -> Result<(Caller, Option<Place>)> {
        match self {
            Self::Network(access) => {
                let peer = request.extensions().get::<Peer>();
                let (caller, place) = access.admit(request.headers(), peer, permission)?;
                Ok((caller, Some(place)))
            }
            Self::Local => {
                let uid = admin::caller(request.extensions())
                    .ok_or_else(|| Error::internal("admin socket", "the caller has no uid"))?;
                Ok((Caller::Administrator(uid), None))
            }
        }
    }
}

/// A service behind the gate.
#[derive(Debug, Clone)]
pub(crate) struct Gated<S> {
    inner: S,
    gate: Gate,
}

impl<S: NamedService> NamedService for Gated<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<Request<Body>> for Gated<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let path = request.uri().path();
        let Some((_, permission)) = METHODS.iter().find(|(method, _)| *method == path) else {
            return Box::pin(async { Ok(Status::unimplemented("").into_http()) });
        };
        let (caller, place) = match self.gate.admit(&request, *permission) {
            Ok(admitted) => admitted,
            Err(error) => return Box::pin(async { Ok(Status::from(error).into_http()) }),
        };
        request.extensions_mut().insert(caller.clone());
        let request = request.map(|body| Body::new(Asking { body, caller: caller.clone() }));
        let answer = self.inner.call(request);
        Box::pin(async move {
            tokio::select! {
                biased;
                answer = answer => answer.map(|answer| answer.map(|body| Body::new(Answering {
                    body: Some(body),
                    ended: None,
                    caller,
                    _place: place,
                }))),
                error = caller.ended() => Ok(Status::from(error).into_http()),
            }
        })
    }
}

type BodyFrame = Frame<<Body as http_body::Body>::Data>;

/// The messages of a call: each is taken only while the caller is good.
struct Asking {
    body: Body,
    caller: Caller,
}

impl http_body::Body for Asking {
    type Data = <Body as http_body::Body>::Data;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<BodyFrame, Status>>> {
        if let Err(error) = self.caller.ensure_valid() {
            return Poll::Ready(Some(Err(error.into())));
        }
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }
}

/// The answer of a call: ends with the error as soon as the caller is good no more. Has the place of the call.
struct Answering {
    /// `None` once the caller is good no more.
    body: Option<Body>,
    caller: Caller,
    /// The wait for the end of the caller, once there is one.
    ended: Option<Pin<Box<dyn Future<Output = Error> + Send>>>,
    _place: Option<Place>,
}

impl http_body::Body for Answering {
    type Data = <Body as http_body::Body>::Data;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<BodyFrame, Status>>> {
        let this = &mut *self;
        let Some(body) = &mut this.body else { return Poll::Ready(None) };
        if let Err(error) = this.caller.ensure_valid() {
            return Poll::Ready(this.end(error));
        }
        if let Poll::Ready(frame) = Pin::new(body).poll_frame(cx) {
            return Poll::Ready(frame);
        }
        let caller = this.caller.clone();
        let ended = this.ended.get_or_insert_with(|| Box::pin(async move { caller.ended().await }));
        match ended.as_mut().poll(cx) {
            Poll::Ready(error) => Poll::Ready(this.end(error)),
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(http_body::Body::is_end_stream)
    }
}

impl Answering {
    /// Drops what would still come; the error stands in the trailers.
    fn end(&mut self, error: Error) -> Option<Result<BodyFrame, Status>> {
        self.body = None;
        let mut trailers = HeaderMap::new();
        Some(Status::from(error).add_header(&mut trailers).map(|()| Frame::trailers(trailers)))
    }
}

#[cfg(test)]
mod tests;
