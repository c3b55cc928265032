//! Runs of the index of what was counted, as octets: blocks of marks, and parts of filters.

use licensor::store::{Batch, StoreError};

use super::Ledger;

const RUN: &[u8] = b"usage/run/";
/// Keys that are dropped in one commit.
const DROPPED: usize = 500;

/// A part of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RunPart {
    /// A part of the filter.
    Filter(u32),
    /// A block of marks; where one has too many for a value, there are more of the same number.
    Block(u32, u16),
}

impl RunPart {
    fn key(self, run: u64) -> Vec<u8> {
        let run = run.to_be_bytes();
        match self {
            Self::Filter(number) => [RUN, &run, b"f", &number.to_be_bytes()].concat(),
            Self::Block(number, part) => {
                [RUN, &run, b"b", &number.to_be_bytes(), &part.to_be_bytes()].concat()
            }
        }
    }
}

impl Ledger {
    /// Keeps parts of a run that nobody looks at yet.
    pub(crate) async fn add_run_parts(
        &self,
        run: u64,
        parts: Vec<(RunPart, Vec<u8>)>,
    ) -> Result<(), StoreError> {
        let mut batch = Batch::new();
        for (part, value) in parts {
            batch.add(part.key(run), value);
        }
        self.store.commit(batch).await.map(|_| ())
    }

    /// A part of a run's filter.
    pub(crate) async fn run_filter(&self, run: u64, number: u32) -> Result<Option<Vec<u8>>, StoreError> {
        self.store.get(&RunPart::Filter(number).key(run)).await
    }

    /// At most `limit` values with blocks of a run, from this block on, each with the number of its block and its part.
    pub(crate) async fn run_blocks(
        &self,
        run: u64,
        from: (u32, u16),
        limit: usize,
    ) -> Result<Vec<((u32, u16), Vec<u8>)>, StoreError> {
        let prefix = [RUN, &run.to_be_bytes(), b"b"].concat();
        let page = self.store.scan(&prefix, &RunPart::Block(from.0, from.1).key(run), limit).await?;
        let place = |key: &[u8]| {
            let (number, part) = key.strip_prefix(&*prefix)?.split_first_chunk()?;
            Some((u32::from_be_bytes(*number), u16::from_be_bytes(part.try_into().ok()?)))
        };
        Ok(page.into_iter().filter_map(|(key, value)| Some((place(&key)?, value))).collect())
    }

    /// Every run of which there is anything.
    pub(crate) async fn runs(&self) -> Result<Vec<u64>, StoreError> {
        let (mut runs, mut next) = (Vec::new(), RUN.to_vec());
        while let Some((key, _)) = self.store.scan(RUN, &next, 1).await?.pop() {
            let run = super::number(&key[RUN.len()..]);
            runs.push(run);
            next = [RUN, &run.to_be_bytes(), &[0xff]].concat();
        }
        Ok(runs)
    }

    /// Drops a run that nobody looks at any more.
    pub(crate) async fn drop_run(&self, run: u64) -> Result<(), StoreError> {
        let prefix = [RUN, &run.to_be_bytes()].concat();
        loop {
            let page = self.store.scan(&prefix, &prefix, DROPPED).await?;
            if page.is_empty() {
                return Ok(());
            }
            let mut batch = Batch::new();
            for (key, _) in page {
                batch.delete(key);
            }
            self.store.commit(batch).await?;
        }
    }
}
