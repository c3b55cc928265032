//! The verifier, against chains and licences made here: every way in which one can be wrong.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod bench;
mod chain;
mod known;
mod license;
mod revocation;
