//! Load generator: starts the release binaries of both services as processes of their own, measures them over real
//! TLS and a real disk, and prints Markdown tables for the README.
//!
//! A certificate that was renewed is superseded, and a caller is known by the certificate of its connection: so a
//! connection renews once. Every round opens a connection for each node before the clock starts.

mod connection;
mod crypto;
mod fleet;
mod leases;
mod licenses;
mod life;
mod machine;
mod measure;
mod node;
mod peer;
mod report;
mod rounds;
mod screen;
mod service;
mod usage;
mod verify;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result};
use clap::Parser;
use licensor::clock::{SharedClock, SystemClock};

use crate::{crypto::Crypto, machine::Machine, report::Report, rounds::Rounds, verify::Verification};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The service runs on this core,
const SERVICE_CORE: usize = 0;
/// and the load generator on this one.
const LOAD_CORE: usize = 1;

/// Measures the release binaries beside this one, and prints Markdown tables.
#[derive(Debug, Parser)]
#[command(after_help = "Example:\n  cargo build --release && cargo run --release -p load")]
struct Arguments {
    /// Rounds of each measurement; medians are printed
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Licensing servers that are enrolled: each renews once a round
    #[arg(long, default_value_t = 640)]
    nodes: usize,
    /// Connections that are opened to see what an idle one costs
    #[arg(long, default_value_t = 2000)]
    idle: usize,
    /// Calls in flight at once
    #[arg(long, value_delimiter = ',', default_values_t = [1, 16, 64])]
    in_flight: Vec<usize>,
    /// Measure a root with so many certificates instead: its start, its audit log, its revocation list
    #[arg(long, value_name = "CERTIFICATES")]
    life: Option<usize>,
    /// With --life: certificates that are revoked
    #[arg(long, default_value_t = 100_000)]
    revoked: usize,
    /// Measure a licensing server with so many leases instead: its start
    #[arg(long, value_name = "LEASES", conflicts_with = "life")]
    leases: Option<usize>,
    /// With --leases: usage events that it has counted
    #[arg(long, default_value_t = 10_000_000)]
    events: usize,
    /// Measure PostgreSQL, the peer of a seat, in the same run with this script: tests/load/postgresql.sh
    #[arg(long, value_name = "SCRIPT")]
    peer: Option<PathBuf>,
    /// Measure only this
    #[arg(long, value_enum)]
    only: Option<Only>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Only {
    /// Renewals on open connections
    Open,
    /// Renewals on a fresh connection each
    Fresh,
    /// Licences
    Licenses,
    /// Usage events
    Usage,
    /// Pages of the screen
    Screen,
    /// Licences as applications verify them
    Verify,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<()> {
    licensor::process::prepare();
    let binaries = service::binaries()?;
    let target = binaries.parent().unwrap_or(Path::new("."));
    let directory =
        tempfile::Builder::new().prefix("load-").tempdir_in(target).context("temporary directory")?;
    let clock = SystemClock::shared();
    let pinned = machine::pin(SERVICE_CORE);
    let mut crypto = Crypto::default();
    crypto.measure()?;
    // The runtime stays on this thread, which `pin` moves.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    if pinned {
        machine::pin(LOAD_CORE);
    }
    let machine = Machine::describe(directory.path(), &clock, pinned)?;
    if let Some(certificates) = arguments.life {
        let revoked = arguments.revoked.min(certificates);
        return runtime.block_on(life::measure(certificates, revoked, directory.path(), &machine, pinned));
    }
    if let Some(leases) = arguments.leases {
        let (directory, events) = (directory.path(), arguments.events);
        return runtime.block_on(leases::measure(leases, events, directory, &machine, pinned));
    }
    let mut report = Report::new(machine, pinned);
    runtime.block_on(measure_all(arguments, directory.path(), &clock, &mut crypto, &mut report))?;
    if let Some(script) = &arguments.peer {
        eprintln!("PostgreSQL");
        report.peer = peer::measure(script)?;
    }
    report.crypto = crypto;
    report.print();
    Ok(())
}

async fn measure_all(
    arguments: &Arguments,
    directory: &Path,
    clock: &SharedClock,
    crypto: &mut Crypto,
    report: &mut Report,
) -> Result<()> {
    let wanted = |what| arguments.only.is_none_or(|only| only == what);
    let root = service::Root::init(directory, report.pinned)?;
    if wanted(Only::Open) || wanted(Only::Fresh) {
        measure_root(arguments, &root, clock, crypto, report).await?;
    }
    let verification = Verification::read()?;
    for _ in 0..arguments.rounds {
        measure_here(report, |report| {
            crypto.measure()?;
            if wanted(Only::Verify) { verification.measure(clock, report) } else { Ok(()) }
        })?;
    }
    if ![Only::Licenses, Only::Usage, Only::Screen].into_iter().any(wanted) {
        return Ok(());
    }
    let process = root.start(clock).await?;
    if wanted(Only::Licenses) {
        eprintln!("licences");
        licenses::acquire_all(arguments, directory, &root, clock, report).await?;
    }
    if wanted(Only::Usage) {
        eprintln!("usage");
        usage::report_all(arguments, directory, &root, clock, report).await?;
    }
    if wanted(Only::Screen) {
        eprintln!("the screen");
        screen::fetch_all(arguments, directory, &root, clock, report).await?;
    }
    process.stop(clock).await
}

/// What a root does: renewals, and connections on which nothing happens.
async fn measure_root(
    arguments: &Arguments,
    root: &service::Root,
    clock: &SharedClock,
    crypto: &mut Crypto,
    report: &mut Report,
) -> Result<()> {
    let wanted = |what| arguments.only.is_none_or(|only| only == what);
    let process = root.start(clock).await?;
    eprintln!("enrolling {} nodes", arguments.nodes);
    let mut fleet = fleet::Fleet::enroll(root, arguments.nodes).await?;
    process.stop(clock).await?;

    // A fresh process: memory that an earlier load left behind would be taken for free.
    let process = root.start(clock).await?;
    eprintln!("process {} of root-service", process.id());
    if arguments.only.is_none() {
        report.idle_connection_bytes = Some(rounds::idle(&process, &fleet, clock, arguments.idle).await?);
    }
    let mut rounds = Rounds { process: &process, clock, fleet: &mut fleet };
    for round in 1..=arguments.rounds {
        eprintln!("round {round} of {}", arguments.rounds);
        for &in_flight in &arguments.in_flight {
            if wanted(Only::Open) {
                rounds.open_connections(in_flight, report).await?;
            }
            if wanted(Only::Fresh) {
                rounds.fresh_connections(in_flight, report).await?;
            }
        }
        measure_here(report, |_| crypto.measure())?;
    }
    process.stop(clock).await
}

/// Measures what this process does, on the core where else the service runs.
fn measure_here(report: &mut Report, measure: impl FnOnce(&mut Report) -> Result<()>) -> Result<()> {
    if report.pinned {
        machine::pin(SERVICE_CORE);
    }
    measure(report)?;
    if report.pinned {
        machine::pin(LOAD_CORE);
    }
    Ok(())
}
