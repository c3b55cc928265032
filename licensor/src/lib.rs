//! What both services need to live with a licensor certificate, and nothing else.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod clock;
pub mod data_dir;
pub mod error;
pub mod file;
pub mod key;
pub mod store;
