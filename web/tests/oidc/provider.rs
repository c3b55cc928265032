//! A real identity provider as a process of its own, and a screen that knows it.

use std::{
    fs,
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use axum::{Router, routing::get};
use licensor::{
    admin::Administrators,
    clock::{ManualClock, SystemClock},
    event::EventLog,
    serve::Shutdown,
    store::{SharedStore, SledOptions, SledStore},
    telemetry::Metrics,
    tls,
};
use licensor_web::{
    config::WebConfig,
    form::{self, Change},
    guard,
    screen::{Screen, ScreenParts},
    serve::serve,
    visitor::Viewer,
};
use serde_json::{Map, Value, json};
use tempfile::TempDir;
use tokio::{net::TcpListener, sync::watch};
use tokio_rustls::TlsConnector;

use crate::browser::Browser;

/// A provider; it ends with this.
struct Process {
    child: Child,
    port: u16,
    /// It ends when nobody can hear it any more.
    _output: BufReader<ChildStdout>,
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How a test differs from others.
pub(crate) struct Setup {
    /// `userinfo` or `id_token`.
    pub(crate) claims_in: &'static str,
    /// Whether tokens are signed with another key than the provider shows.
    pub(crate) forges: bool,
    /// `[web.oidc]`, beyond what every test has.
    pub(crate) config: Value,
    /// How far the clock of the screen is ahead.
    pub(crate) ahead: Duration,
    /// Whether the provider runs.
    pub(crate) runs: bool,
    /// The secret that the screen knows.
    pub(crate) secret: &'static str,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            claims_in: "userinfo",
            forges: false,
            config: json!({}),
            ahead: Duration::ZERO,
            runs: true,
            secret: SECRET,
        }
    }
}

const SECRET: &str = "a secret of the client, +%&=";

/// A screen on loopback whose people sign in at a provider.
pub(crate) struct Bench {
    directory: TempDir,
    setup: Setup,
    address: SocketAddr,
    provider: Option<Process>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) browser: Browser,
    _stop: watch::Sender<bool>,
}

fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/oidc")
}

impl Bench {
    pub(crate) async fn open(setup: Setup) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let certified = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        fs::write(directory.path().join("provider.pem"), certified.cert.pem()).unwrap();
        fs::write(directory.path().join("provider.key"), certified.signing_key.serialize_pem()).unwrap();
        fs::write(directory.path().join("secret"), format!("{}\n", setup.secret)).unwrap();
        let clock = ManualClock::at(SystemClock::shared().now() + setup.ahead);
        let trust = tls::https_client_config(&[certified.cert.der().to_vec()], clock.clone()).unwrap();
        let browser = Browser::new(TlsConnector::from(trust));

        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (stop, shutdown) = Shutdown::channel();
        let address = listener.local_addr().unwrap();
        let mut bench = Self { directory, setup, address, provider: None, clock, browser, _stop: stop };
        bench.start_provider();
        let screen = bench.screen(shutdown.clone()).await;
        if !bench.setup.runs {
            bench.stop_provider();
        }
        tokio::spawn(serve(listener, None, guard::pages(Arc::new(screen), own()), shutdown));
        bench
    }

    async fn screen(&self, shutdown: Shutdown) -> Screen {
        let path = |name| self.directory.path().join(name);
        let port = self.provider.as_ref().map_or(0, |provider| provider.port);
        let mut oidc = json!({
            "issuer": format!("https://127.0.0.1:{port}"),
            "client_id": "licences",
            "client_secret_file": path("secret"),
            "administrators": ["chiefs"],
            "viewers": ["staff"],
            "trust_anchors": path("provider.pem"),
        });
        let more: Map<String, Value> = self.setup.config.as_object().unwrap().clone();
        oidc.as_object_mut().unwrap().extend(more);
        let config = WebConfig { oidc: Some(serde_json::from_value(oidc).unwrap()), ..WebConfig::default() };
        let options = SledOptions { directory: path("store"), cache_bytes: 1 << 24, minimum_free_bytes: 0 };
        let store: SharedStore = Arc::new(SledStore::open(&options).unwrap());
        let events = EventLog::open(store.clone(), self.clock.clone(), Metrics::shared()).await.unwrap();
        let parts = ScreenParts {
            config: &config,
            address: self.address,
            texts: |_| &[],
            store,
            events: Arc::new(events),
            clock: self.clock.clone(),
            administrators: Administrators::new(&[]),
            product: "node-product",
            command: "license-service web login",
            shutdown,
        };
        Screen::open(parts).unwrap()
    }

    /// Starts the provider, with other keys than before; on the port that it had.
    pub(crate) fn start_provider(&mut self) {
        let scripts = scripts();
        assert!(
            scripts.join("node_modules/oidc-provider").exists(),
            "the npm package oidc-provider is missing: tests/run installs it, with `npm ci` in tests/oidc"
        );
        let former = self.provider.take().map(|former| former.port);
        let people = json!({
            "anna": { "email": "anna@example.org", "email_verified": true, "roles": ["chiefs", "others"] },
            "bert": { "preferred_username": "bert", "roles": "staff" },
            "carl": { "email": "carl@example.org", "roles": ["others"] },
            "dora": { "email": "uid:0", "realm_access": { "roles": ["staff"] } },
        });
        let client = json!({
            "client_id": "licences",
            "client_secret": SECRET,
            "redirect_uris": [self.url("/oidc/callback")],
        });
        let mut node = Command::new("node");
        if self.setup.forges {
            node.env("PROVIDER_FORGES", "1");
        }
        let mut child = node
            .arg(scripts.join("provider.mjs"))
            .env("PROVIDER_CERTIFICATE", self.directory.path().join("provider.pem"))
            .env("PROVIDER_KEY", self.directory.path().join("provider.key"))
            .env("PROVIDER_CLIENT", client.to_string())
            .env("PROVIDER_ROLES", people.to_string())
            .env("PROVIDER_PORT", former.unwrap_or_default().to_string())
            .env("PROVIDER_CLAIMS_IN", self.setup.claims_in)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("node is missing ({error}): tests/run installs it"));
        let mut line = String::new();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        output.read_line(&mut line).unwrap();
        let port = line.trim().parse();
        let port = port.unwrap_or_else(|_| panic!("tests/oidc/provider.mjs does not run: start it by hand"));
        self.provider = Some(Process { child, port, _output: output });
    }

    /// Ends the provider; its port is kept for it.
    pub(crate) fn stop_provider(&mut self) {
        if let Some(provider) = &mut self.provider {
            provider.child.kill().unwrap();
            provider.child.wait().unwrap();
        }
    }

    /// The address of a page.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// A browser of somebody else.
    pub(crate) fn another_browser(&self) -> Browser {
        self.browser.of_somebody_else()
    }
}

/// A page that says who looks at it, with a form.
fn own() -> Router {
    let page = async |Viewer(visitor): Viewer| {
        let person = visitor.session.as_ref().map(|session| session.person.clone()).unwrap();
        maud::html! { p { (person.name) " is " (person.role.as_str()) } (form::token(&visitor)) }
    };
    let change = async |change: Change<Map<String, Value>>| format!("{} was here", change.person.name);
    Router::new().route("/", get(page).post(change))
}
