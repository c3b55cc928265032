//! A root and a licensing server as tests have them: what both are made of is [`Service`].

use std::sync::Once;

use serde_json::{Value, json};

use crate::{Service, wait_for};

/// What the owner of every licensing server on the bench has.
pub const ENTITLEMENT: &str = r#"
owner = "Example GmbH"
vendor = "Example"
serial_number = "EX-1"
time_zone = "Europe/Berlin"
[[modules]]
name = "crm"
quantity = 1000
features = ["mail"]
borrow = { longest = "30d", seats = 1 }
"#;

/// How a root is to be.
#[derive(Debug, Clone, Default)]
pub struct RootOptions {
    /// `public_address`, if it is not the root's own port.
    pub public_address: Option<String>,
    /// Lines of TOML after the top-level keys: tables.
    pub tables: String,
    /// Environment of every command.
    pub environment: Vec<(String, String)>,
    /// Whether it has a fleet page, on its port for browsers.
    pub web: bool,
}

/// A root certification service.
#[derive(Debug)]
pub struct Root {
    service: Service,
    /// The entitlement has been put.
    entitled: Once,
}

impl Root {
    /// A root that has neither been initialised nor started.
    pub fn new(options: RootOptions) -> Self {
        let public_address = options.public_address.as_deref().unwrap_or("127.0.0.1:{port}");
        let config = format!(
            "data_dir = \"{{folder}}/data\"\nlisten = \"127.0.0.1:{{port}}\"\nops_listen = \"127.0.0.1:{{ops_port}}\"\n\
             public_address = \"{public_address}\"\n{}\n{}",
            options.tables,
            if options.web { "[web]\nlisten = \"127.0.0.1:{web_port}\"" } else { "" }
        );
        Self { service: Service::new("root-service", &config, options.environment), entitled: Once::new() }
    }

    /// A root that runs.
    pub fn started(options: RootOptions) -> Self {
        let mut root = Self::new(options);
        root.run(&["init"]).ok();
        root.start();
        root
    }

    /// Puts an entitlement (TOML); what the command printed.
    pub fn entitle(&self, document: &str) -> Value {
        self.run_with_input(&["entitlement", "put", "-", "--output", "json"], document).json()
    }

    /// A token for a node on this machine. Its owner is entitled to [`ENTITLEMENT`].
    pub fn token(&self, node: &str) -> String {
        self.entitled.call_once(|| {
            self.entitle(ENTITLEMENT);
        });
        let created = self.json(&[
            "token",
            "create",
            "--node",
            node,
            "--owner",
            "Example GmbH",
            "--dns",
            "localhost",
            "--ip",
            "127.0.0.1",
        ]);
        created["token"].as_str().unwrap().to_owned()
    }

    /// Everything that the ledger lists: a refused call must leave it as it was.
    pub fn ledger(&self) -> Value {
        json!({
            "tokens": self.json(&["token", "list"]),
            "nodes": self.json(&["nodes", "list"]),
            "certificates": self.json(&["certificates", "list"]),
        })
    }
}

impl std::ops::Deref for Root {
    type Target = Service;

    fn deref(&self) -> &Service {
        &self.service
    }
}

impl std::ops::DerefMut for Root {
    fn deref_mut(&mut self) -> &mut Service {
        &mut self.service
    }
}

/// How a licensing server is to be.
#[derive(Debug, Clone, Default)]
pub struct NodeOptions {
    /// Lines of TOML after the top-level keys: tables.
    pub tables: String,
    /// Environment of every command.
    pub environment: Vec<(String, String)>,
}

/// A licensing server that issues licences for the module `crm` of `Example`.
#[derive(Debug)]
pub struct Node(Service);

impl Node {
    /// A licensing server that has neither been enrolled nor started.
    pub fn new(options: NodeOptions) -> Self {
        let config = format!(
            "data_dir = \"{{folder}}/data\"\nlisten = \"127.0.0.1:{{port}}\"\nops_listen = \"127.0.0.1:{{ops_port}}\"\n\
             {}\n[web]\nlisten = \"127.0.0.1:{{web_port}}\"\n",
            options.tables
        );
        Self(Service::new("license-service", &config, options.environment))
    }

    /// A licensing server that is enrolled at `root` under `name`, and runs.
    pub fn started(root: &Root, name: &str, options: NodeOptions) -> Self {
        let mut node = Self::new(options);
        node.enroll(&root.token(name));
        node.start();
        node.wait_for_entitlement();
        node
    }

    /// Waits until it knows what its owner has.
    pub fn wait_for_entitlement(&self) {
        wait_for("an entitlement", || {
            let modules = self.json(&["licenses", "list"]);
            modules.as_array().is_some_and(|modules| !modules.is_empty()).then_some(())
        });
    }

    /// Enrols with a token; what the command printed.
    pub fn enroll(&self, token: &str) -> Value {
        self.run_with_input(&["enroll", "--token", "-", "--output", "json"], token).json()
    }

    /// `status` as JSON.
    pub fn status(&self) -> Value {
        self.json(&["status"])
    }

    /// Serial number of the certificate in use.
    pub fn serial(&self) -> String {
        self.status()["certificate"]["serial"].as_str().unwrap().to_owned()
    }
}

impl std::ops::Deref for Node {
    type Target = Service;

    fn deref(&self) -> &Service {
        &self.0
    }
}

impl std::ops::DerefMut for Node {
    fn deref_mut(&mut self) -> &mut Service {
        &mut self.0
    }
}
