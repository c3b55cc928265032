//! Calls of the licensing server's TLS port with the real grpcurl.

use std::process::Command;

use crate::{Ran, Service, run, tool};

/// Calls one service with grpcurl, from any thread: with the bench's access token where one is needed.
#[derive(Debug, Clone)]
pub struct Caller {
    address: String,
    token: Option<String>,
}

impl Caller {
    /// Calls this service.
    pub fn of(service: &Service) -> Self {
        Self { address: service.address(), token: service.access_token().map(ToOwned::to_owned) }
    }

    /// Calls a method.
    pub fn call(&self, method: &str, data: &str) -> Ran {
        run_grpcurl(&self.address, self.token.as_deref(), method, data)
    }
}

/// Calls a method with grpcurl, with the bench's access token if the method needs one. Nothing of the server's certificate is
/// checked: grpcurl knows only the machine's time.
pub fn call(service: &Service, method: &str, data: &str) -> Ran {
    let needed = ["LicensingService/", "MeteringService/"].iter().any(|name| method.contains(name));
    let token = if needed { service.access_token() } else { None };
    call_with(service, token, method, data)
}

/// Calls a method with grpcurl, with this access token.
pub fn call_with(service: &Service, token: Option<&str>, method: &str, data: &str) -> Ran {
    run_grpcurl(&service.address(), token, method, data)
}

fn run_grpcurl(address: &str, token: Option<&str>, method: &str, data: &str) -> Ran {
    let mut grpcurl = Command::new(tool("grpcurl"));
    if let Some(token) = token {
        grpcurl.args(["-H", &format!("authorization: Bearer {token}")]);
    }
    run(grpcurl.args(["-insecure", "-d", data, address, method]))
}

/// Asks for a licence for the module that every node of the bench has.
pub fn acquire(node: &Service) -> Ran {
    let data = r#"{"vendor": "Example", "module": "crm", "subject": "alice"}"#;
    call(node, "licensor.licensing.v1.LicensingService/AcquireLicense", data)
}

/// What `grpc.health.v1` says of the whole server: `SERVING` or `NOT_SERVING`.
pub fn health(service: &Service) -> String {
    let answer = call(service, "grpc.health.v1.Health/Check", "{}").json();
    answer["status"].as_str().unwrap().to_owned()
}
