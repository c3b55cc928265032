//! Revocation lists.

use rcgen::{CrlDistributionPoint, CrlIssuingDistributionPoint, KeyUsagePurpose};

use crate::{
    certificates::{authority, instant, licensor, revocation_list},
    world::{Adder, BERLIN, DAY, NOW},
};

pub(crate) fn add(to: &mut Adder<'_>) {
    let world = to.world;
    let (berlin, below, root, anchor) = (&world.berlin, &world.below, &world.root, &world.anchor);
    let of_berlin = revocation_list(anchor, &[&world.paris, berlin], |_| {});
    to.signed_by(
        "revoked-leaf",
        "REVOKED",
        "the licensor's certificate is on the anchor's list",
        berlin,
        &[],
    )
    .list("anchor-revokes-berlin", &of_berlin);
    let of_below = revocation_list(root, &[below], |_| {});
    to.signed_by(
        "revoked-leaf-below",
        "REVOKED",
        "the licensor's certificate is on the root's list",
        below,
        &[root],
    )
    .list("root-revokes-below", &of_below);
    let of_root = revocation_list(anchor, &[root], |_| {});
    to.signed_by(
        "revoked-issuer",
        "REVOKED",
        "the root's certificate is on the anchor's list",
        below,
        &[root],
    )
    .list("anchor-revokes-root", &of_root);
    let of_nobody = revocation_list(anchor, &[], |_| {});
    to.signed_by("revoked-on-second-list", "REVOKED", "the second list has it", below, &[root])
        .list("anchor-revokes-nobody", &of_nobody)
        .list("root-revokes-below", &of_below);
    let later = revocation_list(anchor, &[berlin], |params| {
        params.revoked_certs[0].revocation_time = instant(NOW - 30);
        params.this_update = instant(NOW - 20);
    });
    to.signed_by("revoked-after-issue", "REVOKED", "revoked after the licence was issued", berlin, &[])
        .list("anchor-revokes-berlin-later", &later);
    let superfluous = authority("Licensor Superfluous", 0, Some(anchor), |_| {});
    let of_superfluous = revocation_list(anchor, &[&superfluous], |_| {});
    to.signed_by(
        "revoked-superfluous",
        "REVOKED",
        "a certificate of x5c that is on no path is revoked",
        berlin,
        &[&superfluous],
    )
    .list("anchor-revokes-superfluous", &of_superfluous);

    let mut list = |name: &str, expected: &str, what: &str, der: &[u8]| {
        to.signed_by(name, expected, what, berlin, &[]).list(name, der);
    };
    let old = revocation_list(anchor, &[], |params| params.next_update = instant(NOW - 60));
    list("list-expired", "REVOCATION_LIST_EXPIRED", "the list is overdue by the leeway", &old);
    let ahead = revocation_list(anchor, &[], |params| params.this_update = instant(NOW + 61));
    list("list-ahead", "REVOCATION_LIST_NOT_YET_VALID", "the list is of a second after the leeway", &ahead);
    let theirs = revocation_list(&world.stranger, &[], |_| {});
    list(
        "list-of-stranger",
        "REVOCATION_LIST_WRONG_ISSUER",
        "an authority of the same name signed the list",
        &theirs,
    );
    let mut forged = of_nobody.clone();
    *forged.last_mut().unwrap() ^= 1;
    list("list-forged", "REVOCATION_LIST_BAD_SIGNATURE", "the list's signature is broken", &forged);
    let longer = [of_nobody.as_slice(), &[0]].concat();
    list("list-octet-follows", "REVOCATION_LIST_MALFORMED", "an octet follows the list", &longer);
    list("list-garbage", "REVOCATION_LIST_MALFORMED", "no list at all", b"no list");
    let partial = revocation_list(anchor, &[], |params| {
        let distribution_point = CrlDistributionPoint { uris: vec!["https://licensor.test/part.crl".into()] };
        params.issuing_distribution_point =
            Some(CrlIssuingDistributionPoint { distribution_point, scope: None });
    });
    list(
        "list-critical",
        "REVOCATION_LIST_MALFORMED",
        "a critical extension: the list is of a part only",
        &partial,
    );

    let silent = authority("Licensor Silent", 1, None, |params| {
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign]
    });
    let speaking = silent.again(None, |params| params.key_usages.push(KeyUsagePurpose::CrlSign));
    let signer = licensor(BERLIN, &rcgen::PKCS_ECDSA_P256_SHA256, &silent, |_| {});
    let unsigned = revocation_list(&speaking, &[], |params| params.next_update = instant(NOW + 2 * DAY));
    to.signed_by(
        "list-not-a-signer",
        "REVOCATION_LIST_NOT_A_SIGNER",
        "the issuer's keyUsage has no cRLSign",
        &signer,
        &[],
    )
    .trusting(&[("silent", &silent.der)])
    .list("list-not-a-signer", &unsigned);
}
