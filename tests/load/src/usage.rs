//! What usage costs at a licensing server: events that are new, and on the disk when they are answered.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::{Context, Result, ensure};
use futures_util::{future::try_join_all, stream};
use licensor::clock::{SharedClock, timestamp};
use proto::licensing::v1::{
    ReportUsageRequest, ReportUsageResponse, ReportUsageStreamRequest, ReportUsageStreamResponse, UsageEvent,
    UsageItem, UsageOutcome, UsageResult, metering_service_client::MeteringServiceClient, usage_item::Form,
};
use tokio::sync::mpsc;
use tonic::Streaming;

use crate::{
    Arguments,
    measure::measure,
    node::{Application, Node},
    report::{Kind, Report},
    service::Root,
};

/// Events of a large batch.
const BATCH: usize = 500;
/// Calls in a round for each one in flight, with one event each and
const CALLS: usize = 100;
/// with many.
const BATCHES: usize = 8;
/// Batches in a round at least.
const FEWEST_BATCHES: usize = 100;

/// What the owner has.
const ENTITLEMENT: &str = r#"
owner = "Example GmbH"
vendor = "Example"
serial_number = "EX-1"
[[services]]
name = "mail"
unit = "e-mail"
"#;

/// Enrols a licensing server, and reports usage to it on a connection each.
pub(crate) async fn report_all(
    arguments: &Arguments,
    directory: &Path,
    root: &Root,
    clock: &SharedClock,
    report: &mut Report,
) -> Result<()> {
    let node = Node::enroll("usage", ENTITLEMENT.to_owned(), directory, root, clock).await?;
    let process = node.start(clock).await?;
    let most = arguments.in_flight.iter().copied().max().unwrap_or_default();
    let applications = node.connect(most).await?;
    let streams: Streams = Arc::new(Mutex::new(try_join_all(applications.iter().map(Stream::open)).await?));
    let mut events = Events::new(clock);
    for round in 0..=arguments.rounds {
        for &in_flight in &arguments.in_flight {
            // The first round fills the caches.
            let mut keep = |kind, sample| {
                if round > 0 {
                    report.add(kind, in_flight, sample);
                }
            };
            let turns = |count| applications.iter().take(in_flight).cycle().take(count).cloned();
            let calls: Vec<_> =
                turns(CALLS * in_flight).map(|application| call(application, events.batch(1))).collect();
            keep(Kind::UsageOne, measure(&process, clock, in_flight, calls).await?.0);
            let count = (BATCHES * in_flight).max(FEWEST_BATCHES);
            let calls: Vec<_> =
                turns(count).map(|application| call(application, events.batch(BATCH))).collect();
            keep(Kind::UsageMany, measure(&process, clock, in_flight, calls).await?.0.of_each(BATCH));
            let calls: Vec<_> = (0..count).map(|_| send(streams.clone(), events.batch(BATCH))).collect();
            keep(Kind::UsageStream, measure(&process, clock, in_flight, calls).await?.0.of_each(BATCH));
        }
    }
    eprintln!("{} usage events in all", events.made);
    drop((applications, streams));
    process.stop(clock).await
}

/// Usage events, none of them twice.
pub(crate) struct Events {
    clock: SharedClock,
    made: u64,
}

impl Events {
    pub(crate) fn new(clock: &SharedClock) -> Self {
        Self { clock: clock.clone(), made: 0 }
    }

    /// The next events, used now: identifiers as an application would make them, in no order.
    pub(crate) fn batch(&mut self, size: usize) -> ReportUsageRequest {
        let time = Some(timestamp(self.clock.now()));
        let event = |number: u64| UsageEvent {
            id: format!("{:016x}-{:08x}", number.wrapping_mul(0x9E37_79B9_7F4A_7C15), number / 500),
            source: "app".to_owned(),
            service: "mail".to_owned(),
            quantity: 1 + number % 9,
            time,
            ..UsageEvent::default()
        };
        let first = self.made;
        self.made += size as u64;
        let items = (first..self.made).map(|number| UsageItem { form: Some(Form::Event(event(number))) });
        ReportUsageRequest { items: items.collect(), cloud_events: String::new() }
    }
}

/// Reports a batch in a call of its own.
pub(crate) async fn call(application: Application, batch: ReportUsageRequest) -> Result<()> {
    let events = batch.items.len();
    let mut metering = MeteringServiceClient::new(application.channel.clone());
    check(&metering.report_usage(application.request(batch)).await?.into_inner(), events)
}

fn check(answer: &ReportUsageResponse, events: usize) -> Result<()> {
    let accepted = |result: &&UsageResult| result.outcome() == UsageOutcome::Accepted;
    let counted = answer.results.iter().filter(accepted).count();
    ensure!(counted == events, "{counted} of {events} events were accepted: {:?}", answer.results.first());
    Ok(())
}

/// Streams on which nothing is in flight.
type Streams = Arc<Mutex<Vec<Stream>>>;

/// An open stream of batches.
struct Stream {
    batches: mpsc::Sender<ReportUsageStreamRequest>,
    answers: Streaming<ReportUsageStreamResponse>,
}

impl Stream {
    async fn open(application: &Application) -> Result<Self> {
        let (batches, receiver) = mpsc::channel(1);
        let sent = stream::unfold(receiver, async |mut receiver: mpsc::Receiver<_>| {
            receiver.recv().await.map(|batch| (batch, receiver))
        });
        let mut metering = MeteringServiceClient::new(application.channel.clone());
        let answers = metering.report_usage_stream(application.request(sent)).await?.into_inner();
        Ok(Self { batches, answers })
    }
}

/// Reports a batch on one of the streams.
async fn send(streams: Streams, batch: ReportUsageRequest) -> Result<()> {
    let lock = || streams.lock().unwrap_or_else(PoisonError::into_inner);
    let mut stream = lock().pop().context("no stream")?;
    let events = batch.items.len();
    stream.batches.send(ReportUsageStreamRequest { batch: Some(batch) }).await?;
    let answer = stream.answers.message().await?.and_then(|answer| answer.answer).context("no answer")?;
    lock().push(stream);
    check(&answer, events)
}
