//! `[access]`: how much one caller may call, and which client certificates are callers.

use std::{collections::HashSet, path::PathBuf};

use clap::ValueEnum;
use licensor::config::ConfigError;
use proto::licensing::v1::AccessPermission;
use serde::{Deserialize, Serialize};

/// A group of calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Permission {
    /// List modules; acquire, extend, release and borrow licences
    Licenses,
    /// Assign licences to users
    Assignments,
    /// Report usage
    Usage,
    /// Read usage and statements
    Statements,
}

impl Permission {
    /// Each of them.
    pub(crate) const ALL: [Self; 4] = [Self::Licenses, Self::Assignments, Self::Usage, Self::Statements];

    /// As commands, configuration and errors name it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Licenses => "licenses",
            Self::Assignments => "assignments",
            Self::Usage => "usage",
            Self::Statements => "statements",
        }
    }
}

impl From<Permission> for AccessPermission {
    fn from(permission: Permission) -> Self {
        match permission {
            Permission::Licenses => Self::Licenses,
            Permission::Assignments => Self::Assignments,
            Permission::Usage => Self::Usage,
            Permission::Statements => Self::Statements,
        }
    }
}

/// `[access]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct AccessConfig {
    /// Calls that one caller may make a second in the long run.
    pub(crate) calls_per_second: u32,
    /// Calls that one caller may make at once after a pause.
    pub(crate) burst: u32,
    /// Calls and streams of one caller that are open at once.
    pub(crate) concurrent_calls: usize,
    /// File with certificates (PEM) of authorities whose client certificates are callers. Read at the start.
    pub(crate) client_authorities: Option<PathBuf>,
    /// What every client certificate of these authorities may call that `clients` does not name.
    pub(crate) allow: Vec<Permission>,
    /// What some of them may call.
    pub(crate) clients: Vec<ClientConfig>,
}

/// One of `[[access.clients]]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ClientConfig {
    /// SPIFFE ID or DNS name, as it stands in the certificate's subjectAltName.
    pub(crate) name: String,
    /// Who answers for it; the organisation in the certificate's subject if absent.
    pub(crate) owner: Option<String>,
    /// What it may call.
    pub(crate) allow: Vec<Permission>,
}

impl Default for AccessConfig {
    fn default() -> Self {
        Self {
            calls_per_second: 2000,
            burst: 4000,
            concurrent_calls: 256,
            client_authorities: None,
            allow: Vec::new(),
            clients: Vec::new(),
        }
    }
}

impl AccessConfig {
    /// Checks what one key cannot check alone.
    ///
    /// # Errors
    /// [`ConfigError`] that names the key.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let concurrent = u32::try_from(self.concurrent_calls).unwrap_or(u32::MAX);
        for (key, count) in [
            ("access.calls_per_second", self.calls_per_second),
            ("access.burst", self.burst),
            ("access.concurrent_calls", concurrent),
        ] {
            if !(1..=1_000_000).contains(&count) {
                return Err(ConfigError::unusable(key, "it must be from 1 to 1000000"));
            }
        }
        let nobody = self.allow.is_empty() && self.clients.is_empty();
        match &self.client_authorities {
            Some(_) if nobody => {
                let problem =
                    "their clients may call nothing: name what in `access.allow` or `[[access.clients]]`";
                return Err(ConfigError::unusable("access.client_authorities", problem));
            }
            None if !nobody => {
                let problem =
                    "no client certificate is taken without authorities: set `access.client_authorities`";
                return Err(ConfigError::unusable("access.allow and access.clients", problem));
            }
            _ => {}
        }
        let mut seen = HashSet::new();
        for client in &self.clients {
            let problem = if client.name.is_empty() {
                "name must not be empty".to_owned()
            } else if !seen.insert(client.name.to_ascii_lowercase()) {
                format!("{} stands there twice", client.name)
            } else {
                continue;
            };
            return Err(ConfigError::unusable("access.clients", problem));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Result<(), String> {
        let config: AccessConfig = toml_of(text)?;
        config.check().map_err(|error| error.to_string())
    }

    fn toml_of(text: &str) -> Result<AccessConfig, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("access.toml");
        std::fs::write(&path, text).unwrap();
        licensor::config::load(Some(&path), &path, "NONE__", std::iter::empty())
            .map_err(|error: ConfigError| error.to_string())
    }

    #[test]
    fn what_cannot_be_used_is_refused() {
        let clients = "[[clients]]\nname = \"a.example\"\nallow = [\"usage\"]\n";
        check("").unwrap();
        check("client_authorities = \"a.pem\"\nallow = [\"licenses\"]").unwrap();
        check(&format!("client_authorities = \"a.pem\"\n{clients}")).unwrap();
        for (wrong, says) in [
            ("calls_per_second = 0", "access.calls_per_second"),
            ("burst = 0", "access.burst"),
            ("concurrent_calls = 0", "access.concurrent_calls"),
            ("client_authorities = \"a.pem\"", "may call nothing"),
            ("allow = [\"licenses\"]", "access.client_authorities"),
            ("allow = [\"everything\"]", "everything"),
            (&format!("client_authorities = \"a.pem\"\n{clients}{clients}"), "twice"),
            (
                &format!("client_authorities = \"a.pem\"\n{}", clients.replace("a.example", "")),
                "must not be empty",
            ),
        ] {
            let problem = check(wrong).unwrap_err();
            assert!(problem.contains(says), "{wrong}: {problem}");
        }
    }
}
