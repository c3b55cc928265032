//! `[web.oidc]`: signing in at an identity provider.

use std::path::PathBuf;

use licensor::config::ConfigError;
use openidconnect::url::Url;
use serde::{Deserialize, Serialize};

/// `[web.oidc]`: signing in at an identity provider.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OidcConfig {
    /// The provider, as it names itself.
    pub issuer: String,
    /// What the provider calls this service.
    pub client_id: String,
    /// File with the secret that the provider gave this service; it is read at start. Without one the service is a public
    /// client.
    #[serde(default)]
    pub client_secret_file: Option<PathBuf>,
    /// What is asked for.
    #[serde(default = "scopes")]
    pub scopes: Vec<String>,
    /// The claim with the roles of a person, a string or an array of them; `a.b` is the member `b` of the claim `a`.
    #[serde(default = "role_claim")]
    pub role_claim: String,
    /// Values of that claim that make somebody an administrator.
    #[serde(default)]
    pub administrators: Vec<String>,
    /// Values of that claim that make somebody a viewer.
    #[serde(default)]
    pub viewers: Vec<String>,
    /// The claim with the name of a person; `preferred_username` and `sub` stand in for it.
    #[serde(default = "name_claim")]
    pub name_claim: String,
    /// Whom to trust for the certificate of the provider (PEM), if not whom the system trusts.
    #[serde(default)]
    pub trust_anchors: Option<PathBuf>,
}

fn scopes() -> Vec<String> {
    ["openid", "profile", "email"].map(str::to_owned).to_vec()
}

fn role_claim() -> String {
    "roles".into()
}

fn name_claim() -> String {
    "email".into()
}

impl OidcConfig {
    /// Checks what one key cannot check alone.
    ///
    /// # Errors
    /// [`ConfigError`] that names the key.
    pub fn check(&self) -> Result<(), ConfigError> {
        let issuer = Url::parse(&self.issuer).ok().filter(is_safe);
        if issuer.is_none_or(|url| url.query().is_some() || url.fragment().is_some()) {
            let problem = "it must be https://host[/path], as the provider names itself";
            return Err(ConfigError::unusable("web.oidc.issuer", problem));
        }
        if self.client_id.is_empty() {
            return Err(ConfigError::unusable("web.oidc.client_id", "it must not be empty"));
        }
        if self.administrators.is_empty() && self.viewers.is_empty() {
            let problem = "with no `administrators` and no `viewers` nobody could sign in";
            return Err(ConfigError::unusable("web.oidc.administrators", problem));
        }
        Ok(())
    }
}

/// Whether what is sent there is seen by nobody else: over TLS, or to this machine.
pub(super) fn is_safe(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let here = ["localhost", "127.0.0.1", "[::1]"].contains(&host);
    !host.is_empty() && (url.scheme() == "https" || (url.scheme() == "http" && here))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Result<OidcConfig, String> {
        let value = serde_json::from_str::<OidcConfig>(text).map_err(|error| error.to_string())?;
        value.check().map_err(|error| error.to_string())?;
        Ok(value)
    }

    #[test]
    fn what_is_not_said_has_a_default() {
        let text = r#"{"issuer": "https://a.example/x", "client_id": "b", "viewers": ["c"]}"#;
        let config = config(text).unwrap();
        assert_eq!(config.scopes, ["openid", "profile", "email"]);
        assert_eq!((&*config.role_claim, &*config.name_claim), ("roles", "email"));
    }

    #[test]
    fn what_cannot_work_is_refused_with_its_key() {
        for (issuer, client, viewer, key) in [
            ("a.example", "b", "c", "web.oidc.issuer"),
            ("http://a.example", "b", "c", "web.oidc.issuer"),
            ("http://127.0.0.1.a.example", "b", "c", "web.oidc.issuer"),
            ("https://a.example?x", "b", "c", "web.oidc.issuer"),
            ("ftp://localhost", "b", "c", "web.oidc.issuer"),
            ("http://localhost:8080/x", "", "c", "web.oidc.client_id"),
            ("https://a.example", "b", "", "web.oidc.administrators"),
        ] {
            let viewers: Vec<&str> = Some(viewer).filter(|viewer| !viewer.is_empty()).into_iter().collect();
            let text =
                serde_json::json!({ "issuer": issuer, "client_id": client, "viewers": viewers }).to_string();
            let error = config(&text).unwrap_err();
            assert!(error.contains(key), "{issuer}: {error}");
        }
    }
}
