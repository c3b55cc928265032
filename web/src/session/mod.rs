//! Who is signed in: links that sign an administrator in once, and sessions.
//!
//! Links and sessions are records in the store of the service, so that they outlive a restart. Of their secrets only a
//! digest is kept: as random as a key, there is nothing to guess that a slow hash would protect.

mod record;
#[cfg(test)]
mod tests;

use std::{fmt, sync::Arc, time::Duration};

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use licensor::{
    admin::Administrators,
    clock::{SharedClock, unix_seconds},
    error::{Error, Result},
    event::{Event, EventKind, EventLog},
    key::{random_bytes, sha256},
    store::{Batch, SharedStore, StoreError},
};
use prost::Message;

pub use record::is_of_session;
use record::{LINK, LinkRecord, SESSION, SessionRecord, key};

use crate::refusal::Refusal;

/// Seconds for which a link that was used or has expired is remembered, so that whoever tries it again is told why.
const REMEMBERED: i64 = 86_400;
/// Records that are looked at when one is added, to remove those that are of no more use.
const SWEPT: usize = 64;

/// What somebody may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Look.
    Viewer,
    /// Look, and change.
    Administrator,
}

impl Role {
    /// Name in lower case.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Administrator => "administrator",
        }
    }

    fn number(self) -> u32 {
        match self {
            Self::Viewer => 0,
            Self::Administrator => 1,
        }
    }
}

/// Somebody who signs in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// As events name it: `uid:N`, or what the identity provider says.
    pub name: String,
    /// What the person may do.
    pub role: Role,
    /// The local user, if it is one: it must be an administrator as long as the session is used.
    pub uid: Option<u32>,
}

/// Somebody who is signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Who.
    pub person: Person,
    /// What every form of this session has in it.
    pub form_token: String,
    /// Seconds since 1970.
    pub expires_at: i64,
    key: Vec<u8>,
}

impl Session {
    /// What tells it from others.
    pub(crate) fn key(&self) -> &[u8] {
        &self.key
    }
}

/// What [`Sessions`] works with.
#[derive(Debug)]
pub struct SessionParts {
    /// Where records are kept.
    pub store: SharedStore,
    /// Where who signs in is told.
    pub events: Arc<EventLog>,
    /// The time.
    pub clock: SharedClock,
    /// Who is a local administrator.
    pub administrators: Administrators,
    /// How long a session lasts.
    pub lifetime: Duration,
    /// How long a link is good.
    pub link_lifetime: Duration,
    /// Stands for the rules by which an identity provider's word gives roles: a session of other rules is none.
    pub rules: Vec<u8>,
}

/// Links and sessions.
#[derive(Debug)]
pub struct Sessions(SessionParts);

/// A secret that somebody shows: never in a log.
struct Secret([u8; 32]);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Secret {
    fn new() -> Result<Self> {
        random_bytes().map(Self).map_err(|error| Error::internal("session", error))
    }

    fn parse(text: &str) -> Option<Self> {
        BASE64_URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok().map(Self)
    }

    fn text(&self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(self.0)
    }

    fn digest(&self) -> [u8; 32] {
        sha256(&self.0)
    }
}

impl Sessions {
    /// Links and sessions of one service.
    #[must_use]
    pub fn new(parts: SessionParts) -> Self {
        Self(parts)
    }

    fn now(&self) -> i64 {
        unix_seconds(self.0.clock.now())
    }

    /// The secret of a link that signs the local administrator `uid` in, once.
    ///
    /// # Errors
    /// What the store says.
    pub async fn link(&self, uid: u32) -> Result<(String, i64)> {
        let secret = Secret::new()?;
        let expires_at = self.now().saturating_add(seconds(self.0.link_lifetime));
        let record = LinkRecord { uid, expires_at, used_at: 0, told: false };
        let mut batch = Batch::new();
        self.sweep(&mut batch).await?;
        batch.add(key(LINK, &secret.digest()), record.encode_to_vec());
        self.0.store.commit(batch).await?;
        Ok((secret.text(), expires_at))
    }

    /// Signs in whoever has a link; the secret of the session.
    ///
    /// # Errors
    /// [`Refusal`] that says what is wrong with the link.
    pub async fn follow(&self, link: &str) -> std::result::Result<String, Refusal> {
        let secret = Secret::parse(link).ok_or(Refusal::LinkUnknown)?;
        let key = key(LINK, &secret.digest());
        let Some(octets) = self.0.store.get(&key).await? else { return Err(Refusal::LinkUnknown) };
        let record = LinkRecord::decode(&*octets).map_err(|error| Error::internal("link", error))?;
        if record.used_at != 0 {
            return Err(self.used_again(&key).await?);
        }
        if self.now() >= record.expires_at {
            return Err(Refusal::LinkExpired);
        }
        if !self.0.administrators.is_one(record.uid) {
            return Err(Refusal::NotAdministrator);
        }
        let person = Person { name: name(record.uid), role: Role::Administrator, uid: Some(record.uid) };
        let mut batch = Batch::new();
        let used = LinkRecord { used_at: self.now().max(1), ..record.clone() };
        batch.expect(key.clone(), Some(octets)).put(key.clone(), used.encode_to_vec());
        match self.begin(&person, batch).await {
            // Somebody was faster with the same link.
            Err(StoreError::Conflict { .. }) => Err(self.used_again(&key).await?),
            begun => Ok(begun?),
        }
    }

    /// Signs in a person whom somebody else vouches for; the secret of the session.
    ///
    /// # Errors
    /// What the store says.
    pub async fn sign_in(&self, person: &Person) -> Result<String> {
        Ok(self.begin(person, Batch::new()).await?)
    }

    async fn begin(&self, person: &Person, mut batch: Batch) -> std::result::Result<String, StoreError> {
        let failed = |_| StoreError::Failed { path: "random numbers".into(), cause: "none to be had".into() };
        let (secret, form) = (Secret::new().map_err(failed)?, Secret::new().map_err(failed)?);
        let record = SessionRecord {
            person: person.name.clone(),
            role: person.role.number(),
            uid: person.uid,
            form_token: form.text(),
            expires_at: self.now().saturating_add(seconds(self.0.lifetime)),
            rules: if person.uid.is_some() { Vec::new() } else { self.0.rules.clone() },
        };
        self.sweep(&mut batch).await?;
        batch.add(key(SESSION, &secret.digest()), record.encode_to_vec());
        let event = Event::new(EventKind::SignedIn)
            .by(&person.name)
            .argument("person", &person.name)
            .argument("role", person.role.as_str());
        self.0.events.commit(batch, vec![event]).await?;
        Ok(secret.text())
    }

    /// The session with this secret, while it is good.
    ///
    /// # Errors
    /// What the store says.
    pub async fn find(&self, secret: &str) -> Result<Option<Session>> {
        let Some(secret) = Secret::parse(secret) else { return Ok(None) };
        let key = key(SESSION, &secret.digest());
        let Some(octets) = self.0.store.get(&key).await? else { return Ok(None) };
        let Ok(record) = SessionRecord::decode(&*octets) else { return Ok(None) };
        if self.now() >= record.expires_at || !self.is_let_in(&record) {
            return Ok(None);
        }
        let role =
            if record.role == Role::Administrator.number() { Role::Administrator } else { Role::Viewer };
        let person = Person { name: record.person, role, uid: record.uid };
        Ok(Some(Session { person, form_token: record.form_token, expires_at: record.expires_at, key }))
    }

    /// Whether whoever has this session would be let in today.
    fn is_let_in(&self, record: &SessionRecord) -> bool {
        match record.uid {
            Some(uid) => self.0.administrators.is_one(uid),
            None => record.rules == self.0.rules,
        }
    }

    /// Whether a session that was found is still there.
    pub(crate) async fn goes_on(&self, session: &Session) -> bool {
        matches!(self.0.store.get(&session.key).await, Ok(Some(_)))
    }

    /// Ends a session.
    ///
    /// # Errors
    /// What the store says.
    pub async fn sign_out(&self, session: &Session) -> Result<()> {
        let mut batch = Batch::new();
        batch.delete(session.key.clone());
        let person = &session.person.name;
        let event = Event::new(EventKind::SignedOut).by(person).argument("person", person);
        Ok(self.0.events.commit(batch, vec![event]).await?)
    }

    /// Adds to `batch` that some records which are of no more use go.
    async fn sweep(&self, batch: &mut Batch) -> std::result::Result<(), StoreError> {
        let now = self.now();
        for (key, value) in self.some(SESSION).await? {
            if SessionRecord::decode(&*value).is_ok_and(|record| now >= record.expires_at) {
                batch.delete(key);
            }
        }
        for (key, value) in self.some(LINK).await? {
            if LinkRecord::decode(&*value)
                .is_ok_and(|record| now >= record.expires_at.saturating_add(REMEMBERED))
            {
                batch.delete(key);
            }
        }
        Ok(())
    }

    /// Records from a random place on, around the end: the first ones may be good for long, and others shall have their turn.
    async fn some(&self, prefix: &[u8]) -> std::result::Result<Vec<(Vec<u8>, Vec<u8>)>, StoreError> {
        let place = key(prefix, &random_bytes().unwrap_or_default());
        let mut pairs = self.0.store.scan(prefix, &place, SWEPT).await?;
        let rest = self.0.store.scan(prefix, prefix, SWEPT.saturating_sub(pairs.len())).await?;
        pairs.extend(rest.into_iter().take_while(|(key, _)| *key < place));
        Ok(pairs)
    }

    /// Tells that a link was used again: once, however often it is.
    async fn used_again(&self, key: &[u8]) -> std::result::Result<Refusal, StoreError> {
        let Some(octets) = self.0.store.get(key).await? else { return Ok(Refusal::LinkUnknown) };
        let Ok(record) = LinkRecord::decode(&*octets) else { return Ok(Refusal::LinkUnknown) };
        if !record.told {
            let whom = name(record.uid);
            let event = Event::new(EventKind::SignInRefused).by(&whom).argument("person", &whom);
            let mut batch = Batch::new();
            let told = LinkRecord { told: true, ..record };
            batch.expect(key, Some(octets)).put(key, told.encode_to_vec());
            match self.0.events.commit(batch, vec![event]).await {
                // Somebody has told it meanwhile.
                Ok(()) | Err(StoreError::Conflict { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Refusal::LinkUsed)
    }
}

fn name(uid: u32) -> String {
    format!("uid:{uid}")
}

fn seconds(span: Duration) -> i64 {
    i64::try_from(span.as_secs()).unwrap_or(i64::MAX)
}
