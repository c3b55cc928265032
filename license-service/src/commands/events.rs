//! `events`: what happened, and what the administrator tells everyone.

use std::time::SystemTime;

use clap::{Subcommand, ValueEnum};
use licensor::{
    cli::{Failure, Output, parse_instant, print_object},
    clock::{SystemClock, timestamp},
    config::parse_span,
    event::Scope,
    events_cli::{self, EventsCommand, event_json},
};
use proto::{
    event::v1 as pb,
    licensing::v1::{
        AddEventRequest, EndEventRequest, SystemEventKind,
        licensing_admin_service_client::LicensingAdminServiceClient,
    },
};
use tonic::transport::Channel;

/// Events: list, watch, add or end.
#[derive(Debug, Subcommand)]
pub(super) enum NodeEventsCommand {
    #[command(flatten)]
    Of(EventsCommand),
    /// Tell everyone something, until it is ended
    #[command(
        after_help = "Example:\n  license-service events add --kind maintenance --description 'The disks are exchanged.' --expected-end 2h"
    )]
    Add {
        /// What kind of event
        #[arg(long, value_enum)]
        kind: Kind,
        /// What there is to say, 1000 characters at most
        #[arg(long, value_name = "TEXT")]
        description: String,
        /// When it is expected to end: a time in UTC such as 2027-03-31T22:00:00Z, or how long from now, such as 2h. Nothing
        /// happens then
        #[arg(long, value_parser = parse_end, value_name = "TIME")]
        expected_end: Option<SystemTime>,
        /// What it concerns
        #[arg(long, value_enum, default_value_t = Scope::System)]
        scope: Scope,
        /// Which database, group or user it concerns
        #[arg(long, value_name = "NAME")]
        target: Option<String>,
    },
    /// End an event that was added
    #[command(after_help = "Example:\n  license-service events end 42")]
    End {
        /// Its sequence number: see `events list --active`
        sequence: u64,
    },
}

/// Kinds of events that are added by hand.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum Kind {
    /// Nobody may log in
    NoLogin,
    /// Somebody works on the system
    Maintenance,
    /// Something that everyone should know
    MessageOfTheDay,
}

/// Runs one of the commands over the admin socket.
pub(super) async fn run(command: NodeEventsCommand, channel: Channel, output: Output) -> Result<(), Failure> {
    let mut client = LicensingAdminServiceClient::new(channel.clone());
    let event = match command {
        NodeEventsCommand::Of(command) => return events_cli::run(command, channel, output).await,
        NodeEventsCommand::Add { kind, description, expected_end, scope, target } => {
            let kind = match kind {
                Kind::NoLogin => SystemEventKind::NoLogin,
                Kind::Maintenance => SystemEventKind::Maintenance,
                Kind::MessageOfTheDay => SystemEventKind::MessageOfTheDay,
            };
            let request = AddEventRequest {
                kind: kind.into(),
                description,
                expected_end_time: expected_end.map(timestamp),
                scope: pb::Scope::from(scope).into(),
                target: target.unwrap_or_default(),
            };
            client.add_event(request).await?.into_inner().event
        }
        NodeEventsCommand::End { sequence } => {
            client.end_event(EndEventRequest { sequence }).await?.into_inner().event
        }
    };
    print_object(output, &event_json(&event.unwrap_or_default()))
}

/// An instant, or a span from now on.
fn parse_end(text: &str) -> Result<SystemTime, String> {
    parse_span(text).map(|span| SystemClock::shared().now() + span).or_else(|_| {
        parse_instant(text).map_err(|problem| format!("{problem}, or how long from now, for example 2h"))
    })
}
