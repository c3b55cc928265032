//! Records as the administrator's messages show them.

use std::time::SystemTime;

use licensor::{
    clock::{from_unix_seconds, timestamp},
    error::Result,
    key::fingerprint,
};
use proto::certification::v1::{
    self as pb, AuthorityStanding, CertificateStatus, EnrollmentToken, TokenStatus,
};

use crate::{
    authority::{Generation, Generations},
    ledger::{
        AuthoritiesRecord, CertificateRecord, EntitlementRecord, GenerationRecord, Ledger, NodeRecord,
        Standing, TokenRecord, TokenStanding, UpstreamKind, Worth,
    },
};

/// An authority with its certificate.
pub(super) fn authority(generation: &Generation) -> pb::Authority {
    let Generation { facts, validity, .. } = generation;
    pb::Authority {
        serial: facts.serial.clone(),
        key_id: facts.key_id.clone(),
        subject: facts.subject.clone(),
        not_before: Some(timestamp(validity.not_before)),
        not_after: Some(timestamp(validity.not_after)),
        certificate: generation.certificate.clone(),
        trust_anchor_fingerprint: fingerprint(generation.trust_anchor()),
        standing: standing(generation.standing).into(),
        issuers: generation.issuers.clone(),
    }
}

/// An authority that may not have a certificate yet.
pub(super) fn recorded_authority(generations: &Generations, record: &GenerationRecord) -> pb::Authority {
    match generations.of_key(&record.key_id) {
        Some(generation) => authority(generation),
        None => pb::Authority {
            key_id: record.key_id.clone(),
            standing: standing(record.standing()).into(),
            ..pb::Authority::default()
        },
    }
}

fn standing(standing: Standing) -> AuthorityStanding {
    match standing {
        Standing::Active => AuthorityStanding::Active,
        Standing::Requested => AuthorityStanding::Requested,
        Standing::Prepared => AuthorityStanding::Prepared,
        Standing::Former => AuthorityStanding::Former,
        Standing::Retired => AuthorityStanding::Retired,
    }
}

/// Where the authority's certificates come from.
pub(super) fn upstream(record: &AuthoritiesRecord) -> pb::Upstream {
    let active = record.generations.iter().find(|it| it.standing() == Standing::Active);
    let renew_at = active.map_or(0, |active| active.renew_at);
    let record = &record.upstream;
    let instant = |seconds: i64| (seconds != 0).then(|| timestamp(from_unix_seconds(seconds)));
    let kind = match record.kind() {
        UpstreamKind::SelfSigned => pb::UpstreamKind::Self_,
        UpstreamKind::Grpc => pb::UpstreamKind::Grpc,
        UpstreamKind::Offline => pb::UpstreamKind::Offline,
    };
    pb::Upstream {
        kind: kind.into(),
        address: record.address.clone(),
        renew_time: (record.kind() == UpstreamKind::Grpc).then(|| instant(renew_at)).flatten(),
        last_renewal: instant(record.renewed_at),
        last_renewal_error: record.error.clone(),
    }
}

/// A token without its secret.
pub(super) fn token(token: TokenRecord, now: SystemTime) -> EnrollmentToken {
    let expires_at = from_unix_seconds(token.expires_at);
    let status = match token.standing(now) {
        TokenStanding::Unused => TokenStatus::Unused,
        TokenStanding::Used => TokenStatus::Used,
        TokenStanding::Expired => TokenStatus::Expired,
        TokenStanding::Revoked => TokenStatus::Revoked,
    };
    EnrollmentToken {
        id: token.id,
        node: token.node,
        owner: token.owner,
        dns_names: token.dns_names,
        ip_addresses: token.ip_addresses,
        create_time: Some(timestamp(from_unix_seconds(token.created_at))),
        expire_time: Some(timestamp(expires_at)),
        status: status.into(),
        serial: token.serial,
        root: token.root,
    }
}

/// How an entitlement is named for people.
pub(super) fn entitlement_name(owner: &str, vendor: &str) -> String {
    if vendor.is_empty() { owner.to_owned() } else { format!("{owner} / {vendor}") }
}

/// An entitlement as licensing servers take it.
pub(super) fn signed_entitlement(record: EntitlementRecord, jws: String) -> pb::SignedEntitlement {
    let EntitlementRecord { owner, vendor, version, .. } = record;
    pb::SignedEntitlement { owner, vendor, version, entitlement: jws }
}

/// An entitlement with its document.
pub(super) fn entitlement(record: EntitlementRecord, jws: String, document: String) -> pb::EntitlementRecord {
    pb::EntitlementRecord {
        put_time: Some(timestamp(from_unix_seconds(record.put_at))),
        put_by: record.put_by.clone(),
        signed: Some(signed_entitlement(record, jws)),
        document,
    }
}

/// A licensing server or root.
pub(super) async fn node(ledger: &Ledger, node: NodeRecord) -> Result<pb::Node> {
    let newest = ledger.certificate(&node.current.serial).await?;
    Ok(pb::Node {
        name: node.name,
        owner: node.owner,
        dns_names: node.dns_names,
        ip_addresses: node.ip_addresses,
        enroll_time: Some(timestamp(from_unix_seconds(node.enrolled_at))),
        not_after: newest.as_ref().map(|newest| timestamp(from_unix_seconds(newest.not_after))),
        current_serial: newest.map(|newest| newest.serial).unwrap_or_default(),
        root: node.root,
        decommission_time: (node.decommissioned_at != 0)
            .then(|| timestamp(from_unix_seconds(node.decommissioned_at))),
    })
}

/// A certificate with its standing at `now`.
pub(super) async fn certificate(
    ledger: &Ledger,
    record: CertificateRecord,
    now: SystemTime,
) -> Result<pb::Certificate> {
    let Worth { revocation, superseded_by, expired } = ledger.worth(&record, now).await?;
    let not_after = from_unix_seconds(record.not_after);
    let status = if revocation.is_some() {
        CertificateStatus::Revoked
    } else if !superseded_by.is_empty() {
        CertificateStatus::Superseded
    } else if expired {
        CertificateStatus::Expired
    } else {
        CertificateStatus::Current
    };
    let authority = verifier::Certificate::parse(&record.authority).ok();
    Ok(pb::Certificate {
        serial: record.serial,
        node: record.node,
        not_before: Some(timestamp(from_unix_seconds(record.not_before))),
        not_after: Some(timestamp(not_after)),
        status: status.into(),
        superseded_by,
        issuer_key_id: record.issuer_key_id,
        certificate: record.licensor,
        server_certificate: record.server,
        authority_certificate: record.authority,
        authority_serial: authority.map(|authority| authority.serial).unwrap_or_default(),
        revoke_time: revocation
            .as_ref()
            .map(|revocation| timestamp(from_unix_seconds(revocation.revoked_at))),
        revocation_reason: revocation
            .and_then(|revocation| i32::try_from(revocation.reason).ok())
            .unwrap_or_default(),
    })
}
