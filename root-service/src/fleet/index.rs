//! All nodes in memory, in the order in which they run out.
//!
//! What a page shows of a node beyond this is read from the ledger for the hundred nodes that are on it. A node takes 36
//! octets (24 of [`Facts`], its places in two orders, the end of its name) and the octets of its name, and each distinct owner
//! its own once with some twenty more: a million nodes with names of 20 characters take about 60 MB, twice that for the moment in which a changed
//! index takes the place of the former one.

use std::{
    cmp::Ordering,
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    sync::Arc,
};

use super::words::Words;

/// What has become of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Standing {
    /// It is in service, or would be if it renewed.
    InService,
    /// Its newest certificate is revoked.
    Revoked,
    /// It was ended for good.
    Decommissioned,
}

/// What the index is told of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) owner: String,
    /// Seconds since 1970.
    pub(crate) issued_at: i64,
    /// Seconds since 1970.
    pub(crate) not_after: i64,
    /// Whether its newest certificate is not its first.
    pub(crate) renewed: bool,
    pub(crate) standing: Standing,
}

/// What the index knows of a node: 24 octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Facts {
    /// Seconds since 1970.
    pub(crate) not_after: i64,
    /// Seconds from issue to expiry.
    pub(crate) lifetime: u32,
    owner: u32,
    pub(crate) renewed: bool,
    pub(crate) standing: Standing,
}

impl Facts {
    /// Those of a node by itself.
    pub(super) fn of(issued_at: i64, not_after: i64, standing: Standing) -> Self {
        let lifetime = u32::try_from(not_after.saturating_sub(issued_at)).unwrap_or_default();
        Self { not_after, lifetime, owner: 0, renewed: false, standing }
    }

    /// Seconds since 1970.
    pub(crate) fn issued_at(self) -> i64 {
        self.not_after - i64::from(self.lifetime)
    }
}

/// All nodes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Index {
    names: Arc<Words>,
    /// In lower case: they are searched, and shown from the ledger.
    owners: Arc<Words>,
    facts: Vec<Facts>,
    /// Numbers of nodes: those in service first, the revoked and the decommissioned after them, each by expiry, then name.
    order: Vec<u32>,
    /// Numbers of nodes by name.
    by_name: Arc<Vec<u32>>,
    /// Numbers of owners by digest.
    owner_numbers: Arc<HashMap<u64, u32>>,
    hasher: RandomState,
}

impl Index {
    /// How many nodes there are.
    pub(crate) fn len(&self) -> usize {
        self.facts.len()
    }

    /// What is known of every node, in no order.
    pub(crate) fn facts(&self) -> &[Facts] {
        &self.facts
    }

    /// Adds a node that is not there yet; [`Index::arrange`] puts it into its place.
    pub(super) fn add(&mut self, entry: &Entry) -> u32 {
        let facts = self.facts_of(entry);
        let number = Arc::make_mut(&mut self.names).push(&entry.name);
        self.facts.push(facts);
        Arc::make_mut(&mut self.by_name).push(number);
        number
    }

    /// Puts every node into its place.
    pub(super) fn arrange(&mut self) {
        let count = u32::try_from(self.facts.len()).unwrap_or(u32::MAX);
        let mut order: Vec<u32> = (0..count).collect();
        order.sort_unstable_by(|a, b| self.compare(*a, *b));
        self.order = order;
        self.arrange_names();
    }

    fn arrange_names(&mut self) {
        let names = Arc::clone(&self.names);
        // They are in order but for those at the end, of which this sort makes use.
        Arc::make_mut(&mut self.by_name).sort_by(|a, b| names.word(*a).cmp(names.word(*b)));
    }

    /// The index with these nodes, each named once, as they are now, and all others as they were.
    pub(super) fn with(&self, entries: &[Entry]) -> Self {
        let mut index = self.clone();
        let mut touched = vec![false; self.facts.len()];
        let mut numbers = Vec::with_capacity(entries.len());
        for entry in entries {
            numbers.push(match self.number(&entry.name) {
                Some(number) => {
                    index.facts[number as usize] = index.facts_of(entry);
                    touched[number as usize] = true;
                    number
                }
                None => index.add(entry),
            });
        }
        if index.len() > self.len() {
            index.arrange_names();
        }
        numbers.sort_unstable_by(|a, b| index.compare(*a, *b));
        let kept = self.order.iter().copied().filter(|number| !touched[*number as usize]);
        index.order = index.merged(kept, &numbers);
        index
    }

    fn facts_of(&mut self, entry: &Entry) -> Facts {
        let facts = Facts::of(entry.issued_at, entry.not_after, entry.standing);
        Facts { owner: self.owner(&entry.owner), renewed: entry.renewed, ..facts }
    }

    fn owner(&mut self, owner: &str) -> u32 {
        let owner = owner.to_lowercase();
        let digest = self.hasher.hash_one(&owner);
        // An owner whose digest another one has is kept once more: that costs a word.
        if let Some(&number) = self.owner_numbers.get(&digest).filter(|it| self.owners.word(**it) == owner) {
            return number;
        }
        let number = Arc::make_mut(&mut self.owners).push(&owner);
        Arc::make_mut(&mut self.owner_numbers).insert(digest, number);
        number
    }

    fn number(&self, name: &str) -> Option<u32> {
        let place = self.by_name.binary_search_by(|number| self.names.word(*number).cmp(name)).ok()?;
        Some(self.by_name[place])
    }

    fn compare(&self, a: u32, b: u32) -> Ordering {
        let key = |number: u32| {
            let facts = &self.facts[number as usize];
            (facts.standing, facts.not_after)
        };
        key(a).cmp(&key(b)).then_with(|| self.names.word(a).cmp(self.names.word(b)))
    }

    fn merged(&self, left: impl Iterator<Item = u32>, right: &[u32]) -> Vec<u32> {
        let mut merged = Vec::with_capacity(self.len());
        let mut left = left.peekable();
        for &number in right {
            while let Some(before) = left.next_if(|before| self.compare(*before, number).is_lt()) {
                merged.push(before);
            }
            merged.push(number);
        }
        merged.extend(left);
        merged
    }

    /// At most `limit` names from the place `first` on, of the nodes that `wanted` lets through and that were `found`, if
    /// there is either; and how many there are in all.
    pub(crate) fn page(
        &self,
        first: usize,
        limit: usize,
        wanted: Option<&dyn Fn(Facts) -> bool>,
        found: Option<&Found>,
    ) -> (Vec<&str>, usize) {
        let lets_through = |number: u32| {
            let place = number as usize;
            found.is_none_or(|found| found.0[place]) && wanted.is_none_or(|wanted| wanted(self.facts[place]))
        };
        if wanted.is_none() && found.is_none() {
            let on_it = self.order.iter().skip(first).take(limit);
            return (on_it.map(|number| self.names.word(*number)).collect(), self.len());
        }
        let (mut names, mut total) = (Vec::new(), 0);
        for number in self.order.iter().copied().filter(|number| lets_through(*number)) {
            if total >= first && names.len() < limit {
                names.push(self.names.word(number));
            }
            total += 1;
        }
        (names, total)
    }

    /// Nodes that have `needle` in their name or in that of their owner, and those with one of these `names`.
    pub(crate) fn find(&self, needle: &str, names: &[String]) -> Found {
        let mut found = self.names.containing(needle);
        let owners = self.owners.containing(&needle.to_lowercase());
        for (found, facts) in found.iter_mut().zip(&self.facts) {
            *found |= owners.get(facts.owner as usize).is_some_and(|owner| *owner);
        }
        for name in names {
            if let Some(number) = self.number(name) {
                found[number as usize] = true;
            }
        }
        Found(found)
    }
}

/// Nodes that were searched: an answer for each.
#[derive(Debug)]
pub(crate) struct Found(Vec<bool>);
