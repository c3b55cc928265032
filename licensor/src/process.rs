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

/// Connections for which the process has file descriptors, besides those for everything else.
#[must_use]
pub fn connections() -> usize {
    let files = getrlimit(Resource::Nofile).current.and_then(|files| usize::try_from(files).ok());
    files.map_or(usize::MAX >> 4, |files| files.saturating_sub(256).max(16))
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

/// Tells everyone to stop, and gives `work` until `drain` has passed, or the process is told a second time, to end in
/// good order.
pub async fn drain(stop: &watch::Sender<bool>, work: impl Future, drain: Duration) {
    let again = async {
        match stop_signal() {
            Ok(signal) => signal.await,
            Err(_) => std::future::pending().await,
        }
    };
    stop.send_replace(true);
    let in_time = tokio::select! {
        ended = tokio::time::timeout(drain, work) => ended.is_ok(),
        _ = again => false,
    };
    if !in_time {
        tracing::warn!("calls were still in flight; they are cut off");
    }
}
