//! The root's configuration.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use licensor::config::{self, Admin, ConfigError, Expiry, Limits, Log, Span, StoreConfig, host_and_port};
use licensor_web::config::WebConfig;
use serde::{Deserialize, Serialize};

/// Where the file is unless `--config` says otherwise.
pub(crate) const DEFAULT_PATH: &str = "/etc/licensor/root.toml";
const PREFIX: &str = "LICENSOR_ROOT__";

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
    /// `host:port` that goes into certificates and tokens; `localhost` and the TLS port if absent.
    pub(crate) public_address: Option<String>,
    /// Base of the URLs in certificates; the host of `public_address` and the port of `ops_listen` if absent.
    pub(crate) ops_url: Option<String>,
    /// SPIFFE trust domain.
    #[serde(default = "default_trust_domain")]
    pub(crate) trust_domain: String,
    /// O of the authority's subject.
    #[serde(default = "default_organization")]
    pub(crate) organization: String,
    #[serde(default)]
    pub(crate) admin: Admin,
    #[serde(default)]
    pub(crate) authority: AuthorityConfig,
    #[serde(default)]
    pub(crate) certificate: CertificateConfig,
    #[serde(default)]
    pub(crate) expiry: Expiry,
    #[serde(default)]
    pub(crate) limits: Limits,
    #[serde(default)]
    pub(crate) log: Log,
    #[serde(default)]
    pub(crate) renewal: RenewalConfig,
    #[serde(default)]
    pub(crate) revocation: RevocationConfig,
    #[serde(default)]
    pub(crate) store: StoreConfig,
    /// The fleet page; there is none unless `web.listen` says where.
    #[serde(default)]
    pub(crate) web: WebConfig,
}

/// `[authority]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct AuthorityConfig {
    /// File with the passphrase of the authority's key; the key is not encrypted if absent.
    pub(crate) passphrase_file: Option<PathBuf>,
    /// Lifetime of a trust anchor that this root makes.
    pub(crate) anchor_validity: Span,
    /// Lifetime of the certificate of a root below this one.
    pub(crate) root_validity: Span,
    /// How often the upstream is asked for its trust bundle.
    pub(crate) poll_interval: Span,
}

impl Default for AuthorityConfig {
    fn default() -> Self {
        Self {
            passphrase_file: None,
            anchor_validity: days(3650),
            root_validity: days(3 * 365),
            poll_interval: Span(Duration::from_secs(15 * 60)),
        }
    }
}

/// `[certificate]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct CertificateConfig {
    /// Lifetime of a licensor certificate.
    pub(crate) validity: Span,
    /// How long after its expiry a certificate can still be renewed.
    pub(crate) renew_after_expiry: Span,
}

impl Default for CertificateConfig {
    fn default() -> Self {
        Self { validity: days(365), renew_after_expiry: days(30) }
    }
}

/// `[revocation]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RevocationConfig {
    /// How long a revocation list is valid; a new one is signed after half of it.
    pub(crate) list_validity: Span,
}

impl Default for RevocationConfig {
    fn default() -> Self {
        Self { list_validity: days(1) }
    }
}

/// `[renewal]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RenewalConfig {
    /// Share of the lifetime around which the holder is told to renew.
    pub(crate) at: f64,
}

impl Default for RenewalConfig {
    fn default() -> Self {
        Self { at: 0.667 }
    }
}

fn days(days: u64) -> Span {
    Span(Duration::from_secs(days * 86_400))
}

fn default_listen() -> SocketAddr {
    (Ipv4Addr::UNSPECIFIED, 7443).into()
}

fn default_ops_listen() -> SocketAddr {
    (Ipv4Addr::UNSPECIFIED, 9443).into()
}

fn default_trust_domain() -> String {
    "licensor.local".into()
}

fn default_organization() -> String {
    "Licensor".into()
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
        self.web.check()?;
        if !(0.1..=0.95).contains(&self.renewal.at) {
            return Err(ConfigError::unusable(
                "renewal.at",
                "it is a share of the lifetime, from 0.1 to 0.95",
            ));
        }
        if self.certificate.validity.0 < Duration::from_secs(1) {
            return Err(ConfigError::unusable("certificate.validity", "it must be 1s at least"));
        }
        if self.revocation.list_validity.0 < Duration::from_secs(1) {
            return Err(ConfigError::unusable("revocation.list_validity", "it must be 1s at least"));
        }
        if self.organization.is_empty() || self.organization.chars().count() > 64 {
            return Err(ConfigError::unusable("organization", "it must have 1 to 64 characters"));
        }
        for (key, span) in [
            ("authority.anchor_validity", self.authority.anchor_validity),
            ("authority.root_validity", self.authority.root_validity),
            ("authority.poll_interval", self.authority.poll_interval),
        ] {
            if span.0 < Duration::from_secs(1) {
                return Err(ConfigError::unusable(key, "it must be 1s at least"));
            }
        }
        if let Some(url) = &self.ops_url
            && !(url.starts_with("http://") && url.is_ascii() && !url.contains(char::is_whitespace))
        {
            return Err(ConfigError::unusable("ops_url", "it must be like http://root.example.com:9443"));
        }
        if let Some(address) = &self.public_address {
            host_and_port(address).map_err(|problem| ConfigError::unusable("public_address", problem))?;
        }
        if !self
            .trust_domain
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "-._".contains(c))
            || self.trust_domain.is_empty()
            || self.trust_domain.len() > 200
        {
            let problem = "a SPIFFE trust domain has lower-case letters, digits, '-', '.' and '_' only";
            return Err(ConfigError::unusable("trust_domain", problem));
        }
        Ok(())
    }

    /// `host:port` that goes into certificates and tokens.
    pub(crate) fn public_address(&self) -> String {
        self.public_address.clone().unwrap_or_else(|| format!("localhost:{}", self.listen.port()))
    }

    /// The host of [`Config::public_address`].
    pub(crate) fn public_host(&self) -> String {
        let address = self.public_address();
        host_and_port(&address).map_or_else(|_| address.clone(), |(host, _)| host.to_owned())
    }

    /// Base of the URLs in certificates, without a slash at the end.
    pub(crate) fn ops_url(&self) -> String {
        match &self.ops_url {
            Some(url) => url.trim_end_matches('/').to_owned(),
            None => {
                let host = self.public_host();
                let host = if host.contains(':') { format!("[{host}]") } else { host };
                format!("http://{host}:{}", self.ops_listen.port())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_that_are_delivered_are_understood() {
        let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy");
        for file in ["systemd/root.toml", "kubernetes/overlays/single/root.toml"] {
            let config = Config::load(Some(&deploy.join(file))).unwrap();
            assert_eq!(host_and_port(&config.public_address()).unwrap().1, config.listen.port());
        }
    }

    #[test]
    fn addresses_in_certificates_follow_from_the_ports() {
        let config = |text: &str| toml_config(&format!("data_dir = \"x\"\n{text}"));
        assert_eq!(config("").public_address(), "localhost:7443");
        assert_eq!(config("").ops_url(), "http://localhost:9443");
        let public = config("public_address = \"[::1]:1\"\nops_listen = \"0.0.0.0:2\"");
        assert_eq!((public.public_host(), public.ops_url()), ("::1".into(), "http://[::1]:2".into()));
    }

    #[test]
    fn what_cannot_be_used_is_refused() {
        for wrong in [
            "public_address = \"example.com\"",
            "trust_domain = \"Example\"",
            "[renewal]\nat = 1.5",
            "[renewal]\nat = nan",
            "[certificate]\nvalidity = \"0s\"",
            "[limits]\nconnections = 0",
            "[expiry]\nmonth = \"1d\"\nweek = \"2d\"",
            "[web]\nsession = \"1s\"",
            "[web]\npublic_url = \"fleet.example.com\"",
            "[web]\ncertificate = \"web.pem\"",
        ] {
            assert!(toml_config(&format!("data_dir = \"x\"\n{wrong}")).check().is_err(), "{wrong}");
        }
    }

    #[test]
    fn there_is_no_fleet_page_unless_the_configuration_says_where() {
        let config = |text: &str| toml_config(&format!("data_dir = \"x\"\n{text}"));
        assert_eq!(config("").web.address(None), None);
        assert_eq!(config("[web]\nenabled = true").web.address(None), None);
        let listen = "[web]\nlisten = \"127.0.0.1:7446\"";
        assert_eq!(config(listen).web.address(None), Some("127.0.0.1:7446".parse().unwrap()));
        assert_eq!(config(&format!("{listen}\nenabled = false")).web.address(None), None);
    }

    fn toml_config(text: &str) -> Config {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("root.toml");
        std::fs::write(&path, text).unwrap();
        config::load(Some(&path), &path, PREFIX, std::iter::empty()).unwrap()
    }
}
