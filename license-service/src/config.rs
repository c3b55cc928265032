//! The licensing server's configuration.

mod access;

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use licensor::config::{self, Admin, ConfigError, Expiry, Limits, Log, Span, StoreConfig, host_and_port};
use licensor_web::config::WebConfig;
use serde::{Deserialize, Serialize};

pub(crate) use access::{AccessConfig, Permission};

/// Where the file is unless `--config` says otherwise.
pub(crate) const DEFAULT_PATH: &str = "/etc/licensor/license.toml";
const PREFIX: &str = "LICENSOR_LICENSE__";

/// All keys.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// Where keys, certificates and records are kept.
    pub(crate) data_dir: PathBuf,
    /// TLS port.
    #[serde(default = "default_listen")]
    pub(crate) listen: SocketAddr,
    /// Plain HTTP port for operations.
    #[serde(default = "default_ops_listen")]
    pub(crate) ops_listen: SocketAddr,
    #[serde(default)]
    pub(crate) access: AccessConfig,
    #[serde(default)]
    pub(crate) admin: Admin,
    #[serde(default)]
    pub(crate) enrollment: EnrollmentConfig,
    #[serde(default)]
    pub(crate) expiry: Expiry,
    #[serde(default)]
    pub(crate) entitlements: EntitlementsConfig,
    #[serde(default)]
    pub(crate) limits: Limits,
    #[serde(default)]
    pub(crate) log: Log,
    #[serde(default)]
    pub(crate) metering: MeteringConfig,
    #[serde(default)]
    pub(crate) renewal: RenewalConfig,
    #[serde(default)]
    pub(crate) revocation: RevocationConfig,
    #[serde(default)]
    pub(crate) store: StoreConfig,
    #[serde(default)]
    pub(crate) database: DatabaseConfig,
    #[serde(default)]
    pub(crate) web: WebConfig,
}

/// `[database]`: what this server licenses, as its screen shows it.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct DatabaseConfig {
    /// Whether it is the central one, or a satellite.
    pub(crate) kind: DatabaseKind,
}

/// Kinds of databases.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum DatabaseKind {
    /// The central one.
    #[default]
    Central,
    /// One of several beside it.
    Satellite,
}

/// `[enrollment]`: how a server without a certificate gets one.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct EnrollmentConfig {
    /// File with a token: `serve` enrols with it by itself while the server is not enrolled.
    pub(crate) token_file: Option<PathBuf>,
    /// `host:port` to enrol at instead of the one in the token, where the root is reached by another way. Renewal never
    /// looks at it: the certificate says where it is renewed.
    pub(crate) root_address: Option<String>,
}

/// `[entitlements]`: where they come from, and when.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct EntitlementsConfig {
    /// Whether a newer version comes into force by itself, if nothing stands in its way.
    pub(crate) automatic: bool,
    /// How often the root is asked for newer versions, give or take a fifth.
    pub(crate) poll_interval: Span,
    /// File with trust anchors (PEM) of vendors beside the root that enrolled this server.
    pub(crate) trust_anchors: Option<PathBuf>,
}

impl Default for EntitlementsConfig {
    fn default() -> Self {
        Self { automatic: true, poll_interval: Span(Duration::from_secs(6 * 3600)), trust_anchors: None }
    }
}

/// `[metering]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct MeteringConfig {
    /// How long after the end of its month a statement becomes final.
    pub(crate) grace: Span,
    /// Usage events that are taken at once.
    pub(crate) batch: usize,
    /// Streams of usage events that are open at once.
    pub(crate) streams: usize,
}

impl Default for MeteringConfig {
    fn default() -> Self {
        Self { grace: Span(Duration::from_secs(72 * 3600)), batch: 1000, streams: 256 }
    }
}

/// `[renewal]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RenewalConfig {
    /// Whether the server renews by itself.
    pub(crate) automatic: bool,
    /// Share of the lifetime at which to renew, instead of the window that the root named.
    pub(crate) at: Option<f64>,
}

impl Default for RenewalConfig {
    fn default() -> Self {
        Self { automatic: true, at: None }
    }
}

/// `[revocation]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RevocationConfig {
    /// How often the revocation list and the trust bundle are fetched, give or take a fifth.
    pub(crate) poll_interval: Span,
}

impl Default for RevocationConfig {
    fn default() -> Self {
        Self { poll_interval: Span(Duration::from_secs(900)) }
    }
}

fn default_listen() -> SocketAddr {
    (Ipv4Addr::UNSPECIFIED, 7444).into()
}

/// Where the screen is unless the configuration says something else.
pub(crate) fn default_web_listen() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 7445).into()
}

fn default_ops_listen() -> SocketAddr {
    (Ipv4Addr::UNSPECIFIED, 9444).into()
}

impl Config {
    /// Reads the file, if there is one, and the environment.
    pub(crate) fn load(path: Option<&Path>) -> Result<Self, ConfigError> {
        let config: Self = config::load(path, Path::new(DEFAULT_PATH), PREFIX, std::env::vars_os())?;
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<(), ConfigError> {
        self.expiry.check()?;
        self.limits.check()?;
        self.access.check()?;
        self.web.check()?;
        if self.renewal.at.is_some_and(|at| !(0.1..=0.95).contains(&at)) {
            return Err(ConfigError::unusable(
                "renewal.at",
                "it is a share of the lifetime, from 0.1 to 0.95",
            ));
        }
        if self.revocation.poll_interval.0 < Duration::from_secs(1) {
            return Err(ConfigError::unusable("revocation.poll_interval", "it must be 1s at least"));
        }
        if !(1..=10_000).contains(&self.metering.batch) {
            return Err(ConfigError::unusable("metering.batch", "it must be from 1 to 10000"));
        }
        if !(1..=100_000).contains(&self.metering.streams) {
            return Err(ConfigError::unusable("metering.streams", "it must be from 1 to 100000"));
        }
        if self.metering.grace.0 > Duration::from_secs(28 * 86_400) {
            return Err(ConfigError::unusable("metering.grace", "it must be 28d at most"));
        }
        if let Some(address) = &self.enrollment.root_address {
            host_and_port(address)
                .map_err(|problem| ConfigError::unusable("enrollment.root_address", problem))?;
        }
        if self.entitlements.poll_interval.0 < Duration::from_secs(1) {
            return Err(ConfigError::unusable("entitlements.poll_interval", "it must be 1s at least"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_that_are_delivered_are_understood() {
        let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy");
        for file in ["systemd/license.toml", "kubernetes/overlays/single/license.toml"] {
            Config::load(Some(&deploy.join(file))).unwrap();
        }
    }

    #[test]
    fn what_cannot_be_used_is_refused() {
        for wrong in [
            "[enrollment]\nroot_address = \"nowhere\"".to_owned(),
            "[renewal]\nat = 0.0".to_owned(),
            "[expiry]\ncheck_interval = \"1ms\"".to_owned(),
            "[entitlements]\npoll_interval = \"0s\"".to_owned(),
            "[metering]\nbatch = 0".to_owned(),
            "[metering]\nstreams = 0".to_owned(),
            "[metering]\ngrace = \"29d\"".to_owned(),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("license.toml");
            std::fs::write(&path, format!("data_dir = \"x\"\n{wrong}")).unwrap();
            let config: Config = config::load(Some(&path), &path, PREFIX, std::iter::empty()).unwrap();
            assert!(config.check().is_err(), "{wrong}");
        }
    }
}
