//! Keeps the index of what was counted in order, beside the counting: makes runs, and merges them.

use std::{collections::BTreeMap, sync::Arc};

use licensor::store::StoreError;
use tokio::sync::mpsc;

use super::{
    meter::Meter,
    seen::{Marks, Seen, build, merge},
};
use crate::ledger::{HeadRecord, Ledger, RunRecord, UsageChange};

/// Marks that become a run.
pub(super) const MANY: usize = 1 << 16;
/// Marks in memory past which nothing is counted until a run was made, as multiples of those that become one.
const MOST: usize = 4;
/// Runs of a level that are merged.
const FAN: usize = 8;

/// What was done beside the counting.
#[derive(Debug)]
pub(super) enum Done {
    /// A run was made of what had been frozen, in this reading of the store.
    Built(Result<RunRecord, StoreError>, u64),
    /// One run was made of these.
    Merged(Result<RunRecord, StoreError>, Vec<u64>),
}

/// The index, and who works at it.
pub(super) struct Index {
    ledger: Arc<Ledger>,
    /// Marks that become a run.
    many: usize,
    pub(super) seen: Seen,
    /// The chunk before which everything is in what is frozen, or in a run.
    frozen_until: u64,
    building: bool,
    merging: bool,
    /// How often the store has been read. What was frozen before may lack what another has added since.
    readings: u64,
    /// Something failed: nothing is tried again before somebody asks for something.
    rests: bool,
    sender: mpsc::Sender<Done>,
    pub(super) done: mpsc::Receiver<Done>,
}

impl Index {
    /// An index that makes a run of so many marks.
    pub(super) fn new(ledger: Arc<Ledger>, many: usize) -> Self {
        let (sender, done) = mpsc::channel(2);
        Self {
            ledger,
            many,
            seen: Seen::default(),
            frozen_until: 0,
            building: false,
            merging: false,
            readings: 0,
            rests: false,
            sender,
            done,
        }
    }

    /// Forgets what is in memory, to read it anew.
    pub(super) fn forget(&mut self) {
        self.seen = Seen::default();
        self.readings += 1;
    }

    /// Whether nothing more should be counted until a run was made.
    pub(super) fn is_full(&self) -> bool {
        self.building && self.seen.new.len() >= MOST * self.many
    }

    /// Drops runs that were not made to their end.
    pub(super) async fn drop_abandoned(&self, head: Option<&HeadRecord>) -> Result<(), StoreError> {
        let kept = head.map(|head| head.runs.as_slice()).unwrap_or_default();
        let mut runs = self.ledger.runs().await?;
        runs.retain(|run| !kept.iter().any(|kept| kept.id == *run));
        self.drop_runs(runs);
        Ok(())
    }

    fn drop_runs(&self, runs: Vec<u64>) {
        let ledger = self.ledger.clone();
        tokio::spawn(async move {
            for run in runs {
                if let Err(error) = ledger.drop_run(run).await {
                    tracing::warn!(%error, "what the index of usage does not need could not be dropped; it will be tried again at the next start");
                }
            }
        });
    }

    /// Whether the last of so many chunks may take more: what was frozen must not grow.
    pub(super) fn may_continue(&self, chunks: u64) -> bool {
        chunks > self.frozen_until
    }

    /// Tries again what failed.
    pub(super) fn wake(&mut self) {
        self.rests = false;
    }

    /// Begins what there is to do.
    pub(super) fn work(&mut self, head: Option<&HeadRecord>) {
        let Some(head) = head.filter(|_| !self.rests) else { return };
        if !self.building {
            if self.seen.frozen.is_none() && self.seen.new.len() >= self.many {
                self.seen.frozen = Some(Arc::new(std::mem::take(&mut self.seen.new)));
                self.frozen_until = head.chunks;
            }
            if let Some(frozen) = self.seen.frozen.clone() {
                self.building = true;
                self.build(frozen);
            }
        }
        if !self.merging {
            let mut levels: BTreeMap<u32, Vec<RunRecord>> = BTreeMap::new();
            for run in &head.runs {
                levels.entry(run.level).or_default().push(*run);
            }
            if let Some(runs) = levels.into_values().find(|runs| runs.len() >= FAN) {
                self.merging = true;
                self.merge(runs);
            }
        }
    }

    fn build(&self, frozen: Arc<Marks>) {
        let (ledger, sender, readings) = (self.ledger.clone(), self.sender.clone(), self.readings);
        tokio::spawn(async move {
            let built = build(&ledger, rand::random(), &frozen).await;
            drop(frozen);
            let _ = sender.send(Done::Built(built, readings)).await;
        });
    }

    fn merge(&self, runs: Vec<RunRecord>) {
        let (ledger, sender) = (self.ledger.clone(), self.sender.clone());
        tokio::spawn(async move {
            let merged = merge(&ledger, rand::random(), &runs).await;
            let former = runs.iter().map(|run| run.id).collect();
            let _ = sender.send(Done::Merged(merged, former)).await;
        });
    }
}

impl Meter {
    /// Takes a run that was made into the index. One that cannot be is dropped at the next start, and made again.
    pub(super) async fn install(&mut self, done: Done) {
        let Some(former) = self.head.clone() else { return };
        let mut head = former.clone();
        head.generation += 1;
        let (run, dropped, fits) = match done {
            Done::Built(run, readings) => {
                self.index.building = false;
                head.indexed = head.indexed.max(self.index.frozen_until);
                (run, Vec::new(), readings == self.index.readings)
            }
            Done::Merged(run, dropped) => {
                self.index.merging = false;
                let before = head.runs.len();
                head.runs.retain(|run| !dropped.contains(&run.id));
                let fits = before - head.runs.len() == dropped.len();
                (run, dropped, fits)
            }
        };
        if !fits {
            self.index.drop_runs(run.into_iter().map(|run| run.id).collect());
            return;
        }
        let installed = match run {
            Ok(run) => {
                head.runs.push(run);
                self.ledger.change_usage(UsageChange::new(Some(&former), &head)).await
            }
            Err(error) => Err(error),
        };
        if let Err(error) = installed {
            tracing::warn!(%error, "the index of usage could not be put in order; it will be tried again");
            self.index.rests = true;
            self.stale = true;
            return;
        }
        if dropped.is_empty() {
            self.index.seen.frozen = None;
        }
        self.index.seen.keep_only(&head.runs);
        self.index.drop_runs(dropped);
        self.head = Some(head);
    }
}
