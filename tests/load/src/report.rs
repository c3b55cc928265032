//! The figures, and the tables that they are printed as.

use std::collections::BTreeMap;

use crate::{crypto::Crypto, machine::Machine, measure::Sample, peer::Peer};

/// Kinds of calls, in the order of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    EmptyOneConnection,
    EmptyOwnConnection,
    RenewalOpen,
    RenewalFresh,
    License,
    Extension,
    Counts,
    UsageOne,
    UsageMany,
    UsageStream,
    VerifyCold,
    VerifyKnown,
    PageLicenses,
    PageDetails,
    PageStatus,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::EmptyOneConnection => "empty RPC (`grpc.health.v1` Check), all on one connection",
            Self::EmptyOwnConnection => "empty RPC, each on another open connection",
            Self::RenewalOpen => "durable renewal, each on another open connection",
            Self::RenewalFresh => "durable renewal, each on a fresh connection",
            Self::License => "new seat taken durably and licence signed, each on another open connection",
            Self::Extension => "licence extended durably and signed anew",
            Self::Counts => "seats in use and available (`ListModules`)",
            Self::UsageOne => "new usage event counted durably, one a call, each on another open connection",
            Self::UsageMany => "the same, 500 a call (per second and CPU: of an event)",
            Self::UsageStream => "the same, batches of 500 on open streams (per second and CPU: of an event)",
            Self::VerifyCold => "licence verified with the chain signer, issuer, anchor",
            Self::VerifyKnown => "licence verified with this chain known",
            Self::PageLicenses => "page of a hundred of a thousand licences",
            Self::PageDetails => "the same with the details of one, and who has fifty of ten thousand seats",
            Self::PageStatus => "page of the status, with the newest of a hundred thousand events",
        }
    }
}

/// Everything that was measured.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) pinned: bool,
    pub(crate) crypto: Crypto,
    /// Resident memory, bytes.
    pub(crate) idle_connection_bytes: Option<f64>,
    pub(crate) peer: Peer,
    machine: Machine,
    samples: BTreeMap<(Kind, usize), Vec<Sample>>,
}

/// A figure to reach.
struct Goal {
    what: &'static str,
    floor: String,
    measured: String,
    reached: String,
    must: &'static str,
    goal: &'static str,
}

impl Report {
    pub(crate) fn new(machine: Machine, pinned: bool) -> Self {
        Self {
            pinned,
            crypto: Crypto::default(),
            idle_connection_bytes: None,
            peer: Peer::new(),
            machine,
            samples: BTreeMap::new(),
        }
    }

    /// Adds what one round showed.
    pub(crate) fn add(&mut self, kind: Kind, in_flight: usize, sample: Sample) {
        eprintln!(
            "  {kind:?}, {in_flight} in flight: {:.0}/s, {:.1} µs, p50 {:.0} µs, p99 {:.0} µs",
            sample.per_second, sample.cpu, sample.p50, sample.p99
        );
        self.samples.entry((kind, in_flight)).or_default().push(sample);
    }

    /// Prints the tables.
    pub(crate) fn print(&self) {
        let rounds = self.samples.values().map(Vec::len).max().unwrap_or_default();
        println!(
            "{}. Medians of {rounds} rounds; CPU is user and system time of the service's process.\n",
            self.machine.description
        );
        println!("| call | in flight | per second | CPU a call, µs | p50, µs | p99, µs |");
        println!("|---|--:|--:|--:|--:|--:|");
        for ((kind, in_flight), samples) in &self.samples {
            let Sample { per_second, cpu, p50, p99 } = Sample::medians(samples);
            println!("| {} | {in_flight} | {per_second:.0} | {cpu:.1} | {p50:.0} | {p99:.0} |", kind.name());
        }
        for (in_flight, (per_second, cpu)) in &self.peer {
            let what = "PostgreSQL 15: guarded `UPDATE` and `INSERT` of the lease, without TLS and signature";
            println!("| {what} | {in_flight} | {per_second:.0} | {cpu:.1} | – | – |");
        }
        println!("\n| bare cryptography in the same run (aws-lc-rs) | CPU, µs |");
        println!("|---|--:|");
        println!("| P-256 signature | {:.1} |", self.crypto.sign());
        println!("| P-256 verification | {:.1} |", self.crypto.verify());
        println!("| X25519 key and agreement | {:.1} |", self.crypto.agree());
        println!("| renewal on an open connection: 1 verification, 1 signature | {:.1} |", self.floor_open());
        println!(
            "| renewal on a fresh connection: key exchange, 2 signatures, 3 verifications | {:.1} |",
            self.floor_fresh()
        );
        println!("\n| figure | floor | measured | ratio or figure | must | goal |");
        println!("|---|--:|--:|--:|--:|--:|");
        for Goal { what, floor, measured, reached, must, goal } in self.goals() {
            println!("| {what} | {floor} | {measured} | **{reached}** | {must} | {goal} |");
        }
    }

    fn goals(&self) -> Vec<Goal> {
        let micros = |figure: f64| format!("{figure:.1} µs");
        let mut goals = Vec::new();
        let ratio = |what, floor: f64, measured: f64, must, goal| Goal {
            what,
            floor: micros(floor),
            measured: micros(measured),
            reached: format!("{:.2}", measured / floor),
            must,
            goal,
        };
        let cpu = |kind| self.medians(kind, 64).map(|sample| sample.cpu);
        if let (Some(renewal), Some(empty)) = (cpu(Kind::RenewalOpen), cpu(Kind::EmptyOwnConnection)) {
            goals.push(ratio(
                "renewal, open connections, 64 in flight ÷ (cryptography + empty RPC on as many connections)",
                self.floor_open() + empty,
                renewal,
                "≤ 2.0",
                "≤ 1.5",
            ));
        }
        if let (Some(renewal), Some(empty)) = (cpu(Kind::RenewalOpen), cpu(Kind::EmptyOneConnection)) {
            goals.push(ratio(
                "the same ÷ (cryptography + empty RPC on one connection)",
                self.floor_open() + empty,
                renewal,
                "≤ 2.0",
                "≤ 1.5",
            ));
        }
        if let Some(renewal) = cpu(Kind::RenewalFresh) {
            goals.push(ratio(
                "renewal, fresh connections, 64 in flight ÷ cryptography",
                self.floor_fresh(),
                renewal,
                "≤ 2.2",
                "≤ 1.7",
            ));
        }
        if let Some(bytes) = self.idle_connection_bytes {
            let kilobytes = format!("{:.1} KB", bytes / 1024.0);
            goals.push(Goal {
                what: "idle mutual-TLS connection, resident memory",
                floor: "–".into(),
                measured: kilobytes.clone(),
                reached: kilobytes,
                must: "≤ 56 KB",
                goal: "≤ 40 KB",
            });
        }
        if let Some(license) = self.medians(Kind::License, 64) {
            goals.push(Goal {
                what: "seat taken durably and licence signed, 64 in flight",
                floor: micros(self.crypto.sign()),
                measured: micros(license.cpu),
                reached: format!("{:.1} k/s", license.per_second / 1e3),
                must: "≥ 8 k/s, ≤ 110 µs",
                goal: "≥ 12 k/s, ≤ 70 µs",
            });
        }
        // A single caller waits for TLS and a signature, which the peer does without.
        for (&in_flight, &(per_second, _)) in self.peer.iter().filter(|(in_flight, _)| **in_flight > 1) {
            goals.extend(self.medians(Kind::License, in_flight).map(|license| Goal {
                what: "seats a second ÷ PostgreSQL, as many in flight",
                floor: format!("{in_flight}: {:.1} k/s", per_second / 1e3),
                measured: format!("{:.1} k/s", license.per_second / 1e3),
                reached: format!("{:.1}", license.per_second / per_second),
                must: "≥ 2",
                goal: "≥ 4",
            }));
        }
        for (kind, what) in [
            (Kind::UsageMany, "usage events, 500 a call, 64 calls in flight"),
            (Kind::UsageStream, "usage events, batches of 500 on 64 streams"),
        ] {
            goals.extend(self.medians(kind, 64).map(|event| Goal {
                what,
                floor: "–".into(),
                measured: micros(event.cpu),
                reached: format!("{:.0} k/s", event.per_second / 1e3),
                must: "≥ 50 k/s",
                goal: "≥ 200 k/s",
            }));
        }
        for (kind, what) in [
            (Kind::PageLicenses, "page of licences, 16 in flight, the slowest of a hundred"),
            (Kind::PageDetails, "page of licences with details"),
            (Kind::PageStatus, "page of the status"),
        ] {
            goals.extend(self.medians(kind, 16).map(|page| Goal {
                what,
                floor: "–".into(),
                measured: micros(page.cpu),
                reached: format!("{:.1} ms", page.p99 / 1e3),
                must: "≤ 50 ms",
                goal: "≤ 50 ms",
            }));
        }
        let verify = self.crypto.verify();
        for (kind, what, floor, must, goal) in [
            (
                Kind::VerifyCold,
                "licence verified, chain cold ÷ 3 verifications",
                3.0 * verify,
                "≤ 1.2",
                "≤ 1.05",
            ),
            (Kind::VerifyKnown, "licence verified, chain known ÷ 1 verification", verify, "≤ 1.3", "≤ 1.1"),
        ] {
            goals.extend(self.medians(kind, 1).map(|sample| ratio(what, floor, sample.cpu, must, goal)));
        }
        goals
    }

    fn medians(&self, kind: Kind, in_flight: usize) -> Option<Sample> {
        self.samples.get(&(kind, in_flight)).map(|samples| Sample::medians(samples))
    }

    fn floor_open(&self) -> f64 {
        self.crypto.verify() + self.crypto.sign()
    }

    fn floor_fresh(&self) -> f64 {
        self.crypto.agree() + 2.0 * self.crypto.sign() + 3.0 * self.crypto.verify()
    }
}
