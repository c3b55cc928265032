//! Makes runs: of marks that were in memory, or of smaller runs.

use std::collections::VecDeque;

use licensor::store::StoreError;

use super::{
    super::item::{Key, Mark},
    Marks,
    run::{FULL, block_of, decode_block, encode_block, filter_add, filter_of, first_bits, form},
};
use crate::ledger::{Ledger, RunPart, RunRecord};

/// Octets that are committed at once.
const COMMIT: usize = 256 << 10;
/// Values that are read at once.
const PAGE: usize = 32;

/// Makes a run of marks.
pub(in super::super) async fn build(
    ledger: &Ledger,
    id: u64,
    marks: &Marks,
) -> Result<RunRecord, StoreError> {
    let mut sorted: Vec<(Key, Mark)> = marks.iter().map(|(key, mark)| (*key, *mark)).collect();
    sorted.sort_unstable_by_key(|(key, _)| *key);
    let mut writer = Writer::new(ledger, form(id, 0, sorted.len() as u64));
    for (key, mark) in sorted {
        writer.push(key, mark).await?;
    }
    writer.end().await
}

/// Makes one run of several.
pub(in super::super) async fn merge(
    ledger: &Ledger,
    id: u64,
    runs: &[RunRecord],
) -> Result<RunRecord, StoreError> {
    let level = runs.iter().map(|run| run.level).max().unwrap_or_default() + 1;
    let mut writer = Writer::new(ledger, form(id, level, runs.iter().map(|run| run.marks).sum()));
    // A slice of the keys at a time, no smaller than a block of any run.
    let bits = runs.iter().map(|run| run.block_bits).min().unwrap_or_default();
    let mut readers: Vec<_> = runs.iter().map(|run| Reader::new(ledger, run.id)).collect();
    let mut slice = Vec::new();
    for number in 0..1_u32 << bits {
        for reader in &mut readers {
            reader.take_slice(number, bits, &mut slice).await?;
        }
        slice.sort_unstable_by_key(|(key, _)| *key);
        for (key, mark) in slice.drain(..) {
            writer.push(key, mark).await?;
        }
    }
    writer.end().await
}

/// Reads a run from its beginning to its end.
struct Reader<'a> {
    ledger: &'a Ledger,
    run: u64,
    next: Option<(u32, u16)>,
    marks: VecDeque<(Key, Mark)>,
}

impl<'a> Reader<'a> {
    fn new(ledger: &'a Ledger, run: u64) -> Self {
        Self { ledger, run, next: Some((0, 0)), marks: VecDeque::new() }
    }

    /// Moves the marks of a slice, and of those before it, to `slice`.
    async fn take_slice(
        &mut self,
        number: u32,
        bits: u32,
        slice: &mut Vec<(Key, Mark)>,
    ) -> Result<(), StoreError> {
        loop {
            while let Some(entry) = self.marks.pop_front_if(|(key, _)| first_bits(key, bits) <= number) {
                slice.push(entry);
            }
            let Some(next) = self.next.filter(|_| self.marks.is_empty()) else { return Ok(()) };
            let page = self.ledger.run_blocks(self.run, next, PAGE).await?;
            self.next = page.last().map(|((block, part), _)| match part.checked_add(1) {
                Some(part) => (*block, part),
                None => (block + 1, 0),
            });
            self.marks.extend(page.iter().flat_map(|(_, block)| decode_block(block)));
        }
    }
}

/// Writes a run from its beginning to its end.
struct Writer<'a> {
    ledger: &'a Ledger,
    run: RunRecord,
    block: (u32, Vec<(Key, Mark)>),
    filter: (u32, Vec<u8>),
    ready: Vec<(RunPart, Vec<u8>)>,
    octets: usize,
}

impl<'a> Writer<'a> {
    fn new(ledger: &'a Ledger, run: RunRecord) -> Self {
        let filter = (0, vec![0; run.filter_octets as usize]);
        Self { ledger, run, block: (0, Vec::new()), filter, ready: Vec::new(), octets: 0 }
    }

    /// Adds a mark; keys come in their order.
    async fn push(&mut self, key: Key, mark: Mark) -> Result<(), StoreError> {
        let (block, filter) = (block_of(&self.run, &key), filter_of(&self.run, &key));
        if block != self.block.0 {
            self.end_block();
            self.block.0 = block;
        }
        if filter != self.filter.0 {
            self.end_filter();
            self.filter.0 = filter;
        }
        self.block.1.push((key, mark));
        filter_add(&mut self.filter.1, &key);
        if self.octets >= COMMIT { self.commit().await } else { Ok(()) }
    }

    async fn end(mut self) -> Result<RunRecord, StoreError> {
        self.end_block();
        self.end_filter();
        self.commit().await?;
        Ok(self.run)
    }

    fn end_block(&mut self) {
        let (number, marks) = (self.block.0, std::mem::take(&mut self.block.1));
        for (part, marks) in (0..).zip(marks.chunks(FULL)) {
            self.add(RunPart::Block(number, part), encode_block(marks));
        }
    }

    fn end_filter(&mut self) {
        let part = std::mem::replace(&mut self.filter.1, vec![0; self.run.filter_octets as usize]);
        self.add(RunPart::Filter(self.filter.0), part);
    }

    fn add(&mut self, part: RunPart, value: Vec<u8>) {
        self.octets += value.len();
        self.ready.push((part, value));
    }

    async fn commit(&mut self) -> Result<(), StoreError> {
        self.octets = 0;
        self.ledger.add_run_parts(self.run.id, std::mem::take(&mut self.ready)).await
    }
}
