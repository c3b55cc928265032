//! The command line. All but `enroll`, `serve` and `verify` talk to the running service over its admin socket.

mod access;
mod carried;
mod entitlement;
mod events;
mod seats;
mod statement_csv;
mod statements;
mod usage;
mod verify;
mod web;

use std::{
    fs,
    io::{self, Read},
    path::PathBuf,
};

use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;
use licensor::{
    admin,
    cli::{Failure, Output, instant, print_object, text},
    clock::{SystemClock, from_unix_seconds, rfc3339},
    config::ConfigError,
    error::{Error, Reason},
    key::KeyError,
    store::StoreError,
};
use proto::licensing::v1::{
    AcceptClockRequest, DatabaseKind, EnrollRequest, GetStatusRequest, RenewCertificateRequest,
    licensing_admin_service_client::LicensingAdminServiceClient, status_service_client::StatusServiceClient,
};
use serde_json::{Value, json};
use tonic::transport::Channel;
use verifier::Certificate;

use crate::{app, config::Config};

use self::{
    entitlement::EntitlementCommand,
    seats::{AssignmentsCommand, LicensesCommand},
};

/// Licensing server: issues licences under a licensor certificate that it renews by itself.
#[derive(Debug, Parser)]
#[command(
    name = "license-service",
    version,
    arg_required_else_help = true,
    after_help = "Example:\n  license-service --config license.toml enroll --token-file token && license-service --config license.toml serve"
)]
pub(crate) struct Arguments {
    /// Configuration file [default: /etc/licensor/license.toml, if it is there]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Form of the output
    #[arg(long, global = true, value_enum, default_value_t)]
    pub(crate) output: Output,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Get the first licensor certificate with an enrolment token, or move to another root
    #[command(
        after_help = "Works with and without a running service.\n\nExample:\n  root-service token create --node berlin-1 --owner 'Example GmbH' --output json | jq -r .token | license-service enroll --token -"
    )]
    Enroll {
        /// File with the token
        #[arg(long, value_name = "FILE", required_unless_present = "token", conflicts_with = "token")]
        token_file: Option<PathBuf>,
        /// The token; `-` reads it from standard input, where no other user can see it
        #[arg(long)]
        token: Option<String>,
    },
    /// Run the service until SIGTERM or Ctrl-C
    #[command(after_help = "Example:\n  license-service --config /etc/licensor/license.toml serve")]
    Serve,
    /// Renew the licensor certificate now, at the root that issued it
    #[command(after_help = "Example:\n  license-service renew --output json")]
    Renew {
        /// Keep the licensor key instead of making a new one
        #[arg(long)]
        same_key: bool,
    },
    /// Write a request to a file that is carried to a root: a renewal, or an enrolment if there is a token
    #[command(
        after_help = "The root answers it with `root-service sign-request`; `license-service import` takes the answer.\n\nExample:\n  license-service export-request berlin-1.request"
    )]
    ExportRequest {
        /// File to write; it must not be there yet
        file: PathBuf,
        /// File with an enrolment token
        #[arg(long, value_name = "FILE", conflicts_with = "token")]
        token_file: Option<PathBuf>,
        /// An enrolment token; `-` reads it from standard input, where no other user can see it
        #[arg(long)]
        token: Option<String>,
        /// Renew, and keep the licensor key instead of making a new one
        #[arg(long, conflicts_with_all = ["token", "token_file"])]
        same_key: bool,
    },
    /// Take the answer of a root to the newest request that was exported
    #[command(after_help = "Example:\n  license-service import berlin-1.answer --output json")]
    Import {
        /// File with the answer
        file: PathBuf,
    },
    /// Sum up this server: its certificate, and whether it issues licences
    #[command(after_help = "Example:\n  license-service status --output json")]
    Status,
    /// Access tokens, with which applications call this server
    #[command(subcommand, after_help = "Example:\n  license-service access create --name billing --ttl 90d")]
    Access(access::AccessCommand),
    /// What happened, and what the administrator tells everyone
    #[command(subcommand, after_help = "Example:\n  license-service events list --id 18")]
    Events(events::NodeEventsCommand),
    /// What licences there are, in use and available
    #[command(subcommand, after_help = "Example:\n  license-service licenses list --output json")]
    Licenses(LicensesCommand),
    /// Who has a seat: by name, or for a lease
    #[command(
        subcommand,
        after_help = "Example:\n  license-service assignments add --module crm --user anna"
    )]
    Assignments(AssignmentsCommand),
    /// What the owner has of each vendor
    #[command(
        subcommand,
        after_help = "Example:\n  license-service entitlement check && license-service entitlement activate"
    )]
    Entitlement(EntitlementCommand),
    /// The clock of this machine
    #[command(subcommand, after_help = "Example:\n  license-service clock accept")]
    Clock(ClockCommand),
    /// What was used of metered services
    #[command(subcommand, after_help = "Example:\n  license-service usage show --month 2026-11")]
    Usage(usage::UsageCommand),
    /// What was used month by month, and what it costs
    #[command(subcommand, after_help = "Example:\n  license-service statements show 2026-11")]
    Statements(statements::StatementsCommand),
    /// The screen
    #[command(subcommand, after_help = "Example:\n  license-service web login")]
    Web(web::WebCommand),
    /// Verify a licence offline
    #[command(
        after_help = "Without a revocation list nothing counts as revoked.\n\nExample:\n  license-service verify license.jwt --trust-bundle trust-bundle.pem --revocation-list root.crl"
    )]
    Verify {
        /// File with the licence; `-` reads it from standard input
        file: PathBuf,
        /// Trust anchors (PEM) [default: trust-bundle.pem in `data_dir`]
        #[arg(long, value_name = "FILE")]
        trust_bundle: Option<PathBuf>,
        /// Revocation list of an authority (DER), as the address in its certificates serves it (repeatable)
        #[arg(long = "revocation-list", value_name = "FILE")]
        revocation_lists: Vec<PathBuf>,
        /// Proof that the issue of the licensor certificate is in the root's audit log (`root-service audit prove`)
        #[arg(long, value_name = "FILE")]
        proof: Option<PathBuf>,
    },
    /// Print completions for a shell
    #[command(after_help = "Example:\n  license-service completions zsh > ~/.zfunc/_license-service")]
    Completions {
        /// The shell
        shell: Shell,
    },
}

#[derive(Debug, Subcommand)]
enum ClockCommand {
    /// Take the clock for right though a later time has been seen: it was wrong then
    #[command(
        after_help = "A clock that was set back would let leases end twice: no seats are given until it is right again, or accepted.\n\nExample:\n  license-service clock accept"
    )]
    Accept,
}

/// Runs one command.
pub(crate) fn run(arguments: Arguments) -> Result<(), Failure> {
    let Arguments { config, output, command } = arguments;
    let config_file = config.as_deref();
    match command {
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Arguments::command(), "license-service", &mut io::stdout());
            Ok(())
        }
        Command::Verify { file, trust_bundle, revocation_lists, proof } => {
            let bundle = match trust_bundle {
                Some(bundle) => bundle,
                None => Config::load(config_file)?.data_dir.join("trust-bundle.pem"),
            };
            verify::verify(&file, &bundle, &revocation_lists, proof.as_ref(), output)
        }
        Command::Enroll { token_file, token } => {
            let config = Config::load(config_file)?;
            let token = read_token(token_file, token)?;
            let certificate = runtime()?.block_on(enroll(&config, &token))?;
            print_object(output, &certificate_json(&certificate))
        }
        Command::Serve => {
            let config = Config::load(config_file)?;
            runtime()?.block_on(app::serve(config, SystemClock::shared())).map_err(failure)
        }
        command => {
            let config = Config::load(config_file)?;
            let socket = admin::socket_path(&config.admin, &config.data_dir);
            runtime()?.block_on(async { administer(command, admin::connect(&socket).await?, output).await })
        }
    }
}

fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Failure::other)
}

/// A key file that others can read is a matter of configuration; everything else failed or was refused.
fn failure(error: anyhow::Error) -> Failure {
    let error = match error.downcast::<ConfigError>() {
        Ok(error) => return Failure::Configuration(error),
        Err(error) => error,
    };
    let error = match error.downcast::<Error>() {
        Ok(error) => return Failure::Refused(error),
        Err(error) => error,
    };
    let sentence = format!("{error:#}");
    match error.downcast_ref::<KeyError>() {
        Some(_) => Failure::Configuration(ConfigError::unusable("data_dir", sentence)),
        None => Failure::Failed(sentence),
    }
}

fn read_token(file: Option<PathBuf>, token: Option<String>) -> Result<String, Failure> {
    let unreadable = |name: &str, error: io::Error| {
        Failure::Failed(format!("the token cannot be read from {name}: {error}"))
    };
    match (file, token.as_deref()) {
        (Some(file), _) => {
            fs::read_to_string(&file).map_err(|error| unreadable(&file.display().to_string(), error))
        }
        (None, Some("-")) => {
            let mut text = String::new();
            io::stdin().read_to_string(&mut text).map_err(|error| unreadable("standard input", error))?;
            Ok(text)
        }
        (None, token) => Ok(token.unwrap_or_default().to_owned()),
    }
}

/// Lets the running service enrol, or does it here if none runs.
async fn enroll(config: &Config, token: &str) -> Result<Vec<u8>, Failure> {
    let socket = admin::socket_path(&config.admin, &config.data_dir);
    match admin::connect(&socket).await {
        Ok(channel) => return enroll_through(channel, token).await,
        Err(error) if error.reason == Reason::ServiceUnreachable => {}
        Err(error) => return Err(error.into()),
    }
    match app::enroll(config, SystemClock::shared(), token).await {
        Ok(credential) => Ok(credential.issuance.licensor.clone()),
        // The service started in between.
        Err(error) if matches!(error.downcast_ref(), Some(StoreError::Locked { .. })) => {
            enroll_through(admin::connect(&socket).await?, token).await
        }
        Err(error) => Err(failure(error)),
    }
}

async fn enroll_through(channel: Channel, token: &str) -> Result<Vec<u8>, Failure> {
    let request = EnrollRequest { token: token.to_owned() };
    Ok(LicensingAdminServiceClient::new(channel).enroll(request).await?.into_inner().certificate)
}

async fn administer(command: Command, channel: Channel, output: Output) -> Result<(), Failure> {
    match command {
        Command::Renew { same_key } => {
            let request = RenewCertificateRequest { same_key };
            let renewed =
                LicensingAdminServiceClient::new(channel).renew_certificate(request).await?.into_inner();
            print_object(output, &certificate_json(&renewed.certificate))
        }
        Command::ExportRequest { file, token_file, token, same_key } => {
            let token = match (&token_file, &token) {
                (None, None) => None,
                _ => Some(read_token(token_file, token)?),
            };
            carried::export_request(channel, &file, token, same_key, output).await
        }
        Command::Import { file } => carried::import(channel, &file, output).await,
        Command::Status => status(channel, output).await,
        Command::Access(command) => access::run(command, channel, output).await,
        Command::Events(command) => events::run(command, channel, output).await,
        Command::Web(command) => web::run(command, channel, output).await,
        Command::Licenses(command) => seats::licenses(command, channel, output).await,
        Command::Assignments(command) => seats::assignments(command, channel, output).await,
        Command::Entitlement(command) => entitlement::run(command, channel, output).await,
        Command::Clock(ClockCommand::Accept) => {
            let accepted = LicensingAdminServiceClient::new(channel)
                .accept_clock(AcceptClockRequest {})
                .await?
                .into_inner();
            print_object(output, &json!({ "time": instant(accepted.time) }))
        }
        Command::Usage(command) => usage::run(command, channel, output).await,
        Command::Statements(command) => statements::run(command, channel, output).await,
        // Done before anyone connects.
        Command::Enroll { .. } | Command::Serve | Command::Verify { .. } | Command::Completions { .. } => {
            Ok(())
        }
    }
}

async fn status(channel: Channel, output: Output) -> Result<(), Failure> {
    let status =
        StatusServiceClient::new(channel.clone()).get_status(GetStatusRequest {}).await?.into_inner();
    entitlement::note_other_owners(channel).await;
    let certificate = status.certificate.map_or(Value::Null, |certificate| {
        json!({
            "serial": certificate.serial,
            "not_before": instant(certificate.not_before),
            "not_after": instant(certificate.not_after),
            "issuer_key_id": certificate.issuer_key_id,
            "renewal_address": certificate.renewal_address,
            "renew_at": instant(certificate.renew_time),
        })
    });
    let database = status.database.unwrap_or_default();
    print_object(
        output,
        &json!({
            "node": text(&status.node),
            "owner": text(&status.owner),
            "spiffe_id": text(&status.spiffe_id),
            "enabled": status.enabled,
            "disabled_reason": text(&status.disabled_reason),
            "certificate": certificate,
            "last_renewal": instant(status.last_renewal_time),
            "last_renewal_error": text(&status.last_renewal_error),
            "database": database_kind(database.kind()),
            "next_expiry": instant(database.next_expire_time),
        }),
    )
}

fn database_kind(kind: DatabaseKind) -> &'static str {
    match kind {
        DatabaseKind::Satellite => "satellite",
        _ => "central",
    }
}

fn certificate_json(der: &[u8]) -> Value {
    match Certificate::parse(der) {
        Ok(facts) => json!({
            "serial": facts.serial,
            "not_before": rfc3339(from_unix_seconds(facts.not_before)),
            "not_after": rfc3339(from_unix_seconds(facts.not_after)),
            "issuer_key_id": facts.issuer_key_id,
        }),
        Err(_) => Value::Null,
    }
}
