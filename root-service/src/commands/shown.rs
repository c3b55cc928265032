//! What the service answers, as the commands show it: the keys are a promise to scripts.

use licensor::cli::{instant, text};
use proto::certification::v1::{
    Authority, AuthorityStanding, Certificate, CertificateStatus, EnrollmentToken, Node, TokenStatus,
    Upstream,
};
use serde_json::{Value, json};

pub(super) fn authority_json(authority: &Authority) -> Value {
    json!({
        "serial": text(&authority.serial),
        "key_id": text(&authority.key_id),
        "subject": text(&authority.subject),
        "not_before": instant(authority.not_before),
        "not_after": instant(authority.not_after),
        "trust_anchor_fingerprint": text(&authority.trust_anchor_fingerprint),
        "standing": match authority.standing() {
            AuthorityStanding::Unspecified => Value::Null,
            standing => json!(word(standing.as_str_name(), "AUTHORITY_STANDING_")),
        },
    })
}

pub(super) fn upstream_json(upstream: &Upstream) -> Value {
    json!({
        "kind": word(upstream.kind().as_str_name(), "UPSTREAM_KIND_"),
        "address": text(&upstream.address),
        "renew_at": instant(upstream.renew_time),
        "last_renewal": instant(upstream.last_renewal),
        "last_renewal_error": text(&upstream.last_renewal_error),
    })
}

/// The name of a value without that of its kind.
fn word(name: &str, prefix: &str) -> String {
    name.trim_start_matches(prefix).to_lowercase()
}

pub(super) fn token_json(token: &EnrollmentToken) -> Value {
    let status = match token.status() {
        TokenStatus::Unspecified => "unknown",
        TokenStatus::Unused => "unused",
        TokenStatus::Used => "used",
        TokenStatus::Expired => "expired",
        TokenStatus::Revoked => "revoked",
    };
    json!({
        "id": token.id,
        "node": token.node,
        "owner": token.owner,
        "dns_names": token.dns_names,
        "ip_addresses": token.ip_addresses,
        "created_at": instant(token.create_time),
        "expires_at": instant(token.expire_time),
        "status": status,
        "serial": text(&token.serial),
        "root": token.root,
    })
}

pub(super) fn node_json(node: &Node) -> Value {
    json!({
        "name": node.name,
        "owner": node.owner,
        "dns_names": node.dns_names,
        "ip_addresses": node.ip_addresses,
        "enrolled_at": instant(node.enroll_time),
        "serial": text(&node.current_serial),
        "not_after": instant(node.not_after),
        "decommissioned_at": instant(node.decommission_time),
        "root": node.root,
    })
}

pub(super) fn certificate_json(certificate: &Certificate) -> Value {
    let status = match certificate.status() {
        CertificateStatus::Unspecified => "unknown",
        CertificateStatus::Current => "current",
        CertificateStatus::Superseded => "superseded",
        CertificateStatus::Expired => "expired",
        CertificateStatus::Revoked => "revoked",
    };
    json!({
        "serial": certificate.serial,
        "node": certificate.node,
        "not_before": instant(certificate.not_before),
        "not_after": instant(certificate.not_after),
        "status": status,
        "authority_serial": text(&certificate.authority_serial),
        "superseded_by": text(&certificate.superseded_by),
        "revoked_at": instant(certificate.revoke_time),
        "revocation_reason": match certificate.revoke_time {
            Some(_) => json!(word(certificate.revocation_reason().as_str_name(), "REVOCATION_REASON_")),
            None => Value::Null,
        },
    })
}
