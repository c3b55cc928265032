//! Wires the service together, and runs it until it is told to stop.

use std::{path::PathBuf, sync::Arc};

use anyhow::Result;
use licensor::{
    admin::{self, Administrators},
    clock::SharedClock,
    config::ConfigError,
    data_dir::DataDir,
    event::{EventFilter, EventLog, EventRpc},
    health::{HealthRpc, Working},
    log, ops, process,
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
    event::v1::event_service_server::{self, EventServiceServer},
    licensing::v1::{
        licensing_admin_service_server::{self, LicensingAdminServiceServer},
        licensing_service_server::{self, LicensingServiceServer},
        metering_service_server::{self, MeteringServiceServer},
        status_service_server::{self, StatusServiceServer},
    },
};
use tokio::sync::watch;
use tonic_health::pb::health_server::HealthServer;

use crate::{
    access::{Access, AccessParts},
    config::{Config, default_web_listen},
    credential::Credential,
    expiry_watch::ExpiryWatch,
    ledger::Ledger,
    licensing::{Gauges, Licensing},
    metering::{Metering, MeteringParts},
    renewal::{Automatic, KeyStore, Parts, Renewal, RevocationWatch, SeenCheckpoint, Upkeep},
    rpc::{AdminRpc, Gate, LicensingRpc, MeteringRpc, StatusRpc, TooLarge},
    system_event::SystemEvents,
    updates::{self, TimeWatch, Updates},
    web::{self, Site},
};

/// Everything below the ports.
struct Core {
    clock: SharedClock,
    access: Arc<Access>,
    renewal: Arc<Renewal>,
    licensing: Arc<Licensing>,
    updates: Arc<Updates>,
    metering: Arc<Metering>,
    ledger: Arc<Ledger>,
    events: Arc<EventLog>,
    metrics: Arc<Metrics>,
    store: Arc<SledStore>,
}

impl Core {
    async fn open(config: &Config, clock: &SharedClock) -> Result<Self> {
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
        let parts = Parts {
            clock: clock.clone(),
            ledger: ledger.clone(),
            keys: KeyStore::new(&config.data_dir),
            metrics: metrics.clone(),
            seen: SeenCheckpoint::new(&config.data_dir),
            root_address: config.enrollment.root_address.clone(),
        };
        let renewal = Arc::new(Renewal::open(parts).await?);
        let licensing = Arc::new(
            Licensing::open(config.limits.signing, clock.clone(), ledger.clone(), renewal.subscribe())
                .await?,
        );
        let updates = Arc::new(Updates {
            clock: clock.clone(),
            ledger: ledger.clone(),
            licensing: licensing.clone(),
            credential: renewal.subscribe(),
            anchors: trust_anchors(config)?,
            revocation_list: revocation_list(config),
        });
        let parts = AccessParts {
            config: config.access.clone(),
            clock: clock.clone(),
            ledger: ledger.clone(),
            metrics: metrics.clone(),
        };
        let access = Arc::new(Access::open(parts).await?);
        let parts = MeteringParts {
            config: config.metering.clone(),
            ledger: ledger.clone(),
            clock: clock.clone(),
            entitlements: licensing.entitlements(),
            metrics: metrics.clone(),
        };
        let metering = Metering::open(parts).await?;
        metrics.collect(Gauges(licensing.clone()));
        Ok(Self {
            clock: clock.clone(),
            access,
            renewal,
            licensing,
            updates,
            metering,
            ledger,
            events,
            metrics,
            store,
        })
    }
}

/// Runs the service.
pub(crate) async fn serve(config: Config, clock: SharedClock) -> Result<()> {
    process::prepare();
    let _log = log::start(&config.log)?;
    tracing::info!(version = env!("CARGO_PKG_VERSION"), config = %serde_json::to_string(&config)?, "starting");
    let mut parts = process::Parts::new()?;
    let _data_dir = DataDir::open(&config.data_dir)?;
    let core = Core::open(&config, &clock).await?;
    let listener = bind(config.listen, "listen").await?;
    let ops_listener = bind(config.ops_listen, "ops_listen").await?;
    let web_address = config.web.address(Some(default_web_listen()));
    let web_listener = match web_address {
        Some(address) => Some((address, bind(address, "web.listen").await?)),
        None => None,
    };
    let admin_path = admin::socket_path(&config.admin, &config.data_dir);
    let admin_listener = admin::listen(&admin_path, &config.admin)?;
    let revocation = RevocationWatch {
        renewal: core.renewal.clone(),
        clock: clock.clone(),
        metrics: core.metrics.clone(),
        file: revocation_list(&config),
    };
    revocation.recall();
    note_other_root(&config, core.renewal.subscribe().borrow().as_deref());

    let server = Arc::new(tls::Swappable::new(tls::unenrolled()?));
    if let Some(credential) = &*core.renewal.subscribe().borrow() {
        server.store(credential.server.clone());
    }
    let tls = tls::server_config(Arc::new(tls::Current(server.clone())), clock.clone())?;
    let (stop, shutdown) = Shutdown::channel();
    let (ticker, ticks) = watch::channel(0);
    let screen = match web_address {
        Some(address) => Some(Arc::new(Screen::open(ScreenParts {
            config: &config.web,
            address,
            texts: web::texts,
            store: core.store.clone(),
            events: core.events.clone(),
            clock: clock.clone(),
            administrators: Administrators::new(&config.admin.uids),
            product: "node-product",
            command: "license-service web login",
            shutdown: shutdown.clone(),
        })?)),
        None => None,
    };

    parts.start(
        "the admin socket",
        serve_admin(&config, &core, screen.clone(), admin_listener, ticks.clone(), shutdown.clone())?,
    );
    let acceptor = Acceptor { tls, limits: config.limits.clone(), metrics: core.metrics.clone() };
    let (reflection_v1, reflection_v1alpha) = reflection(&[
        licensing_service_server::SERVICE_NAME,
        metering_service_server::SERVICE_NAME,
        status_service_server::SERVICE_NAME,
        event_service_server::SERVICE_NAME,
    ])?;
    let largest = config.limits.message_bytes;
    let gate = Gate::Network(core.access.clone());
    let licensing = LicensingServiceServer::new(LicensingRpc { licensing: core.licensing.clone() })
        .max_decoding_message_size(largest);
    let public = grpc_server(&config.limits, &core.metrics, &clock)
        .add_service(gate.before(licensing))
        .add_service(gate.before(metering(&config, &core, &shutdown)))
        .add_service(StatusServiceServer::new(status(&config, &core)).max_decoding_message_size(largest))
        .add_service(
            EventServiceServer::new(events(&config, &core, &shutdown, true))
                .max_decoding_message_size(largest),
        )
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
    let licensing = core.licensing.clone();
    let readiness: ops::Readiness = Arc::new(move || match licensing.enabled() {
        Ok(_) => Ok(()),
        Err(error) => Err(format!("{}: {error}", error.reason)),
    });
    let routes = ops::routes(readiness, core.metrics.clone());
    parts.start("the port for operations", ops::serve(ops_listener, routes, shutdown.clone()));
    if let (Some((address, listener)), Some(screen)) = (web_listener, &screen) {
        let own = Arc::new(tls::Current(server.clone()));
        let tls = web_port::tls(&config.web, address, own, clock.clone())?;
        let routes = web::routes(Arc::new(site(&config, &core, &clock, screen)));
        parts.start("the screen", web_port::serve(listener, tls, routes, shutdown.clone()));
        tracing::info!(web = screen.origin, "the screen is served");
    }
    let metering = core.metering.clone().run(config.expiry.check_interval.0, shutdown.clone());
    parts.start("metering", metering);
    let watch = ExpiryWatch {
        ledger: core.ledger.clone(),
        credential: core.renewal.subscribe(),
        clock: clock.clone(),
        expiry: config.expiry.clone(),
        server,
        ticker,
    };
    parts.start("the expiry watch", watch.run(shutdown.clone()));
    let automatic = Automatic {
        renewal: core.renewal.clone(),
        clock: clock.clone(),
        check_interval: config.expiry.check_interval.0,
        at: config.renewal.at,
        enabled: config.renewal.automatic,
        token_file: config.enrollment.token_file.clone(),
    };
    parts.start("automatic renewal", automatic.run(shutdown.clone()));
    let upkeep = Upkeep {
        revocation,
        clock: clock.clone(),
        poll_interval: config.revocation.poll_interval.0,
        check_interval: config.expiry.check_interval.0,
    };
    parts.start("the uses of access tokens", core.access.tokens().clone().keep_uses(shutdown.clone()));
    parts.start("the upkeep", upkeep.run(shutdown.clone()));
    let entitlements = updates::Automatic {
        updates: core.updates.clone(),
        clock: clock.clone(),
        poll_interval: config.entitlements.poll_interval.0,
        check_interval: config.expiry.check_interval.0,
        activate: config.entitlements.automatic,
    };
    parts.start("entitlements", entitlements.run(shutdown.clone()));
    let time = TimeWatch {
        clock: clock.clone(),
        ledger: core.ledger.clone(),
        licensing: core.licensing.clone(),
        check_interval: config.expiry.check_interval.0,
    };
    parts.start("the time watch", time.run(shutdown));
    tracing::info!(listen = %config.listen, ops = %config.ops_listen, admin = %admin_path.display(), "serving");
    let outcome = parts.run(stop, core.store.failure(), config.limits.drain.0).await;
    // One that stays behind is replaced at the next start.
    let _ = admin::remove(&admin_path);
    outcome
}

/// Whoever runs this, as events name it.
fn own_name() -> String {
    format!("uid:{}", rustix::process::geteuid().as_raw())
}

/// Enrols without a running service.
pub(crate) async fn enroll(config: &Config, clock: SharedClock, token: &str) -> Result<Arc<Credential>> {
    process::prepare();
    let _data_dir = DataDir::open(&config.data_dir)?;
    let core = Core::open(config, &clock).await?;
    Ok(core.renewal.enroll(token, &own_name()).await?)
}

fn site(config: &Config, core: &Core, clock: &SharedClock, screen: &Arc<Screen>) -> Site {
    Site {
        screen: screen.clone(),
        clock: clock.clone(),
        ledger: core.ledger.clone(),
        licensing: core.licensing.clone(),
        metering: core.metering.clone(),
        renewal: core.renewal.clone(),
        updates: core.updates.clone(),
        system_events: SystemEvents { ledger: core.ledger.clone(), clock: clock.clone() },
        expiry: config.expiry.clone(),
        database: config.database.kind,
        automatic: config.renewal.automatic,
        renew_at: config.renewal.at,
        activates: config.entitlements.automatic,
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
    let server = tonic::transport::Server::builder()
        .layer(tonic::service::InterceptorLayer::new(move |request| administrators.check(request)))
        .add_service(LicensingAdminServiceServer::new(AdminRpc {
            renewal: core.renewal.clone(),
            updates: core.updates.clone(),
            access: core.access.clone(),
            system_events: SystemEvents { ledger: core.ledger.clone(), clock: core.clock.clone() },
            metering: core.metering.clone(),
            screen,
        }))
        .add_service(
            Gate::Local
                .before(LicensingServiceServer::new(LicensingRpc { licensing: core.licensing.clone() })),
        )
        .add_service(Gate::Local.before(metering(config, core, &shutdown)))
        .add_service(StatusServiceServer::new(status(config, core)))
        .add_service(EventServiceServer::new(events(config, core, &shutdown, false)))
        .add_service(HealthServer::new(health(core, ticks, shutdown.clone())));
    let (reflection_v1, reflection_v1alpha) = reflection(&[
        licensing_admin_service_server::SERVICE_NAME,
        licensing_service_server::SERVICE_NAME,
        metering_service_server::SERVICE_NAME,
        status_service_server::SERVICE_NAME,
        event_service_server::SERVICE_NAME,
    ])?;
    let server = server.add_service(reflection_v1).add_service(reflection_v1alpha);
    Ok(
        async move { Ok(server.serve_with_incoming_shutdown(admin::incoming(listener), shutdown.wait()).await?) },
    )
}

/// The events: all of them, or those that everyone may read.
fn events(config: &Config, core: &Core, shutdown: &Shutdown, public: bool) -> EventRpc {
    let access: licensor::event::EventAccess =
        Arc::new(move |_, filter| Box::pin(async move { Ok(EventFilter { public, ..filter }) }));
    EventRpc::new(core.events.clone(), access, &config.limits, shutdown.clone())
}

fn metering(
    config: &Config,
    core: &Core,
    shutdown: &Shutdown,
) -> TooLarge<MeteringServiceServer<MeteringRpc>> {
    let (metering, longest) = (core.metering.clone(), config.limits.connection_age.0);
    let rpc = MeteringRpc::new(metering, config.metering.streams, longest, shutdown.clone());
    let server = MeteringServiceServer::new(rpc).max_decoding_message_size(config.limits.message_bytes);
    TooLarge::new(server, core.metering.clone())
}

fn status(config: &Config, core: &Core) -> StatusRpc {
    StatusRpc {
        credential: core.renewal.subscribe(),
        ledger: core.ledger.clone(),
        clock: core.clock.clone(),
        automatic: config.renewal.automatic,
        renew_at: config.renewal.at,
        database: config.database.kind,
        licensing: core.licensing.clone(),
    }
}

fn health(core: &Core, ticks: watch::Receiver<u64>, shutdown: Shutdown) -> HealthRpc {
    let licensing = core.licensing.clone();
    let issues: Working = Arc::new(move || licensing.enabled().is_ok());
    let services = vec![
        ("", issues.clone()),
        (licensing_service_server::SERVICE_NAME, issues),
        (status_service_server::SERVICE_NAME, Arc::new(|| true)),
    ];
    HealthRpc::new(services, ticks, shutdown)
}

/// Where the revocation list of the issuer is kept.
fn revocation_list(config: &Config) -> PathBuf {
    config.data_dir.join("revocation-list.crl")
}

/// The trust anchors of other vendors.
fn trust_anchors(config: &Config) -> Result<Vec<Vec<u8>>, ConfigError> {
    let Some(path) = &config.entitlements.trust_anchors else { return Ok(Vec::new()) };
    let unusable = |problem: String| {
        ConfigError::unusable("entitlements.trust_anchors", format!("{}: {problem}", path.display()))
    };
    let text = std::fs::read(path).map_err(|error| unusable(error.to_string()))?;
    let anchors = pem::parse_many(text).map_err(|error| unusable(error.to_string()))?;
    let anchors: Vec<Vec<u8>> = anchors.into_iter().map(pem::Pem::into_contents).collect();
    if anchors.is_empty() || anchors.iter().any(|der| verifier::Certificate::parse(der).is_err()) {
        return Err(unusable("there must be certificates in it (PEM), and nothing else".into()));
    }
    Ok(anchors)
}

/// Says where renewals go if somebody may expect something else.
fn note_other_root(config: &Config, credential: Option<&Credential>) {
    if let (Some(configured), Some(credential)) = (&config.enrollment.root_address, credential)
        && *configured != credential.renewal_address
    {
        tracing::warn!(
            configured,
            renewal_address = credential.renewal_address,
            "`enrollment.root_address` is not the root that issued the current certificate: renewal goes to the one that did; to move, enrol there with a token"
        );
    }
}
