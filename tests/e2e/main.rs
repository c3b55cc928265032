//! End-to-end tests: the real binaries, started as an operator starts them, seen as users see them.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod crashes;
mod expiry;
mod full_disk;
mod life;
mod lost_reply;
mod power_loss;
mod shutdown;
