//! Wires the service together, and runs it until it is told to stop.

use std::sync::Arc;

use anyhow::Result;
use axum::{
    Router,
    extract::Path,
    http::{StatusCode, header::CONTENT_TYPE},
    routing::get,
};
use licensor::{
    admin::{self, Administrators},
    clock::SharedClock,
    data_dir::DataDir,
    error::Reason,
    event::{EventLog, EventRpc},
    health::{HealthRpc, Working},
    log, ops,
    process::{self, Parts},
    reflection::reflection,
    serve::{Acceptor, Shutdown, bind, grpc_server},
    store::{SharedStore, SledOptions, SledStore},
    telemetry::Metrics,
    tls,
};
use licensor_web::{
    screen::{Screen, ScreenParts},
    serve as web_port,
};
use proto::{
    certification::v1::{
        certification_admin_service_server::{self, CertificationAdminServiceServer},
        certification_service_server::{self, CertificationServiceServer},
    },
    event::v1::event_service_server::{self, EventServiceServer},
};
use tokio::sync::watch;
use tonic_health::pb::health_server::HealthServer;

use crate::{
    audit::{Audit, AuditWatch},
    authority::{Authority, AuthorityFiles, OwnServer},
    config::Config,
    expiry_watch::ExpiryWatch,
    fleet::{FleetWatch, Rules},
    ledger::{Ledger, UpstreamKind},
    rpc::{AdminRpc, CertificationRpc, all_events, own_events},
    upstream::{self, Upstream},
    web::{self, Site},
};

/// Everything below the ports.
struct Core {
    authority: Arc<Authority>,
    audit: Arc<Audit>,
    upstream: Arc<Upstream>,
    events: Arc<EventLog>,
    metrics: Arc<Metrics>,
    store: Arc<SledStore>,
}

impl Core {
    /// `begun`: how the first certificate is to be had, if there is not even a trust anchor.
    async fn open(config: &Config, clock: &SharedClock, begun: Option<UpstreamKind>) -> Result<Self> {
        let options = SledOptions {
            directory: config.data_dir.join("store"),
            cache_bytes: config.store.cache_bytes,
            minimum_free_bytes: config.store.minimum_free_bytes,
        };
        let store = Arc::new(SledStore::open(&options)?);
        let shared: SharedStore = store.clone();
        let metrics = Metrics::shared();
        let events = Arc::new(EventLog::open(shared.clone(), clock.clone(), metrics.clone()).await?);
        let ledger = Arc::new(Ledger::new(shared, events.clone(), config.expiry.clone()));
        let authority = Arc::new(Authority::open(config, clock.clone(), ledger, begun).await?);
        // The watch tries again.
        if let Err(error) = authority.refresh_revocation_lists().await {
            tracing::error!(%error, "the revocation list could not be published");
        }
        let audit = Arc::new(Audit::new(authority.clone(), config.data_dir.join("audit-checkpoint.txt")));
        let upstream = Arc::new(Upstream::new(authority.clone()));
        Ok(Self { authority, audit, upstream, events, metrics, store })
    }
}

/// Runs the service.
pub(crate) async fn serve(config: Config, clock: SharedClock) -> Result<()> {
    process::prepare();
    let _log = log::start(&config.log)?;
    tracing::info!(version = env!("CARGO_PKG_VERSION"), config = %serde_json::to_string(&config)?, "starting");
    let mut parts = Parts::new()?;
    AuthorityFiles::check_made(&config.data_dir)?;
    let _data_dir = DataDir::open(&config.data_dir)?;
    let core = Core::open(&config, &clock, None).await?;
    let listener = bind(config.listen, "listen").await?;
    let ops_listener = bind(config.ops_listen, "ops_listen").await?;
    let web_address = config.web.address(None);
    let web_listener = match web_address {
        Some(address) => Some((address, bind(address, "web.listen").await?)),
        None => None,
    };
    let admin_path = admin::socket_path(&config.admin, &config.data_dir);
    let admin_listener = admin::listen(&admin_path, &config.admin)?;

    let own_server = Arc::new(OwnServer::issue(&core.authority, &config.public_host())?);
    if let Err(error) = own_server.log(&core.authority).await {
        tracing::error!(%error, "the issue of the root's own server certificate is no entry of the log yet");
    }
    let tls = tls::server_config(Arc::new(tls::Current(own_server.current())), clock.clone())?;
    let (stop, shutdown) = Shutdown::channel();
    let (ticker, ticks) = watch::channel(0);
    let screen = web_address.map(|address| {
        Screen::open(ScreenParts {
            config: &config.web,
            address,
            texts: web::texts,
            store: core.store.clone(),
            events: core.authority.ledger().events().clone(),
            clock: clock.clone(),
            administrators: Administrators::new(&config.admin.uids),
            product: "root-product",
            command: "root-service web login",
            shutdown: shutdown.clone(),
        })
    });
    let screen = screen.transpose()?.map(Arc::new);

    parts.start(
        "the admin socket",
        serve_admin(&config, &core, screen.clone(), admin_listener, ticks.clone(), shutdown.clone())?,
    );
    let acceptor = Acceptor { tls, limits: config.limits.clone(), metrics: core.metrics.clone() };
    let (reflection_v1, reflection_v1alpha) =
        reflection(&[certification_service_server::SERVICE_NAME, event_service_server::SERVICE_NAME])?;
    let certification = CertificationRpc {
        authority: core.authority.clone(),
        audit: core.audit.clone(),
        metrics: core.metrics.clone(),
        clock: clock.clone(),
    };
    let events = EventRpc::new(
        core.events.clone(),
        own_events(core.authority.clone()),
        &config.limits,
        shutdown.clone(),
    );
    let largest = config.limits.message_bytes;
    let public = grpc_server(&config.limits, &core.metrics, &clock)
        .add_service(CertificationServiceServer::new(certification).max_decoding_message_size(largest))
        .add_service(EventServiceServer::new(events).max_decoding_message_size(largest))
        .add_service(
            HealthServer::new(health(&core, ticks.clone(), shutdown.clone()))
                .max_decoding_message_size(largest),
        )
        .add_service(reflection_v1)
        .add_service(reflection_v1alpha);
    let incoming = acceptor.accept(listener, shutdown.clone());
    let stopped = shutdown.clone();
    parts.start("the TLS port", async move {
        Ok(public.serve_with_incoming_shutdown(incoming, stopped.wait()).await?)
    });
    parts.start("the port for operations", ops::serve(ops_listener, ops_routes(&core), shutdown.clone()));
    if let (Some((address, listener)), Some(screen)) = (web_listener, screen) {
        let own = Arc::new(tls::Current(own_server.current()));
        let tls = web_port::tls(&config.web, address, own, clock.clone())?;
        let (origin, fleet) = (screen.origin.clone(), fleet(&config, &core, &clock));
        parts.start("the fleet", fleet.clone().run(shutdown.clone()));
        let routes = web::routes(Arc::new(site(&config, &core, screen, fleet)));
        parts.start("the fleet page", web_port::serve(listener, tls, routes, shutdown.clone()));
        tracing::info!(web = origin, "the fleet page is served");
    }
    let watch = ExpiryWatch {
        authority: core.authority.clone(),
        own_server,
        clock: clock.clone(),
        metrics: core.metrics.clone(),
        check_interval: config.expiry.check_interval.0,
        ticker,
    };
    parts.start("the expiry watch", watch.run(shutdown.clone()));
    let automatic = upstream::Automatic {
        upstream: core.upstream.clone(),
        check_interval: config.expiry.check_interval.0,
        poll_interval: config.authority.poll_interval.0,
    };
    parts.start("the renewal of the authority", automatic.run(shutdown.clone()));
    let watch = AuditWatch { audit: core.audit.clone(), clock: clock.clone() };
    parts.start("the audit log", watch.run(shutdown));
    tracing::info!(listen = %config.listen, ops = %config.ops_listen, admin = %admin_path.display(), "serving");
    let outcome = parts.run(stop, core.store.failure(), config.limits.drain.0).await;
    // One that stays behind is replaced at the next start.
    let _ = admin::remove(&admin_path);
    outcome
}

fn fleet(config: &Config, core: &Core, clock: &SharedClock) -> Arc<FleetWatch> {
    let rules = Rules { expiry: config.expiry.clone(), renew_at: config.renewal.at };
    FleetWatch::new(core.authority.ledger().clone(), clock.clone(), rules)
}

fn site(config: &Config, core: &Core, screen: Arc<Screen>, fleet: Arc<FleetWatch>) -> Site {
    Site {
        screen,
        clock: core.authority.clock().clone(),
        authority: core.authority.clone(),
        fleet,
        metrics: core.metrics.clone(),
        expiry: config.expiry.clone(),
    }
}

fn serve_admin(
    config: &Config,
    core: &Core,
    screen: Option<Arc<Screen>>,
    listener: tokio::net::UnixListener,
    ticks: watch::Receiver<u64>,
    shutdown: Shutdown,
) -> Result<impl Future<Output = Result<()>> + Send + 'static> {
    let administrators = Administrators::new(&config.admin.uids);
    let rpc = AdminRpc {
        authority: core.authority.clone(),
        audit: core.audit.clone(),
        upstream: core.upstream.clone(),
        clock: core.authority.clock().clone(),
        screen,
    };
    let events = EventRpc::new(core.events.clone(), all_events(), &config.limits, shutdown.clone());
    let server = tonic::transport::Server::builder()
        .layer(tonic::service::InterceptorLayer::new(move |request| administrators.check(request)))
        .add_service(CertificationAdminServiceServer::new(rpc))
        .add_service(EventServiceServer::new(events))
        .add_service(HealthServer::new(health(core, ticks, shutdown.clone())));
    let (reflection_v1, reflection_v1alpha) =
        reflection(&[certification_admin_service_server::SERVICE_NAME, event_service_server::SERVICE_NAME])?;
    let server = server.add_service(reflection_v1).add_service(reflection_v1alpha);
    Ok(
        async move { Ok(server.serve_with_incoming_shutdown(admin::incoming(listener), shutdown.wait()).await?) },
    )
}

fn health(core: &Core, ticks: watch::Receiver<u64>, shutdown: Shutdown) -> HealthRpc {
    let authority = core.authority.clone();
    let working: Working = Arc::new(move || authority.check_enabled().is_ok());
    let services = vec![("", working.clone()), (certification_service_server::SERVICE_NAME, working)];
    HealthRpc::new(services, ticks, shutdown)
}

/// Probes and metrics, and what certificates say that it is here: their issuers, and revocation lists.
fn ops_routes(core: &Core) -> Router {
    let authority = core.authority.clone();
    let readiness =
        move || authority.check_enabled().map(|_| ()).map_err(|error| format!("{}: {error}", error.reason));
    let issuers = core.authority.clone();
    let authority = core.authority.clone();
    ops::routes(Arc::new(readiness), core.metrics.clone())
        // RFC 5280 §4.2.2.1: DER, application/pkix-cert
        .route(
            "/issuer/{file}",
            get(move |file: Path<String>| async move {
                let key_id = file.strip_suffix(".cer").ok_or(StatusCode::NOT_FOUND)?;
                let generations = issuers.generations();
                let issuer = generations.of_key(key_id).ok_or(StatusCode::NOT_FOUND)?;
                Ok::<_, StatusCode>(([(CONTENT_TYPE, "application/pkix-cert")], issuer.certificate.clone()))
            }),
        )
        // RFC 5280 §4.2.1.13 and RFC 2585 §4: DER, application/pkix-crl
        .route(
            "/crl/{file}",
            get(move |file: Path<String>| async move {
                let key_id =
                    file.strip_suffix(".crl").filter(|it| !it.is_empty()).ok_or(StatusCode::NOT_FOUND)?;
                let list = authority.revocation_list(key_id).map_err(|error| match error.reason {
                    Reason::AuthorityUnknown => StatusCode::NOT_FOUND,
                    _ => StatusCode::SERVICE_UNAVAILABLE,
                })?;
                Ok::<_, StatusCode>(([(CONTENT_TYPE, "application/pkix-crl")], list.der.clone()))
            }),
        )
}

/// How `init` is to be done.
#[derive(Debug)]
pub(crate) struct InitOrder {
    pub(crate) upstream: UpstreamKind,
    /// Token of the upstream.
    pub(crate) token: Option<String>,
    /// Leave a root that is there as it is, instead of refusing.
    pub(crate) if_needed: bool,
}

/// Makes a root; returns whether it did.
pub(crate) async fn init(config: &Config, clock: &SharedClock, order: InitOrder) -> Result<bool> {
    process::prepare();
    let _log = log::start(&config.log)?;
    if order.if_needed && AuthorityFiles::exist(&config.data_dir) {
        return Ok(false);
    }
    let _data_dir = DataDir::open(&config.data_dir)?;
    if order.upstream == UpstreamKind::SelfSigned {
        AuthorityFiles::new(config)?.create_anchor(config, clock.now())?;
        return Ok(true);
    }
    if AuthorityFiles::exist(&config.data_dir) {
        AuthorityFiles::check_free(&config.data_dir)?;
    }
    // One that waits for its first certificate goes on to wait.
    let begun = config.data_dir.join("store").exists();
    let core = Core::open(config, clock, Some(order.upstream)).await?;
    if let Some(token) = order.token {
        core.upstream.set(order.upstream, &token, "init").await?;
        return Ok(true);
    }
    Ok(!begun)
}
