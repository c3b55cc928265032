//! Renewals without a pause, from several identities, with an account of what the root acknowledged.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use crate::{Enrolling, Failed, Identity};

/// Identities that renew, each as fast as it is answered, until [`Load::end`].
#[derive(Debug)]
pub struct Load {
    state: Arc<State>,
    workers: Vec<thread::JoinHandle<Identity>>,
}

#[derive(Debug, Default)]
struct State {
    acknowledged: Mutex<Vec<String>>,
    refusals: Mutex<Vec<String>>,
    renewals: AtomicUsize,
    enough: AtomicBool,
}

impl Load {
    /// Lets these identities renew.
    pub fn of(identities: Vec<Identity>) -> Self {
        let state = Arc::new(State::default());
        let start = |identity| {
            let state = Arc::clone(&state);
            thread::spawn(move || state.work(identity))
        };
        let workers = identities.into_iter().map(start).collect();
        Self { state, workers }
    }

    /// Enrols an identity for each token.
    pub fn enrolled(tokens: &[String]) -> Vec<Identity> {
        let runtime = runtime();
        tokens.iter().map(|token| runtime.block_on(Enrolling::new(token).enroll()).unwrap()).collect()
    }

    /// Serial numbers of every certificate that was acknowledged so far.
    pub fn acknowledged(&self) -> Vec<String> {
        lock(&self.state.acknowledged).clone()
    }

    /// How many renewals were acknowledged so far.
    pub fn renewals(&self) -> usize {
        self.state.renewals.load(Ordering::SeqCst)
    }

    /// Ends it: the identities as they are now, and every serial number that was acknowledged.
    ///
    /// # Panics
    /// If the root refused one of them: a connection that breaks is to be expected, a refusal never.
    pub fn end(self) -> (Vec<Identity>, Vec<String>) {
        self.state.enough.store(true, Ordering::SeqCst);
        let identities = self.workers.into_iter().map(|worker| worker.join().unwrap()).collect();
        assert_eq!(*lock(&self.state.refusals), [] as [String; 0]);
        (identities, lock(&self.state.acknowledged).clone())
    }
}

impl State {
    fn work(&self, mut identity: Identity) -> Identity {
        let runtime = runtime();
        while !self.enough.load(Ordering::SeqCst) {
            match runtime.block_on(identity.renew()) {
                Ok(serial) => {
                    lock(&self.acknowledged).push(serial);
                    self.renewals.fetch_add(1, Ordering::SeqCst);
                }
                // Nobody is there: look again a little later.
                Err(Failed::Broken(_)) => thread::park_timeout(Duration::from_millis(5)),
                Err(Failed::Refused(error)) => {
                    lock(&self.refusals).push(format!("{}: {error}", error.reason));
                    break;
                }
            }
        }
        identity
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
