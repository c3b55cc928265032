//! What a service asks of the operating system when it starts and when it is told to stop.

use std::{future::Future, io, time::Duration};

use rustix::{
    fs::Mode,
    process::{Resource, Rlimit, getrlimit, setrlimit, umask},
};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
};

/// Files that the process makes are its own alone unless it says otherwise, and it may open as many as it is allowed.
pub fn prepare() {
    umask(Mode::RWXG | Mode::RWXO);
    let limit = getrlimit(Resource::Nofile);
    // What the kernel refuses here only means fewer connections.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
}

/// Returns when the process is told to stop: SIGTERM, or SIGINT (Ctrl-C).
///
/// # Errors
/// What the system says if signals cannot be had.
pub fn stop_signal() -> io::Result<impl Future<Output = &'static str>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        }
    })
}

/// Tells everyone to stop, and gives `work` until `drain` has passed to end in good order.
pub async fn drain(stop: &watch::Sender<bool>, work: impl Future, drain: Duration) {
    stop.send_replace(true);
    if tokio::time::timeout(drain, work).await.is_err() {
        tracing::warn!("calls were still in flight after `limits.drain`; they are cut off");
    }
}
