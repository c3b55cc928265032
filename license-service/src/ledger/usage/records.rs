//! What the ledger keeps of usage, as it is stored.

use prost::Message;

/// Where the log of usage ends, and what is indexed of it. Every commit changes it and expects the former one: so of two
/// replicas that count at the same time one is told, and looks again. Key: `usage/head`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct HeadRecord {
    /// Grows with every commit.
    #[prost(uint64, tag = "1")]
    pub(crate) generation: u64,
    /// Chunks in the log.
    #[prost(uint64, tag = "2")]
    pub(crate) chunks: u64,
    /// Events in the log.
    #[prost(uint64, tag = "3")]
    pub(crate) events: u64,
    /// The first chunk whose events are in no run.
    #[prost(uint64, tag = "4")]
    pub(crate) indexed: u64,
    /// Runs of the index, oldest first.
    #[prost(message, repeated, tag = "5")]
    pub(crate) runs: Vec<RunRecord>,
}

/// A run: marks of events in the order of their keys, in blocks by the first bits of the key, with a filter beside them.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub(crate) struct RunRecord {
    /// Stands in its keys; random.
    #[prost(fixed64, tag = "1")]
    pub(crate) id: u64,
    /// How often its marks have been merged.
    #[prost(uint32, tag = "2")]
    pub(crate) level: u32,
    /// Marks in it.
    #[prost(uint64, tag = "3")]
    pub(crate) marks: u64,
    /// Bits of a key that choose its block.
    #[prost(uint32, tag = "4")]
    pub(crate) block_bits: u32,
    /// Bits of a key that choose its part of the filter.
    #[prost(uint32, tag = "5")]
    pub(crate) filter_bits: u32,
    /// Octets of a part of the filter.
    #[prost(uint32, tag = "6")]
    pub(crate) filter_octets: u32,
}

/// Some events in the order in which they were counted. Key: `usage/event/<number, big-endian>`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct ChunkRecord {
    /// What events have in common.
    #[prost(message, repeated, tag = "1")]
    pub(crate) series: Vec<SeriesRecord>,
    /// The events.
    #[prost(message, repeated, tag = "2")]
    pub(crate) events: Vec<EventRecord>,
}

/// What events of a chunk have in common.
#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct SeriesRecord {
    #[prost(string, tag = "1")]
    pub(crate) source: String,
    #[prost(string, tag = "2")]
    pub(crate) vendor: String,
    #[prost(string, tag = "3")]
    pub(crate) service: String,
    /// The month that was used in: months since the year 0.
    #[prost(uint32, tag = "4")]
    pub(crate) month: u32,
    /// The month on whose statement it stands.
    #[prost(uint32, tag = "5")]
    pub(crate) booked: u32,
}

/// A usage event.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct EventRecord {
    /// Position in the chunk's series.
    #[prost(uint32, tag = "1")]
    pub(crate) series: u32,
    #[prost(string, tag = "2")]
    pub(crate) id: String,
    #[prost(uint64, tag = "3")]
    pub(crate) quantity: u64,
    /// Seconds since 1970.
    #[prost(int64, tag = "4")]
    pub(crate) seconds: i64,
    #[prost(uint32, tag = "5")]
    pub(crate) nanos: u32,
}

/// What has been counted. Key: `usage/counter/<vendor>\0<booked><month><service>`, months as 32 bits, big-endian.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub(crate) struct CounterRecord {
    /// Quantities added up.
    #[prost(uint64, tag = "1")]
    pub(crate) sum: u64,
    /// The largest quantity.
    #[prost(uint64, tag = "2")]
    pub(crate) maximum: u64,
    #[prost(uint64, tag = "3")]
    pub(crate) events: u64,
    /// Whether the event was raised that the allowance is nearly used up, and
    #[prost(bool, tag = "4")]
    pub(crate) near: bool,
    /// that it is.
    #[prost(bool, tag = "5")]
    pub(crate) reached: bool,
}

/// What a counter counts.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct CounterKey {
    pub(crate) vendor: String,
    /// The month on whose statement it stands: months since the year 0.
    pub(crate) booked: u32,
    /// The month that was used in.
    pub(crate) month: u32,
    pub(crate) service: String,
}

/// How far the statements of a vendor have come. Key: `usage/vendor/<vendor>`.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub(crate) struct VendorRecord {
    /// The first month that has a statement.
    #[prost(uint32, tag = "1")]
    pub(crate) first: u32,
    /// The first month whose statement is not final.
    #[prost(uint32, tag = "2")]
    pub(crate) open: u32,
}

/// An entitlement that was in force from an instant on. Key: `usage/terms/<vendor>\0<seconds since 1970><number within the
/// second>`, in parts.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct TermsRecord {
    /// Its claims (JSON).
    #[prost(string, tag = "1")]
    pub(crate) claims: String,
}
