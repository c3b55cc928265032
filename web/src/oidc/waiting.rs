//! Who has been sent to the identity provider and has not come back yet.

use std::{
    collections::HashMap,
    fmt,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use licensor::{clock::SharedClock, key::sha256};
use openidconnect::{Nonce, PkceCodeVerifier};

use crate::refusal::Refusal;

/// How long the provider may take.
pub(super) const LIFETIME: Duration = Duration::from_secs(600);
/// How long it is remembered after that, so that whoever comes too late is told so.
const REMEMBERED: Duration = Duration::from_secs(3600);
/// Those who wait at once; past it the oldest is forgotten.
const MOST: usize = 4096;

/// What the answer is checked with.
pub(super) struct Begun {
    pub(super) nonce: Nonce,
    pub(super) verifier: PkceCodeVerifier,
}

struct Entry {
    /// Digest of what the browser keeps.
    browser: [u8; 32],
    since: Duration,
    /// `None` if the answer has come.
    begun: Option<Begun>,
}

/// Who waits, by the state that the answer has in it.
pub(super) struct Waiting {
    clock: SharedClock,
    entries: Mutex<HashMap<String, Entry>>,
}

impl fmt::Debug for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiting").finish_non_exhaustive()
    }
}

impl Waiting {
    pub(super) fn new(clock: SharedClock) -> Self {
        Self { clock, entries: Mutex::default() }
    }

    /// Somebody with this secret in a cookie is sent to the provider.
    pub(super) fn add(&self, state: &str, browser: &str, begun: Begun) {
        let now = self.clock.elapsed();
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.retain(|_, entry| now.saturating_sub(entry.since) < LIFETIME + REMEMBERED);
        // Those of whom nothing more can come go first.
        let waits = |entry: &Entry| entry.begun.is_some() && now.saturating_sub(entry.since) < LIFETIME;
        if entries.len() >= MOST
            && let Some(oldest) = entries
                .iter()
                .min_by_key(|(_, entry)| (waits(entry), entry.since))
                .map(|(state, _)| state.clone())
        {
            entries.remove(&oldest);
        }
        let entry = Entry { browser: sha256(browser.as_bytes()), since: now, begun: Some(begun) };
        entries.insert(state.to_owned(), entry);
    }

    /// What an answer with this state is checked with: once, in the browser where it began, and in time.
    pub(super) fn take(&self, state: &str, browser: &str) -> Result<Begun, Refusal> {
        let now = self.clock.elapsed();
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        // Digests of what cannot be guessed: how long the comparison takes says nothing.
        let entry = entries.get_mut(state).filter(|entry| entry.browser == sha256(browser.as_bytes()));
        let entry = entry.ok_or(Refusal::Provider("refused-provider-state"))?;
        let begun = entry.begun.take().ok_or(Refusal::Provider("refused-provider-used"))?;
        if now.saturating_sub(entry.since) >= LIFETIME {
            return Err(Refusal::Provider("refused-provider-expired"));
        }
        Ok(begun)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use licensor::clock::{ManualClock, from_unix_seconds};

    use super::*;

    fn bench() -> (Arc<ManualClock>, Waiting) {
        let clock = ManualClock::at(from_unix_seconds(1_800_000_000));
        (Arc::clone(&clock), Waiting::new(clock))
    }

    fn begun() -> Begun {
        Begun { nonce: Nonce::new("n".into()), verifier: PkceCodeVerifier::new("v".repeat(43)) }
    }

    fn refused(waiting: &Waiting, state: &str, browser: &str) -> &'static str {
        waiting.take(state, browser).err().map_or("", |refusal| refusal.key())
    }

    #[test]
    fn an_answer_is_taken_once_in_the_browser_where_it_began() {
        let (_, waiting) = bench();
        waiting.add("s", "b", begun());
        assert_eq!(refused(&waiting, "x", "b"), "refused-provider-state");
        assert_eq!(refused(&waiting, "s", ""), "refused-provider-state");
        assert_eq!(refused(&waiting, "s", "c"), "refused-provider-state");
        assert_eq!(refused(&waiting, "s", "b"), "");
        assert_eq!(refused(&waiting, "s", "b"), "refused-provider-used");
    }

    #[test]
    fn who_comes_too_late_is_told_so_and_forgotten_in_the_end() {
        let (clock, waiting) = bench();
        waiting.add("s", "b", begun());
        waiting.add("t", "b", begun());
        clock.advance(LIFETIME - Duration::from_secs(1));
        assert_eq!(refused(&waiting, "s", "b"), "");
        clock.advance(Duration::from_secs(1));
        assert_eq!(refused(&waiting, "t", "b"), "refused-provider-expired");
        clock.advance(REMEMBERED);
        waiting.add("u", "b", begun());
        assert_eq!(refused(&waiting, "t", "b"), "refused-provider-state");
        assert_eq!(waiting.entries.lock().unwrap().len(), 1);
    }

    #[test]
    fn of_more_than_can_wait_the_oldest_are_forgotten() {
        let (clock, waiting) = bench();
        for n in 0..=MOST {
            waiting.add(&format!("s{n}"), "b", begun());
            clock.advance(Duration::from_millis(1));
        }
        assert_eq!(waiting.entries.lock().unwrap().len(), MOST);
        assert_eq!(refused(&waiting, "s0", "b"), "refused-provider-state");
        assert_eq!(refused(&waiting, "s1", "b"), "");
        assert_eq!(refused(&waiting, &format!("s{MOST}"), "b"), "");
    }
}
