//! Access tokens as the local administrator's calls carry them.

use std::time::{Duration, SystemTime};

use licensor::{
    admin::caller_name,
    clock::timestamp,
    error::{Error, Reason, Result},
    page::{page_size, page_start, page_token},
};
use proto::licensing::v1::{
    self as pb, AccessPermission, AccessTokenStatus, CreateAccessTokenRequest, CreateAccessTokenResponse,
    ListAccessTokensRequest, ListAccessTokensResponse, RevokeAccessTokenRequest, RevokeAccessTokenResponse,
    create_access_token_request::Lifetime as Asked,
};
use tonic::{Request, Response, Status};

use crate::{
    access::{AccessToken, Lifetime, TokenOrder, Tokens},
    config::Permission,
};

pub(super) async fn create(
    tokens: &Tokens,
    request: Request<CreateAccessTokenRequest>,
) -> Result<Response<CreateAccessTokenResponse>, Status> {
    let (_, extensions, request) = request.into_parts();
    let refused = |problem: &str| Error::new(Reason::InvalidArgument, problem);
    let lifetime = match request.lifetime {
        None => Lifetime::Default,
        Some(Asked::Ttl(ttl)) => {
            Lifetime::For(Duration::try_from(ttl).map_err(|_| refused("ttl must be longer than nothing"))?)
        }
        Some(Asked::ExpireTime(end)) => {
            Lifetime::Until(SystemTime::try_from(end).map_err(|_| refused("expire_time is out of range"))?)
        }
    };
    let allows = request
        .allows()
        .map(|allowed| permission(allowed).ok_or_else(|| refused("allows names a permission that is none")));
    let order = TokenOrder {
        allows: allows.collect::<Result<_>>()?,
        name: request.name,
        owner: request.owner,
        lifetime,
        by: caller_name(&extensions),
    };
    let (token, created) = tokens.create(order).await?;
    Ok(Response::new(CreateAccessTokenResponse { token, access_token: Some(message(created)) }))
}

pub(super) fn list(
    tokens: &Tokens,
    request: &ListAccessTokensRequest,
) -> Result<Response<ListAccessTokensResponse>, Status> {
    let (page, next) = tokens.list(&page_start(&request.page_token)?, page_size(request.page_size)?);
    Ok(Response::new(ListAccessTokensResponse {
        access_tokens: page.into_iter().map(message).collect(),
        next_page_token: next.map(|next| page_token(&next)).unwrap_or_default(),
    }))
}

pub(super) async fn revoke(
    tokens: &Tokens,
    request: Request<RevokeAccessTokenRequest>,
) -> Result<Response<RevokeAccessTokenResponse>, Status> {
    let (_, extensions, request) = request.into_parts();
    let revoked = tokens.revoke(&request.id, &caller_name(&extensions)).await?;
    Ok(Response::new(RevokeAccessTokenResponse { access_token: Some(message(revoked)) }))
}

fn message(token: AccessToken) -> pb::AccessToken {
    let status = match (token.revoked_at, token.expired) {
        (Some(_), _) => AccessTokenStatus::Revoked,
        (None, true) => AccessTokenStatus::Expired,
        (None, false) => AccessTokenStatus::Active,
    };
    pb::AccessToken {
        id: token.id,
        name: token.name,
        owner: token.owner,
        allows: token.allows.into_iter().map(|allowed| AccessPermission::from(allowed).into()).collect(),
        created_by: token.created_by,
        create_time: Some(timestamp(token.created_at)),
        expire_time: Some(timestamp(token.expires_at)),
        revoke_time: token.revoked_at.map(timestamp),
        last_use_time: token.last_used_at.map(timestamp),
        status: status.into(),
    }
}

fn permission(asked: AccessPermission) -> Option<Permission> {
    Permission::ALL.into_iter().find(|permission| AccessPermission::from(*permission) == asked)
}
