//! `grpc.health.v1`: answers from the state of the moment, so that it is true at the very instant of an expiry.

use std::{pin::Pin, sync::Arc, time::Duration};

use futures_util::Stream;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};
use tonic_health::pb::{
    HealthCheckRequest, HealthCheckResponse, health_check_response::ServingStatus, health_server::Health,
};

use crate::{
    error::{Error, Reason},
    serve::Shutdown,
};

/// Watchers at once.
const WATCHERS: usize = 1024;

/// Whether the service does its work at this moment.
pub type Working = Arc<dyn Fn() -> bool + Send + Sync>;

/// The health of the services of one port.
#[derive(Clone)]
pub struct HealthRpc {
    services: Arc<[(&'static str, Working)]>,
    changes: watch::Receiver<u64>,
    shutdown: Shutdown,
    watchers: Arc<Semaphore>,
}

impl HealthRpc {
    /// Health of the named services; `""` stands for the whole server. `changes` is word that it may have changed.
    #[must_use]
    pub fn new(
        services: Vec<(&'static str, Working)>,
        changes: watch::Receiver<u64>,
        shutdown: Shutdown,
    ) -> Self {
        Self { services: services.into(), changes, shutdown, watchers: Arc::new(Semaphore::new(WATCHERS)) }
    }

    fn status(&self, service: &str) -> Option<ServingStatus> {
        let (_, working) = self.services.iter().find(|(name, _)| *name == service)?;
        Some(if working() { ServingStatus::Serving } else { ServingStatus::NotServing })
    }
}

fn response(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse { status: status.into() }
}

#[tonic::async_trait]
impl Health for HealthRpc {
    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        let service = request.into_inner().service;
        let status =
            self.status(&service).ok_or_else(|| Status::not_found(format!("no service {service} here")))?;
        Ok(Response::new(response(status)))
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let service = request.into_inner().service;
        let permit = Arc::clone(&self.watchers).try_acquire_owned().map_err(|_| {
            Error::new(Reason::Overloaded, "too many watch the health already")
                .retry_after(Duration::from_secs(30))
        })?;
        let (sender, receiver) = mpsc::channel(1);
        let mut this = self.clone();
        tokio::spawn(async move {
            let _permit = permit;
            let mut last = None;
            loop {
                let status = this.status(&service).unwrap_or(ServingStatus::ServiceUnknown);
                if last != Some(status) {
                    last = Some(status);
                    if sender.send(Ok(response(status))).await.is_err() {
                        return;
                    }
                }
                tokio::select! {
                    changed = this.changes.changed() => if changed.is_err() { return },
                    () = sender.closed() => return,
                    () = this.shutdown.wait() => return,
                }
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }
}
