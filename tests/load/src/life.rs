//! A root with a long history: what its start, its audit log and its revocation list cost.

use std::{fs, hint::black_box, path::Path, time::Duration};

use anyhow::{Context, Result, ensure};
use futures_util::{StreamExt, TryStreamExt, stream};
use licensor::{
    clock::{SharedClock, SystemClock},
    key::{KeyAlgorithm, PrivateKey},
    store::{Batch, SledOptions, SledStore, Store},
    tls::client_config,
};
use proto::certification::v1::{
    EnrollRequest, GetRevocationListRequest, RevokeCertificateRequest, VerifyAuditRequest,
    certification_admin_service_client::CertificationAdminServiceClient,
    certification_service_client::CertificationServiceClient,
};
use tonic::transport::Channel;
use verifier::{Certificate, RevocationList, certificate::octets};

use crate::{
    connection,
    crypto::microseconds,
    fleet::{administration, anchors, create_token},
    machine::Machine,
    service::{Root, Service, pause},
};

/// Calls at once.
const AT_ONCE: usize = 64;
/// A list is taken that has up to this many octets.
const LARGEST: usize = 64 << 20;

/// Enrols so many nodes, revokes so many of their certificates, and prints what the rest of a root's life costs.
pub(crate) async fn measure(
    certificates: usize,
    revoked: usize,
    directory: &Path,
    machine: &Machine,
    pinned: bool,
) -> Result<()> {
    let clock = SystemClock::shared();
    let root = Root::init(directory, pinned)?;
    let process = root.start(&clock).await?;
    eprintln!("enrolling {certificates} nodes");
    let serials = enroll(&root, certificates, revoked).await?;
    process.stop(&clock).await?;

    println!("{}.\n", machine.description);
    println!("| figure of a root with {certificates} certificates | measured | must | goal |");
    println!("|---|--:|--:|--:|");
    let begun = clock.now();
    let process = root.start(&clock).await?;
    let ready = since(&clock, begun);
    process.settled_cpu(&clock).await?;
    let resident = process.resident_bytes()? as f64 / 1e6;
    println!(
        "| start until ready, resident memory then | {:.2} s, {resident:.0} MB | ≤ 5 s, ≤ 400 MB | ≤ 1 s, ≤ 100 MB |",
        ready.as_secs_f64()
    );
    let started = process.settled_cpu(&clock).await?.whole();
    let entries = audit(&root, &process, &clock).await?;
    process.stop(&clock).await?;
    let process = append(&root, entries, started, &clock).await?;
    eprintln!("revoking {} certificates", serials.len());
    revoke(&root, &process, &clock, &serials).await?;
    process.stop(&clock).await
}

fn since(clock: &SharedClock, begun: std::time::SystemTime) -> Duration {
    clock.now().duration_since(begun).unwrap_or_default()
}

/// Enrols nodes that all have the same key: what is measured is the root. Returns serial numbers of the first of them.
async fn enroll(root: &Root, count: usize, kept: usize) -> Result<Vec<String>> {
    let tls = client_config(&anchors(root)?, None, SystemClock::shared())?;
    let administration = administration(root).await?;
    let channel = connection::open(root.address, tls).await?;
    let licensor_csr = PrivateKey::generate(KeyAlgorithm::P256)?.certificate_request()?;
    let enrolments = (0..count).map(|number| {
        let (administration, channel) = (administration.clone(), channel.clone());
        let licensor_csr = licensor_csr.clone();
        async move {
            let token = create_token(administration, &format!("node-{number}")).await?;
            let request = EnrollRequest { token, licensor_csr, ..Default::default() };
            let response = CertificationServiceClient::new(channel).enroll(request).await?.into_inner();
            anyhow::Ok((number < kept).then_some(response.licensor_certificate))
        }
    });
    let certificates = stream::iter(enrolments).buffer_unordered(AT_ONCE);
    let kept: Vec<_> = certificates.try_filter_map(async |kept| Ok(kept)).try_collect().await?;
    kept.iter().map(|der| Ok(Certificate::parse(der)?.serial)).collect()
}

async fn audit(root: &Root, process: &Service, clock: &SharedClock) -> Result<u64> {
    let before = process.settled_cpu(clock).await?;
    let begun = clock.now();
    let request = VerifyAuditRequest::default();
    let mut answers = administration(root).await?.verify_audit(request).await?.into_inner();
    let mut last = None;
    while let Some(answer) = answers.message().await? {
        last = Some(answer);
    }
    let took = since(clock, begun);
    let outcome = last.filter(|answer| answer.done).context("no outcome")?;
    ensure!(outcome.findings.is_empty(), "{:?}", outcome.findings);
    let cpu = process.settled_cpu(clock).await?.since(&before);
    let million = 1e6 / outcome.size as f64;
    println!(
        "| audit verify, {} entries (for a million) | {:.2} s ({:.2} s; {:.2} s CPU) | ≤ 10 s | ≤ 2 s |",
        outcome.size,
        took.as_secs_f64(),
        took.as_secs_f64() * million,
        cpu.as_secs_f64() * million,
    );
    Ok(outcome.size)
}

/// Lets a root add every entry of its log to the tree once more, and prints what that costs: the part of an entry's cost that
/// comes after its commit. `started` is what a start costs without.
async fn append(root: &Root, entries: u64, started: Duration, clock: &SharedClock) -> Result<Service> {
    forget_tree(&root.data_dir).await?;
    let process = root.start(clock).await?;
    let checkpoint = root.data_dir.join("audit-checkpoint.txt");
    while !fs::read_to_string(&checkpoint).is_ok_and(|note| {
        note.lines().nth(1).and_then(|size| size.parse().ok()).is_some_and(|size: u64| size >= entries)
    }) {
        pause(clock, 20).await;
    }
    let cost = process.settled_cpu(clock).await?.whole().saturating_sub(started);
    println!(
        "| audit entry hashed, added to the tree and kept, of {entries} | {:.2} µs CPU | – | – |",
        cost.as_secs_f64() * 1e6 / entries.max(1) as f64
    );
    Ok(process)
}

/// Takes the tree over the log away, and its checkpoints; the log stays.
async fn forget_tree(data_dir: &Path) -> Result<()> {
    let directory = data_dir.join("store");
    let store = SledStore::open(&SledOptions { directory, cache_bytes: 64 << 20, minimum_free_bytes: 0 })?;
    for prefix in ["audit-hash/", "audit-checkpoint/", "audit-state"] {
        loop {
            let page = store.scan(prefix.as_bytes(), prefix.as_bytes(), 1000).await?;
            if page.is_empty() {
                break;
            }
            let mut batch = Batch::new();
            for (key, _) in page {
                batch.delete(key);
            }
            store.commit(batch).await?;
        }
    }
    Ok(fs::remove_file(data_dir.join("audit-checkpoint.txt"))?)
}

async fn revoke(root: &Root, process: &Service, clock: &SharedClock, serials: &[String]) -> Result<()> {
    let Some((last, rest)) = serials.split_last() else { return Ok(()) };
    let administration = administration(root).await?;
    let before = process.settled_cpu(clock).await?;
    let calls = rest.iter().map(|serial| revoke_one(administration.clone(), serial));
    stream::iter(calls).buffer_unordered(AT_ONCE).try_collect::<()>().await?;
    let each = process.settled_cpu(clock).await?.since(&before);
    println!(
        "| revocation, {AT_ONCE} in flight, with the lists that have them | {:.0} µs CPU | – | – |",
        each.as_secs_f64() * 1e6 / rest.len().max(1) as f64
    );
    let before = process.settled_cpu(clock).await?;
    revoke_one(administration, last).await?;
    let one = process.settled_cpu(clock).await?.since(&before);
    println!(
        "| revocation list of {} entries built and signed | {:.3} s CPU | ≤ 1 s | ≤ 0.2 s |",
        serials.len(),
        one.as_secs_f64()
    );
    let issuers = anchors(root)?;
    let channel = connection::open(root.address, client_config(&issuers, None, clock.clone())?).await?;
    let mut client = CertificationServiceClient::new(channel).max_decoding_message_size(LARGEST);
    let answer = client.get_revocation_list(GetRevocationListRequest::default()).await?.into_inner();
    let mut list = None;
    let read = microseconds_of_one(|| {
        list = RevocationList::verify(&answer.revocation_list, &issuers).ok();
    });
    let list = list.context("the list is not valid")?;
    ensure!(list.len() == serials.len(), "{} entries", list.len());
    let wanted = octets(last).context("a serial number")?;
    let find = microseconds(|| {
        black_box(list.find(black_box(&wanted)));
        Ok(())
    });
    println!(
        "| a list of {} KB read and verified by a node | {:.0} ms CPU | – | – |",
        answer.revocation_list.len() >> 10,
        read / 1e3
    );
    println!(
        "| certificate looked up in it | {:.2} µs | ≤ 1 µs | ≤ 0.2 µs |",
        find.map_err(|_| anyhow::anyhow!("the clock of this thread"))?
    );
    Ok(())
}

async fn revoke_one(
    mut administration: CertificationAdminServiceClient<Channel>,
    serial: &str,
) -> Result<()> {
    let request = RevokeCertificateRequest { serial: serial.to_owned(), reason: 1 };
    let answer = administration.revoke_certificate(request).await?.into_inner();
    ensure!(answer.revocation_list_number > 0, "no list was published");
    Ok(())
}

fn microseconds_of_one(work: impl FnOnce()) -> f64 {
    let begun = crate::crypto::thread_time();
    work();
    crate::crypto::thread_time().saturating_sub(begun).as_secs_f64() * 1e6
}
