//! The store: a small trait that an embedded and a distributed key-value store can both keep.
//!
//! Keys sort the way they are listed. Values are protobuf messages: what they mean is the ledgers' business.

pub mod blob;
mod log;
mod overlay;
mod sled_directory;
mod sled_store;
mod snapshot;

use std::{fmt::Debug, sync::Arc, time::Duration};

use async_trait::async_trait;

use crate::error::{Error, Reason};

pub use sled_store::{SledOptions, SledStore};

/// Keys and values, in the order of the keys.
pub type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

/// Why the store did not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A key did not have the value that the batch expected; nothing was changed.
    #[error("another change came first")]
    Conflict {
        /// The key.
        key: Vec<u8>,
    },
    /// Another process has the directory.
    #[error("{path} is in use by process {holder}: stop it first, or choose another `data_dir`")]
    Locked {
        /// The directory.
        path: String,
        /// Who has it.
        holder: String,
    },
    /// Too little space is left; nothing was changed.
    #[error("only {free} bytes are free on the disk of {path}, and {needed} must stay free: make room there")]
    DiskFull {
        /// The directory.
        path: String,
        /// Bytes that are free.
        free: u64,
        /// Bytes that must stay free.
        needed: u64,
    },
    /// The directory cannot be used.
    #[error("{path}: {cause}")]
    Directory {
        /// The directory.
        path: String,
        /// What the system said.
        cause: String,
    },
    /// Somebody reads a snapshot already.
    #[error("a backup is being made already: wait for its end")]
    Busy,
    /// A snapshot was read so slowly that too much was changed meanwhile.
    #[error(
        "the backup is taken too slowly: too much has changed since it was begun; write it to a faster disk"
    )]
    Outrun,
    /// A value is larger than the store takes; nothing was changed.
    #[error("a record of {length} octets is too large to be kept")]
    TooLarge {
        /// Its length in octets.
        length: usize,
    },
    /// The store's files are damaged.
    #[error(
        "the store in {path} is damaged ({cause}): keep a copy of the directory, restore the latest backup, and start again"
    )]
    Damaged {
        /// The directory.
        path: String,
        /// What was found.
        cause: String,
    },
    /// The store failed while it was working; whether the batch was kept shows after a restart.
    #[error("the store in {path} failed ({cause}): see to the disk, then restart the service")]
    Failed {
        /// The directory.
        path: String,
        /// What the system said.
        cause: String,
    },
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        // Paths and causes are for the operator: they go to the log and not to the caller.
        match error {
            StoreError::DiskFull { .. } => {
                tracing::error!(%error, "nothing is kept until there is room on the disk");
                Self::new(
                    Reason::DiskFull,
                    "the disk of this service is almost full: make room in its data directory, its log says how much",
                )
                .retry_after(Duration::from_secs(30))
            }
            StoreError::Busy | StoreError::Outrun => {
                Self::new(Reason::Overloaded, error.to_string()).retry_after(Duration::from_secs(30))
            }
            StoreError::TooLarge { .. } => Self::new(Reason::InvalidArgument, error.to_string()),
            StoreError::Conflict { .. } => Self::new(
                Reason::StoreUnavailable,
                "the record is being changed by others all the time: try again",
            )
            .retry_after(Duration::from_millis(100)),
            _ => {
                tracing::error!(%error, "the store does not work");
                Self::new(
                    Reason::StoreUnavailable,
                    "this service cannot keep records at the moment: see its log",
                )
                .retry_after(Duration::from_secs(5))
            }
        }
    }
}

/// A set of changes that happen together or not at all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    expect: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    put: Vec<(Vec<u8>, Vec<u8>)>,
    delete: Vec<Vec<u8>>,
    add: Vec<(Vec<u8>, Vec<u8>)>,
    append: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Batch {
    /// Changes nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The batch fails unless `key` has this value (`None`: is absent) when it is applied.
    pub fn expect(&mut self, key: impl Into<Vec<u8>>, value: Option<Vec<u8>>) -> &mut Self {
        self.expect.push((key.into(), value));
        self
    }

    /// Sets `key` to `value`.
    pub fn put(&mut self, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> &mut Self {
        self.put.push((key.into(), value.into()));
        self
    }

    /// Sets `key`, which nobody has ever set: it holds random octets, or a number that is given out once. Unlike for
    /// [`Batch::put`], nobody needs to look what was there before.
    pub fn add(&mut self, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> &mut Self {
        self.add.push((key.into(), value.into()));
        self
    }

    /// Removes `key`.
    pub fn delete(&mut self, key: impl Into<Vec<u8>>) -> &mut Self {
        self.delete.push(key.into());
        self
    }

    /// Adds `value` to the log under `prefix`, at its next position. Positions begin with 1, have no gaps, and follow
    /// the order in which batches become durable: a reader that has seen one has seen all before it.
    pub fn append(&mut self, prefix: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> &mut Self {
        self.append.push((prefix.into(), value.into()));
        self
    }
}

/// A key-value store with atomic, durable commits. Readers see only what is durable.
#[async_trait]
pub trait Store: Debug + Send + Sync {
    /// The value of a key.
    async fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// At most `limit` pairs whose keys begin with `prefix` and are not less than `from`, in the order of the keys.
    async fn scan(&self, prefix: &[u8], from: &[u8], limit: usize) -> Result<Pairs, StoreError>;

    /// At most `limit` entries of the log under `prefix`, from the position `from` on, each with its position.
    async fn read_log(
        &self,
        prefix: &[u8],
        from: u64,
        limit: usize,
    ) -> Result<Vec<(u64, Vec<u8>)>, StoreError> {
        log::read(self, prefix, from, limit).await
    }

    /// The newest position in the log under `prefix`; 0 if it is empty.
    async fn log_end(&self, prefix: &[u8]) -> Result<u64, StoreError> {
        log::end(self, prefix).await
    }

    /// Applies a batch. When this returns, the change is on the disk; the result holds the position of each value
    /// that was appended, in the batch's order.
    async fn commit(&self, batch: Batch) -> Result<Vec<u64>, StoreError>;

    /// A view of everything as it is now, whatever is committed while it is read. One at a time: others are told
    /// [`StoreError::Busy`].
    async fn snapshot(&self) -> Result<Box<dyn Snapshot>, StoreError>;
}

/// The store as it was at one instant.
#[async_trait]
pub trait Snapshot: Debug + Send {
    /// The next pairs, in the order of the keys; at most `limit`, none at the end.
    async fn next(&mut self, limit: usize) -> Result<Pairs, StoreError>;
}

/// The store as everyone holds it.
pub type SharedStore = Arc<dyn Store>;

#[cfg(test)]
mod contract;
