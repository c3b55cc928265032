//! The embedded store: sled, with the care that makes it durable.
//!
//! sled acknowledges before a change is on the disk, and its own flush only starts the write-out. So one thread commits:
//! it takes every batch that waits, applies them as one sled batch, flushes, syncs the database file itself, and only
//! then answers all of them. Meanwhile readers see the values from before ([`Overlay`]).

use std::{
    collections::{BTreeMap, HashMap},
    fs::File,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, RwLock},
    thread,
};

use async_trait::async_trait;
use sled::IVec;
use tokio::sync::{mpsc, oneshot, watch};

use super::{
    Batch, Pairs, Snapshot, Store, StoreError, log,
    overlay::{Former, Overlay},
    sled_directory,
    snapshot::{SledSnapshot, UnderWay},
};
use crate::file;

/// Batches that wait for the committer; past it callers wait in line.
const QUEUE: usize = 1024;
/// Batches that share one sync at most.
const GROUP: usize = 512;
/// Turns that the committer leaves to others, one after the other, before it goes on without them.
const TURNS: usize = 4;

/// Octets that a value may have. sled moves large pages into files of their own, which it never syncs; sixteen values of
/// this size make a page that stays in place.
const LARGEST_VALUE: usize = 7 << 10;

/// How to open the store.
#[derive(Debug, Clone)]
pub struct SledOptions {
    /// Its directory; made if absent.
    pub directory: PathBuf,
    /// Bytes of memory for the page cache.
    pub cache_bytes: u64,
    /// Bytes that must stay free on the disk; below it commits are refused.
    pub minimum_free_bytes: u64,
}

/// The store on one machine.
#[derive(Debug)]
pub struct SledStore {
    shared: Arc<Shared>,
    queue: mpsc::Sender<Request>,
    failure: watch::Receiver<Option<StoreError>>,
    committer: Option<thread::JoinHandle<()>>,
}

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) database: sled::Db,
    overlay: RwLock<Overlay>,
    /// The snapshot that is being read. Held while a group is applied: a snapshot has a group whole or not at all.
    pub(super) snapshot: Mutex<Option<UnderWay>>,
}

#[derive(Debug)]
struct Request {
    batch: Batch,
    answer: oneshot::Sender<Result<Vec<u64>, StoreError>>,
}

impl SledStore {
    /// Opens the store. The caller holds the lock of the data directory: two processes on one sled directory damage it.
    ///
    /// # Errors
    /// [`StoreError::Directory`] if the directory cannot be used, [`StoreError::Damaged`] if what is in it is not whole.
    pub fn open(options: &SledOptions) -> Result<Self, StoreError> {
        let path = &options.directory;
        let unusable = |cause: String| StoreError::Directory { path: path.display().to_string(), cause };
        sled_directory::prepare(path).map_err(|error| unusable(error.to_string()))?;
        let config = sled::Config::new().path(path).cache_capacity(options.cache_bytes).flush_every_ms(None);
        // sled panics on some kinds of damage.
        let database = catch_unwind(AssertUnwindSafe(|| config.open()))
            .map_err(|_| StoreError::Damaged {
                path: path.display().to_string(),
                cause: "unreadable".into(),
            })?
            .map_err(|error| match error {
                sled::Error::Io(error) => unusable(error.to_string()),
                other => StoreError::Damaged { path: path.display().to_string(), cause: other.to_string() },
            })?;
        // sled never syncs its configuration, nor the names of its files.
        let sync = || -> std::io::Result<File> {
            File::open(path.join("conf"))?.sync_all()?;
            file::sync_directory(path)?;
            if let Some(parent) = path.parent() {
                file::sync_directory(parent)?;
            }
            let data = File::options().read(true).write(true).open(path.join("db"))?;
            data.sync_all()?;
            Ok(data)
        };
        let data = sync().map_err(|error| unusable(error.to_string()))?;
        sled_directory::mark(path, &database)?;
        let shared = Arc::new(Shared { database, overlay: RwLock::default(), snapshot: Mutex::default() });
        let (queue, requests) = mpsc::channel(QUEUE);
        let (failed, failure) = watch::channel(None);
        let committer = Committer {
            shared: Arc::clone(&shared),
            data,
            directory: path.clone(),
            minimum_free_bytes: options.minimum_free_bytes,
            log_ends: HashMap::new(),
            failed,
        };
        let committer = thread::Builder::new()
            .name("committer".into())
            .spawn(move || committer.run(requests))
            .map_err(|error| unusable(error.to_string()))?;
        Ok(Self { shared, queue, failure, committer: Some(committer) })
    }

    /// Waits until the store fails for good; the process should then end, so that it is started anew.
    pub fn failure(&self) -> impl Future<Output = StoreError> + Send + 'static {
        let mut failure = self.failure.clone();
        async move {
            let error = failure.wait_for(Option::is_some).await.ok().and_then(|failure| failure.clone());
            match error {
                Some(error) => error,
                None => std::future::pending().await,
            }
        }
    }

    fn failed(&self, cause: &str) -> StoreError {
        self.failure
            .borrow()
            .clone()
            .unwrap_or_else(|| StoreError::Failed { path: "the data directory".into(), cause: cause.into() })
    }
}

impl Drop for SledStore {
    fn drop(&mut self) {
        // Closing the queue ends the committer after what waits; sled's files are closed when this returns.
        let (closed, _) = mpsc::channel(1);
        self.queue = closed;
        if let Some(committer) = self.committer.take() {
            let _ = committer.join();
        }
    }
}

#[async_trait]
impl Store for SledStore {
    async fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        // The guard is held across both reads: the committer shows the former values before it changes any.
        let overlay = self.shared.overlay.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(former) = overlay.get(key) {
            return Ok(former.as_ref().map(|value| value.to_vec()));
        }
        let value = self.shared.database.get(key).map_err(|error| self.failed(&error.to_string()))?;
        Ok(value.map(|value| value.to_vec()))
    }

    async fn scan(&self, prefix: &[u8], from: &[u8], limit: usize) -> Result<Pairs, StoreError> {
        let overlay = self.shared.overlay.read().unwrap_or_else(PoisonError::into_inner);
        let stored = self
            .shared
            .database
            .range(from.max(prefix)..)
            .take_while(|pair| pair.as_ref().map_or(true, |(key, _)| key.starts_with(prefix)));
        overlay.merge(prefix, from, limit, stored).map_err(|error| self.failed(&error.to_string()))
    }

    async fn commit(&self, batch: Batch) -> Result<Vec<u64>, StoreError> {
        let (answer, answered) = oneshot::channel();
        self.queue
            .send(Request { batch, answer })
            .await
            .map_err(|_| self.failed("the committer has stopped"))?;
        answered.await.map_err(|_| self.failed("the committer has stopped"))?
    }

    async fn snapshot(&self) -> Result<Box<dyn Snapshot>, StoreError> {
        Ok(Box::new(SledSnapshot::begin(&self.shared)?))
    }
}

struct Committer {
    shared: Arc<Shared>,
    data: File,
    directory: PathBuf,
    minimum_free_bytes: u64,
    /// The newest positions of logs, by prefix.
    log_ends: HashMap<Vec<u8>, u64>,
    failed: watch::Sender<Option<StoreError>>,
}

/// What a group of batches does together.
#[derive(Default)]
struct Group {
    changes: HashMap<IVec, Option<IVec>>,
    /// What is stored under each key that is changed, or of which something is expected.
    former: Former,
    /// What is added to logs: by prefix, the newest position before, and the entries after it.
    appended: BTreeMap<Vec<u8>, (u64, Vec<Vec<u8>>)>,
}

impl Group {
    /// The value of a key that was looked up, after what was staged so far.
    fn current(&self, key: &[u8]) -> Option<&IVec> {
        self.changes.get(key).or_else(|| self.former.get(key))?.as_ref()
    }

    /// Sets a key that is absent.
    fn add(&mut self, key: Vec<u8>, value: Vec<u8>) {
        let key = IVec::from(key);
        self.former.insert(key.clone(), None);
        self.changes.insert(key, Some(value.into()));
    }
}

impl Committer {
    fn run(mut self, requests: mpsc::Receiver<Request>) {
        // sled panics on some kinds of damage; whatever ends this thread is told to those who wait for a failure.
        let ended = catch_unwind(AssertUnwindSafe(|| self.serve(requests)));
        let error = match ended {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error,
            Err(_) => self.failure("sled panicked"),
        };
        tracing::error!(%error, "the store failed; nothing more is kept until a restart");
        self.failed.send_replace(Some(error));
    }

    fn serve(&mut self, mut requests: mpsc::Receiver<Request>) -> Result<(), StoreError> {
        let mut waiting = Vec::new();
        while requests.blocking_recv_many(&mut waiting, GROUP) > 0 {
            gather(&mut requests, &mut waiting);
            self.commit(std::mem::take(&mut waiting))?;
        }
        Ok(())
    }

    /// Commits what can be; an error means that the store is not to be trusted any more.
    fn commit(&mut self, requests: Vec<Request>) -> Result<(), StoreError> {
        if let Err(full) = self.check_space() {
            for request in requests {
                let _ = request.answer.send(Err(full.clone()));
            }
            return Ok(());
        }
        let mut group = Group::default();
        let mut answers = Vec::with_capacity(requests.len());
        let mut outcome = Ok(());
        for Request { batch, answer } in requests {
            let result = if outcome.is_ok() {
                self.stage(&mut group, batch)
            } else {
                outcome.clone().map(|()| vec![])
            };
            if let Err(error @ StoreError::Failed { .. }) = &result {
                outcome = Err(error.clone());
            }
            answers.push((answer, result));
        }
        let written = outcome.and_then(|()| self.write(group));
        for (answer, result) in answers {
            let _ = answer.send(written.clone().and(result));
        }
        written
    }

    /// Adds a batch to the group, or says which expectation fails.
    fn stage(&mut self, group: &mut Group, batch: Batch) -> Result<Vec<u64>, StoreError> {
        for (key, expected) in &batch.expect {
            self.look_up(group, key)?;
            if group.current(key).map(AsRef::as_ref) != expected.as_deref() {
                return Err(StoreError::Conflict { key: key.clone() });
            }
        }
        let mut values =
            batch.put.iter().chain(&batch.add).chain(&batch.append).map(|(_, value)| value.len());
        if let Some(length) = values.find(|length| *length > LARGEST_VALUE) {
            return Err(StoreError::TooLarge { length });
        }
        for (key, value) in batch.put {
            self.look_up(group, &key)?;
            group.changes.insert(key.into(), Some(value.into()));
        }
        for key in batch.delete {
            self.look_up(group, &key)?;
            group.changes.insert(key.into(), None);
        }
        let mut positions = Vec::with_capacity(batch.append.len());
        for (prefix, value) in batch.append {
            let end = self.log_end(&prefix)?;
            let (before, entries) = group.appended.entry(prefix).or_insert((end, Vec::new()));
            entries.push(value);
            positions.push(*before + entries.len() as u64);
        }
        for (key, value) in batch.add {
            group.add(key, value);
        }
        Ok(positions)
    }

    /// Reads what is stored under a key that a group expects something of or changes: once, however often it does.
    fn look_up(&self, group: &mut Group, key: &[u8]) -> Result<(), StoreError> {
        if !group.former.contains_key(key) {
            let stored = self.shared.database.get(key).map_err(|error| self.failure(&error.to_string()))?;
            group.former.insert(key.into(), stored);
        }
        Ok(())
    }

    /// The newest position of a log that is on the disk.
    fn log_end(&mut self, prefix: &[u8]) -> Result<u64, StoreError> {
        if let Some(end) = self.log_ends.get(prefix) {
            return Ok(*end);
        }
        let end = match self.shared.database.scan_prefix(prefix).next_back() {
            Some(Ok((key, _))) => log::position(prefix, &key).unwrap_or_default(),
            Some(Err(error)) => return Err(self.failure(&error.to_string())),
            None => 0,
        };
        self.log_ends.insert(prefix.to_vec(), end);
        Ok(end)
    }

    fn write(&mut self, mut group: Group) -> Result<(), StoreError> {
        for (prefix, (before, entries)) in std::mem::take(&mut group.appended) {
            self.log_ends.insert(prefix.clone(), before + entries.len() as u64);
            for (key, value) in log::chunks(&prefix, before, entries) {
                group.add(key, value);
            }
        }
        if group.changes.is_empty() {
            return Ok(());
        }
        let mut batch = sled::Batch::default();
        for (key, value) in group.changes {
            match value {
                Some(value) => batch.insert(key, value),
                None => batch.remove(key),
            }
        }
        let mut snapshot = self.shared.snapshot.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(under_way) = snapshot.as_mut() {
            under_way.keep(&group.former);
        }
        self.shared.overlay.write().unwrap_or_else(PoisonError::into_inner).show(group.former);
        let written = catch_unwind(AssertUnwindSafe(|| -> Result<(), String> {
            self.shared.database.apply_batch(batch).map_err(|error| error.to_string())?;
            self.shared.database.flush().map_err(|error| error.to_string())?;
            self.data.sync_data().map_err(|error| error.to_string())
        }))
        .unwrap_or_else(|_| Err("sled panicked".into()));
        // After a failure readers go on seeing the values from before: they are what is surely on the disk.
        written.map_err(|cause| self.failure(&cause))?;
        self.shared.overlay.write().unwrap_or_else(PoisonError::into_inner).clear();
        Ok(())
    }

    fn check_space(&self) -> Result<(), StoreError> {
        let free = free_bytes(&self.directory).map_err(|error| self.failure(&error.to_string()))?;
        if free < self.minimum_free_bytes {
            return Err(StoreError::DiskFull {
                path: self.directory.display().to_string(),
                free,
                needed: self.minimum_free_bytes,
            });
        }
        Ok(())
    }

    fn failure(&self, cause: &str) -> StoreError {
        StoreError::Failed { path: self.directory.display().to_string(), cause: cause.to_owned() }
    }
}

/// Adds those who are about to ask: a sync costs more than their turns on this core. Ends when some turns in a row have
/// brought nobody, so that nobody waits for others to come.
fn gather(requests: &mut mpsc::Receiver<Request>, waiting: &mut Vec<Request>) {
    let mut in_vain = 0;
    while in_vain < TURNS && waiting.len() < GROUP {
        let before = waiting.len();
        thread::yield_now();
        while waiting.len() < GROUP
            && let Ok(request) = requests.try_recv()
        {
            waiting.push(request);
        }
        in_vain = if waiting.len() == before { in_vain + 1 } else { 0 };
    }
}

fn free_bytes(directory: &Path) -> std::io::Result<u64> {
    let status = rustix::fs::statvfs(directory)?;
    Ok(status.f_bavail.saturating_mul(status.f_frsize))
}
