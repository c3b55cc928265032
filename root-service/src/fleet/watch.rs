//! Keeps the index of all nodes while somebody looks at it.
//!
//! The first look reads every node once, page by page, and gives way for as long as each page took: half of one core at most,
//! for some seconds if there are a million. From then on the log of events says which nodes have changed, and only those are
//! read again. Each round of that waits [`PAUSE`] at least, and [`SHARE`] times as long as it took: a round costs time in
//! proportion to the whole fleet, because an order of a million has to be written anew for one node, and this bounds it to a
//! twentieth of one core whatever happens. When nobody has looked for [`FORGET`] the memory is given back.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, UNIX_EPOCH},
};

use licensor::{
    clock::SharedClock,
    error::{Error, Result},
    event::{EventKind, decode, kind_of},
    serve::Shutdown,
};
use tokio::sync::watch;

use super::{
    counts::{Counts, Judge, Rules},
    index::{Entry, Facts, Index, Standing},
    selection::{Selected, Selection},
};
use crate::ledger::{Ledger, NodeRecord};

/// The shortest time from one round to the next.
const PAUSE: Duration = Duration::from_secs(1);
/// How many times as long as a round took the pause after it is.
const SHARE: u32 = 20;
/// The longest pause, however long a round seems to have taken.
const LONGEST: Duration = Duration::from_secs(60);
/// How long after the last look the index is kept.
const FORGET: Duration = Duration::from_secs(15 * 60);
/// How long a page waits for the first index: that of a small fleet is there by then.
const FIRST: Duration = Duration::from_millis(500);
/// Nodes that are read at once.
const PAGE: usize = 500;
/// Events that a round looks at.
const ROUND: usize = 20_000;

/// What there is to be seen.
#[derive(Debug, Clone, Default)]
pub(crate) struct View {
    /// All nodes, once they were read.
    pub(crate) index: Option<Arc<Index>>,
    /// How many were read so far.
    pub(crate) read: usize,
    /// Whether they cannot be read; the log of the service says why.
    pub(crate) failed: bool,
    version: u64,
}

/// The fleet, kept up to date while somebody looks.
#[derive(Debug)]
pub(crate) struct FleetWatch {
    ledger: Arc<Ledger>,
    clock: SharedClock,
    rules: Rules,
    view: watch::Sender<View>,
    /// When somebody last looked, on the clock's axis of elapsed time.
    looked: watch::Sender<Option<Duration>>,
    /// Version, second and outcome of the latest count.
    counted: Mutex<Option<(u64, i64, Counts)>>,
    /// Whoever goes through all nodes does so alone: many who search at once take one core, and not all.
    desk: tokio::sync::Mutex<()>,
}

impl FleetWatch {
    pub(crate) fn new(ledger: Arc<Ledger>, clock: SharedClock, rules: Rules) -> Arc<Self> {
        Arc::new(Self {
            ledger,
            clock,
            rules,
            view: watch::Sender::default(),
            looked: watch::Sender::default(),
            counted: Mutex::default(),
            desk: tokio::sync::Mutex::default(),
        })
    }

    /// Word of every change of what is to be seen.
    pub(crate) fn subscribe(&self) -> watch::Receiver<View> {
        self.view.subscribe()
    }

    /// Somebody looks.
    pub(crate) fn look(&self) {
        self.looked.send_replace(Some(self.clock.elapsed()));
    }

    /// What there is to be seen by somebody who has just come.
    pub(crate) async fn view(&self) -> View {
        self.look();
        let mut view = self.subscribe();
        let there = |view: &View| view.index.is_some() || view.failed;
        tokio::select! {
            // At once if it is there: nobody's time passes.
            biased;
            _ = view.wait_for(there) => {}
            () = self.clock.wait_until(self.clock.now() + FIRST, FIRST) => {}
        }
        self.view.borrow().clone()
    }

    /// What is counted now, at most once a second.
    pub(crate) async fn counts(&self, view: &View) -> Result<Counts> {
        let Some(index) = view.index.clone() else { return Ok(Counts::default()) };
        let (version, now) = (view.version, self.now());
        let known = || {
            let counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
            counted.filter(|(of, at, _)| (*of, *at) == (version, now.div_euclid(1000)))
        };
        if let Some((_, _, counts)) = known() {
            return Ok(counts);
        }
        let _desk = self.desk.lock().await;
        if let Some((_, _, counts)) = known() {
            return Ok(counts);
        }
        let rules = self.rules.clone();
        let counts = apart(move || rules.at(now).count(index.facts())).await?;
        let counted = Some((version, now.div_euclid(1000), counts));
        *self.counted.lock().unwrap_or_else(PoisonError::into_inner) = counted;
        Ok(counts)
    }

    /// The nodes that somebody wants to see.
    pub(crate) async fn select(&self, index: &Arc<Index>, selection: Selection) -> Result<Selected> {
        let (index, rules, now) = (Arc::clone(index), self.rules.clone(), self.now());
        let _desk = self.desk.lock().await;
        apart(move || selection.of(&index, &rules.at(now))).await
    }

    /// What the rules say now.
    pub(crate) fn judge(&self) -> Judge<'_> {
        self.rules.at(self.now())
    }

    /// Milliseconds since 1970.
    fn now(&self) -> i64 {
        let since = self.clock.now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    }

    /// Works until `shutdown`.
    pub(crate) async fn run(self: Arc<Self>, shutdown: Shutdown) -> anyhow::Result<()> {
        shutdown.cut(self.work()).await;
        Ok(())
    }

    async fn work(&self) {
        let (mut looked, mut events) = (self.looked.subscribe(), self.ledger.events().subscribe());
        loop {
            // Its sender is `self`.
            let _ = looked.wait_for(|looked| self.is_recent(*looked)).await;
            let mut read_to = None;
            while self.is_looked_at() {
                let (begun, whole) = (self.clock.elapsed(), read_to.is_none());
                events.mark_unchanged();
                let round = self.round(&mut read_to).await;
                if let Err(error) = &round {
                    tracing::error!(%error, "the nodes cannot be read for the fleet page; it is tried again");
                }
                self.view.send_if_modified(|view| {
                    std::mem::replace(&mut view.failed, round.is_err()) != round.is_err()
                });
                let took = self.clock.elapsed().saturating_sub(begun);
                // A reading of all gives way by itself.
                let pause = if whole { PAUSE } else { (took * SHARE).clamp(PAUSE, LONGEST) };
                self.clock.wait_until(self.clock.now() + pause, pause).await;
                if matches!(round, Ok(false)) {
                    tokio::select! {
                        _ = events.changed() => {}
                        () = self.forgotten() => {}
                    }
                }
            }
            self.view.send_modify(|view| *view = View { version: view.version + 1, ..View::default() });
        }
    }

    fn is_looked_at(&self) -> bool {
        let looked = *self.looked.borrow();
        self.is_recent(looked)
    }

    fn is_recent(&self, looked: Option<Duration>) -> bool {
        looked.is_some_and(|looked| self.clock.elapsed() < looked + FORGET)
    }

    async fn forgotten(&self) {
        while self.is_looked_at() {
            self.clock.wait_until(self.clock.now() + FORGET, FORGET / 10).await;
        }
    }

    /// Reads every node, or those that have changed since the event `read_to`. Whether there is more to read.
    async fn round(&self, read_to: &mut Option<u64>) -> Result<bool> {
        let index = self.view.borrow().index.clone();
        let (Some(index), Some(from)) = (index, *read_to) else {
            // What changes while they are read is read again in the next round.
            let latest = *self.ledger.events().subscribe().borrow();
            let index = self.read_all().await?;
            self.show(index);
            *read_to = Some(latest);
            return Ok(true);
        };
        let entries = self.ledger.events().entries(from + 1, ROUND).await?;
        let Some((last, _)) = entries.last() else { return Ok(false) };
        let names: BTreeSet<String> = entries.iter().filter_map(|(_, entry)| changed(entry)).collect();
        let mut nodes = Vec::with_capacity(names.len());
        for (place, name) in names.iter().enumerate() {
            if let Some(node) = self.ledger.node(name).await? {
                nodes.push(entry(&self.ledger, node.record).await?);
            }
            if place % PAGE == PAGE - 1 {
                tokio::task::yield_now().await;
            }
        }
        if !nodes.is_empty() {
            self.show(apart(move || index.with(&nodes)).await?);
        }
        *read_to = Some(*last);
        Ok(entries.len() == ROUND)
    }

    async fn read_all(&self) -> Result<Index> {
        let (mut index, mut token) = (Index::default(), String::new());
        loop {
            let begun = self.clock.elapsed();
            let (nodes, next) = self.ledger.nodes(&token, PAGE).await?;
            for node in nodes {
                index.add(&entry(&self.ledger, node).await?);
            }
            self.view.send_modify(|view| view.read = index.len());
            if next.is_empty() {
                break;
            }
            token = next;
            let took = self.clock.elapsed().saturating_sub(begun);
            self.clock.wait_until(self.clock.now() + took, took).await;
        }
        apart(move || {
            index.arrange();
            index
        })
        .await
    }

    fn show(&self, index: Index) {
        self.view.send_modify(|view| {
            let (read, version) = (index.len(), view.version + 1);
            *view = View { index: Some(Arc::new(index)), read, failed: false, version };
        });
    }
}

/// Where nobody waits: the threads that answer calls do not.
async fn apart<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Error::internal("fleet", error))
}

/// The node whose standing or certificate an entry of the log tells to be another one.
fn changed(entry: &[u8]) -> Option<String> {
    let kind = kind_of(entry)?;
    let changes = matches!(
        kind,
        EventKind::NodeEnrolled
            | EventKind::CertificateRenewed
            | EventKind::CertificateRevoked
            | EventKind::NodeDecommissioned
    );
    changes.then(|| decode(entry)).flatten().map(|(_, event)| event.node).filter(|node| !node.is_empty())
}

async fn entry(ledger: &Ledger, node: NodeRecord) -> Result<Entry> {
    let not_after = ledger.not_after(&node).await?;
    Ok(Entry {
        standing: standing(&node),
        issued_at: node.current.issued_at,
        renewed: node.current.issued_at > node.enrolled_at,
        not_after,
        name: node.name,
        owner: node.owner,
    })
}

/// What has become of a node.
pub(super) fn standing(node: &NodeRecord) -> Standing {
    if node.decommissioned_at != 0 {
        Standing::Decommissioned
    } else if node.current.revoked {
        Standing::Revoked
    } else {
        Standing::InService
    }
}

impl FleetWatch {
    /// What the rules say of a node that was read from the ledger.
    pub(crate) async fn facts(&self, node: &NodeRecord) -> Result<Facts> {
        let not_after = self.ledger.not_after(node).await?;
        Ok(Facts::of(node.current.issued_at, not_after, standing(node)))
    }
}
