//! Reporters that go on whatever happens to the server: each repeats a batch until it is answered, and then reports the next.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use licensor::{
    clock::SystemClock,
    error::{Error, Reason},
    tls::client_config,
};
use licensor_tests::{Bearer, Node, certificates, connect, wait_for};
use proto::licensing::v1::{UsageOutcome, metering_service_client::MeteringServiceClient};

use super::{batch, outcomes};

/// Events of a batch.
pub(super) const SIZE: usize = 20;

/// Some reporters, each in a thread of its own.
pub(super) struct Reporters {
    state: Arc<State>,
    workers: Vec<thread::JoinHandle<Vec<String>>>,
}

struct State {
    address: String,
    anchors: Vec<Vec<u8>>,
    token: String,
    /// Of every event, seconds since 1970.
    time: i64,
    answered: AtomicUsize,
    enough: AtomicBool,
}

impl Reporters {
    /// So many reporters of what was used at `time` (seconds since 1970).
    pub(super) fn start(node: &Node, anchor: &Path, count: usize, time: i64) -> Self {
        let state = Arc::new(State {
            address: node.address(),
            anchors: certificates(anchor),
            token: node.access_token().unwrap().to_owned(),
            time,
            answered: AtomicUsize::new(0),
            enough: AtomicBool::new(false),
        });
        let start = |reporter| {
            let state = Arc::clone(&state);
            thread::spawn(move || state.work(reporter))
        };
        let workers = (0..count).map(start).collect();
        Self { state, workers }
    }

    /// Batches that were answered so far.
    pub(super) fn answered(&self) -> usize {
        self.state.answered.load(Ordering::SeqCst)
    }

    /// Waits until so many more were answered.
    pub(super) fn go_on(&self, more: usize) {
        let before = self.answered();
        wait_for("usage to be reported", || (self.answered() >= before + more).then_some(()));
    }

    /// Ends them, each after an answer; the names of all batches.
    pub(super) fn end(self) -> Vec<String> {
        self.state.enough.store(true, Ordering::SeqCst);
        self.workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    }
}

impl State {
    fn work(&self, reporter: usize) -> Vec<String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let mut answered = Vec::new();
        runtime.block_on(async {
            while !self.enough.load(Ordering::SeqCst) {
                let name = format!("{reporter}-{}", answered.len());
                while !self.report(&name).await {
                    // Nobody is there: look again a little later.
                    thread::park_timeout(Duration::from_millis(5));
                }
                answered.push(name);
                self.answered.fetch_add(1, Ordering::SeqCst);
            }
        });
        answered
    }

    /// Reports a batch on a connection of its own; whether it was answered.
    async fn report(&self, name: &str) -> bool {
        let tls = client_config(&self.anchors, None, SystemClock::shared()).unwrap();
        let Ok(channel) = connect(&self.address, tls).await else { return false };
        let mut client = MeteringServiceClient::with_interceptor(channel, Bearer::new(Some(&self.token)));
        match client.report_usage(batch(name, SIZE, self.time)).await {
            Ok(answer) => {
                // Of one that was not answered all or nothing was counted.
                let outcomes = outcomes(answer.get_ref());
                let whole = [[UsageOutcome::Accepted; SIZE], [UsageOutcome::Duplicate; SIZE]];
                assert!(whole.iter().any(|whole| outcomes == whole), "{name}: {outcomes:?}");
                true
            }
            Err(status) => {
                let error = Error::from(status);
                // Gone in the middle, or about to go.
                let expected = [Reason::Unspecified, Reason::StoreUnavailable];
                assert!(expected.contains(&error.reason), "{}: {error}", error.reason);
                false
            }
        }
    }
}
