//! What is valid.

use rcgen::SanType;
use serde_json::json;

use crate::{
    certificates::{authority, licensor, revocation_list, uri},
    log::{ENROLLED, entry, proof},
    token::{header, sign, with, without},
    world::{Adder, BERLIN, DAY, ENTITLEMENT, LICENSE, NOW, claims, entitlement},
};

pub(crate) fn add(to: &mut Adder<'_>) {
    let world = to.world;
    to.signed_by("valid-p256", "valid", "ES256, the licensor directly below the anchor", &world.berlin, &[]);
    to.signed_by("valid-p384", "valid", "ES384", &world.berlin_p384, &[]);
    to.signed_by("valid-ed25519", "valid", "EdDSA with Ed25519", &world.berlin_ed25519, &[]);
    to.signed_by(
        "valid-intermediate",
        "valid",
        "a root between licensor and anchor",
        &world.below,
        &[&world.root],
    );
    to.signed_by(
        "valid-superfluous-certificate",
        "valid",
        "x5c has a certificate that is on no path",
        &world.berlin,
        &[&world.stranger],
    );
    let names = |params: &mut rcgen::CertificateParams| {
        params.subject_alt_names = vec![SanType::DnsName("berlin.test".try_into().unwrap()), uri(BERLIN)];
    };
    let named = licensor(BERLIN, &rcgen::PKCS_ECDSA_P256_SHA256, &world.anchor, names);
    to.signed_by("valid-dns-name-beside", "valid", "a DNS name stands beside the SPIFFE ID", &named, &[]);

    let plain = sign(&world.header(), &claims(), &world.berlin);
    to.license(
        "valid-white-space-around",
        "valid",
        "white space around the JWS",
        format!("\n {plain}\r\n\t"),
    );
    let keyed = with(with(world.header(), "/kid", json!("x")), "/jku", json!("https://stranger.test/keys"));
    to.headed("valid-key-references", "valid", "kid and jku are there, and never looked at", &keyed);
    let extended = with(world.header(), "/colour", json!({ "red": [1] }));
    to.headed("valid-unknown-header", "valid", "a header member that nobody knows", &extended);
    let more = with(with(claims(), "/amr", json!([true, {}])), "/license/colour", json!("red"));
    to.claimed("valid-unknown-claims", "valid", "claims that nobody knows", &more);
    let less = without(without(claims(), "/license/serial_number"), "/license/features");
    to.claimed("valid-without-optional-claims", "valid", "neither serial number nor features", &less);
    let text = with(claims(), "/sub", json!("Ünal \"Ü\" 木"));
    to.claimed("valid-unicode", "valid", "a subject beyond ASCII", &text);

    let (nbf, exp) = (NOW - 60, NOW + 3540);
    to.license("valid-at-nbf", "valid", "at nbf, without leeway", plain.clone()).at(nbf).leeway(0);
    to.license("valid-before-exp", "valid", "a second before exp, without leeway", plain.clone())
        .at(exp - 1)
        .leeway(0);
    let late = with(claims(), "/nbf", json!(NOW + 60));
    to.claimed("valid-at-nbf-less-leeway", "valid", "nbf lies ahead by the leeway", &late);
    let ahead = with(claims(), "/iat", json!(NOW + 60));
    to.claimed("valid-at-iat-less-leeway", "valid", "iat lies ahead by the leeway", &ahead);
    to.license("valid-before-exp-and-leeway", "valid", "a second before exp and leeway", plain.clone())
        .at(exp + 59);
    let longest = with(claims(), "/exp", json!(NOW + 30 * DAY));
    to.claimed("valid-until-not-after", "valid", "as long as the licensor's certificate", &longest);
    let first = with(claims(), "/iat", json!(NOW - DAY));
    to.claimed("valid-issued-at-not-before", "valid", "issued at the certificate's notBefore", &first);
    let last = with(with(longest, "/iat", json!(NOW + 30 * DAY - 1)), "/jti", json!("last"));
    to.claimed("valid-issued-before-not-after", "valid", "issued a second before notAfter", &last)
        .at(NOW + 30 * DAY - 1);

    let of_paris = revocation_list(&world.anchor, &[&world.paris], |_| {});
    to.license("valid-list-of-another", "valid", "the list has another licensor", plain.clone())
        .list("anchor-revokes-paris", &of_paris);
    let of_nobody = revocation_list(&world.anchor, &[], |_| {});
    to.license("valid-empty-list", "valid", "the list is empty", plain)
        .list("anchor-revokes-nobody", &of_nobody);
    let of_root = revocation_list(&world.root, &[&world.berlin], |_| {});
    to.signed_by(
        "valid-lists-of-two-issuers",
        "valid",
        "one list of each issuer in the chain; what is on them is of others",
        &world.below,
        &[&world.root],
    )
    .list("anchor-revokes-paris", &of_paris)
    .list("root-revokes-number-of-berlin", &of_root);
    let of_number = revocation_list(&world.anchor, &[&world.below], |_| {});
    to.signed_by(
        "valid-number-of-another-issuer",
        "valid",
        "the anchor's list has the serial number of a certificate that the root issued",
        &world.below,
        &[&world.root],
    )
    .list("anchor-revokes-number-of-below", &of_number);

    let (berlins, _) = proof(entry(ENROLLED, &world.berlin.der), &world.anchor);
    to.signed_by("valid-proof", "valid", "the issue of the certificate is proved", &world.berlin, &[])
        .proof(berlins.to_text());
    let (belows, _) = proof(entry(101, &world.below.der), &world.root);
    to.signed_by(
        "valid-proof-intermediate",
        "valid",
        "proved by the log of the root, as a renewal",
        &world.below,
        &[&world.root],
    )
    .proof(belows.to_text());

    // The key of the next authority is certified by the former one, too.
    let next = authority("Licensor Next", 1, None, |_| {});
    let cross = next.again(Some(&world.anchor), |params| {
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Constrained(0));
    });
    let of_next = licensor(BERLIN, &rcgen::PKCS_ECDSA_P256_SHA256, &next, |_| {});
    for (name, what, anchors) in [
        ("valid-next-anchor-by-former", "who knows the former anchor alone", vec![("anchor", &world.anchor)]),
        ("valid-next-anchor", "who knows the next anchor alone", vec![("next", &next)]),
        ("valid-both-anchors", "who knows both", vec![("anchor", &world.anchor), ("next", &next)]),
    ] {
        let anchors: Vec<_> = anchors.iter().map(|(name, anchor)| (*name, anchor.der.as_slice())).collect();
        let what = format!("after an exchange of the anchor: {what}");
        to.signed_by(name, "valid", &what, &of_next, &[&cross]).trusting(&anchors);
    }
    let license = sign(&header(LICENSE, &world.berlin, &[]), &claims(), &world.berlin);
    to.license("valid-among-anchors", "valid", "another anchor of the same name stands before ours", license)
        .trusting(&[("stranger", &world.stranger.der), ("anchor", &world.anchor.der)]);

    to.entitled("valid-entitlement", "valid", "an entitlement with all that there may be", &entitlement());
    let mut bare = entitlement();
    for name in ["dates", "modules", "services"] {
        bare = without(bare, &format!("/entitlement/{name}"));
    }
    to.entitled(
        "valid-bare-entitlement",
        "valid",
        "an entitlement without dates, modules and services",
        &bare,
    );
    let module = json!({ "name": "crm", "quantity": 1, "lease": 60 });
    let service = json!({ "name": "mail", "unit": "e-mail" });
    let small = with(entitlement(), "/entitlement/modules", json!([module]));
    let small = with(small, "/entitlement/services", json!([service]));
    to.entitled("valid-small-entitlement", "valid", "a module and a service with nothing optional", &small);
    let vendor = licensor(crate::world::VENDOR, &rcgen::PKCS_ED25519, &world.root, |params| {
        params.extended_key_usages = vec![crate::certificates::entitlement_purpose()];
    });
    let jws = sign(&header(ENTITLEMENT, &vendor, &[&world.root]), &entitlement(), &vendor);
    to.entitlement("valid-entitlement-intermediate", "valid", "EdDSA, a root between signer and anchor", jws)
        .list("anchor-revokes-paris", &of_paris);
}
