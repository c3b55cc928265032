//! `[web]`: the screen.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use licensor::{
    config::{ConfigError, Span},
    key::sha256,
};
use serde::{Deserialize, Serialize};

use crate::oidc::OidcConfig;

/// `[web]`: the screen.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WebConfig {
    /// Whether there is a screen; unless it is said, where `listen` is, or has a default.
    pub enabled: Option<bool>,
    /// Its port.
    pub listen: Option<SocketAddr>,
    /// Certificate chain of the port (PEM, leaf first); with `key`. Without it a port that is not on loopback has the
    /// server certificate of the service.
    pub certificate: Option<PathBuf>,
    /// Private key (PEM, PKCS #8).
    pub key: Option<PathBuf>,
    /// Where browsers find the screen, if not at `listen`: `https://host[:port]`.
    pub public_url: Option<String>,
    /// How long somebody stays signed in.
    pub session: Span,
    /// How long a link to sign in is good.
    pub link: Span,
    /// `[web.oidc]`: signing in at an identity provider.
    pub oidc: Option<OidcConfig>,
}

impl Default for WebConfig {
    fn default() -> Self {
        Self {
            enabled: None,
            listen: None,
            certificate: None,
            key: None,
            public_url: None,
            session: Span(Duration::from_secs(8 * 3600)),
            link: Span(Duration::from_secs(300)),
            oidc: None,
        }
    }
}

impl WebConfig {
    /// Where the screen is served; `None` if there is none. `default` is where it is unless the configuration says
    /// something else.
    #[must_use]
    pub fn address(&self, default: Option<SocketAddr>) -> Option<SocketAddr> {
        self.listen.or(default).filter(|_| self.enabled != Some(false))
    }

    /// Checks what one key cannot check alone.
    ///
    /// # Errors
    /// [`ConfigError`] that names the key.
    pub fn check(&self) -> Result<(), ConfigError> {
        if self.certificate.is_some() != self.key.is_some() {
            return Err(ConfigError::unusable(
                "web.certificate",
                "`web.certificate` and `web.key` go together",
            ));
        }
        let spans = [("web.session", self.session, 60, 7 * 86_400), ("web.link", self.link, 10, 86_400)];
        for (key, span, least, most) in spans {
            if !(least..=most).contains(&span.0.as_secs()) {
                let problem = format!("it must be from {least}s to {most}s");
                return Err(ConfigError::unusable(key, problem));
            }
        }
        if self.public_url.as_deref().is_some_and(|url| !is_origin(url)) {
            return Err(ConfigError::unusable(
                "web.public_url",
                "it must be https://host or https://host:port, without a path; without TLS on loopback alone",
            ));
        }
        self.oidc.as_ref().map_or(Ok(()), OidcConfig::check)
    }

    /// The URL under which browsers reach a screen that listens at `address`.
    #[must_use]
    pub fn origin(&self, address: SocketAddr, tls: bool) -> String {
        if let Some(url) = &self.public_url {
            return url.clone();
        }
        let scheme = if tls { "https" } else { "http" };
        let host = match address.ip() {
            ip if ip.is_unspecified() => "localhost".to_owned(),
            IpAddr::V4(ip) => ip.to_string(),
            IpAddr::V6(ip) => format!("[{ip}]"),
        };
        format!("{scheme}://{host}:{}", address.port())
    }

    /// Stands for the rules by which an identity provider's word gives roles; empty without one.
    #[must_use]
    pub fn rules(&self) -> Vec<u8> {
        let rules = self.oidc.as_ref().map(|oidc| {
            let OidcConfig { issuer, client_id, role_claim, administrators, viewers, .. } = oidc;
            let rules = (issuer, client_id, role_claim, administrators, viewers);
            sha256(&serde_json::to_vec(&rules).unwrap_or_default()).to_vec()
        });
        rules.unwrap_or_default()
    }

    /// Whether a screen at `address` speaks TLS: everywhere but on loopback it does.
    #[must_use]
    pub fn speaks_tls(&self, address: SocketAddr) -> bool {
        self.certificate.is_some() || !address.ip().is_loopback()
    }
}

/// Whether this is the address of a site to which secrets may be sent.
fn is_origin(url: &str) -> bool {
    let Some((scheme, host)) = url.split_once("://") else { return false };
    let port = |(_, port): &(&str, &str)| port.bytes().all(|octet| octet.is_ascii_digit());
    let name = host.rsplit_once(':').filter(port).map_or(host, |(name, _)| name);
    let here = ["localhost", "127.0.0.1", "[::1]"].contains(&name);
    (scheme == "https" || scheme == "http" && here)
        && !name.is_empty()
        && !host.contains(['/', ' ', '?', '#', '@'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_goes_without_tls() {
        let config = WebConfig::default();
        for (address, tls) in
            [("127.0.0.1:7445", false), ("[::1]:7445", false), ("0.0.0.0:7445", true), ("10.0.0.1:1", true)]
        {
            assert_eq!(config.speaks_tls(address.parse().unwrap()), tls, "{address}");
        }
        let own = WebConfig { certificate: Some("a".into()), ..WebConfig::default() };
        assert!(own.speaks_tls("127.0.0.1:7445".parse().unwrap()));
        assert!(own.check().is_err(), "a certificate without its key");
    }

    #[test]
    fn a_public_url_has_no_path() {
        for (url, good) in [
            ("https://licences.example", true),
            ("https://licences.example:8443", true),
            ("licences.example", false),
            ("https://licences.example/", false),
            ("https://user@licences.example", false),
            ("https://", false),
            ("http://licences.example", false),
            ("http://localhost:8080", true),
        ] {
            let config = WebConfig { public_url: Some(url.into()), ..WebConfig::default() };
            assert_eq!(config.check().is_ok(), good, "{url}");
        }
    }

    #[derive(Debug, Deserialize)]
    struct Service {
        #[serde(default)]
        web: WebConfig,
    }

    fn load(text: &str, variables: &[(&str, &str)]) -> Result<WebConfig, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let variables = variables.iter().map(|(name, value)| (name.into(), value.into()));
        let service: Result<Service, _> =
            licensor::config::load(Some(file.path()), "/nonexistent".as_ref(), "X__", variables);
        service.map(|service| service.web).map_err(|error| error.to_string())
    }

    #[test]
    fn a_provider_is_named_in_the_file_or_by_variables() {
        let text = "[web.oidc]\nissuer = \"https://a.example\"\nclient_id = \"b\"\nviewers = [\"c\"]";
        let variables = [
            ("X__WEB__OIDC__ISSUER", "https://a.example"),
            ("X__WEB__OIDC__CLIENT_ID", "b"),
            ("X__WEB__OIDC__VIEWERS", "[\"c\"]"),
        ];
        for config in [load(text, &[]).unwrap(), load("", &variables).unwrap()] {
            config.check().unwrap();
            let oidc = config.oidc.unwrap();
            assert_eq!(
                (&*oidc.issuer, &*oidc.client_id, &*oidc.viewers),
                ("https://a.example", "b", &["c".into()][..])
            );
        }
        assert!(load("", &[]).unwrap().oidc.is_none());
        let error = load(&text.replace("viewers", "viewer"), &[]).unwrap_err();
        assert!(error.contains("line 4") && error.contains("did you mean `viewers`"), "{error}");
        let error = load(&text.replace("client_id", "#"), &[]).unwrap_err();
        assert!(error.contains("client_id"), "{error}");
        let config = load(&text.replace("https", "http"), &[]).unwrap();
        assert!(config.check().unwrap_err().to_string().contains("web.oidc.issuer"));
    }
}
