//! Configuration: one TOML file, every key also as an environment variable, unknown keys refused.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::DeserializeOwned};

/// What is wrong with the configuration.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("configuration {path} cannot be read: {cause}")]
    Unreadable {
        /// The file.
        path: String,
        /// What the file system said.
        cause: String,
    },
    /// The file, or an environment variable, says something that is not understood.
    #[error("configuration {origin}: {problem}")]
    Invalid {
        /// Where: the file or the variable.
        origin: String,
        /// What, with the line.
        problem: String,
    },
}

impl ConfigError {
    /// A value that is understood but cannot be used.
    pub fn unusable(key: &str, problem: impl std::fmt::Display) -> Self {
        Self::Invalid { origin: format!("key `{key}`"), problem: problem.to_string() }
    }
}

/// A span of time, written like `30d`, `12h` or `1m 30s`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        const DAY: u64 = 86_400;
        match self.0.as_secs() {
            seconds if seconds >= DAY && seconds % DAY == 0 => {
                serializer.collect_str(&format_args!("{}d", seconds / DAY))
            }
            _ => serializer.collect_str(&humantime::format_duration(self.0)),
        }
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse_span(&text).map(Self).map_err(serde::de::Error::custom)
    }
}

/// Reads a span such as `30d`; none may be longer than 100 years.
///
/// # Errors
/// A sentence that shows how spans are written.
pub fn parse_span(text: &str) -> Result<Duration, String> {
    const LONGEST: Duration = Duration::from_secs(100 * 366 * 24 * 3600);
    let span = humantime::parse_duration(text).map_err(|error| {
        format!("`{text}` is not a duration ({error}): write for example 30d, 12h, 60s or 1m 30s")
    })?;
    if span > LONGEST {
        return Err(format!("`{text}` is longer than 100 years"));
    }
    Ok(span)
}

/// `[admin]`: the socket of the local administrator.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Admin {
    /// The socket; `<data_dir>/admin.sock` if absent.
    pub socket: Option<PathBuf>,
    /// User ids that may administer, besides root's and the service's own.
    pub uids: Vec<u32>,
}

/// `[store]`: where records are kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StoreConfig {
    /// Which store.
    pub kind: StoreKind,
    /// Bytes of memory for sled's page cache.
    pub cache_bytes: u64,
    /// Bytes that must stay free on the disk.
    pub minimum_free_bytes: u64,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self { kind: StoreKind::Sled, cache_bytes: 64 << 20, minimum_free_bytes: 8 << 20 }
    }
}

/// Kinds of stores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StoreKind {
    /// Embedded, on this machine.
    Sled,
}

/// `[expiry]`: when to warn.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Expiry {
    /// Time left at event 16.
    pub month: Span,
    /// Time left at event 17.
    pub week: Span,
    /// How often at least the clock is looked at.
    pub check_interval: Span,
}

impl Default for Expiry {
    fn default() -> Self {
        Self {
            month: Span(Duration::from_secs(30 * 86_400)),
            week: Span(Duration::from_secs(7 * 86_400)),
            check_interval: Span(Duration::from_secs(60)),
        }
    }
}

impl Expiry {
    /// Checks what one key cannot check alone.
    ///
    /// # Errors
    /// [`ConfigError`] that names the key.
    pub fn check(&self) -> Result<(), ConfigError> {
        if self.check_interval.0 < Duration::from_millis(100) {
            return Err(ConfigError::unusable("expiry.check_interval", "it must be 100ms at least"));
        }
        if self.week > self.month {
            return Err(ConfigError::unusable("expiry.week", "it must not be longer than `expiry.month`"));
        }
        Ok(())
    }
}

/// `[limits]`: bounds of what the TLS port takes on.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Connections at once.
    pub connections: usize,
    /// Time for a TLS handshake.
    pub handshake_timeout: Span,
    /// Bytes of a request message.
    pub message_bytes: usize,
    /// Calls at once on one connection.
    pub streams: u32,
    /// Calls at once on all connections.
    pub calls: usize,
    /// Time until an answer begins.
    pub call_timeout: Span,
    /// Age at which a connection is ended in good order.
    pub connection_age: Span,
    /// Certificates or licences being signed and recorded at once.
    pub signing: usize,
    /// Watchers of events at once.
    pub watchers: usize,
    /// Time for calls in flight when the service is told to stop.
    pub drain: Span,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 12_000,
            handshake_timeout: Span(Duration::from_secs(10)),
            message_bytes: 3 << 19,
            streams: 128,
            calls: 1024,
            call_timeout: Span(Duration::from_secs(30)),
            connection_age: Span(Duration::from_secs(3600)),
            signing: 256,
            watchers: 64,
            drain: Span(Duration::from_secs(20)),
        }
    }
}

impl Limits {
    /// Checks that every bound is one.
    ///
    /// # Errors
    /// [`ConfigError`] that names the key.
    pub fn check(&self) -> Result<(), ConfigError> {
        let counts = [
            ("limits.connections", self.connections),
            ("limits.calls", self.calls),
            ("limits.signing", self.signing),
            ("limits.watchers", self.watchers),
            ("limits.streams", usize::try_from(self.streams).unwrap_or(usize::MAX)),
        ];
        for (key, count) in counts {
            if !(1..=1_000_000).contains(&count) {
                return Err(ConfigError::unusable(key, "it must be from 1 to 1000000"));
            }
        }
        if !(64 << 10..=64 << 20).contains(&self.message_bytes) {
            return Err(ConfigError::unusable("limits.message_bytes", "it must be from 64 KiB to 64 MiB"));
        }
        let spans = [
            ("limits.handshake_timeout", self.handshake_timeout),
            ("limits.call_timeout", self.call_timeout),
            ("limits.connection_age", self.connection_age),
        ];
        for (key, span) in spans {
            if span.0 < Duration::from_millis(100) {
                return Err(ConfigError::unusable(key, "it must be 100ms at least"));
            }
        }
        Ok(())
    }
}

/// `[log]`: how the service logs.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// Form of a line.
    pub format: LogFormat,
    /// What to log: a level, or directives such as `info,root_service=debug`.
    pub level: String,
}

impl Default for Log {
    fn default() -> Self {
        Self { format: LogFormat::Json, level: "info".into() }
    }
}

/// Forms of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Pretty,
}

/// Reads the configuration: the file at `path` (if `None`, the one at `default_path` if there is one), then the
/// variables of `environment` that begin with `prefix` (for example `LICENSOR_ROOT__`).
///
/// # Errors
/// [`ConfigError`] that names the file and line, or the variable, and the nearest known key.
pub fn load<C: DeserializeOwned>(
    path: Option<&Path>,
    default_path: &Path,
    prefix: &str,
    environment: impl Iterator<Item = (OsString, OsString)>,
) -> Result<C, ConfigError> {
    let (origin, text) = match path {
        Some(path) => (path, read(path)?),
        // One that is there and cannot be read is not passed over.
        None if default_path.try_exists().unwrap_or(true) => (default_path, read(default_path)?),
        None => (default_path, String::new()),
    };
    let invalid =
        |origin: String, error: &toml::de::Error| ConfigError::Invalid { origin, problem: explain(error) };
    // The file is read for itself first: only then an error can name its line. A key that only the environment gives
    // is no fault of the file.
    let mut table: toml::Table =
        toml::from_str(&text).map_err(|error| invalid(origin.display().to_string(), &error))?;
    let variables: BTreeMap<String, String> = environment
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.to_string_lossy().into_owned())))
        .filter(|(name, _)| name.starts_with(prefix))
        .collect();
    if let Err(error) = toml::from_str::<C>(&text)
        && (variables.is_empty() || !error.message().contains("missing field"))
    {
        return Err(invalid(origin.display().to_string(), &error));
    }
    for (name, value) in variables {
        let keys: Vec<String> = name[prefix.len()..].split("__").map(str::to_lowercase).collect();
        let mut failed = None;
        // What looks like a number may be meant as a string.
        for value in [parse_value(&value), toml::Value::String(value.clone())] {
            set(&mut table, &keys, value);
            match table.clone().try_into::<C>() {
                Err(error) if !error.message().contains("missing field") => failed = failed.or(Some(error)),
                _ => {
                    failed = None;
                    break;
                }
            }
        }
        if let Some(error) = failed {
            return Err(invalid(format!("variable {name}"), &error));
        }
    }
    table.try_into().map_err(|error| invalid(origin.display().to_string(), &error))
}

fn read(path: &Path) -> Result<String, ConfigError> {
    fs::read_to_string(path).map_err(|error: io::Error| ConfigError::Unreadable {
        path: path.display().to_string(),
        cause: error.to_string(),
    })
}

/// Numbers, booleans and arrays are written as in TOML; everything else is a string.
fn parse_value(text: &str) -> toml::Value {
    toml::from_str::<toml::Table>(&format!("value = {text}"))
        .ok()
        .and_then(|mut table| table.remove("value"))
        .filter(|value| value.is_integer() || value.is_float() || value.is_bool() || value.is_array())
        .unwrap_or_else(|| toml::Value::String(text.to_owned()))
}

fn set(table: &mut toml::Table, keys: &[String], value: toml::Value) {
    match keys {
        [] => {}
        [key] => {
            table.insert(key.clone(), value);
        }
        [key, rest @ ..] => {
            let inner = table.entry(key.clone()).or_insert_with(|| toml::Value::Table(toml::Table::new()));
            if let toml::Value::Table(inner) = inner {
                set(inner, rest, value);
            } else {
                *inner = value;
            }
        }
    }
}

/// The parser's words with the line, and the nearest known key.
fn explain(error: &toml::de::Error) -> String {
    let shown = error.to_string();
    let text = if error.span().is_some() { shown.trim_end().to_owned() } else { error.message().to_owned() };
    match nearest(error.message()) {
        Some(key) => format!("{text}\ndid you mean `{key}`?"),
        None => text,
    }
}

/// Of ``unknown field `x`, expected one of `a`, `b` `` the one that is most like `x`.
fn nearest(message: &str) -> Option<&str> {
    let mut quoted = message.strip_prefix("unknown ")?.split('`').skip(1).step_by(2);
    let unknown = quoted.next()?;
    quoted.max_by(|a, b| strsim::jaro_winkler(unknown, a).total_cmp(&strsim::jaro_winkler(unknown, b)))
}

/// Splits `host:port`; the host may be a name, an IPv4 address or an IPv6 address in brackets.
///
/// # Errors
/// A sentence that shows the form.
pub fn host_and_port(address: &str) -> Result<(&str, u16), String> {
    let wrong = || format!("`{address}` is not of the form host:port");
    let (host, port) = address.rsplit_once(':').ok_or_else(wrong)?;
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let port = port.parse().ok().filter(|port| *port != 0).ok_or_else(wrong)?;
    if host.is_empty() || !host.is_ascii() || host.contains(['/', ' ', '@']) {
        return Err(wrong());
    }
    Ok((host, port))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Sample {
        data_dir: PathBuf,
        #[serde(default)]
        expiry: Expiry,
        #[serde(default)]
        admin: Admin,
    }

    fn load_text(text: &str, variables: &[(&str, &str)]) -> Result<Sample, String> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        let variables = variables.iter().map(|(name, value)| (name.into(), value.into()));
        load(Some(file.path()), Path::new("/nonexistent"), "LICENSOR_ROOT__", variables)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn variables_override_the_file() {
        let sample = load_text(
            "data_dir = \"a\"\n[expiry]\ncheck_interval = \"5s\"",
            &[
                ("LICENSOR_ROOT__EXPIRY__CHECK_INTERVAL", "7s"),
                ("LICENSOR_ROOT__ADMIN__UIDS", "[7, 8]"),
                ("LICENSOR_ROOT_SERVICE_HOST", "set by the cluster"),
            ],
        )
        .unwrap();
        assert_eq!(sample.expiry.check_interval.0, Duration::from_secs(7));
        assert_eq!(sample.admin.uids, [7, 8]);
        assert_eq!(load_text("", &[("LICENSOR_ROOT__DATA_DIR", "b")]).unwrap().data_dir, Path::new("b"));
    }

    #[test]
    fn an_unknown_key_is_refused_with_its_line_and_the_nearest_known_one() {
        let error = load_text("data_dir = \"a\"\n[expiry]\ncheck_intervall = \"5s\"", &[]).unwrap_err();
        assert!(error.contains("line 3") && error.contains("did you mean `check_interval`"), "{error}");
        let error = load_text("data_dir = \"a\"", &[("LICENSOR_ROOT__EXPIRY__WEAK", "5d")]).unwrap_err();
        assert!(error.contains("LICENSOR_ROOT__EXPIRY__WEAK") && error.contains("`week`"), "{error}");
    }

    #[test]
    fn a_bad_duration_is_refused_with_its_line() {
        for text in ["\"soon\"", "\"-3d\"", "\"\"", "\"4000y\"", "5"] {
            let error = load_text(&format!("data_dir = \"a\"\n[expiry]\nweek = {text}"), &[]).unwrap_err();
            assert!(error.contains("line 3"), "{error}");
        }
    }

    #[test]
    fn a_variable_that_looks_like_a_number_can_be_a_string() {
        assert_eq!(
            load_text("", &[("LICENSOR_ROOT__DATA_DIR", "12345")]).unwrap().data_dir,
            Path::new("12345")
        );
    }

    #[test]
    fn a_missing_key_is_named() {
        let error = load_text("", &[]).unwrap_err();
        assert!(error.contains("data_dir"), "{error}");
    }

    #[test]
    fn addresses_are_split() {
        assert_eq!(host_and_port("a.example:7443"), Ok(("a.example", 7443)));
        assert_eq!(host_and_port("[::1]:7443"), Ok(("::1", 7443)));
        for wrong in ["a.example", ":7443", "a:0", "a:99999", "https://a:1/x", ""] {
            assert!(host_and_port(wrong).is_err(), "{wrong}");
        }
    }
}
