//! The bench on which the end-to-end tests stand: starts the real binaries in a folder of their own, talks to them as
//! users do, and waits for what can be observed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::missing_panics_doc)]

mod browser;
mod calls;
mod certificate;
mod client;
mod command;
mod fake_clock;
mod foreign;
mod identity;
mod load;
mod pages;
mod pair;
mod proxy;
mod random;
mod service;
mod tool;
mod watch;

pub use browser::scenario;
pub use calls::{Caller, acquire, call, call_with, health};
pub use certificate::Shown;
pub use client::{Bearer, Line, Pending, Wire, admin, block_on, certificate_request, certificates, spawn};
pub use command::{Ran, run, run_with_input};
pub use fake_clock::{DAY, FakeClock, instant};
pub use foreign::{ENROLL, ForeignNode, Grpc, RENEW, Refusal, Workshop, answer, decoded, encoded};
pub use identity::{Enrolling, Failed, Identity, connect};
pub use load::Load;
pub use pages::{Browser, Page};
pub use pair::{ENTITLEMENT, Node, NodeOptions, Root, RootOptions};
pub use proxy::{Answers, Proxy};
pub use random::Random;
pub use service::{Service, free_port, wait_for};
pub use tool::{dependencies, faketime_library, tool};
pub use watch::Watch;
