//! `events list` and `events watch` of both command lines.

use clap::Subcommand;
use proto::event::v1::{
    self as pb, Event, EventStatus, ListEventsRequest, Severity, WatchEventsRequest,
    event_service_client::EventServiceClient,
};
use serde_json::{Value, json};
use tonic::transport::Channel;

use crate::{
    cli::{Failure, Output, instant, print, print_list, text},
    event::{Scope, scope},
};

/// Events: list or watch.
#[derive(Debug, Subcommand)]
pub enum EventsCommand {
    /// List events in the order in which they were raised
    #[command(after_help = "Example:\n  events list --id 18 --output json")]
    List {
        /// Only events with this id; 125, an administrator has read something, is listed in no other way
        #[arg(long)]
        id: Option<u32>,
        /// Only events about this certificate
        #[arg(long)]
        serial: Option<String>,
        /// Only events about this licensing server
        #[arg(long)]
        node: Option<String>,
        /// Only events that still hold
        #[arg(long)]
        active: bool,
        /// Only events that concern this
        #[arg(long, value_enum)]
        scope: Option<Scope>,
        /// Only events about this database, group or user
        #[arg(long, value_name = "NAME")]
        target: Option<String>,
    },
    /// Print events as they are raised, one JSON object a line with --output json
    #[command(after_help = "Example:\n  events watch --from 1")]
    Watch {
        /// Begin with this sequence number instead of what comes next
        #[arg(long, default_value_t = 0)]
        from: u64,
    },
}

/// Runs one of the commands over the admin socket.
///
/// # Errors
/// What the service refuses.
pub async fn run(command: EventsCommand, channel: Channel, output: Output) -> Result<(), Failure> {
    let mut client = EventServiceClient::new(channel);
    match command {
        EventsCommand::List { id, serial, node, active, scope, target } => {
            let mut request = ListEventsRequest {
                page_size: 1000,
                page_token: String::new(),
                id: id.unwrap_or_default(),
                serial: serial.unwrap_or_default(),
                node: node.unwrap_or_default(),
                status: if active { EventStatus::Active.into() } else { EventStatus::Unspecified.into() },
                minimum_severity: Severity::Unspecified.into(),
                scope: scope.map_or(pb::Scope::Unspecified, pb::Scope::from).into(),
                target: target.unwrap_or_default(),
            };
            let mut rows = Vec::new();
            loop {
                let page = client.list_events(request.clone()).await?.into_inner();
                rows.extend(page.events.iter().map(event_json));
                request.page_token = page.next_page_token;
                if request.page_token.is_empty() {
                    let columns = [
                        "sequence",
                        "time",
                        "id",
                        "name",
                        "severity",
                        "status",
                        "scope",
                        "target",
                        "activated_by",
                        "expected_end",
                        "ended_at",
                        "node",
                        "message",
                    ];
                    return print_list(output, &columns, &rows);
                }
            }
        }
        EventsCommand::Watch { from } => {
            let request = WatchEventsRequest { from_sequence: from };
            let mut events = client.watch_events(request).await?.into_inner();
            while let Some(response) = events.message().await? {
                let event = event_json(&response.event.unwrap_or_default());
                match output {
                    Output::Json => print(&event)?,
                    Output::Table => print(format!(
                        "{}  {}  {} {}  {}",
                        event["sequence"],
                        text_of(&event["time"]),
                        event["id"],
                        text_of(&event["name"]),
                        text_of(&event["message"])
                    ))?,
                }
            }
            Ok(())
        }
    }
}

fn text_of(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// An event as JSON shows it.
#[must_use]
pub fn event_json(event: &Event) -> Value {
    let severity = match event.severity() {
        Severity::Unspecified => "unknown",
        Severity::Info => "info",
        Severity::Warning => "warning",
        Severity::Error => "error",
    };
    let status = match event.status() {
        EventStatus::Unspecified => "unknown",
        EventStatus::Active => "active",
        EventStatus::Ended => "ended",
    };
    json!({
        "sequence": event.sequence,
        "id": event.id,
        "name": event.name,
        "severity": severity,
        "time": instant(event.time),
        "serial": text(&event.serial),
        "node": text(&event.node),
        "status": status,
        "scope": scope(event.scope()).unwrap_or_default().as_str(),
        "target": text(&event.target),
        "activated_by": event.activated_by,
        "expected_end": instant(event.expected_end_time),
        "ended_at": instant(event.end_time),
        "ended_by": text(&event.ended_by),
        "arguments": event.arguments,
        "message": event.message,
    })
}
