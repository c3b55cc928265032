//! The licensing server's configuration.

use std::{
    collections::HashSet,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use licensor::config::{self, Admin, ConfigError, Expiry, Limits, Log, Span, StoreConfig, host_and_port};
use serde::{Deserialize, Serialize};

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
    pub(crate) admin: Admin,
    #[serde(default)]
    pub(crate) enrollment: EnrollmentConfig,
    #[serde(default)]
    pub(crate) expiry: Expiry,
    #[serde(default)]
    pub(crate) licensing: LicensingConfig,
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

/// `[licensing]`: what licences are issued for.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct LicensingConfig {
    /// The owner's serial number, as it goes into licences.
    pub(crate) serial_number: Option<String>,
    /// The modules.
    pub(crate) modules: Vec<Module>,
}

/// One of `[[licensing.modules]]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Module {
    /// Who made it.
    pub(crate) vendor: String,
    /// Its name, unique within the vendor.
    pub(crate) name: String,
    /// What a licence for it allows.
    #[serde(default)]
    pub(crate) features: Vec<String>,
    /// How long a licence for it lasts.
    #[serde(default = "default_lease")]
    pub(crate) lease: Span,
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

fn default_ops_listen() -> SocketAddr {
    (Ipv4Addr::UNSPECIFIED, 9444).into()
}

fn default_lease() -> Span {
    Span(Duration::from_secs(3600))
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
        let mut seen = HashSet::new();
        for module in &self.licensing.modules {
            if module.vendor.is_empty() || module.name.is_empty() {
                return Err(ConfigError::unusable("licensing.modules", "vendor and name must not be empty"));
            }
            if module.lease.0 < Duration::from_secs(1) {
                let problem = format!("the lease of {} {} must be 1s at least", module.vendor, module.name);
                return Err(ConfigError::unusable("licensing.modules", problem));
            }
            if !seen.insert((&module.vendor, &module.name)) {
                let problem = format!("{} {} stands there twice", module.vendor, module.name);
                return Err(ConfigError::unusable("licensing.modules", problem));
            }
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
            let config = Config::load(Some(&deploy.join(file))).unwrap();
            assert!(!config.licensing.modules.is_empty());
        }
    }

    #[test]
    fn what_cannot_be_used_is_refused() {
        let module = "[[licensing.modules]]\nvendor = \"a\"\nname = \"b\"\n";
        for wrong in [
            "[enrollment]\nroot_address = \"nowhere\"".to_owned(),
            "[renewal]\nat = 0.0".to_owned(),
            "[expiry]\ncheck_interval = \"1ms\"".to_owned(),
            "[metering]\nbatch = 0".to_owned(),
            "[metering]\nstreams = 0".to_owned(),
            "[metering]\ngrace = \"29d\"".to_owned(),
            format!("{module}lease = \"0s\""),
            format!("{module}{module}"),
            module.replace("\"b\"", "\"\""),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("license.toml");
            std::fs::write(&path, format!("data_dir = \"x\"\n{wrong}")).unwrap();
            let config: Config = config::load(Some(&path), &path, PREFIX, std::iter::empty()).unwrap();
            assert!(config.check().is_err(), "{wrong}");
        }
    }
}
