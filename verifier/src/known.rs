//! Chains that were verified before: what one signer signs has the same header each time.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{chain::Purpose, signer::Signer};

/// Chains that are kept.
const KEPT: usize = 64;
/// Octets of a header that is kept, at most: eight certificates have room in it.
const LARGEST: usize = 32 << 10;

/// Chains that were verified, so that they need not be each time: see [`crate::Trust::known`]. The outcome is the same with
/// and without, whatever else changes: a chain counts as known for the very same header and anchors, and as long as none of
/// the certificates begins or ends to be valid in between. Revocation, proof, claims and signature are checked every time.
///
/// It keeps 64 chains for one set of anchors; only who has signed something valid gets one kept.
#[derive(Debug, Default)]
pub struct KnownChains(Mutex<Chains>);

#[derive(Debug, Default)]
struct Chains {
    anchors: Vec<Vec<u8>>,
    chains: VecDeque<Chain>,
}

#[derive(Debug)]
struct Chain {
    header: String,
    purpose: Purpose,
    signer: Arc<Signer>,
}

impl Chain {
    fn is_of(&self, header: &str, purpose: Purpose) -> bool {
        self.purpose == purpose && self.header == header
    }
}

impl KnownChains {
    fn lock(&self) -> MutexGuard<'_, Chains> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The signer of a header (base64url).
    pub(crate) fn find(&self, header: &str, purpose: Purpose, anchors: &[Vec<u8>]) -> Option<Arc<Signer>> {
        let known = self.lock();
        if known.anchors != anchors {
            return None;
        }
        let found = known.chains.iter().find(|chain| chain.is_of(header, purpose));
        found.map(|chain| chain.signer.clone())
    }

    /// Keeps the signer of a header, in place of the oldest if there are too many.
    pub(crate) fn keep(&self, header: &str, purpose: Purpose, anchors: &[Vec<u8>], signer: Arc<Signer>) {
        if header.len() > LARGEST {
            return;
        }
        let mut known = self.lock();
        if known.anchors != anchors {
            *known = Chains { anchors: anchors.to_vec(), chains: VecDeque::new() };
        }
        known.chains.retain(|chain| !chain.is_of(header, purpose));
        if known.chains.len() >= KEPT {
            known.chains.pop_front();
        }
        known.chains.push_back(Chain { header: header.to_owned(), purpose, signer });
    }
}
