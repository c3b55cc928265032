//! Events that an administrator adds and ends: nobody may log in, maintenance, a message of the day. They never end by
//! themselves.

use std::{sync::Arc, time::SystemTime};

use licensor::{
    clock::{SharedClock, rfc3339},
    error::{Error, Reason, Result},
    event::{Event, EventKind, Scope, StoredEvent},
    key::random_bytes,
    store::StoreError,
};
use verifier::certificate::hex;

use crate::ledger::Ledger;

/// Characters of a description at most.
const LONGEST: usize = 1000;
/// Characters of the name of a database, group or user at most.
const LONGEST_TARGET: usize = 256;
/// Attempts to add an event whose place is taken and given back all the time.
const ATTEMPTS: usize = 8;

/// Adds and ends events.
#[derive(Debug, Clone)]
pub(crate) struct SystemEvents {
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) clock: SharedClock,
}

/// What everyone is to know.
#[derive(Debug, Clone)]
pub(crate) struct Notice {
    pub(crate) kind: EventKind,
    pub(crate) description: String,
    pub(crate) expected_end: Option<SystemTime>,
    pub(crate) scope: Scope,
    /// Database, group or user; empty for the whole system.
    pub(crate) target: String,
}

impl SystemEvents {
    /// Adds an event.
    ///
    /// # Errors
    /// `EVENT_ALREADY_ACTIVE`, `INVALID_ARGUMENT`, and what the store says.
    pub(crate) async fn add(&self, notice: &Notice, by: &str) -> Result<StoredEvent> {
        notice.check(self.clock.now())?;
        let unique = random_bytes::<8>().map_err(|error| Error::internal("event", error))?;
        let topic = format!("system-event/{}", hex(&unique));
        let event = Event::new(notice.kind)
            .by(by)
            .concerning(notice.scope, &notice.target)
            .expected_until(notice.expected_end)
            .argument("description", &notice.description)
            .active_for(topic.clone());
        for _ in 0..ATTEMPTS {
            if let Some(active) = self.ledger.active_in_place_of(&event).await? {
                return Err(already_active(&active));
            }
            match self.ledger.add_system_event(event.clone()).await {
                // Somebody was faster: who, shows in the next turn.
                Err(StoreError::Conflict { .. }) => {}
                kept => {
                    kept?;
                    let added = self.ledger.events().active(&topic).await?.pop();
                    return added.ok_or_else(|| Error::internal("event", "it was ended as it was added"));
                }
            }
        }
        Err(StoreError::Conflict { key: Vec::new() }.into())
    }

    /// Ends an event that was added.
    ///
    /// # Errors
    /// `EVENT_UNKNOWN`, `EVENT_ALREADY_ENDED`, `EVENT_NOT_ENDED_BY_HAND`, and what the store says.
    pub(crate) async fn end(&self, sequence: u64, by: &str) -> Result<StoredEvent> {
        let unknown = || {
            let message = format!("there is no event {sequence}: see `license-service events list --active`");
            Error::new(Reason::EventUnknown, message).with("sequence", sequence.to_string())
        };
        let found = async || self.ledger.events().find(sequence).await?.ok_or_else(unknown);
        let event = found().await?;
        let name = event.event.kind.name();
        if !EventKind::BY_HAND.contains(&event.event.kind) {
            let message = format!(
                "event {sequence} is a {name} of the service itself: it ends when its cause does, not by hand"
            );
            return Err(Error::new(Reason::EventNotEndedByHand, message)
                .with("sequence", sequence.to_string())
                .with("name", name));
        }
        if event.ended.is_none() {
            match self.ledger.end_system_event(&event, by).await {
                // Somebody was faster.
                Err(StoreError::Conflict { .. }) => {}
                kept => {
                    kept?;
                    return found().await;
                }
            }
        }
        let event = found().await?;
        let when = event.ended.map(rfc3339).unwrap_or_default();
        let message = format!("event {sequence} ({name}) was ended by {} on {when} already", event.ended_by);
        Err(Error::new(Reason::EventAlreadyEnded, message)
            .with("sequence", sequence.to_string())
            .with("ended_by", event.ended_by))
    }
}

impl Notice {
    fn check(&self, now: SystemTime) -> Result<()> {
        let refused = |problem: &str| Err(Error::new(Reason::InvalidArgument, problem));
        if !EventKind::BY_HAND.contains(&self.kind) {
            return refused("events of this kind are not added by hand");
        }
        let length = self.description.chars().count();
        if self.description.trim().is_empty() || length > LONGEST {
            return refused(&format!("description must have 1 to {LONGEST} characters, and not {length}"));
        }
        if self.description.chars().any(|character| character.is_control() && character != '\n') {
            return refused("description must have no control characters but line feeds");
        }
        match self.scope {
            Scope::System if !self.target.is_empty() => {
                return refused(
                    "the whole system has no target: leave it out, or name the scope of the target",
                );
            }
            Scope::System => {}
            _ => {
                let length = self.target.chars().count();
                if self.target.trim().is_empty() || length > LONGEST_TARGET {
                    let scope = self.scope.as_str();
                    return refused(&format!(
                        "target must name the {scope} in 1 to {LONGEST_TARGET} characters, and not {length}"
                    ));
                }
                if self.target.chars().any(char::is_control) {
                    return refused("target must have no control characters");
                }
            }
        }
        match self.expected_end {
            Some(end) if end <= now => refused("the expected end must lie ahead"),
            _ => Ok(()),
        }
    }
}

fn already_active(active: &StoredEvent) -> Error {
    let (sequence, name) = (active.sequence, active.event.kind.name());
    let whom = match active.event.scope {
        Scope::System => "the whole system".to_owned(),
        scope => format!("{} {}", scope.as_str(), active.event.target),
    };
    let message = format!(
        "event {sequence} is an active {name} for {whom}: end it first with `license-service events end {sequence}`"
    );
    Error::new(Reason::EventAlreadyActive, message).with("sequence", sequence.to_string()).with("name", name)
}

#[cfg(test)]
mod tests;
