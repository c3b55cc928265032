//! End-to-end tests: the real binaries, started as an operator starts them, seen as users see them.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod expiry;
mod licence;
mod life;
mod limits;
mod lists;
mod operation;
mod swap;
mod tour;
mod transport;
