//! The port for operations: plain HTTP for probes, metrics and public certificates.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    http::{StatusCode, header::CONTENT_TYPE},
    response::IntoResponse,
    routing::get,
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{net::TcpListener, sync::Semaphore};

use crate::{
    serve::{Shutdown, accept},
    telemetry::Metrics,
};

/// Connections at once.
const CONNECTIONS: usize = 256;
/// Time for a request's header, and for an idle connection.
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);

/// Says whether the service does its work, or why it does not.
pub type Readiness = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;

/// `/healthz` (the process is alive), `/readyz` (it does its work) and `/metrics`.
pub fn routes(readiness: Readiness, metrics: Arc<Metrics>) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route(
            "/readyz",
            get(move || {
                let ready = readiness();
                async move {
                    match ready {
                        Ok(()) => (StatusCode::OK, "ready\n".to_owned()),
                        Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")),
                    }
                }
            }),
        )
        .route(
            "/metrics",
            get(move || {
                let text = metrics.text();
                async move {
                    ([(CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text)
                        .into_response()
                }
            }),
        )
}

/// Serves `routes` until `shutdown`.
///
/// # Errors
/// None: requests that fail are the clients' matter.
pub async fn serve(listener: TcpListener, routes: Router, shutdown: Shutdown) -> anyhow::Result<()> {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let accept = async {
        loop {
            let Some((stream, _)) = accept(&listener).await else { continue };
            let Ok(permit) = Arc::clone(&places).try_acquire_owned() else { continue };
            let service = TowerToHyperService::new(routes.clone());
            tokio::spawn(async move {
                let connection = hyper::server::conn::http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(HEADER_TIMEOUT)
                    .serve_connection(TokioIo::new(stream), service);
                // A peer that goes away mid-request is no fault of ours.
                let _ = connection.await;
                drop(permit);
            });
        }
    };
    shutdown.cut(accept).await;
    Ok(())
}
