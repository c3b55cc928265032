//! What a new access token is to be.

use std::time::{Duration, SystemTime};

use licensor::{
    clock::unix_seconds,
    error::{Error, Reason, Result},
};

use crate::{config::Permission, ledger::AccessTokenRecord};

const DEFAULT_TTL: Duration = Duration::from_secs(90 * 86_400);
const LONGEST_TTL: Duration = Duration::from_secs(3653 * 86_400);

/// What a new token is for.
#[derive(Debug)]
pub(crate) struct TokenOrder {
    pub(crate) name: String,
    /// The name if empty.
    pub(crate) owner: String,
    /// Licences if empty.
    pub(crate) allows: Vec<Permission>,
    pub(crate) lifetime: Lifetime,
    /// Who asked for it.
    pub(crate) by: String,
}

/// How long a token can be used.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Lifetime {
    /// As long as is usual.
    Default,
    For(Duration),
    Until(SystemTime),
}

impl TokenOrder {
    /// The record, without identifier and secret.
    pub(super) fn record(self, now: SystemTime) -> Result<AccessTokenRecord> {
        let refused = |problem: &str| Err(Error::new(Reason::InvalidArgument, problem));
        let (name, owner) = (self.name.trim(), self.owner.trim());
        let owner = if owner.is_empty() { name } else { owner };
        for (what, text) in [("name", name), ("owner", owner)] {
            if !(1..=64).contains(&text.chars().count()) || text.chars().any(char::is_control) {
                return refused(&format!(
                    "{what} must have 1 to 64 characters, none of them a control character"
                ));
            }
        }
        let ttl = match self.lifetime {
            Lifetime::Default => DEFAULT_TTL,
            Lifetime::For(ttl) => ttl,
            Lifetime::Until(end) => match end.duration_since(now) {
                Ok(ttl) => ttl,
                Err(_) => return refused("expire_time must lie ahead"),
            },
        };
        if ttl < Duration::from_secs(1) || ttl > LONGEST_TTL {
            return refused("an access token lives for one second at least, and for ten years at most");
        }
        let allows = Permission::ALL.into_iter();
        let allows: Vec<_> = allows.filter(|permission| self.allows.contains(permission)).collect();
        let allows = if allows.is_empty() { vec![Permission::Licenses] } else { allows };
        Ok(AccessTokenRecord {
            id: Vec::new(),
            secret_hash: Vec::new(),
            name: name.to_owned(),
            owner: owner.to_owned(),
            allows: allows.into_iter().map(|permission| permission.as_str().to_owned()).collect(),
            created_by: self.by,
            created_at: unix_seconds(now),
            expires_at: unix_seconds(now + ttl),
            revoked_at: 0,
        })
    }
}
