//! What an event says, and how it is stored.

use std::{collections::BTreeMap, time::SystemTime};

use prost::Message;
use prost_types::Timestamp;

use super::{EventKind, Scope, Severity};
use crate::clock::{from_timestamp, rfc3339, timestamp};

/// The argument that names whom an event is about. Not stored where it is the node.
const HOLDER: &str = "holder";

/// An event that is about to be raised.
#[derive(Debug, Clone)]
pub struct Event {
    /// What kind.
    pub kind: EventKind,
    /// Serial number of the certificate that it is about; may be empty.
    pub serial: String,
    /// Licensing server that it is about; may be empty.
    pub node: String,
    /// Who caused it; `service` if nobody did.
    pub activated_by: String,
    /// Arguments of its message.
    pub arguments: BTreeMap<String, String>,
    /// SHA-256 of the certificate (DER) whose issue it tells of; empty if of none.
    pub certificate_digest: Vec<u8>,
    /// What the event holds for: it is active until `EventLog::end` is told the same. Empty: it ends at once.
    pub topic: String,
    /// What it concerns.
    pub scope: Scope,
    /// Which database, group or user it concerns; empty if the whole system.
    pub target: String,
    /// When it is expected to end. Nothing happens then.
    pub expected_end: Option<SystemTime>,
}

impl Event {
    /// An event with nothing but its kind.
    #[must_use]
    pub fn new(kind: EventKind) -> Self {
        Self {
            kind,
            serial: String::new(),
            node: String::new(),
            activated_by: "service".into(),
            arguments: BTreeMap::new(),
            certificate_digest: Vec::new(),
            topic: String::new(),
            scope: Scope::System,
            target: String::new(),
            expected_end: None,
        }
    }

    /// Tells of the issue of the certificate with this SHA-256.
    #[must_use]
    pub fn of_certificate(mut self, digest: [u8; 32]) -> Self {
        self.certificate_digest = digest.to_vec();
        self
    }

    /// About this certificate of this node, or of the authority if `node` is empty.
    #[must_use]
    pub fn about(mut self, serial: &str, node: &str) -> Self {
        serial.clone_into(&mut self.serial);
        node.clone_into(&mut self.node);
        if !node.is_empty() {
            self = self.argument(HOLDER, node);
        }
        self
    }

    /// Caused by.
    #[must_use]
    pub fn by(mut self, whom: &str) -> Self {
        whom.clone_into(&mut self.activated_by);
        self
    }

    /// An argument of the message.
    #[must_use]
    pub fn argument(mut self, name: &str, value: impl Into<String>) -> Self {
        self.arguments.insert(name.to_owned(), value.into());
        self
    }

    /// The end of validity, as an argument.
    #[must_use]
    pub fn until(self, not_after: SystemTime) -> Self {
        self.argument("not_after", rfc3339(not_after))
    }

    /// Concerns this, and nothing else.
    #[must_use]
    pub fn concerning(mut self, scope: Scope, target: &str) -> Self {
        self.scope = scope;
        target.clone_into(&mut self.target);
        self
    }

    /// Expected to end then.
    #[must_use]
    pub fn expected_until(mut self, end: Option<SystemTime>) -> Self {
        self.expected_end = end;
        self
    }

    /// What is stored of an event that is raised at `now`.
    pub(super) fn encode(&self, now: SystemTime) -> Vec<u8> {
        let stored = |(name, value): &(&String, &String)| *name != HOLDER || **value != self.node;
        let arguments = self.arguments.iter().filter(stored);
        let record = EventRecord {
            id: self.kind.id(),
            time: Some(timestamp(now)),
            serial: self.serial.clone(),
            node: self.node.clone(),
            activated_by: self.activated_by.clone(),
            arguments: arguments.map(|(name, value)| (name.clone(), value.clone())).collect(),
            topic: self.topic.clone(),
            certificate_digest: self.certificate_digest.clone(),
            scope: self.scope.number(),
            target: self.target.clone(),
            expected_end: self.expected_end.map(timestamp),
        };
        record.encode_to_vec()
    }

    /// Active until the topic is ended.
    #[must_use]
    pub fn active_for(mut self, topic: String) -> Self {
        self.topic = topic;
        self
    }
}

/// What is stored of an event; its sequence number is its position in the log.
#[derive(Clone, PartialEq, Message)]
struct EventRecord {
    #[prost(uint32, tag = "1")]
    id: u32,
    #[prost(message, optional, tag = "2")]
    time: Option<Timestamp>,
    #[prost(string, tag = "3")]
    serial: String,
    #[prost(string, tag = "4")]
    node: String,
    #[prost(string, tag = "5")]
    activated_by: String,
    #[prost(btree_map = "string, string", tag = "6")]
    arguments: BTreeMap<String, String>,
    #[prost(string, tag = "7")]
    topic: String,
    #[prost(bytes = "vec", tag = "8")]
    certificate_digest: Vec<u8>,
    /// Number of the scope; 0 for the whole system.
    #[prost(uint32, tag = "9")]
    scope: u32,
    #[prost(string, tag = "10")]
    target: String,
    #[prost(message, optional, tag = "11")]
    expected_end: Option<Timestamp>,
}

/// The end of a topic.
#[derive(Clone, PartialEq, Message)]
pub(super) struct EndRecord {
    #[prost(message, optional, tag = "1")]
    pub(super) time: Option<Timestamp>,
    /// Who ended it; empty if it ended by itself.
    #[prost(string, tag = "2")]
    pub(super) by: String,
}

/// An event as it stands in the log.
#[derive(Debug, Clone)]
pub struct StoredEvent {
    /// Position in the log, from 1.
    pub sequence: u64,
    /// When it was raised.
    pub time: SystemTime,
    /// When it ended; `None` while it is active.
    pub ended: Option<SystemTime>,
    /// Who ended it; empty if it ended by itself.
    pub ended_by: String,
    /// What it says.
    pub event: Event,
}

/// Which events to list.
#[derive(Debug, Clone, Default)]
pub struct EventFilter {
    /// Only this id; without one, every kind but what is routine.
    pub id: Option<u32>,
    /// Only about this certificate.
    pub serial: Option<String>,
    /// Only about this node.
    pub node: Option<String>,
    /// Only active ones, or only ended ones.
    pub active: Option<bool>,
    /// At least as severe.
    pub severity: Option<Severity>,
    /// Only of this scope.
    pub scope: Option<Scope>,
    /// Only about this database, group or user.
    pub target: Option<String>,
    /// Only what everyone may read.
    pub public: bool,
}

impl EventFilter {
    /// Whether it lets an event through.
    #[must_use]
    pub fn admits(&self, stored: &StoredEvent) -> bool {
        let event = &stored.event;
        self.id.map_or(!event.kind.is_routine(), |id| event.kind.id() == id)
            && self.serial.as_ref().is_none_or(|serial| event.serial == *serial)
            && self.node.as_ref().is_none_or(|node| event.node == *node)
            && self.active.is_none_or(|active| stored.ended.is_none() == active)
            && self.severity.is_none_or(|severity| event.kind.severity() >= severity)
            && self.scope.is_none_or(|scope| event.scope == scope)
            && self.target.as_ref().is_none_or(|target| event.target == *target)
            && !(self.public && event.kind.is_confidential())
    }
}

/// The first field of [`EventRecord`] alone.
#[derive(Clone, PartialEq, Message)]
struct KindRecord {
    #[prost(uint32, tag = "1")]
    id: u32,
}

/// The kind of an entry of the log, for much less than [`decode`] takes.
#[must_use]
pub fn kind_of(entry: &[u8]) -> Option<EventKind> {
    EventKind::from_id(KindRecord::decode(entry).ok()?.id)
}

/// What an entry of the log says, and when it was raised. A kind that a newer release wrote is none.
#[must_use]
pub fn decode(entry: &[u8]) -> Option<(SystemTime, Event)> {
    let record = EventRecord::decode(entry).ok()?;
    let kind = EventKind::from_id(record.id)?;
    let time = from_timestamp(record.time).unwrap_or(SystemTime::UNIX_EPOCH);
    let mut arguments = record.arguments;
    if !record.node.is_empty() {
        arguments.entry(HOLDER.to_owned()).or_insert_with(|| record.node.clone());
    }
    let event = Event {
        kind,
        serial: record.serial,
        node: record.node,
        activated_by: record.activated_by,
        arguments,
        certificate_digest: record.certificate_digest,
        topic: record.topic,
        scope: Scope::from_number(record.scope),
        target: record.target,
        expected_end: from_timestamp(record.expected_end),
    };
    Some((time, event))
}

/// The topic of an entry of the log, also of a kind that a newer release wrote.
pub(super) fn topic_of(entry: &[u8]) -> Option<String> {
    EventRecord::decode(entry).ok().map(|record| record.topic)
}
