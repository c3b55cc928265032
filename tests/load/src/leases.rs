//! A licensing server that has much to remember: what its start costs.

use std::path::Path;

use anyhow::Result;
use futures_util::{StreamExt, TryStreamExt, stream};
use licensor::clock::{SharedClock, SystemClock};

use crate::{
    licenses::acquire,
    machine::Machine,
    node::{Application, Node},
    service::Root,
    usage::{Events, call},
};

/// Connections of those who fill the store.
const CONNECTIONS: usize = 8;
/// Licences that are acquired at once.
const LICENSES_AT_ONCE: usize = 128;
/// Batches of usage events that are reported at once.
const BATCHES_AT_ONCE: usize = 16;
/// Events of a batch.
const BATCH: usize = 1000;
/// The seats that a module can have.
const SEATS: usize = 1_000_000;

/// Lets so many seats be taken and so many usage events be counted, starts the service anew, and prints what that costs.
pub(crate) async fn measure(
    leases: usize,
    events: usize,
    directory: &Path,
    machine: &Machine,
    pinned: bool,
) -> Result<()> {
    let clock = SystemClock::shared();
    let root = Root::init(directory, pinned)?;
    let root_process = root.start(&clock).await?;
    let node = Node::enroll("leases", entitlement(leases), directory, &root, &clock).await?;
    let process = node.start(&clock).await?;
    let applications = node.connect(CONNECTIONS).await?;
    let begun = clock.elapsed();
    eprintln!("acquiring {leases} licences");
    take_seats(&applications, leases).await?;
    eprintln!("reporting {events} usage events, after {:.0} s", (clock.elapsed() - begun).as_secs_f64());
    report_usage(&applications, events, &clock).await?;
    eprintln!("all is there after {:.0} s", (clock.elapsed() - begun).as_secs_f64());
    drop(applications);
    process.stop(&clock).await?;

    let begun = clock.elapsed();
    let process = node.start(&clock).await?;
    let ready = clock.elapsed() - begun;
    process.settled_cpu(&clock).await?;
    let started = process.resident_bytes()?;
    let applications = node.connect(1).await?;
    let begun = clock.elapsed();
    for application in &applications {
        acquire(application, "first", 0).await?;
    }
    let acquired = clock.elapsed() - begun;
    process.settled_cpu(&clock).await?;
    let megabytes = |bytes: u64| bytes as f64 / 1e6;
    println!("{}.\n", machine.description);
    println!(
        "| figure of a licensing server with {leases} leases and {events} usage events | measured | must | goal |"
    );
    println!("|---|--:|--:|--:|");
    println!(
        "| start until `/readyz` is ok, resident memory then | {:.2} s, {:.0} MB | ≤ 10 s, ≤ 600 MB | ≤ 2 s, ≤ 200 MB |",
        ready.as_secs_f64(),
        megabytes(started)
    );
    println!(
        "| first licence then, resident memory after it | {:.1} ms, {:.0} MB | ≤ 600 MB | ≤ 200 MB |",
        acquired.as_secs_f64() * 1e3,
        megabytes(process.resident_bytes()?)
    );
    drop(applications);
    process.stop(&clock).await?;
    root_process.stop(&clock).await
}

/// What the owner has: seats that last for longer than this takes, and one more.
fn entitlement(leases: usize) -> String {
    let mut document = "owner = \"Example GmbH\"\nvendor = \"Example\"\nserial_number = \"EX-1\"\n\
        [[services]]\nname = \"mail\"\nunit = \"e-mail\"\n\
        [[modules]]\nname = \"first\"\nquantity = 1\n"
        .to_owned();
    for number in 0..leases.div_ceil(SEATS) {
        document +=
            &format!("[[modules]]\nname = \"module-{number}\"\nquantity = {SEATS}\nlease = \"30d\"\n");
    }
    document
}

async fn take_seats(applications: &[Application], leases: usize) -> Result<()> {
    let calls = applications.iter().cycle().zip(0..leases).map(|(application, user)| async move {
        acquire(application, &format!("module-{}", user / SEATS), user).await.map(drop)
    });
    stream::iter(calls).buffer_unordered(LICENSES_AT_ONCE).try_collect().await
}

async fn report_usage(applications: &[Application], events: usize, clock: &SharedClock) -> Result<()> {
    let mut made = Events::new(clock);
    let starts = (0..events).step_by(BATCH);
    let calls = applications
        .iter()
        .cycle()
        .zip(starts)
        .map(|(application, start)| call(application.clone(), made.batch(BATCH.min(events - start))));
    stream::iter(calls).buffer_unordered(BATCHES_AT_ONCE).try_collect().await
}
