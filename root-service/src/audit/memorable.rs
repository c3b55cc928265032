//! What a root must not forget, whatever becomes of it. The newest of it stands by name in every checkpoint, so that whoever
//! has one can tell what a root that went back in time does not know any more.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt::{self, Display, Formatter},
};

use licensor::event::{Event, EventKind, decode, kind_of};
use verifier::Checkpoint;

/// How many of a kind a checkpoint names.
const OF_A_KIND: usize = 50;
/// Octets of all of them, in every renewal's answer.
const OCTETS: usize = 4 << 10;
/// Octets of a checkpoint with its signatures: it is in one value of the store, which has 7 KiB at most.
const CHECKPOINT: usize = 6 << 10;
/// How lines of a checkpoint begin, for each kind.
const WORDS: [&str; 4] = ["revoked", "decommissioned", "token-used", "token-revoked"];

/// One thing that must not be forgotten.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Memorable {
    /// The certificate with this serial number was revoked.
    Revoked(String),
    /// The node with this name was ended.
    Decommissioned(String),
    /// The token with this id enrolled the node with this name.
    TokenUsed(String, String),
    /// The token with this id was revoked.
    TokenRevoked(String),
}

impl Memorable {
    /// The events that [`Memorable::of`] may find something in.
    const KINDS: [EventKind; WORDS.len()] = [
        EventKind::CertificateRevoked,
        EventKind::NodeDecommissioned,
        EventKind::NodeEnrolled,
        EventKind::TokenRevoked,
    ];

    /// What an event tells of. That an upstream revoked the authority is told by the upstream's list, again and again.
    pub(crate) fn of(event: &Event) -> Option<Self> {
        let token = || event.arguments.get("token").cloned();
        match event.kind {
            EventKind::CertificateRevoked if !event.node.is_empty() => {
                Some(Self::Revoked(event.serial.clone()))
            }
            EventKind::NodeDecommissioned => Some(Self::Decommissioned(event.node.clone())),
            EventKind::NodeEnrolled => Some(Self::TokenUsed(token()?, event.node.clone())),
            EventKind::TokenRevoked => Some(Self::TokenRevoked(token()?)),
            _ => None,
        }
    }

    /// What a checkpoint names, the oldest of each kind first. Lines that a newer release wrote are left out.
    pub(crate) fn named_by(checkpoint: &Checkpoint) -> impl Iterator<Item = Self> {
        checkpoint.extensions.iter().filter_map(|line| Self::parse(line))
    }

    fn parse(line: &str) -> Option<Self> {
        let (word, name) = line.split_once(' ')?;
        let name = name.to_owned();
        match WORDS.iter().position(|known| *known == word)? {
            0 => Some(Self::Revoked(name)),
            1 => Some(Self::Decommissioned(name)),
            2 => name.split_once(' ').map(|(id, node)| Self::TokenUsed(id.to_owned(), node.to_owned())),
            _ => Some(Self::TokenRevoked(name)),
        }
    }

    fn kind(&self) -> usize {
        match self {
            Self::Revoked(_) => 0,
            Self::Decommissioned(_) => 1,
            Self::TokenUsed(..) => 2,
            Self::TokenRevoked(_) => 3,
        }
    }

    fn line(&self) -> String {
        let word = WORDS[self.kind()];
        match self {
            Self::TokenUsed(id, node) => format!("{word} {id} {node}"),
            Self::Revoked(name) | Self::Decommissioned(name) | Self::TokenRevoked(name) => {
                format!("{word} {name}")
            }
        }
    }
}

impl Display for Memorable {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Revoked(serial) => write!(f, "the revocation of certificate {serial}"),
            Self::Decommissioned(node) => write!(f, "the end of {node}"),
            Self::TokenUsed(id, node) => write!(f, "the use of token {id} by {node}"),
            Self::TokenRevoked(id) => write!(f, "the revocation of token {id}"),
        }
    }
}

/// The newest lines of each kind, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Newest {
    kinds: [VecDeque<String>; WORDS.len()],
}

impl Newest {
    pub(super) fn of(checkpoint: &Checkpoint) -> Self {
        let mut newest = Self::default();
        Memorable::named_by(checkpoint).for_each(|memorable| newest.add(&memorable));
        newest
    }

    /// Adds what these entries tell of. As many of them may be enrolments, only the newest are decoded.
    pub(super) fn add_entries(&mut self, entries: &[(u64, Vec<u8>)]) {
        let mut of_kind = BTreeMap::<EventKind, usize>::new();
        let mut newest = Vec::new();
        for (_, entry) in entries.iter().rev() {
            let Some(kind) = kind_of(entry).filter(|kind| Memorable::KINDS.contains(kind)) else { continue };
            let count = of_kind.entry(kind).or_default();
            if *count < OF_A_KIND
                && let Some(memorable) = decode(entry).and_then(|(_, event)| Memorable::of(&event))
            {
                *count += 1;
                newest.push(memorable);
            }
        }
        newest.iter().rev().for_each(|memorable| self.add(memorable));
    }

    fn add(&mut self, memorable: &Memorable) {
        let kind = &mut self.kinds[memorable.kind()];
        kind.push_back(memorable.line());
        if kind.len() > OF_A_KIND {
            kind.pop_front();
        }
    }

    /// Forgets the oldest of the kind with the most octets, until there is room for the others beside this checkpoint
    /// without names.
    pub(super) fn fit(&mut self, plain: &str) {
        let room = OCTETS.min(CHECKPOINT.saturating_sub(plain.len()));
        while self.kinds.iter().map(octets).sum::<usize>() > room
            && let Some(longest) = self.kinds.iter_mut().max_by_key(|kind| octets(kind))
        {
            longest.pop_front();
        }
    }

    pub(super) fn lines(&self) -> Vec<String> {
        self.kinds.iter().flatten().cloned().collect()
    }
}

/// With the ends of lines.
fn octets(lines: &VecDeque<String>) -> usize {
    lines.iter().map(|line| line.len() + 1).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkpoint(extensions: Vec<String>) -> Checkpoint {
        Checkpoint { origin: "a".into(), size: 1, root: [0; 32], extensions }
    }

    #[test]
    fn the_newest_of_each_kind_are_named_and_no_more_than_fit() {
        let mut newest = Newest::default();
        let serial = |n: usize| format!("{n:040x}");
        let used = |n: usize| Memorable::TokenUsed(format!("{n:016x}"), "n".repeat(63));
        for n in 0..1000 {
            newest.add(&used(n));
        }
        newest.add(&Memorable::Decommissioned("berlin-1".into()));
        newest.fit("");
        assert!(newest.lines().join("\n").len() < OCTETS);
        for n in 0..60 {
            newest.add(&Memorable::Revoked(serial(n)));
        }
        newest.add(&Memorable::TokenRevoked("ab".into()));
        newest.fit("");
        let lines = newest.lines();
        assert!(lines.join("\n").len() < OCTETS);
        let named: Vec<_> = Memorable::named_by(&checkpoint(lines)).collect();
        for n in 30..60 {
            assert!(named.contains(&Memorable::Revoked(serial(n))), "{n}");
        }
        assert!(!named.contains(&Memorable::Revoked(serial(9))));
        for kept in [
            used(999),
            used(985),
            Memorable::Decommissioned("berlin-1".into()),
            Memorable::TokenRevoked("ab".into()),
        ] {
            assert!(named.contains(&kept), "{kept}");
        }
        // After a restart it goes on with what the checkpoint has.
        let again = Newest::of(&checkpoint(newest.lines()));
        assert_eq!(again.lines(), newest.lines());
        // Many signatures, or those of a long name, leave less room.
        newest.fit(&"x".repeat(CHECKPOINT - 100));
        assert!(!newest.lines().is_empty() && newest.lines().join("\n").len() < 100);
        newest.fit(&"x".repeat(CHECKPOINT + 1));
        assert!(newest.lines().is_empty());
    }

    #[test]
    fn lines_of_a_newer_release_are_left_out() {
        let lines = ["sealed-by somebody", "token-used ab", "revoked", "revoked 0f"];
        let checkpoint = checkpoint(lines.map(String::from).to_vec());
        assert_eq!(Memorable::named_by(&checkpoint).collect::<Vec<_>>(), [Memorable::Revoked("0f".into())]);
    }
}
