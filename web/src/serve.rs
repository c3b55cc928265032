//! The port of a screen: HTTP/1.1 and HTTP/2 within bounds, over TLS everywhere but on loopback.

use std::{fmt, net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, extract::Request, middleware};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
    service::TowerToHyperService,
};
use licensor::{
    clock::SharedClock,
    serve::{Shutdown, accept},
    tls,
};
use rustls::server::ResolvesServerCert;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    sync::{Semaphore, watch},
};
use tokio_rustls::TlsAcceptor;

use crate::{certificate::Files, config::WebConfig};

/// Connections at once.
const CONNECTIONS: usize = 512;
/// Time for a TLS handshake, and for a request's header.
const PATIENCE: Duration = Duration::from_secs(10);
/// Age at which a connection is closed.
const AGE: Duration = Duration::from_secs(3600);
/// Requests at once on one connection.
const STREAMS: u32 = 64;

/// The TLS side of a screen.
pub struct Tls {
    acceptor: TlsAcceptor,
    /// Files of its own that have the certificate.
    files: Option<(Files, SharedClock)>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("files", &self.files).finish_non_exhaustive()
    }
}

/// The TLS side of a screen at `address`: `None` if it goes without. `own` is the certificate of the service.
///
/// # Errors
/// [`ConfigError`](licensor::config::ConfigError) that names the key of what cannot be used.
pub fn tls(
    config: &WebConfig,
    address: SocketAddr,
    own: Arc<dyn ResolvesServerCert>,
    clock: SharedClock,
) -> anyhow::Result<Option<Tls>> {
    if !config.speaks_tls(address) {
        return Ok(None);
    }
    let files = Files::load(config)?;
    let resolver = match &files {
        Some(files) => Arc::new(tls::Current(Arc::clone(&files.current))),
        None => own,
    };
    let acceptor = TlsAcceptor::from(tls::browser_config(resolver, clock.clone())?);
    Ok(Some(Tls { acceptor, files: files.map(|files| (files, clock)) }))
}

/// Serves `routes` until `shutdown`; what is being answered then is answered.
///
/// # Errors
/// None: requests that fail are the clients' matter.
pub async fn serve(
    listener: TcpListener,
    tls: Option<Tls>,
    routes: Router,
    shutdown: Shutdown,
) -> anyhow::Result<()> {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let (tls, files) = tls.map_or((None, None), |Tls { acceptor, files }| (Some(acceptor), files));
    let following = async {
        match files {
            Some((files, clock)) => files.follow(clock).await,
            None => std::future::pending().await,
        }
    };
    let accepting = async {
        loop {
            let Some((stream, address)) = accept(&listener).await else { continue };
            let Ok(permit) = Arc::clone(&places).try_acquire_owned() else {
                tracing::warn!(%address, "connection turned away: {CONNECTIONS} are open to the screen");
                continue;
            };
            let (tls, routes, shutdown) = (tls.clone(), routes.clone(), shutdown.clone());
            tokio::spawn(async move {
                let _permit = permit;
                let _ = stream.set_nodelay(true);
                let Some(tls) = tls else { return answer(stream, false, routes, shutdown).await };
                match tokio::time::timeout(PATIENCE, tls.accept(stream)).await {
                    Ok(Ok(stream)) => {
                        let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                        answer(stream, http2, routes, shutdown).await;
                    }
                    Ok(Err(error)) => tracing::debug!(%address, %error, "handshake failed"),
                    Err(_) => tracing::debug!(%address, "handshake took too long"),
                }
            });
        }
    };
    let work = async {
        tokio::select! {
            () = accepting => {}
            () = following => {}
        }
    };
    shutdown.cut(work).await;
    // Those who are being answered have a place each.
    let _ = places.acquire_many(u32::try_from(CONNECTIONS).unwrap_or(u32::MAX)).await;
    Ok(())
}

/// Answers the requests of a connection. One that asks nothing is closed, and so is one that is old: a browser opens another.
async fn answer<S>(stream: S, http2: bool, routes: Router, shutdown: Shutdown)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(PATIENCE);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .keep_alive_interval(Duration::from_secs(30))
        .max_header_list_size(16 << 10);
    // Who speaks plainly speaks HTTP/1.1.
    let builder = if http2 { builder.http2_only() } else { builder.http1_only() };
    let (asked, mut first) = watch::channel(false);
    let routes = routes.layer(middleware::map_request(move |request: Request| {
        asked.send_replace(true);
        async { request }
    }));
    let silent = async {
        if tokio::time::timeout(PATIENCE, first.wait_for(|asked| *asked)).await.is_ok() {
            let _ = tokio::time::timeout(AGE, std::future::pending::<()>()).await;
        }
    };
    let connection = builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(routes));
    tokio::pin!(connection);
    // A peer that goes away mid-request is no fault of ours.
    tokio::select! {
        _ = connection.as_mut() => {}
        () = silent => {
            connection.as_mut().graceful_shutdown();
            let _ = tokio::time::timeout(PATIENCE, connection).await;
        }
        () = shutdown.wait() => {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpStream,
    };

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_has_begun_to_speak_http_2_and_asks_nothing_is_let_go() {
        let (_silent, stream) = tokio::io::duplex(1 << 10);
        let (_stop, shutdown) = Shutdown::channel();
        // Ends, where nothing else would end it.
        answer(stream, true, Router::new(), shutdown).await;
    }

    #[tokio::test(start_paused = true)]
    async fn who_asks_nothing_gives_the_place_back() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (_stop, shutdown) = Shutdown::channel();
        let routes = Router::new().route("/", get(async || "here"));
        tokio::spawn(serve(listener, None, routes, shutdown));
        let mut silent = TcpStream::connect(address).await.unwrap();
        let mut begun = TcpStream::connect(address).await.unwrap();
        begun.write_all(b"PRI * HTTP/2.0\r\n\r\n").await.unwrap();
        let mut left = Vec::new();
        assert_eq!(silent.read_to_end(&mut left).await.unwrap_or_default(), 0);
        begun.read_to_end(&mut left).await.unwrap_or_default();
        let mut asking = TcpStream::connect(address).await.unwrap();
        asking.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        asking.read_to_string(&mut answer).await.unwrap();
        assert!(answer.ends_with("here"), "{answer}");
    }
}
