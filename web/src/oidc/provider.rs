//! The identity provider: what it says of itself, and what it says of somebody who comes back from it.

use std::{fs, path::Path, sync::Arc, time::Duration};

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use licensor::{clock::SharedClock, config::ConfigError};
use openidconnect::{
    AdditionalClaims, AuthType, AuthorizationCode, ClaimsVerificationError, ClientId, ClientSecret,
    ConfigurationError, CsrfToken, EndpointMaybeSet, EndpointNotSet, EndpointSet, IssuerUrl, Nonce,
    OAuth2TokenResponse, PkceCodeChallenge, RedirectUrl, RequestTokenError, Scope, TokenResponse,
    UserInfoClaims,
    core::{
        CoreAuthenticationFlow, CoreClient, CoreClientAuthMethod, CoreErrorResponseType, CoreGenderClaim,
        CoreIdToken, CoreProviderMetadata, CoreTokenResponse,
    },
};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use super::{
    claims::{self, Claims},
    client::Client,
    config::OidcConfig,
    waiting::{Begun, Waiting},
};
use crate::{config::WebConfig, refusal::Refusal, session::Person};

/// How long is relied on what the provider said of itself.
const FRESH: Duration = Duration::from_secs(3600);
/// After a failure nobody asks again for so long: whoever wants to sign in meanwhile does not wait in vain.
const PAUSE: Duration = Duration::from_secs(5);

const UNREACHABLE: Refusal = Refusal::Provider("refused-provider-unreachable");
const ANSWER: Refusal = Refusal::Provider("refused-provider-answer");

/// An identity provider.
#[derive(Debug)]
pub struct Provider {
    config: OidcConfig,
    secret: Option<ClientSecret>,
    http: Client,
    clock: SharedClock,
    known: Mutex<Known>,
    pub(super) waiting: Waiting,
}

/// What is known of a provider, and when it was learnt.
#[derive(Debug, Default)]
struct Known {
    metadata: Option<(Arc<CoreProviderMetadata>, Duration)>,
    failed: Option<Duration>,
}

type Spoken = CoreClient<
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;

/// Whatever else a provider says of somebody.
#[derive(Debug, Serialize, Deserialize)]
struct Everything {
    #[serde(flatten)]
    claims: Claims,
}

impl AdditionalClaims for Everything {}

impl Provider {
    /// The provider that the configuration names, if it does. It is asked nothing yet: it may start later than this
    /// service.
    ///
    /// # Errors
    /// [`ConfigError`] that names the key of what cannot be used.
    pub fn load(config: &WebConfig, clock: SharedClock) -> Result<Option<Self>, ConfigError> {
        let Some(config) = config.oidc.clone() else { return Ok(None) };
        config.check()?;
        Ok(Some(Self {
            secret: config.client_secret_file.as_deref().map(secret).transpose()?,
            http: Client::new(config.trust_anchors.as_deref(), clock.clone())?,
            known: Mutex::default(),
            waiting: Waiting::new(clock.clone()),
            clock,
            config,
        }))
    }

    /// The issuer.
    pub(super) fn issuer(&self) -> &str {
        &self.config.issuer
    }

    /// Where somebody signs in who comes back to `redirect`, the state of the answer, and what it is checked with.
    pub(super) async fn begin(&self, redirect: &str) -> Result<(String, String, Begun), Refusal> {
        let client = self.client(&*self.metadata().await?, redirect)?;
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let scopes = self.config.scopes.iter().filter(|scope| *scope != "openid");
        let (url, state, nonce) = client
            .authorize_url(
                CoreAuthenticationFlow::AuthorizationCode,
                CsrfToken::new_random,
                Nonce::new_random,
            )
            .add_scopes(scopes.map(|scope| Scope::new(scope.clone())))
            .set_pkce_challenge(challenge)
            .url();
        Ok((url.into(), state.into_secret(), Begun { nonce, verifier }))
    }

    /// Whom a code stands for.
    pub(super) async fn finish(&self, redirect: &str, code: String, begun: Begun) -> Result<Person, Refusal> {
        let metadata = self.metadata().await?;
        let client = self.client(&metadata, redirect)?;
        let answer = client
            .exchange_code(AuthorizationCode::new(code))
            .map_err(no_endpoint)?
            .set_pkce_verifier(begun.verifier)
            .request_async(&self.http)
            .await
            .map_err(not_exchanged)?;
        let token = answer.id_token().ok_or_else(|| {
            tracing::warn!("the identity provider sent no ID token");
            ANSWER
        })?;
        self.verify(&client, &metadata, redirect, token, &begun.nonce).await?;
        let mut claims = payload(token).ok_or(ANSWER)?;
        if claims::find(&claims, &self.config.role_claim).is_none()
            || claims::find(&claims, &self.config.name_claim).is_none()
        {
            self.ask_for_more(&client, &answer, &mut claims).await?;
        }
        let name = claims::name(&self.config, &claims).ok_or_else(|| {
            tracing::warn!("the identity provider names somebody in no way that can be used");
            ANSWER
        })?;
        let Some(role) = claims::role(&self.config, &claims) else {
            let claim = &self.config.role_claim;
            let found = claims::find(&claims, claim).map(ToString::to_string).unwrap_or_default();
            tracing::info!(%name, %claim, %found, "somebody without a role wanted to sign in");
            return Err(Refusal::Provider("refused-provider-role"));
        };
        Ok(Person { name, role, uid: None })
    }

    /// That the provider has signed a token, for this service and this sign-in, and that it is good. If the signature is not
    /// by a key that is known, the keys may have changed.
    async fn verify(
        &self,
        client: &Spoken,
        metadata: &Arc<CoreProviderMetadata>,
        redirect: &str,
        token: &CoreIdToken,
        nonce: &Nonce,
    ) -> Result<(), Refusal> {
        let check = |client: &Spoken| {
            let clock = self.clock.clone();
            let verifier = client.id_token_verifier().set_time_fn(move || clock.now().into());
            token.claims(&verifier, nonce).map(|_| ())
        };
        let mut checked = check(client);
        if let Err(ClaimsVerificationError::SignatureVerification(_)) = checked {
            let newer = self.metadata_after(Some(metadata)).await?;
            checked = check(&self.client(&newer, redirect)?);
        }
        checked.map_err(|error| {
            tracing::warn!(error = %chain(&error), "the ID token is no good");
            ANSWER
        })
    }

    /// Asks the provider for what the ID token does not say (OpenID Connect Core §5.3).
    async fn ask_for_more(
        &self,
        client: &Spoken,
        answer: &CoreTokenResponse,
        claims: &mut Claims,
    ) -> Result<(), Refusal> {
        let subject = claims.get("sub").and_then(serde_json::Value::as_str).unwrap_or_default().to_owned();
        let subject = openidconnect::SubjectIdentifier::new(subject);
        let Ok(request) = client.user_info(answer.access_token().clone(), Some(subject)) else {
            return Ok(());
        };
        let more: UserInfoClaims<Everything, CoreGenderClaim> =
            request.request_async(&self.http).await.map_err(|error| {
                tracing::warn!(error = %chain(&error), "the identity provider says nothing of somebody");
                match error {
                    openidconnect::UserInfoError::Request(_) => UNREACHABLE,
                    _ => ANSWER,
                }
            })?;
        let Ok(serde_json::Value::Object(more)) = serde_json::to_value(&more) else { return Ok(()) };
        for (name, value) in more {
            claims.entry(name).or_insert(value);
        }
        Ok(())
    }

    async fn metadata(&self) -> Result<Arc<CoreProviderMetadata>, Refusal> {
        self.metadata_after(None).await
    }

    /// What the provider says of itself: something else than `stale`, if it has to be.
    async fn metadata_after(
        &self,
        stale: Option<&Arc<CoreProviderMetadata>>,
    ) -> Result<Arc<CoreProviderMetadata>, Refusal> {
        let mut known = self.known.lock().await;
        let former = known.metadata.clone();
        if let Some((metadata, since)) = &former
            && self.clock.elapsed().saturating_sub(*since) < FRESH
            && stale.is_none_or(|stale| !Arc::ptr_eq(stale, metadata))
        {
            return Ok(Arc::clone(metadata));
        }
        // What is old is better than nothing, unless it is known to be wrong.
        let former = former.map(|(metadata, _)| metadata).filter(|_| stale.is_none()).ok_or(UNREACHABLE);
        if known.failed.is_some_and(|failed| self.clock.elapsed().saturating_sub(failed) < PAUSE) {
            return former;
        }
        let issuer = IssuerUrl::new(self.config.issuer.clone()).map_err(|_| ANSWER)?;
        match CoreProviderMetadata::discover_async(issuer, &self.http).await {
            Ok(metadata) => {
                let metadata = Arc::new(metadata);
                *known =
                    Known { metadata: Some((Arc::clone(&metadata), self.clock.elapsed())), failed: None };
                Ok(metadata)
            }
            Err(error) => {
                tracing::warn!(issuer = self.config.issuer, error = %chain(&error), "the identity provider cannot be used");
                known.failed = Some(self.clock.elapsed());
                former
            }
        }
    }

    fn client(&self, metadata: &CoreProviderMetadata, redirect: &str) -> Result<Spoken, Refusal> {
        let id = ClientId::new(self.config.client_id.clone());
        let methods = metadata.token_endpoint_auth_methods_supported();
        let basic = methods.is_none_or(|methods| {
            methods.contains(&CoreClientAuthMethod::ClientSecretBasic)
                || !methods.contains(&CoreClientAuthMethod::ClientSecretPost)
        });
        let redirect = RedirectUrl::new(redirect.to_owned()).map_err(|error| {
            tracing::warn!(%error, redirect, "this address cannot be returned to");
            Refusal::Provider("refused-provider-error")
        })?;
        Ok(CoreClient::from_provider_metadata(metadata.clone(), id, self.secret.clone())
            .set_auth_type(if basic { AuthType::BasicAuth } else { AuthType::RequestBody })
            .set_redirect_uri(redirect))
    }
}

/// What a token says that has been verified.
fn payload(token: &CoreIdToken) -> Option<Claims> {
    let text = token.to_string();
    let payload = text.split('.').nth(1)?;
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
}

fn secret(path: &Path) -> Result<ClientSecret, ConfigError> {
    let wrong = |problem: String| {
        ConfigError::unusable("web.oidc.client_secret_file", format!("{}: {problem}", path.display()))
    };
    let text = fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    match text.trim() {
        "" => Err(wrong("it is empty".into())),
        secret => Ok(ClientSecret::new(secret.to_owned())),
    }
}

fn no_endpoint(error: ConfigurationError) -> Refusal {
    tracing::warn!(%error, "the identity provider exchanges no codes");
    ANSWER
}

type NotExchanged = RequestTokenError<
    super::client::ClientError,
    openidconnect::StandardErrorResponse<CoreErrorResponseType>,
>;

fn not_exchanged(error: NotExchanged) -> Refusal {
    tracing::warn!(error = %chain(&error), "the identity provider does not exchange a code");
    match error {
        RequestTokenError::Request(_) => UNREACHABLE,
        RequestTokenError::ServerResponse(answer)
            if *answer.error() == CoreErrorResponseType::InvalidGrant =>
        {
            Refusal::Provider("refused-provider-code")
        }
        RequestTokenError::ServerResponse(_) => Refusal::Provider("refused-provider-error"),
        _ => ANSWER,
    }
}

/// An error with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
