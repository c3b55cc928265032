//! Calls of the licensing server's TLS port with the real grpcurl.

use std::process::Command;

use crate::{Ran, Service, run, tool};

/// Calls one service with grpcurl, from any thread.
#[derive(Debug, Clone)]
pub struct Caller {
    address: String,
}

impl Caller {
    /// Calls this service.
    pub fn of(service: &Service) -> Self {
        Self { address: service.address() }
    }

    /// Calls a method.
    pub fn call(&self, method: &str, data: &str) -> Ran {
        run(Command::new(tool("grpcurl")).args(["-insecure", "-d", data, &self.address, method]))
    }
}

/// Calls a method with grpcurl. Nothing of the server's certificate is checked: grpcurl knows only the machine's time.
pub fn call(service: &Service, method: &str, data: &str) -> Ran {
    Caller::of(service).call(method, data)
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
