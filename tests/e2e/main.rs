//! End-to-end tests: the real binaries, started as an operator starts them, seen as users see them.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod administrators;
mod client_certificates;
mod clocks;
mod commands;
mod crashes;
mod expiry;
mod full_disk;
mod issued;
mod licence;
mod life;
mod limits;
mod lists;
mod lost_reply;
mod operation;
mod passphrases;
mod power_loss;
mod refused_starts;
mod requests;
mod revocation;
mod shutdown;
mod swap;
mod tokens;
mod tour;
mod transport;
mod wrong_root;
