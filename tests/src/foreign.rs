//! Software of other people: grpcurl calls the services, OpenSSL makes keys, requests and certificates.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use base64::prelude::{BASE64_STANDARD, Engine};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    Root,
    command::{Ran, run, run_with_input},
    tool,
};

/// The RPC that exchanges a token for a certificate.
pub const ENROLL: &str = "licensor.certification.v1.CertificationService/Enroll";
/// The RPC that renews a certificate.
pub const RENEW: &str = "licensor.certification.v1.CertificationService/Renew";

/// Octets as JSON carries them.
pub fn encoded(octets: &[u8]) -> Value {
    json!(BASE64_STANDARD.encode(octets))
}

/// Octets that JSON carried.
pub fn decoded(value: &Value) -> Vec<u8> {
    BASE64_STANDARD.decode(value.as_str().unwrap_or_default()).unwrap()
}

/// A gRPC endpoint as grpcurl sees it.
#[derive(Debug, Clone)]
pub struct Grpc {
    options: Vec<String>,
    address: String,
}

/// What a service answered that refused a call.
#[derive(Debug)]
pub struct Refusal {
    /// Canonical gRPC code.
    pub code: i32,
    /// The sentence.
    pub message: String,
    /// `reason` of `google.rpc.ErrorInfo`; empty if there is none.
    pub reason: String,
    /// `metadata` of `google.rpc.ErrorInfo`.
    pub metadata: Value,
    /// The details as grpcurl printed them.
    pub details: Vec<Value>,
}

impl Grpc {
    /// A TLS port whose certificate leads to one of the anchors in this file.
    pub fn tls(address: &str, anchors: &Path) -> Self {
        Self { options: vec!["-cacert".into(), text(anchors)], address: address.into() }
    }

    /// A TLS port whose certificate is not looked at: its clock is not that of this machine.
    pub fn any_tls(address: &str) -> Self {
        Self { options: vec!["-insecure".into()], address: address.into() }
    }

    /// A socket.
    pub fn unix(socket: &Path) -> Self {
        Self { options: vec!["-plaintext".into(), "-unix".into()], address: text(socket) }
    }

    /// The same endpoint for one who shows a client certificate.
    #[must_use]
    pub fn with(mut self, certificate: &Path, key: &Path) -> Self {
        self.options.extend(["-cert".into(), text(certificate), "-key".into(), text(key)]);
        self
    }

    /// The same endpoint for one who shows an access token.
    #[must_use]
    pub fn bearing(mut self, token: &str) -> Self {
        self.options.extend(["-H".into(), format!("authorization: Bearer {token}")]);
        self
    }

    /// The same endpoint for one who has the contract's files and asks for no reflection.
    #[must_use]
    pub fn described_by(mut self, proto: &str) -> Self {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../proto");
        self.options.extend(["-import-path".into(), folder.into(), "-proto".into(), proto.into()]);
        self
    }

    /// The command line of a call, whose request is read from standard input.
    pub fn command(&self, method: &str) -> Command {
        let mut command = Command::new(tool("grpcurl"));
        command.args(&self.options).args(["-format-error", "-d", "@", &self.address, method]);
        command
    }

    /// Calls.
    ///
    /// # Errors
    /// What the service answered if it refused.
    pub fn call(&self, method: &str, request: &Value) -> Result<Value, Box<Refusal>> {
        answer(run_with_input(&mut self.command(method), &request.to_string()))
    }

    /// The names of the services, as reflection lists them.
    pub fn services(&self) -> Vec<String> {
        let listed =
            run(Command::new(tool("grpcurl")).args(&self.options).args([&self.address, "list"])).ok();
        listed.lines().map(str::to_owned).collect()
    }
}

/// What grpcurl printed.
///
/// # Errors
/// What the service answered if it refused.
pub fn answer(ran: Ran) -> Result<Value, Box<Refusal>> {
    if ran.code == 0 {
        return Ok(serde_json::from_str(&ran.stdout).unwrap_or(Value::Null));
    }
    let status: Value = serde_json::from_str(&ran.stderr).unwrap_or(Value::Null);
    let details = status["details"].as_array().cloned().unwrap_or_default();
    let info = details.iter().find(|detail| detail["domain"] == "licensor").cloned().unwrap_or_default();
    Err(Box::new(Refusal {
        // grpcurl adds the code to 64; before a call it ends with 1.
        code: ran.code - 64,
        message: status["message"].as_str().unwrap_or(&ran.stderr).to_owned(),
        reason: info["reason"].as_str().unwrap_or_default().to_owned(),
        metadata: info["metadata"].clone(),
        details,
    }))
}

/// A folder in which OpenSSL works.
#[derive(Debug)]
pub struct Workshop(TempDir);

/// A node that is made of files: nothing of ours but what the root answered.
#[derive(Debug, Clone)]
pub struct ForeignNode {
    /// Licensor certificate (PEM).
    pub certificate: PathBuf,
    /// Server certificate (PEM), if one was asked for.
    pub server: Option<PathBuf>,
    /// Key of the licensor certificate (PEM).
    pub key: PathBuf,
    /// The answer to the enrolment or renewal.
    pub answer: Value,
}

impl Default for Workshop {
    fn default() -> Self {
        Self::new()
    }
}

impl Workshop {
    /// An empty folder.
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// A path in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Runs OpenSSL in it.
    pub fn openssl(&self, arguments: &[&str]) -> Ran {
        run(Command::new(tool("openssl")).args(arguments).current_dir(self.0.path()))
    }

    /// Makes a key in the file `name`: `ED25519`, `RSA:1024`, or the name of a curve.
    pub fn key(&self, name: &str, kind: &str) -> PathBuf {
        let curve = format!("ec_paramgen_curve:{kind}");
        let bits = kind.strip_prefix("RSA:").map(|bits| format!("rsa_keygen_bits:{bits}"));
        let options = match (&bits, kind) {
            (Some(bits), _) => vec!["RSA", "-pkeyopt", bits],
            (None, "ED25519") => vec!["ED25519"],
            (None, _) => vec!["EC", "-pkeyopt", &curve],
        };
        let arguments = [&["genpkey", "-out", name, "-algorithm"], options.as_slice()].concat();
        self.openssl(&arguments).ok();
        self.path(name)
    }

    /// A request (DER) for the key in the file `key`, with more options of `openssl req`.
    pub fn request(&self, key: &str, options: &[&str]) -> Vec<u8> {
        let first = ["req", "-new", "-key", key, "-outform", "DER", "-out", "request.der"];
        let subject = if options.contains(&"-subj") { &[][..] } else { &["-subj", "/"] };
        self.openssl(&[&first, subject, options].concat()).ok();
        fs::read(self.path("request.der")).unwrap()
    }

    /// Writes a certificate (DER) as PEM to the file `name`.
    pub fn certificate(&self, name: &str, der: &[u8]) -> PathBuf {
        fs::write(self.path("certificate.der"), der).unwrap();
        self.openssl(&["x509", "-inform", "DER", "-in", "certificate.der", "-out", name]).ok();
        self.path(name)
    }

    /// Enrols a node with the key in the file `key` and a token.
    pub fn enroll(&self, root: &Root, name: &str, key: &str) -> ForeignNode {
        let csr = encoded(&self.request(key, &[]));
        let request = json!({ "token": root.token(name), "licensor_csr": csr, "server_csr": csr });
        let answer = root.grpc().call(ENROLL, &request).expect("an enrolment");
        self.foreign_node(name, key, answer)
    }

    /// Puts an answer into files whose names begin with `name`.
    pub fn foreign_node(&self, name: &str, key: &str, answer: Value) -> ForeignNode {
        let certificate =
            self.certificate(&format!("{name}.licensor.pem"), &decoded(&answer["licensorCertificate"]));
        let server = match decoded(&answer["serverCertificate"]).as_slice() {
            [] => None,
            der => Some(self.certificate(&format!("{name}.server.pem"), der)),
        };
        ForeignNode { certificate, server, key: self.path(key), answer }
    }
}

impl Root {
    /// The TLS port for a client without certificate.
    pub fn grpc(&self) -> Grpc {
        Grpc::tls(&self.address(), &self.data("trust-anchor.pem"))
    }

    /// The TLS port for this node.
    pub fn grpc_as(&self, node: &ForeignNode) -> Grpc {
        self.grpc().with(&node.certificate, &node.key)
    }
}

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}
