//! What a service asks of the operating system when it starts and when it is told to stop.

use std::{future::Future, io, time::Duration};

use rustix::{
    fs::Mode,
    process::{Resource, Rlimit, getrlimit, setrlimit, umask},
};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
    task::JoinSet,
};

use crate::store::StoreError;

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

/// SIGTERM, and SIGINT (Ctrl-C).
#[derive(Debug)]
struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    fn listen() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

/// The parts of a service that work at the same time. None may end before the service is told to stop: one that does,
/// or panics, ends the service, so that its supervisor starts it anew.
#[derive(Debug)]
pub struct Parts {
    running: JoinSet<(&'static str, anyhow::Result<()>)>,
    stop_signals: StopSignals,
}

impl Parts {
    /// No part yet. From now on a signal to stop is heard: the first process of a container has no other way to end.
    ///
    /// # Errors
    /// What the system says if signals cannot be had.
    pub fn new() -> io::Result<Self> {
        Ok(Self { running: JoinSet::new(), stop_signals: StopSignals::listen()? })
    }

    /// Starts a part.
    pub fn start(
        &mut self,
        name: &'static str,
        part: impl Future<Output = anyhow::Result<()>> + Send + 'static,
    ) {
        self.running.spawn(async move { (name, part.await) });
    }

    /// Waits until the process is told to stop, a part ends, or `failure` comes. Then tells every part to stop, and gives
    /// them until `drain` has passed, or the process is told a second time, to end in good order.
    ///
    /// # Errors
    /// Why the service ended, unless it was told to.
    pub async fn run(
        mut self,
        stop: watch::Sender<bool>,
        failure: impl Future<Output = StoreError>,
        drain: Duration,
    ) -> anyhow::Result<()> {
        let outcome = tokio::select! {
            signal = self.stop_signals.next() => {
                tracing::info!(signal, "stopping: calls in flight are finished first");
                Ok(())
            }
            error = failure => Err(error.into()),
            ended = self.running.join_next() => Err(match ended {
                Some(Ok((name, Err(error)))) => error.context(format!("{name} failed")),
                Some(Ok((name, Ok(())))) => anyhow::anyhow!("{name} ended by itself"),
                Some(Err(error)) => anyhow::Error::new(error).context("a part of the service failed"),
                None => anyhow::anyhow!("nothing to do"),
            }),
        };
        stop.send_replace(true);
        let ended = async { while self.running.join_next().await.is_some() {} };
        let in_time = tokio::select! {
            ended = tokio::time::timeout(drain, ended) => ended.is_ok(),
            _ = self.stop_signals.next() => false,
        };
        if !in_time {
            tracing::warn!("calls were still in flight; they are cut off");
        }
        tracing::info!("stopped");
        outcome
    }
}
