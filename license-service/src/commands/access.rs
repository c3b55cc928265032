//! `access`: access tokens of applications.

use std::time::{Duration, SystemTime};

use clap::Subcommand;
use licensor::{
    cli::{Failure, Output, instant, parse_instant, print_list, print_object, text},
    clock::timestamp,
    config::parse_span,
};
use proto::licensing::v1::{
    AccessPermission, AccessToken, AccessTokenStatus, CreateAccessTokenRequest, ListAccessTokensRequest,
    RevokeAccessTokenRequest, create_access_token_request::Lifetime,
    licensing_admin_service_client::LicensingAdminServiceClient,
};
use serde_json::{Value, json};
use tonic::transport::Channel;

use crate::config::Permission;

/// Access tokens: make, list or revoke.
#[derive(Debug, Subcommand)]
pub(super) enum AccessCommand {
    /// Make a token; it is shown once
    #[command(
        after_help = "Example:\n  license-service access create --name billing --allow licenses --allow usage --ttl 90d --output json | jq -r .token"
    )]
    Create {
        /// What to call it
        #[arg(long)]
        name: String,
        /// What it may call (repeatable) [default: licenses]
        #[arg(long = "allow", value_enum, value_name = "PERMISSION")]
        allows: Vec<Permission>,
        /// How long it can be used [default: 90d]
        #[arg(long, value_parser = parse_span, conflicts_with = "expires")]
        ttl: Option<Duration>,
        /// Until when it can be used, in UTC, for example 2027-03-31T22:00:00Z
        #[arg(long, value_parser = parse_instant, value_name = "TIME")]
        expires: Option<SystemTime>,
        /// Who answers for it: a person, a team, an application [default: the name]
        #[arg(long)]
        owner: Option<String>,
    },
    /// List tokens, without their secrets
    #[command(after_help = "Example:\n  license-service access list --output json")]
    List,
    /// Make a token useless for good; streams that are open with it end
    #[command(after_help = "Example:\n  license-service access revoke 1f0c5a7e9b3d2846")]
    Revoke {
        /// Its identifier: see `access list`
        id: String,
    },
}

/// Runs one of the commands over the admin socket.
pub(super) async fn run(command: AccessCommand, channel: Channel, output: Output) -> Result<(), Failure> {
    let mut client = LicensingAdminServiceClient::new(channel);
    match command {
        AccessCommand::Create { name, allows, ttl, expires, owner } => {
            let lifetime = match (ttl, expires) {
                (Some(ttl), _) => {
                    Some(Lifetime::Ttl(prost_types::Duration::try_from(ttl).map_err(Failure::other)?))
                }
                (None, Some(end)) => Some(Lifetime::ExpireTime(timestamp(end))),
                (None, None) => None,
            };
            let request = CreateAccessTokenRequest {
                name,
                owner: owner.unwrap_or_default(),
                allows: allows.into_iter().map(|allowed| AccessPermission::from(allowed).into()).collect(),
                lifetime,
            };
            let created = client.create_access_token(request).await?.into_inner();
            let mut shown = json!({ "token": created.token });
            if let (Some(shown), Value::Object(rest)) =
                (shown.as_object_mut(), token_json(&created.access_token.unwrap_or_default()))
            {
                shown.extend(rest);
            }
            print_object(output, &shown)
        }
        AccessCommand::List => {
            let mut request = ListAccessTokensRequest { page_size: 1000, page_token: String::new() };
            let mut rows = Vec::new();
            loop {
                let page = client.list_access_tokens(request.clone()).await?.into_inner();
                rows.extend(page.access_tokens.iter().map(token_json));
                request.page_token = page.next_page_token;
                if request.page_token.is_empty() {
                    let columns = ["id", "name", "owner", "allows", "status", "expires_at", "last_used_at"];
                    return print_list(output, &columns, &rows);
                }
            }
        }
        AccessCommand::Revoke { id } => {
            let revoked = client.revoke_access_token(RevokeAccessTokenRequest { id }).await?.into_inner();
            print_object(output, &token_json(&revoked.access_token.unwrap_or_default()))
        }
    }
}

fn token_json(token: &AccessToken) -> Value {
    let status = match token.status() {
        AccessTokenStatus::Unspecified => "unknown",
        AccessTokenStatus::Active => "active",
        AccessTokenStatus::Expired => "expired",
        AccessTokenStatus::Revoked => "revoked",
    };
    let allows = Permission::ALL.into_iter();
    let allows = allows
        .filter(|permission| token.allows().any(|allowed| allowed == AccessPermission::from(*permission)));
    json!({
        "id": token.id,
        "name": token.name,
        "owner": text(&token.owner),
        "allows": allows.map(Permission::as_str).collect::<Vec<_>>(),
        "status": status,
        "created_by": token.created_by,
        "created_at": instant(token.create_time),
        "expires_at": instant(token.expire_time),
        "revoked_at": instant(token.revoke_time),
        "last_used_at": instant(token.last_use_time),
    })
}
