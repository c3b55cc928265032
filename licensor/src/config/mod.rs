//! Configuration: one TOML file, every key also as an environment variable, unknown keys refused.

mod load;

use std::{path::PathBuf, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use load::load;

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
    use super::*;

    #[test]
    fn addresses_are_split() {
        assert_eq!(host_and_port("a.example:7443"), Ok(("a.example", 7443)));
        assert_eq!(host_and_port("[::1]:7443"), Ok(("::1", 7443)));
        for wrong in ["a.example", ":7443", "a:0", "a:99999", "https://a:1/x", ""] {
            assert!(host_and_port(wrong).is_err(), "{wrong}");
        }
    }
}
