//! What both command lines share: output for people and programs, errors and exit codes.

use std::{
    fmt::Display,
    io::{self, IsTerminal, Write},
    process::ExitCode,
    time::{Duration, SystemTime},
};

use clap::ValueEnum;
use serde_json::{Value, json};

use crate::{
    clock::{SharedClock, SystemClock},
    config::ConfigError,
    error::Error,
};

/// Form of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Output {
    /// For people.
    #[default]
    Table,
    /// One JSON value, for programs.
    Json,
}

/// Why a command ended without doing its work.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The service, or a rule of the product, refused.
    #[error(transparent)]
    Refused(#[from] Error),
    /// The configuration cannot be used.
    #[error(transparent)]
    Configuration(#[from] ConfigError),
    /// Something else failed.
    #[error("{0}")]
    Failed(String),
}

impl Failure {
    /// Anything else, with everything that caused it.
    pub fn other(error: impl Into<anyhow::Error>) -> Self {
        Self::Failed(format!("{:#}", error.into()))
    }

    fn exit_code(&self) -> u8 {
        match self {
            Self::Configuration(_) => 64,
            _ => 1,
        }
    }
}

impl From<tonic::Status> for Failure {
    fn from(status: tonic::Status) -> Self {
        Self::Refused(status.into())
    }
}

/// Prints a failure to standard error, and says with what code to exit.
pub fn report(failure: &Failure, output: Output) -> ExitCode {
    let mut stderr = io::stderr().lock();
    let (reason, metadata) = match failure {
        Failure::Refused(error) => (Some(error.reason), error.metadata.as_slice()),
        Failure::Configuration(_) | Failure::Failed(_) => (None, [].as_slice()),
    };
    // Nobody is left to tell if standard error is gone.
    let _ = match output {
        Output::Json => {
            let metadata: serde_json::Map<String, Value> =
                metadata.iter().map(|(key, value)| (key.clone(), json!(value))).collect();
            let reason = reason.map(crate::error::Reason::as_str);
            writeln!(
                stderr,
                "{}",
                json!({ "error": failure.to_string(), "reason": reason, "metadata": metadata })
            )
        }
        Output::Table => writeln!(stderr, "error: {failure}").and_then(|()| match reason {
            Some(reason) => writeln!(stderr, "reason: {reason}"),
            None => Ok(()),
        }),
    };
    ExitCode::from(failure.exit_code())
}

/// Prints to standard output; a reader that closed the pipe has seen enough.
///
/// # Errors
/// [`Failure::Failed`] if standard output cannot be written for any other reason.
pub fn print(text: impl Display) -> Result<(), Failure> {
    match writeln!(io::stdout().lock(), "{text}") {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::Failed(format!("standard output: {error}")))
        }
        _ => Ok(()),
    }
}

/// Prints one JSON value.
///
/// # Errors
/// As for [`print()`].
pub fn print_json(value: &Value) -> Result<(), Failure> {
    print(format!("{value:#}"))
}

/// How far long work has come: shown on a terminal, after a second.
#[derive(Debug)]
pub struct Progress {
    what: &'static str,
    clock: SharedClock,
    since: SystemTime,
    shown: bool,
}

impl Progress {
    /// Begins to count.
    #[must_use]
    pub fn new(what: &'static str) -> Self {
        let clock = SystemClock::shared();
        Self { what, since: clock.now(), clock, shown: false }
    }

    /// So many are done of so many.
    pub fn show(&mut self, done: u64, all: u64) {
        let long =
            self.clock.now().duration_since(self.since).is_ok_and(|took| took >= Duration::from_secs(1));
        if long && io::stderr().is_terminal() {
            self.shown = true;
            // Nobody is left to tell if standard error is gone.
            let _ = write!(io::stderr(), "\r{done} of {all} {}\x1b[K", self.what);
        }
    }

    /// Takes away what was shown.
    pub fn end(&mut self) {
        if std::mem::take(&mut self.shown) {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}

/// A list of objects as a table of the named keys, or as JSON.
///
/// # Errors
/// As for [`print()`].
pub fn print_list(output: Output, columns: &[&str], rows: &[Value]) -> Result<(), Failure> {
    if output == Output::Json {
        return print_json(&json!(rows));
    }
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_header(columns.iter().map(|column| column.replace('_', " ").to_uppercase()));
    for row in rows {
        table.add_row(columns.iter().map(|column| cell(&row[*column])));
    }
    print(table.trim_fmt())
}

/// One object as lines of `key: value`, or as JSON.
///
/// # Errors
/// As for [`print()`].
pub fn print_object(output: Output, value: &Value) -> Result<(), Failure> {
    if output == Output::Json {
        return print_json(value);
    }
    let mut lines = Vec::new();
    flatten("", value, &mut lines);
    let width = lines.iter().map(|(key, _)| key.len()).max().unwrap_or_default();
    let text: Vec<_> = lines.into_iter().map(|(key, value)| format!("{key:width$}  {value}")).collect();
    print(text.join("\n"))
}

fn flatten(prefix: &str, value: &Value, lines: &mut Vec<(String, String)>) {
    let Value::Object(fields) = value else { return };
    for (key, value) in fields {
        let name = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
        match value {
            Value::Object(_) => flatten(&name, value, lines),
            other => lines.push((name, cell(other))),
        }
    }
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".into(),
        Value::String(text) if text.is_empty() => "-".into(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(cell).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

/// Prints a link that is good until `expire_time`. For people it stands alone on its line, so that it can be opened with a
/// click or given to a browser.
///
/// # Errors
/// If it cannot be written.
pub fn print_link(
    output: Output,
    url: &str,
    expire_time: Option<prost_types::Timestamp>,
) -> Result<(), Failure> {
    let expires_at = instant(expire_time);
    match output {
        Output::Table => {
            print(url)?;
            eprintln!("This link signs in once, until {}.", expires_at.as_str().unwrap_or_default());
            Ok(())
        }
        Output::Json => print_object(output, &serde_json::json!({ "url": url, "expires_at": expires_at })),
    }
}

/// Reads an instant as RFC 3339 writes it, in UTC.
///
/// # Errors
/// A sentence that shows the form.
pub fn parse_instant(text: &str) -> Result<SystemTime, String> {
    humantime::parse_rfc3339(text).map_err(|error| {
        format!("`{text}` is no time ({error}): write it in UTC, for example 2027-03-31T22:00:00Z")
    })
}

/// An instant as JSON shows it; null if absent.
#[must_use]
pub fn instant(time: Option<prost_types::Timestamp>) -> Value {
    crate::clock::from_timestamp(time).map_or(Value::Null, |time| json!(crate::clock::rfc3339(time)))
}

/// Text as JSON shows it; null if empty.
#[must_use]
pub fn text(text: &str) -> Value {
    if text.is_empty() { Value::Null } else { json!(text) }
}
