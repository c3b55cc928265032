//! The access tokens: made, listed and revoked by the administrator, and found by their identifier.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicI64, Ordering},
    },
    time::SystemTime,
};

use licensor::{
    clock::{SharedClock, from_unix_seconds, rfc3339, unix_seconds},
    error::{Error, Reason, Result},
    event::{Event, EventKind},
    serve::Shutdown,
    store::StoreError,
};
use tokio::sync::{Mutex, mpsc, watch};
use verifier::certificate::{hex, octets};

use super::{
    bounds::Bounds,
    caller::{CallerKind, Identity},
    order::TokenOrder,
    token::{ID, Token},
};
use crate::{
    config::{AccessConfig, Permission},
    ledger::{AccessTokenRecord, Ledger},
};

/// Tokens that are kept, also those that have expired or were revoked.
const MOST: usize = 10_000;
/// Seconds between two times at which the use of a token is kept.
const COARSE: i64 = 3600;
/// Uses that wait to be kept.
const WAITING: usize = 1024;

/// Every access token.
#[derive(Debug)]
pub(crate) struct Tokens {
    config: AccessConfig,
    clock: SharedClock,
    ledger: Arc<Ledger>,
    known: Arc<RwLock<BTreeMap<[u8; ID], Known>>>,
    /// Changes are made one after the other.
    changes: Arc<Mutex<()>>,
    uses: mpsc::Sender<(Vec<u8>, i64)>,
    kept: Mutex<mpsc::Receiver<(Vec<u8>, i64)>>,
}

#[derive(Debug, Clone)]
pub(super) struct Known {
    pub(super) secret_hash: [u8; 32],
    pub(super) identity: Arc<Identity>,
    record: Arc<AccessTokenRecord>,
}

/// A token as it is shown: without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AccessToken {
    /// Hexadecimal.
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) owner: String,
    pub(crate) allows: Vec<Permission>,
    pub(crate) created_by: String,
    pub(crate) created_at: SystemTime,
    pub(crate) expires_at: SystemTime,
    pub(crate) revoked_at: Option<SystemTime>,
    /// To within an hour.
    pub(crate) last_used_at: Option<SystemTime>,
    pub(crate) expired: bool,
}

impl Tokens {
    pub(super) async fn open(
        config: AccessConfig,
        clock: SharedClock,
        ledger: Arc<Ledger>,
    ) -> std::result::Result<Self, StoreError> {
        let mut known = BTreeMap::new();
        for (record, used_at) in ledger.access_tokens().await? {
            // What has another form was written by another release: it opens nothing.
            if let Some((id, token)) = read(&config, record, used_at) {
                known.insert(id, token);
            }
        }
        let (uses, kept) = mpsc::channel(WAITING);
        let (known, changes) = (Arc::new(RwLock::new(known)), Arc::default());
        Ok(Self { config, clock, ledger, known, changes, uses, kept: Mutex::new(kept) })
    }

    pub(super) fn find(&self, id: &[u8; ID]) -> Option<Known> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }

    /// Makes a token; returns its text, which is kept nowhere.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT`, `TOO_MANY_ACCESS_TOKENS`, and what the store says.
    pub(crate) async fn create(&self, order: TokenOrder) -> Result<(String, AccessToken)> {
        let now = self.clock.now();
        let record = order.record(now)?;
        let token = Token::new().map_err(|error| Error::internal("access token", error))?;
        let record =
            AccessTokenRecord { id: token.id.to_vec(), secret_hash: token.secret_hash().to_vec(), ..record };
        let event = event(EventKind::AccessTokenCreated, &record)
            .by(&record.created_by)
            .argument("allows", record.allows.join(", "))
            .argument("expires", rfc3339(from_unix_seconds(record.expires_at)));
        let (known, ledger, changes) =
            (Arc::clone(&self.known), Arc::clone(&self.ledger), Arc::clone(&self.changes));
        let (id, new) = read(&self.config, record.clone(), 0)
            .ok_or_else(|| Error::internal("access token", "its own record cannot be read"))?;
        let shown = new.shown(now);
        let change = async move {
            let _turn = changes.lock().await;
            let dropped = room(&known.read().unwrap_or_else(PoisonError::into_inner), unix_seconds(now))?;
            ledger.add_access_token(&record, dropped.as_ref().map(<[u8; ID]>::as_slice), event).await?;
            let mut known = known.write().unwrap_or_else(PoisonError::into_inner);
            if let Some(dropped) = dropped {
                known.remove(&dropped);
            }
            known.insert(id, new);
            Ok(())
        };
        finish(change).await?;
        Ok((token.text(), shown))
    }

    /// Makes a token useless for good. One that was revoked stays as it is.
    ///
    /// # Errors
    /// `ACCESS_TOKEN_ID_UNKNOWN`, and what the store says.
    pub(crate) async fn revoke(&self, id: &str, by: &str) -> Result<AccessToken> {
        let now = self.clock.now();
        let unknown = || {
            let message = format!("there is no access token {id}: see `license-service access list`");
            Error::new(Reason::AccessTokenIdUnknown, message).with("id", id)
        };
        let key: [u8; ID] = octets(id).and_then(|octets| octets.try_into().ok()).ok_or_else(unknown)?;
        if self.find(&key).is_none() {
            return Err(unknown());
        }
        let (known, ledger, changes) =
            (Arc::clone(&self.known), Arc::clone(&self.ledger), Arc::clone(&self.changes));
        let (by, at) = (by.to_owned(), unix_seconds(now));
        let change = async move {
            let _turn = changes.lock().await;
            let found = known.read().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
            // Another change may have dropped it.
            let Some(token) = found else { return Ok(()) };
            if token.record.revoked_at != 0 {
                return Ok(());
            }
            let event = event(EventKind::AccessTokenRevoked, &token.record).by(&by);
            ledger.revoke_access_token(&token.record, at, event).await?;
            let record = Arc::new(AccessTokenRecord { revoked_at: at, ..(*token.record).clone() });
            token.identity.revoked.send_replace(Some(at));
            let revoked = Known { record, ..token };
            known.write().unwrap_or_else(PoisonError::into_inner).insert(key, revoked);
            Ok(())
        };
        finish(change).await?;
        self.find(&key).map(|token| token.shown(now)).ok_or_else(unknown)
    }

    /// At most `limit` tokens by id, from the octets of `from` on, and where the next page begins.
    pub(crate) fn list(&self, from: &[u8], limit: usize) -> (Vec<AccessToken>, Option<Vec<u8>>) {
        let now = self.clock.now();
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let mut rest = known.iter().skip_while(|(id, _)| id.as_slice() < from);
        let page = rest.by_ref().take(limit).map(|(_, token)| token.shown(now)).collect();
        (page, rest.next().map(|(id, _)| id.to_vec()))
    }

    /// Has the use of a token kept, unless that was so within the hour. What cannot be kept now is with a later call.
    pub(super) fn note_use(&self, identity: &Identity, now: i64) {
        let last = identity.used_at.load(Ordering::Relaxed);
        if identity.kind != CallerKind::Token || (last..last.saturating_add(COARSE)).contains(&now) {
            return;
        }
        let mine = identity.used_at.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if mine && self.uses.try_send((octets(&identity.id).unwrap_or_default(), now)).is_err() {
            identity.used_at.store(last, Ordering::Relaxed);
        }
    }

    /// Keeps uses until `shutdown`.
    pub(crate) async fn keep_uses(self: Arc<Self>, shutdown: Shutdown) -> anyhow::Result<()> {
        let keep = async {
            let mut kept = self.kept.lock().await;
            let mut uses = Vec::new();
            while kept.recv_many(&mut uses, WAITING).await > 0 {
                // Nobody waits for it, and it is tried again an hour later.
                if let Err(error) = self.ledger.note_access(&uses).await {
                    tracing::debug!(%error, "the last use of access tokens was not kept");
                }
                uses.clear();
            }
        };
        shutdown.cut(keep).await;
        Ok(())
    }
}

/// Does all of a change, also if its caller goes away: memory stays in step with the ledger.
async fn finish(change: impl Future<Output = Result<()>> + Send + 'static) -> Result<()> {
    tokio::spawn(change).await.map_err(|error| Error::internal("access tokens", error))?
}

/// Which token makes room for another one: of those that are of no more use the one that expired or expires first. None
/// needs to while there is room.
fn room(known: &BTreeMap<[u8; ID], Known>, now: i64) -> Result<Option<[u8; ID]>> {
    if known.len() < MOST {
        return Ok(None);
    }
    let useless = known.iter().filter(|(_, token)| token.identity.check(now).is_err());
    let oldest = useless.min_by_key(|(_, token)| token.record.expires_at);
    oldest.map(|(id, _)| Some(*id)).ok_or_else(|| {
        let message =
            format!("there are {MOST} access tokens, and all can be used: revoke one that is not needed");
        Error::new(Reason::TooManyAccessTokens, message)
    })
}

fn read(config: &AccessConfig, record: AccessTokenRecord, used_at: i64) -> Option<([u8; ID], Known)> {
    let id: [u8; ID] = record.id.as_slice().try_into().ok()?;
    let allows = Permission::ALL.into_iter();
    let identity = Identity {
        kind: CallerKind::Token,
        id: hex(&id),
        name: record.name.clone(),
        owner: record.owner.clone(),
        allows: allows.filter(|known| record.allows.iter().any(|name| name == known.as_str())).collect(),
        // The clock of this very machine said when it was made: nothing is to be gained by waiting for that time.
        not_before: i64::MIN,
        expires_at: record.expires_at,
        revoked: watch::Sender::new((record.revoked_at != 0).then_some(record.revoked_at)),
        used_at: AtomicI64::new(used_at),
        bounds: Arc::new(Bounds::new(config)),
    };
    let secret_hash = record.secret_hash.as_slice().try_into().ok()?;
    Some((id, Known { secret_hash, identity: Arc::new(identity), record: Arc::new(record) }))
}

fn event(kind: EventKind, record: &AccessTokenRecord) -> Event {
    Event::new(kind)
        .argument("token", hex(&record.id))
        .argument("name", &record.name)
        .argument("owner", &record.owner)
}

impl Known {
    fn shown(&self, now: SystemTime) -> AccessToken {
        let time = |seconds: i64| (seconds != 0).then(|| from_unix_seconds(seconds));
        AccessToken {
            id: self.identity.id.clone(),
            name: self.record.name.clone(),
            owner: self.record.owner.clone(),
            allows: self.identity.allows.clone(),
            created_by: self.record.created_by.clone(),
            created_at: from_unix_seconds(self.record.created_at),
            expires_at: from_unix_seconds(self.record.expires_at),
            revoked_at: time(self.record.revoked_at),
            last_used_at: time(self.identity.used_at.load(Ordering::Relaxed)),
            expired: unix_seconds(now) >= self.record.expires_at,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_there_are_as_many_tokens_as_may_be_a_useless_one_makes_room() {
        let token = |number: usize, expires_at, revoked_at| {
            let id = (number as u64).to_be_bytes().to_vec();
            let record = AccessTokenRecord {
                id,
                secret_hash: vec![0; 32],
                expires_at,
                revoked_at,
                ..AccessTokenRecord::default()
            };
            read(&AccessConfig::default(), record, 0).unwrap()
        };
        let mut known: BTreeMap<_, _> = (1..MOST).map(|number| token(number, 1_000, 0)).collect();
        assert_eq!(room(&known, 500), Ok(None));
        let (id, last) = token(MOST, 900, 0);
        known.insert(id, last);
        assert_eq!(room(&known, 500).unwrap_err().reason, Reason::TooManyAccessTokens);
        let (revoked, useless) = token(7, 1_000, 400);
        known.insert(revoked, useless);
        assert_eq!(room(&known, 500), Ok(Some(revoked)));
        // Of several the one whose time was over first.
        assert_eq!(room(&known, 950), Ok(Some(id)));
    }
}
