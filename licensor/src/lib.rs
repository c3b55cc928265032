//! What both services need to live with a licensor certificate, and nothing else.

pub mod admin;
pub mod backoff;
pub mod carried;
pub mod cli;
pub mod clock;
pub mod config;
pub mod data_dir;
pub mod error;
pub mod event;
pub mod events_cli;
pub mod expiry;
pub mod file;
pub mod health;
pub mod jws;
pub mod key;
pub mod log;
pub mod ops;
pub mod page;
pub mod process;
pub mod reflection;
pub mod root_client;
pub mod serve;
pub mod store;
pub mod telemetry;
pub mod tls;
pub mod token;
