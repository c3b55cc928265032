//! The audit log over a real store, which the tests change behind its back.

use std::{path::PathBuf, sync::Arc};

use licensor::{
    clock::{SharedClock, SystemClock},
    event::{Event, EventKind, EventLog},
    store::{Batch, SharedStore, SledOptions, SledStore},
    telemetry::Metrics,
};

use super::*;
use crate::{authority::AuthorityFiles, config::Config};

struct Bench {
    folder: tempfile::TempDir,
    config: Config,
    clock: SharedClock,
    store: SharedStore,
    audit: Arc<Audit>,
}

fn open(folder: &tempfile::TempDir) -> SharedStore {
    let directory = folder.path().join("store");
    Arc::new(
        SledStore::open(&SledOptions { directory, cache_bytes: 1 << 24, minimum_free_bytes: 0 }).unwrap(),
    )
}

/// The entry with another digit at its end.
fn edited(entry: &[u8]) -> Vec<u8> {
    let mut edited = entry.to_vec();
    *edited.last_mut().unwrap() ^= 1;
    edited
}

async fn audit_over(config: &Config, clock: &SharedClock, store: &SharedStore, file: PathBuf) -> Arc<Audit> {
    let events = EventLog::open(store.clone(), clock.clone(), Metrics::shared()).await.unwrap();
    let ledger = Ledger::new(store.clone(), Arc::new(events), config.expiry.clone());
    let authority = Authority::open(config, clock.clone(), Arc::new(ledger), None).await.unwrap();
    Arc::new(Audit::new(Arc::new(authority), file))
}

impl Bench {
    /// A log with so many entries, each of which has its own chunk and checkpoint. The first tells of the authority.
    async fn with(entries: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config: Config =
            serde_json::from_value(serde_json::json!({ "data_dir": folder.path() })).unwrap();
        let clock = SystemClock::shared();
        AuthorityFiles::new(&config).unwrap().create_anchor(&config, clock.now()).unwrap();
        let store = open(&folder);
        let audit = audit_over(&config, &clock, &store, folder.path().join("checkpoint")).await;
        let bench = Self { folder, config, clock, store, audit };
        bench.audit.seal().await.unwrap();
        for n in 1..entries {
            bench.log(n).await;
            bench.audit.seal().await.unwrap();
        }
        bench
    }

    async fn log(&self, n: u64) {
        let event = Event::new(EventKind::TokenRevoked).argument("token", n.to_string());
        self.audit.ledger().events().raise(event).await.unwrap();
    }

    /// The same after a restart.
    async fn restarted(self) -> Self {
        let Self { folder, config, clock, store, audit } = self;
        drop((store, audit));
        let store = open(&folder);
        let audit = audit_over(&config, &clock, &store, folder.path().join("checkpoint")).await;
        Self { folder, config, clock, store, audit }
    }

    /// Key and value of the chunk with one entry.
    async fn chunk(&self, prefix: &str, position: u64) -> (Vec<u8>, Vec<u8>) {
        let key = [prefix.as_bytes(), &position.to_be_bytes()].concat();
        self.store.scan(prefix.as_bytes(), &key, 1).await.unwrap().remove(0)
    }

    async fn write(&self, change: impl FnOnce(&mut Batch)) {
        let mut batch = Batch::new();
        change(&mut batch);
        self.store.commit(batch).await.unwrap();
    }

    /// What a verification finds: first entry, last entry, the problem.
    async fn findings(&self, seen: Option<&str>) -> Vec<(u64, u64, String)> {
        let (_, findings) = self.audit.verify(seen, &|_| ()).await.unwrap();
        findings.into_iter().map(|finding| (finding.first, finding.last, finding.problem)).collect()
    }

    async fn checkpoint(&self) -> String {
        self.audit.ledger().audit_state().await.unwrap().unwrap().record.checkpoint
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_nobody_touched_is_intact_whatever_its_length() {
    for entries in [1, 2, 3, 5, 8, 13] {
        let bench = Bench::with(entries).await;
        assert_eq!(bench.findings(None).await, []);
        // Entries that are logged together share a chunk and a checkpoint.
        let logs: Vec<_> = (0..40).map(|n| bench.log(n)).collect();
        futures_util::future::join_all(logs).await;
        assert_eq!(bench.findings(None).await, []);
        assert_eq!(bench.audit.seal().await.unwrap().size, entries + 40);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_was_changed_is_named_and_so_is_the_next() {
    let bench = Bench::with(9).await;
    for position in [3, 7] {
        let (key, value) = bench.chunk("event/", position).await;
        let changed = edited(&value);
        bench.write(|batch| _ = batch.put(key, changed)).await;
    }
    let findings = bench.findings(None).await;
    let named: Vec<_> = findings.iter().map(|(first, last, _)| (*first, *last)).collect();
    assert_eq!(named, [(3, 3), (7, 7)]);
    assert!(findings.iter().all(|(.., problem)| problem.contains("changed: now it says")), "{findings:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_was_dropped_is_named() {
    let bench = Bench::with(6).await;
    let (key, _) = bench.chunk("event/", 4).await;
    bench.write(|batch| _ = batch.delete(key)).await;
    assert_eq!(bench.findings(None).await, [(4, 4, "dropped".to_owned())]);
}

#[tokio::test(flavor = "multi_thread")]
async fn hashes_that_are_missing_are_told_of() {
    let bench = Bench::with(6).await;
    // The hash of the fifth entry is the eighth.
    let (key, _) = bench.chunk("audit-hash/", 8).await;
    bench.write(|batch| _ = batch.delete(key)).await;
    let findings = bench.findings(None).await;
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert_eq!((findings[0].0, findings[0].1), (5, 6), "{findings:?}");
    assert!(findings[0].2.contains("hashes of the tree are missing"), "{findings:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_that_were_cut_off_at_the_end_are_named_also_after_a_restart() {
    let bench = Bench::with(6).await;
    for position in [5, 6] {
        let (key, _) = bench.chunk("event/", position).await;
        bench.write(|batch| _ = batch.delete(key)).await;
    }
    let bench = bench.restarted().await;
    let findings = bench.findings(None).await;
    assert!(findings.iter().all(|(first, last, _)| (*first, *last) == (5, 6)), "{findings:?}");
    assert!(findings[0].2.contains("has 6 entries"), "{findings:?}");
    assert!(bench.audit.seal().await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_was_changed_with_its_hashes_is_found_by_the_next_checkpoint() {
    let bench = Bench::with(9).await;
    let (key, value) = bench.chunk("event/", 4).await;
    let changed = edited(&value);
    bench.write(|batch| _ = batch.put(key, changed)).await;
    // Every hash from there on is made anew.
    for (key, _) in bench.store.scan(b"audit-hash/", b"audit-hash/", 1000).await.unwrap() {
        bench.write(|batch| _ = batch.delete(key)).await;
    }
    let mut frontier = bench.audit.frontier(0).await.unwrap();
    let hashes = bench.audit.add_page(&mut frontier, &mut memorable::Newest::default()).await.unwrap();
    for (position, hash) in (1_u64..).zip(hashes) {
        // A chunk of one entry, as the store writes it.
        let chunk = [&[0x0a, 32], hash.as_slice()].concat();
        let key = [b"audit-hash/".as_slice(), &position.to_be_bytes()].concat();
        bench.write(|batch| _ = batch.put(key, chunk)).await;
    }
    let findings = bench.findings(None).await;
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert_eq!((findings[0].0, findings[0].1), (4, 4), "{findings:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_was_put_back_is_found_by_a_checkpoint_that_was_kept_elsewhere() {
    let bench = Bench::with(6).await;
    let seen = bench.checkpoint().await;
    // The whole state of two entries before, the copy beside the store included.
    let state = bench.audit.ledger().checkpoints(4, 1).await.unwrap().remove(0).1;
    for position in [5, 6] {
        for prefix in ["event/", "audit-checkpoint/"] {
            let (key, _) = bench.chunk(prefix, position).await;
            bench.write(|batch| _ = batch.delete(key)).await;
        }
    }
    let record = crate::ledger::AuditState { size: 4, checkpoint: state.clone() };
    bench.write(|batch| _ = batch.put(b"audit-state".to_vec(), prost::Message::encode_to_vec(&record))).await;
    // Seven hashes belong to four entries.
    for (key, _) in bench
        .store
        .scan(b"audit-hash/", &[b"audit-hash/".as_slice(), &8_u64.to_be_bytes()].concat(), 9)
        .await
        .unwrap()
    {
        bench.write(|batch| _ = batch.delete(key)).await;
    }
    std::fs::write(bench.folder.path().join("checkpoint"), state).unwrap();
    let bench = bench.restarted().await;
    assert_eq!(bench.findings(None).await, [], "by itself it is a good log");
    let findings = bench.findings(Some(&seen)).await;
    assert_eq!((findings[0].0, findings[0].1), (5, 6), "{findings:?}");
    assert!(findings[0].2.contains("rolled back"), "{findings:?}");
    // When it has grown again, its past is another one.
    for n in 100..104 {
        bench.log(n).await;
    }
    let findings = bench.findings(Some(&seen)).await;
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert!(findings[0].2.contains("the checkpoint that was given says something else"), "{findings:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_that_was_changed_or_is_of_another_log_is_none() {
    let bench = Bench::with(3).await;
    let note = bench.checkpoint().await;
    assert_eq!(bench.findings(Some(&note)).await, []);
    let other = Bench::with(3).await.checkpoint().await;
    assert!(note.contains("\ntoken-revoked 1\ntoken-revoked 2\n\n"), "{note}");
    for wrong in [
        other,
        note.replace("\n3\n", "\n2\n"),
        note.replace("licensor.local", "licensor.other"),
        note.replace("\ntoken-revoked 2", ""),
        note.replace("revoked 2", "revoked 4"),
        "x".into(),
    ] {
        let error = bench.audit.verify(Some(&wrong), &|_| ()).await.unwrap_err();
        assert_eq!(error.reason, Reason::InvalidArgument, "{wrong}");
    }
    std::fs::write(bench.folder.path().join("checkpoint"), note.replace("\n3\n", "\n4\n")).unwrap();
    assert_eq!(bench.findings(None).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_entry_has_a_proof_that_a_stranger_can_check() {
    for entries in [1, 2, 7, 16, 21] {
        let bench = Bench::with(entries).await;
        let note = bench.checkpoint().await;
        for (position, entry) in bench.audit.ledger().events().entries(1, 100).await.unwrap() {
            let hashes = bench.audit.path(position - 1, entries).await.unwrap();
            let proof = InclusionProof { index: position - 1, entry, hashes, checkpoint: note.clone() };
            let read = InclusionProof::parse(&proof.to_text()).unwrap();
            assert_eq!(read, proof);
            let active = bench.audit.authority.active().unwrap();
            let anchor = active.trust_anchor();
            // The entry is in the log; it only tells of something else.
            let error = read.verify(anchor, anchor).unwrap_err();
            assert!(matches!(error, verifier::AuditError::AnotherCertificate { .. }), "{error}");
            let mut elsewhere = proof.clone();
            elsewhere.entry.push(0);
            let error = elsewhere.verify(anchor, anchor).unwrap_err();
            assert!(matches!(error, verifier::AuditError::NotIncluded { .. }), "{error}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_names_what_must_not_be_forgotten_also_after_a_restart() {
    let bench = Bench::with(2).await.restarted().await;
    bench.log(2).await;
    bench.audit.seal().await.unwrap();
    let lines = |note: &str| verifier::Checkpoint::parse(note).unwrap().extensions;
    assert_eq!(lines(&bench.checkpoint().await), ["token-revoked 1", "token-revoked 2"]);
    // Hundreds that are sealed at once are no more than fit.
    for n in 3..300 {
        bench.log(n).await;
    }
    bench.audit.seal().await.unwrap();
    let named = lines(&bench.checkpoint().await);
    assert_eq!((named.len(), named.last().unwrap().as_str()), (50, "token-revoked 299"));
    for (number, note) in bench.audit.ledger().checkpoints(1, 10).await.unwrap() {
        assert_eq!(lines(&note), [""; 0], "{number}");
    }
    assert_eq!(bench.findings(Some(&bench.checkpoint().await)).await, []);
}
