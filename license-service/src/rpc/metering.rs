//! `MeteringService`: what reporters call, and who reads what was used.

use std::{pin::Pin, sync::Arc};

use futures_util::Stream;
use licensor::{
    error::{Error, Reason, Result},
    page::page_size,
};
use proto::licensing::v1::{
    CheckUsageResponse, GetStatementRequest, GetStatementResponse, GetUsageRequest, GetUsageResponse,
    ListStatementsRequest, ListStatementsResponse, ReportUsageRequest, ReportUsageResponse,
    ReportUsageStreamRequest, ReportUsageStreamResponse, Statement, StatementSummary, UsageCount,
    UsageDifference, UsageEvent, UsageItem, UsageOutcome, UsageResult,
    metering_service_server::MeteringService, usage_item::Form,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::too_large::named;
use crate::{
    ledger::CounterRecord,
    metering::{Difference, Metering, Month, Outcome, Reported, cloud_event},
};

/// Serves metering.
#[derive(Debug, Clone)]
pub(crate) struct MeteringRpc {
    pub(crate) metering: Arc<Metering>,
}

#[tonic::async_trait]
impl MeteringService for MeteringRpc {
    async fn report_usage(
        &self,
        request: Request<ReportUsageRequest>,
    ) -> Result<Response<ReportUsageResponse>, Status> {
        Ok(Response::new(report(&self.metering, request.into_inner()).await?))
    }

    type ReportUsageStreamStream =
        Pin<Box<dyn Stream<Item = Result<ReportUsageStreamResponse, Status>> + Send>>;

    async fn report_usage_stream(
        &self,
        request: Request<Streaming<ReportUsageStreamRequest>>,
    ) -> Result<Response<Self::ReportUsageStreamStream>, Status> {
        let (mut batches, metering) = (request.into_inner(), self.metering.clone());
        // Who does not read answers is not read from either.
        let (sender, receiver) = mpsc::channel(1);
        tokio::spawn(async move {
            loop {
                let answer = match batches.message().await {
                    Ok(None) => return,
                    Ok(Some(request)) => {
                        report(&metering, request.batch.unwrap_or_default()).await.map_err(Status::from)
                    }
                    Err(status) => Err(named(status, &metering)),
                };
                let answer = answer.map(|answer| ReportUsageStreamResponse { answer: Some(answer) });
                let failed = answer.is_err();
                if sender.send(answer).await.is_err() || failed {
                    return;
                }
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }

    async fn get_usage(
        &self,
        request: Request<GetUsageRequest>,
    ) -> Result<Response<GetUsageResponse>, Status> {
        let GetUsageRequest { month, vendor } = request.into_inner();
        let month = if month.is_empty() { None } else { Some(Month::parse(&month)?) };
        Ok(Response::new(GetUsageResponse { vendors: self.metering.usage(month, &vendor).await? }))
    }

    async fn list_statements(
        &self,
        request: Request<ListStatementsRequest>,
    ) -> Result<Response<ListStatementsResponse>, Status> {
        let ListStatementsRequest { page_size: size, page_token, vendor } = request.into_inner();
        let (statements, next_page_token) =
            self.metering.statements(&vendor, &page_token, page_size(size)?).await?;
        let statements = statements.into_iter().map(summary).collect();
        Ok(Response::new(ListStatementsResponse { statements, next_page_token }))
    }

    async fn get_statement(
        &self,
        request: Request<GetStatementRequest>,
    ) -> Result<Response<GetStatementResponse>, Status> {
        let GetStatementRequest { vendor, month } = request.into_inner();
        let statement = self.metering.statement(&vendor, Month::parse(&month)?).await?;
        Ok(Response::new(GetStatementResponse { statement: Some(statement) }))
    }
}

/// Counts everything anew; the last answer has the outcome.
pub(super) fn check_usage(
    metering: Arc<Metering>,
) -> impl Stream<Item = Result<CheckUsageResponse, Status>> + Send {
    let (sender, receiver) = mpsc::channel(4);
    tokio::spawn(async move {
        let progress = |counted, events| {
            // Who is slow misses some.
            let _ =
                sender.try_send(Ok(CheckUsageResponse { counted, events, ..CheckUsageResponse::default() }));
        };
        let outcome = tokio::select! {
            outcome = metering.check(&progress) => outcome,
            () = sender.closed() => return,
        };
        let outcome = outcome.map(|(events, differences)| CheckUsageResponse {
            counted: events,
            events,
            done: true,
            differences: differences.into_iter().map(difference).collect(),
        });
        let _ = sender.send(outcome.map_err(Status::from)).await;
    });
    ReceiverStream::new(receiver)
}

async fn report(metering: &Metering, request: ReportUsageRequest) -> Result<ReportUsageResponse> {
    let ReportUsageRequest { items, cloud_events } = request;
    metering.check_size(items.len())?;
    let mut reported: Vec<_> = items.into_iter().map(item).collect();
    if !cloud_events.is_empty() {
        reported.extend(cloud_event::parse_batch(&cloud_events)?);
    }
    let outcomes = metering.report(reported).await?;
    Ok(ReportUsageResponse { results: outcomes.into_iter().map(result).collect() })
}

fn item(item: UsageItem) -> Result<Reported> {
    match item.form {
        Some(Form::Event(event)) => event_of(event),
        Some(Form::CloudEvent(json)) => cloud_event::parse(&json),
        None => Err(Error::new(Reason::InvalidArgument, "an item has an event, or a cloud_event")),
    }
}

fn event_of(event: UsageEvent) -> Result<Reported> {
    let UsageEvent { id, source, service, vendor, owner, quantity, time } = event;
    let time = match time {
        None => None,
        Some(time) => match u32::try_from(time.nanos) {
            Ok(nanos @ 0..1_000_000_000) => Some((time.seconds, nanos)),
            _ => return Err(Error::new(Reason::UsageTimeInvalid, "the time has no nanoseconds like these")),
        },
    };
    Ok(Reported { source, id, service, vendor, owner, quantity, time })
}

fn result(outcome: Outcome) -> UsageResult {
    match outcome {
        Outcome::Accepted => UsageResult { outcome: UsageOutcome::Accepted.into(), ..UsageResult::default() },
        Outcome::Duplicate => {
            UsageResult { outcome: UsageOutcome::Duplicate.into(), ..UsageResult::default() }
        }
        Outcome::Refused(error) => UsageResult {
            outcome: UsageOutcome::Refused.into(),
            reason: error.reason.to_string(),
            message: error.message,
        },
    }
}

fn summary(statement: Statement) -> StatementSummary {
    StatementSummary {
        state: statement.state,
        vendor: statement.vendor,
        month: statement.month,
        start_time: statement.start_time,
        end_time: statement.end_time,
        final_time: statement.final_time,
        totals: statement.totals,
        digest: statement.digest,
    }
}

fn difference(difference: Difference) -> UsageDifference {
    let Difference { key, counter, recount } = difference;
    let count =
        |count: CounterRecord| UsageCount { sum: count.sum, maximum: count.maximum, events: count.events };
    UsageDifference {
        vendor: key.vendor,
        service: key.service,
        month: Month(key.month).to_string(),
        statement_month: Month(key.booked).to_string(),
        counter: Some(count(counter)),
        recount: Some(count(recount)),
    }
}
