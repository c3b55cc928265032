//! Enrolment tokens: one string that says where the root is, what its trust anchor is, and a secret. What they may say, how
//! they are made and revoked, and what proves one.

use std::time::Duration;

use licensor::{
    error::{Error, Reason, Result},
    event::{Event, EventKind},
    key::{random_bytes, sha256},
    store::StoreError,
    token::EnrollmentToken,
};

use super::{ATTEMPTS, Authority, revocation};
use crate::ledger::{NodeRecord, TokenRecord};

/// What a new token is for.
#[derive(Debug)]
pub(crate) struct TokenOrder {
    /// Name of the licensing server, or of the root.
    pub(crate) node: String,
    pub(crate) owner: String,
    pub(crate) dns_names: Vec<String>,
    pub(crate) ip_addresses: Vec<String>,
    pub(crate) ttl: Duration,
    /// Whether it enrols a root below this one.
    pub(crate) root: bool,
    /// Who asked for it.
    pub(crate) by: String,
}

impl Authority {
    /// Makes an enrolment token; returns its text, which is kept nowhere.
    pub(crate) async fn create_token(&self, order: TokenOrder) -> Result<(String, TokenRecord)> {
        let order = order.checked()?;
        let issuer = self.active()?;
        if order.root {
            issuer.check_certifies_roots()?;
        }
        if let Some(node) = self.ledger.node(&order.node).await? {
            revocation::check_commissioned(&node.record)?;
            check_kind(&node.record, order.root)?;
        }
        let new = new_token(&self.profile.renewal_address, sha256(issuer.trust_anchor()))?;
        let now = self.clock.now();
        let expires_at = now
            .checked_add(order.ttl)
            .ok_or_else(|| Error::new(Reason::InvalidArgument, "ttl is too long"))?;
        let record = TokenRecord {
            id: verifier::certificate::hex(&new.token.id),
            secret_hash: new.secret_hash.to_vec(),
            node: order.node,
            owner: order.owner,
            dns_names: order.dns_names,
            ip_addresses: order.ip_addresses,
            created_at: licensor::clock::unix_seconds(now),
            expires_at: licensor::clock::unix_seconds(expires_at),
            serial: String::new(),
            revoked: false,
            misused: false,
            root: order.root,
        };
        let event = Event::new(EventKind::TokenCreated)
            .about("", &record.node)
            .by(&order.by)
            .argument("token", &record.id);
        self.ledger.add_token(&record, event).await?;
        Ok((new.token.encode_text(), record))
    }

    /// Makes an unused token useless.
    pub(crate) async fn revoke_token(&self, id: &str, by: &str) -> Result<TokenRecord> {
        let unknown = || {
            let message = format!("there is no token {id}: see `root-service token list`");
            Error::new(Reason::TokenUnknown, message).with("id", id)
        };
        for _ in 0..ATTEMPTS {
            let token = self.ledger.token(id).await?.ok_or_else(unknown)?;
            if !token.record.serial.is_empty() {
                return Err(Error::new(
                    Reason::TokenAlreadyUsed,
                    format!(
                        "token {id} has been used for certificate {}: nothing is left to revoke",
                        token.record.serial
                    ),
                )
                .with("serial", &token.record.serial));
            }
            if token.record.revoked {
                return Ok(token.record);
            }
            let revoked = TokenRecord { revoked: true, ..token.record.clone() };
            let event = Event::new(EventKind::TokenRevoked)
                .about("", &revoked.node)
                .by(by)
                .argument("token", &revoked.id);
            match self.ledger.change_token(&token, &revoked, event).await {
                Err(StoreError::Conflict { .. }) => {}
                result => return Ok(result.map(|()| revoked)?),
            }
        }
        Err(StoreError::Conflict { key: Vec::new() }.into())
    }
}

impl TokenOrder {
    fn checked(mut self) -> Result<Self> {
        let refused = |problem: String| Err(Error::new(Reason::InvalidArgument, problem));
        if !is_node_name(&self.node) {
            return refused(format!(
                "`{}` is no name for a node: 1 to 63 letters, digits, '-', '.' and '_', with a letter or digit at both ends",
                self.node
            ));
        }
        let owner = self.owner.trim();
        if owner.is_empty() || owner.chars().count() > 64 || owner.chars().any(char::is_control) {
            return refused("owner must have 1 to 64 characters, none of them a control character".into());
        }
        self.owner = owner.to_owned();
        if self.ttl.is_zero() || self.ttl > Duration::from_secs(366 * 86_400) {
            return refused("ttl must be longer than nothing and at most a year".into());
        }
        if self.root && !(self.dns_names.is_empty() && self.ip_addresses.is_empty()) {
            return refused(
                "a root has no server certificate of this authority: leave out DNS names and IP addresses"
                    .into(),
            );
        }
        if !self.root && self.dns_names.is_empty() && self.ip_addresses.is_empty() {
            self.dns_names.push(self.node.to_lowercase());
        }
        if self.dns_names.len() + self.ip_addresses.len() > 32 {
            return refused("at most 32 DNS names and IP addresses can be approved".into());
        }
        if let Some(name) = self.dns_names.iter().find(|name| !is_dns_name(name)) {
            return refused(format!("`{name}` is no DNS name: name the node's own host with --dns or --ip"));
        }
        let octets: usize = self.dns_names.iter().map(String::len).sum();
        if octets > 2048 {
            return refused("the DNS names have more than 2048 characters together".into());
        }
        for address in &mut self.ip_addresses {
            match address.parse::<std::net::IpAddr>() {
                Ok(parsed) => *address = parsed.to_string(),
                Err(_) => return refused(format!("`{address}` is no IP address")),
            }
        }
        Ok(self)
    }
}

/// What a new token is made of.
struct NewToken {
    /// The token.
    token: EnrollmentToken,
    /// What the ledger keeps of its secret.
    secret_hash: [u8; 32],
}

/// Makes a token that leads to `address` and pins the anchor with this SHA-256.
fn new_token(address: &str, anchor_fingerprint: [u8; 32]) -> Result<NewToken> {
    let failed = |error| Error::internal("token", error);
    let id: [u8; 8] = random_bytes().map_err(failed)?;
    let secret: [u8; 32] = random_bytes().map_err(failed)?;
    let token = EnrollmentToken {
        address: address.to_owned(),
        trust_anchor_sha256: anchor_fingerprint.to_vec(),
        id: id.to_vec(),
        secret: secret.to_vec(),
    };
    Ok(NewToken { token, secret_hash: sha256(&secret) })
}

/// Whether the token's secret is the one that was hashed. A digest is compared, so timing tells nothing of the secret.
pub(super) fn proves(token: &EnrollmentToken, secret_hash: &[u8]) -> bool {
    sha256(&token.secret) == secret_hash
}

/// A token that this root does not know, whatever the cause: a guesser learns nothing.
pub(super) fn unknown() -> Error {
    Error::new(
        Reason::TokenUnknown,
        "this root did not make the token: use it at the root that made it, or ask for a new one (`root-service token create`)",
    )
}

/// That a name goes on to stand for what it stood for: a licensing server, or a root.
pub(super) fn check_kind(node: &NodeRecord, root: bool) -> Result<()> {
    if node.root == root {
        return Ok(());
    }
    let what = if node.root { "a root" } else { "a licensing server" };
    let message = format!("{} is the name of {what}: choose another one", node.name);
    Err(Error::new(Reason::InvalidArgument, message).with("node", &node.name))
}

fn is_node_name(name: &str) -> bool {
    let ends = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    name.len() <= 63
        && ends(name.chars().next())
        && ends(name.chars().next_back())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "-._".contains(c))
}

/// RFC 1123 §2.1; a wildcard is no host.
fn is_dns_name(name: &str) -> bool {
    name.len() <= 253
        && name.parse::<std::net::IpAddr>().is_err()
        && name.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
        })
}
