//! The log of usage events: many of them in a value.

use super::{
    item::{Item, Key, Mark, content, key, vendor_mark},
    month::Month,
};
use crate::ledger::{ChunkRecord, EventRecord, SeriesRecord, UsageChange};

/// Octets from which on a chunk takes no more: with what the largest event has it still fits a value.
const FULL: usize = 4 << 10;
/// Octets up to which a chunk is written again with more events, so that small batches make no small values.
const SMALL: usize = 2 << 10;
/// Octets that an event has besides its id, and a series besides its names, at most.
const OVERHEAD: usize = 40;

/// The last chunk of the log, if it takes more.
#[derive(Debug, Clone, Default)]
pub(super) struct OpenChunk {
    chunk: ChunkRecord,
    octets: usize,
}

/// Chunks that are added to the log.
pub(super) struct Writer {
    /// Number of the first of `chunks`.
    number: u64,
    /// Whether the first of them was in the log before.
    continued: bool,
    chunks: Vec<OpenChunk>,
}

impl Writer {
    /// Goes on after so many chunks, the last of which may take more.
    pub(super) fn new(chunks: u64, last: Option<&OpenChunk>) -> Self {
        let last = last.filter(|last| chunks > 0 && last.octets < SMALL);
        Self {
            number: chunks - u64::from(last.is_some()),
            continued: last.is_some(),
            chunks: last.into_iter().cloned().collect(),
        }
    }

    /// Adds an event of `vendor`, used in `month`, that stands on the statement of `booked`.
    pub(super) fn push(&mut self, item: &Item, vendor: &str, month: Month, booked: Month) {
        if self.chunks.last().is_none_or(|last| last.octets >= FULL) {
            self.chunks.push(OpenChunk::default());
        }
        let Some(OpenChunk { chunk, octets }) = self.chunks.last_mut() else { return };
        let is_of = |series: &SeriesRecord| {
            (series.month, series.booked) == (month.0, booked.0)
                && series.source == item.source
                && series.service == item.service
                && series.vendor == vendor
        };
        let position = chunk.series.iter().rposition(is_of).unwrap_or_else(|| {
            *octets += item.source.len() + vendor.len() + item.service.len() + OVERHEAD;
            chunk.series.push(SeriesRecord {
                source: item.source.clone(),
                vendor: vendor.to_owned(),
                service: item.service.clone(),
                month: month.0,
                booked: booked.0,
            });
            chunk.series.len() - 1
        });
        *octets += item.id.len() + OVERHEAD;
        chunk.events.push(EventRecord {
            series: u32::try_from(position).unwrap_or(u32::MAX),
            id: item.id.clone(),
            quantity: item.quantity,
            seconds: item.seconds,
            nanos: item.nanos,
        });
    }

    /// How many chunks the log has with these.
    pub(super) fn end(&self) -> u64 {
        self.number + self.chunks.len() as u64
    }

    /// Adds the chunks to a change.
    pub(super) fn write(&self, change: &mut UsageChange) {
        for (number, OpenChunk { chunk, .. }) in (self.number..).zip(&self.chunks) {
            change.chunk(number, chunk, !self.continued || number > self.number);
        }
    }

    /// The last chunk.
    pub(super) fn last(self) -> Option<OpenChunk> {
        self.chunks.into_iter().last()
    }
}

/// The events of a chunk, each with what it has in common with others.
pub(super) fn events(chunk: &ChunkRecord) -> impl Iterator<Item = (&SeriesRecord, &EventRecord)> {
    chunk.events.iter().filter_map(|event| Some((chunk.series.get(event.series as usize)?, event)))
}

/// What the events of a chunk leave in the index.
pub(super) fn marks(chunk: &ChunkRecord) -> impl Iterator<Item = (Key, Mark)> + '_ {
    events(chunk).map(|(series, event)| {
        let content = content(&series.service, event.quantity, event.seconds, event.nanos);
        (key(&series.source, &event.id), Mark { content, vendor: vendor_mark(&series.vendor) })
    })
}
