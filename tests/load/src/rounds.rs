//! What is measured at a root, round by round.

use anyhow::Result;
use futures_util::{StreamExt, TryStreamExt, stream};
use licensor::clock::SharedClock;
use tonic::transport::Channel;

use crate::{
    connection::{check_health, open},
    fleet::Fleet,
    measure::measure,
    report::{Kind, Report},
    service::{Service, pause},
};

/// Connections that are opened at once.
const AT_ONCE: usize = 16;
/// Empty RPCs in a round on one connection.
const EMPTY_CALLS: usize = 4000;
/// How often each connection carries an empty RPC in a round.
const EMPTY_SWEEPS: usize = 3;

/// What the rounds work with.
#[derive(Debug)]
pub(crate) struct Rounds<'a> {
    pub(crate) process: &'a Service,
    pub(crate) clock: &'a SharedClock,
    pub(crate) fleet: &'a mut Fleet,
}

impl Rounds<'_> {
    /// Empty RPCs on one connection and on one connection a node, then a renewal on each of these.
    pub(crate) async fn open_connections(&mut self, in_flight: usize, report: &mut Report) -> Result<()> {
        let renewals = self.fleet.prepare()?;
        let channels = connect(self.fleet, self.fleet.len()).await?;
        if let Some(channel) = channels.first() {
            let calls = (0..EMPTY_CALLS).map(|_| check_health(channel.clone()));
            let (sample, _) = measure(self.process, self.clock, in_flight, calls).await?;
            report.add(Kind::EmptyOneConnection, in_flight, sample);
        }
        let calls = (0..EMPTY_SWEEPS).flat_map(|_| &channels).map(|channel| check_health(channel.clone()));
        let (sample, _) = measure(self.process, self.clock, in_flight, calls).await?;
        report.add(Kind::EmptyOwnConnection, in_flight, sample);
        let calls =
            renewals.into_iter().zip(&channels).map(|(renewal, channel)| renewal.call(channel.clone()));
        let (sample, renewed) = measure(self.process, self.clock, in_flight, calls).await?;
        report.add(Kind::RenewalOpen, in_flight, sample);
        self.fleet.adopt(renewed);
        Ok(())
    }

    /// A renewal of each node on a connection of its own, which is opened for it and closed again.
    pub(crate) async fn fresh_connections(&mut self, in_flight: usize, report: &mut Report) -> Result<()> {
        let address = self.fleet.address;
        let mut calls = Vec::with_capacity(self.fleet.len());
        for (node, renewal) in self.fleet.prepare()?.into_iter().enumerate() {
            let tls = self.fleet.tls(node)?;
            calls.push(async move { renewal.call(open(address, tls).await?).await });
        }
        let (sample, renewed) = measure(self.process, self.clock, in_flight, calls).await?;
        report.add(Kind::RenewalFresh, in_flight, sample);
        self.fleet.adopt(renewed);
        Ok(())
    }
}

/// Resident memory of the service for an open connection on which nothing happens, bytes.
pub(crate) async fn idle(process: &Service, fleet: &Fleet, clock: &SharedClock, count: usize) -> Result<f64> {
    eprintln!("opening {count} idle connections");
    // What the first connections cost once and for all does not count.
    let _first = connect(fleet, 100).await?;
    let before = settled_memory(process, clock).await?;
    let _idle = connect(fleet, count).await?;
    let after = settled_memory(process, clock).await?;
    Ok((after as f64 - before as f64) / count as f64)
}

async fn settled_memory(process: &Service, clock: &SharedClock) -> Result<u64> {
    process.settled_cpu(clock).await?;
    pause(clock, 500).await;
    process.resident_bytes()
}

/// Opens connections with the nodes' certificates; each has carried one call when this returns.
async fn connect(fleet: &Fleet, count: usize) -> Result<Vec<Channel>> {
    let channels = (0..count).map(|node| async move {
        let channel = open(fleet.address, fleet.tls(node)?).await?;
        check_health(channel.clone()).await?;
        anyhow::Ok(channel)
    });
    // In order: the n-th connection is the n-th node's.
    stream::iter(channels).buffered(AT_ONCE).try_collect().await
}
