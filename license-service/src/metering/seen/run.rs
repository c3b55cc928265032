//! The form of a run: how a key leads to its block and its part of the filter, and what these are as octets.

use crate::ledger::RunRecord;

use super::super::item::{Key, Mark};

/// Octets of a mark with its key.
const ENTRY: usize = 28;
/// Marks that a block has on average at most; about twice as many fit a value.
const BLOCK: u64 = 120;
/// Marks in a value of a block at most.
pub(super) const FULL: usize = 240;
/// Marks that a part of the filter stands for on average at most.
const FILTER: u64 = 3072;
/// Octets of a line of a filter.
const LINE: usize = 64;
/// Bits of the filter for each mark: of a thousand unknown keys about one or two are not told from known ones.
const BITS: u64 = 14;
/// Bits that a mark sets.
const PROBES: u64 = 8;

/// The form of a run with so many marks.
pub(super) fn form(id: u64, level: u32, marks: u64) -> RunRecord {
    let bits = |each: u64| marks.div_ceil(each).max(1).next_power_of_two().trailing_zeros();
    let filter_bits = bits(FILTER);
    let filter_octets =
        ((marks * BITS) >> filter_bits).div_ceil(8).next_multiple_of(LINE as u64).max(LINE as u64);
    RunRecord {
        id,
        level,
        marks,
        block_bits: bits(BLOCK),
        filter_bits,
        filter_octets: u32::try_from(filter_octets).unwrap_or(u32::MAX),
    }
}

/// The first `bits` bits of a key.
pub(super) fn first_bits(key: &Key, bits: u32) -> u32 {
    let [a, b, c, d, ..] = *key;
    u32::from_be_bytes([a, b, c, d]).checked_shr(32 - bits).unwrap_or(0)
}

pub(super) fn block_of(run: &RunRecord, key: &Key) -> u32 {
    first_bits(key, run.block_bits)
}

pub(super) fn filter_of(run: &RunRecord, key: &Key) -> u32 {
    first_bits(key, run.filter_bits)
}

/// Whether a part of a filter may have a key.
pub(super) fn filter_has(part: &[u8], key: &Key) -> bool {
    let (line, mut probes) = probes(part.len() / LINE, key);
    let line = part.get(line..line + LINE);
    line.is_some_and(|line| probes.all(|bit| line[bit / 8] & (1 << (bit % 8)) != 0))
}

/// Adds a key to a part of a filter.
pub(super) fn filter_add(part: &mut [u8], key: &Key) {
    let (line, probes) = probes(part.len() / LINE, key);
    if let Some(line) = part.get_mut(line..line + LINE) {
        for bit in probes {
            line[bit / 8] |= 1 << (bit % 8);
        }
    }
}

/// Where the line of a key begins, and the bits in it that stand for the key: from those of the key's bits that choose no
/// part. All of them are in one line, because each line costs a look into memory.
fn probes(lines: usize, key: &Key) -> (usize, impl Iterator<Item = usize>) {
    let [_, _, _, _, a, b, c, d, e, f, g, h, i, j, k, l] = *key;
    let line = (u64::from(u32::from_be_bytes([a, b, c, d])) * lines as u64) >> 32;
    let first = u64::from_be_bytes([e, f, g, h, i, j, k, l]);
    let step = (first >> 32) | 1;
    let bits = (0..PROBES)
        .map(move |probe| (first.wrapping_add(probe.wrapping_mul(step)) % (LINE as u64 * 8)) as usize);
    (line as usize * LINE, bits)
}

pub(super) fn encode_block(marks: &[(Key, Mark)]) -> Vec<u8> {
    let mut block = Vec::with_capacity(marks.len() * ENTRY);
    for (key, mark) in marks {
        block.extend_from_slice(key);
        block.extend_from_slice(&mark.content);
        block.extend_from_slice(&mark.vendor);
    }
    block
}

pub(super) fn decode_block(block: &[u8]) -> impl Iterator<Item = (Key, Mark)> + '_ {
    block.chunks_exact(ENTRY).filter_map(|entry| {
        let (key, entry) = entry.split_first_chunk()?;
        let (content, vendor) = entry.split_first_chunk()?;
        Some((*key, Mark { content: *content, vendor: *vendor.first_chunk()? }))
    })
}
