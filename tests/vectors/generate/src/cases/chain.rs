//! The signer's certificate, and its way to an anchor.

use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P521_SHA512, SanType,
};
use serde_json::json;

use crate::{
    certificates::{
        Holder, authority, entitlement_purpose, instant, licensor, unknown_critical_extension, uri,
    },
    token::{base64url, header, sign, with},
    world::{Adder, BERLIN, DAY, LICENSE, NOW, PARIS, claims},
};

const P256: &rcgen::SignatureAlgorithm = &PKCS_ECDSA_P256_SHA256;

pub(crate) fn add(to: &mut Adder<'_>) {
    add_leaves(to);
    add_issuers(to);
    add_anchors(to);
}

fn add_leaves(to: &mut Adder<'_>) {
    let world = to.world;
    let mut leaf = |name: &str, expected: &str, what: &str, change: &dyn Fn(&mut CertificateParams)| {
        let licensor = licensor(BERLIN, P256, &world.anchor, change);
        to.signed_by(name, expected, what, &licensor, &[]);
    };
    for (name, purposes, what) in [
        ("leaf-no-purpose", vec![], "no extendedKeyUsage"),
        ("leaf-client-only", vec![ExtendedKeyUsagePurpose::ClientAuth], "the purpose of a TLS client alone"),
        ("leaf-any-purpose", vec![ExtendedKeyUsagePurpose::Any], "anyExtendedKeyUsage"),
        ("leaf-entitlement-purpose", vec![entitlement_purpose()], "the purpose of signing entitlements"),
    ] {
        leaf(name, "NOT_A_LICENSOR", what, &|params| params.extended_key_usages.clone_from(&purposes));
    }
    let dns = SanType::DnsName("berlin-1.test".try_into().unwrap());
    for (name, names, what) in [
        ("leaf-no-name", vec![], "no subjectAltName"),
        ("leaf-dns-name", vec![dns], "a DNS name alone"),
        ("leaf-https-name", vec![uri("https://licensor.test/berlin-1")], "a URI that is no SPIFFE ID"),
        ("leaf-two-ids", vec![uri(BERLIN), uri(PARIS)], "two SPIFFE IDs"),
        ("leaf-id-twice", vec![uri(BERLIN), uri(BERLIN)], "the same SPIFFE ID twice"),
        (
            "leaf-other-uri",
            vec![uri(BERLIN), uri("https://licensor.test")],
            "another URI beside the SPIFFE ID",
        ),
    ] {
        leaf(name, "NO_SPIFFE_ID", what, &|params| params.subject_alt_names.clone_from(&names));
    }
    leaf("leaf-key-agreement", "NOT_FOR_SIGNATURES", "keyUsage without digitalSignature", &|params| {
        params.key_usages = vec![KeyUsagePurpose::KeyAgreement];
    });
    leaf("leaf-authority", "CHAIN_INVALID", "the licensor is an authority", &|params| {
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages.push(KeyUsagePurpose::KeyCertSign);
    });
    leaf("leaf-critical-extension", "CHAIN_INVALID", "a critical extension that nobody knows", &|params| {
        params.custom_extensions = vec![unknown_critical_extension()];
    });
    leaf("leaf-duplicate-extension", "CERTIFICATE_MALFORMED", "extendedKeyUsage is there twice", &|params| {
        // SEQUENCE { clientAuth }
        let content = vec![0x30, 0x0a, 6, 8, 0x2b, 6, 1, 5, 5, 7, 3, 2];
        params.custom_extensions = vec![CustomExtension::from_oid_content(&[2, 5, 29, 37], content)];
    });

    let p521 = licensor(BERLIN, &PKCS_ECDSA_P521_SHA512, &world.anchor, |_| {});
    let named = with(header(LICENSE, &p521, &[]), "/alg", json!("ES512"));
    let jws = format!(
        "{}.{}.{}",
        base64url(named.to_string()),
        base64url(claims().to_string()),
        base64url([7; 132])
    );
    to.license("leaf-p521", "KEY_NOT_ACCEPTED", "a key on P-521", jws);

    let mut broken = licensor(BERLIN, P256, &world.anchor, |_| {});
    *broken.der.last_mut().unwrap() ^= 1;
    to.signed_by(
        "leaf-signature-broken",
        "CHAIN_INVALID",
        "the certificate's signature is broken",
        &broken,
        &[],
    );
    let itself = world.berlin.again(None, |_| {});
    to.signed_by("leaf-self-signed", "CHAIN_INVALID", "the certificate is self-signed", &itself, &[]);
    to.signed_by(
        "leaf-signs-licence-as-vendor",
        "NOT_A_LICENSOR",
        "a signer of entitlements signs",
        &world.vendor,
        &[],
    );
}

fn add_issuers(to: &mut Adder<'_>) {
    let world = to.world;
    let mut path = |name: &str, what: &str, signer: &Holder, issuers: &[&Holder]| {
        to.signed_by(name, "CHAIN_INVALID", what, signer, issuers);
    };
    path("chain-issuer-missing", "the root is missing in x5c", &world.below, &[]);
    path("chain-other-issuer", "x5c has another authority than the issuer", &world.below, &[&world.stranger]);
    let theirs = licensor(BERLIN, P256, &world.stranger, |_| {});
    path("chain-stranger", "an anchor of the same name, but another key", &theirs, &[]);
    path("chain-self-made", "a chain of one's own making, its anchor in x5c", &theirs, &[&world.stranger]);
    let their_root = authority("Licensor Root", 0, Some(&world.stranger), |_| {});
    let below = licensor(BERLIN, P256, &their_root, |_| {});
    path("chain-self-made-long", "the same with a root between", &below, &[&their_root, &world.stranger]);

    let by_licensor = licensor(BERLIN, P256, &world.paris, |_| {});
    path("chain-licensor-certifies", "a licensor has certified another", &by_licensor, &[&world.paris]);
    let mut authority_of =
        |name: &str, what: &str, by: &Holder, above: &[&Holder], change: &dyn Fn(&mut CertificateParams)| {
            let issuer = authority("Licensor Branch", 0, Some(by), change);
            let signer = licensor(BERLIN, P256, &issuer, |_| {});
            let issuers: Vec<_> = std::iter::once(&issuer).chain(above.iter().copied()).collect();
            path(name, what, &signer, &issuers);
        };
    let anchor = &world.anchor;
    authority_of(
        "chain-issuer-no-ca",
        "the issuer has keyCertSign, but is no authority",
        anchor,
        &[],
        &|params| {
            params.is_ca = IsCa::ExplicitNoCa;
        },
    );
    authority_of(
        "chain-issuer-no-constraints",
        "the issuer has no basicConstraints",
        anchor,
        &[],
        &|params| {
            params.is_ca = IsCa::NoCa;
        },
    );
    authority_of(
        "chain-issuer-key-usage",
        "the issuer's keyUsage has no keyCertSign",
        anchor,
        &[],
        &|params| {
            params.key_usages = vec![KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
        },
    );
    authority_of(
        "chain-issuer-critical",
        "a critical extension of the issuer that nobody knows",
        anchor,
        &[],
        &|params| {
            params.custom_extensions = vec![unknown_critical_extension()];
        },
    );
    authority_of("chain-issuer-expired", "the issuer had expired at iat", anchor, &[], &|params| {
        params.not_after = instant(NOW - DAY / 2);
    });
    authority_of("chain-issuer-not-yet", "the issuer was not valid yet at iat", anchor, &[], &|params| {
        params.not_before = instant(NOW - 30);
    });
    // Its own path length has to hold for itself alone: that of the anchor is 2.
    let tall = authority("Licensor Tall", 2, None, |_| {});
    let short = authority("Licensor Root", 0, Some(&tall), |_| {});
    let third = authority("Licensor Branch", 0, Some(&short), |_| {});
    let signer = licensor(BERLIN, P256, &third, |_| {});
    to.signed_by(
        "chain-path-length",
        "CHAIN_INVALID",
        "an authority below a root with path length 0",
        &signer,
        &[&third, &short],
    )
    .trusting(&[("tall", &tall.der)]);

    // Its issuer's key has signed it, but it names another.
    let renamed = world.anchor.again(None, |params| {
        params.distinguished_name.push(rcgen::DnType::CommonName, "Another Name");
    });
    let misnamed = licensor(BERLIN, P256, &renamed, |_| {});
    to.signed_by("chain-name", "CHAIN_INVALID", "the issuer's name does not match", &misnamed, &[]);

    let reversed = json!(
        [&world.root, &world.below]
            .map(|holder| base64::Engine::encode(&base64::prelude::BASE64_STANDARD, &holder.der))
    );
    let swapped = with(header(LICENSE, &world.below, &[]), "/x5c", reversed);
    let jws = sign(&swapped, &claims(), &world.below);
    to.license("chain-swapped", "NOT_A_LICENSOR", "x5c begins with the issuer", jws);
}

fn add_anchors(to: &mut Adder<'_>) {
    let world = to.world;
    to.signed_by("anchor-other", "CHAIN_INVALID", "another anchor is trusted", &world.berlin, &[])
        .trusting(&[("stranger", &world.stranger.der)]);
    to.signed_by("anchor-none", "CHAIN_INVALID", "no anchor is trusted", &world.berlin, &[]).trusting(&[]);
    to.signed_by(
        "anchor-other-in-x5c",
        "CHAIN_INVALID",
        "the anchor is in x5c, but not trusted",
        &world.berlin,
        &[&world.anchor],
    )
    .trusting(&[("stranger", &world.stranger.der)]);

    let mut anchor = |name: &str, what: &str, change: &dyn Fn(&mut CertificateParams)| {
        let anchor = authority("Licensor Special", 1, None, change);
        let signer = licensor(BERLIN, P256, &anchor, |_| {});
        to.signed_by(name, "CHAIN_INVALID", what, &signer, &[]).trusting(&[(name, &anchor.der)]);
    };
    anchor("anchor-expired", "the anchor had expired at iat", &|params| {
        params.not_after = instant(NOW - DAY / 2)
    });
    anchor("anchor-not-yet", "the anchor was not valid yet at iat", &|params| {
        params.not_before = instant(NOW - 30)
    });
    anchor("anchor-no-ca", "the anchor is no authority", &|params| params.is_ca = IsCa::ExplicitNoCa);
    anchor("anchor-key-usage", "the anchor's keyUsage has no keyCertSign", &|params| {
        params.key_usages = vec![KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
    });
    let short = authority("Licensor Short", 0, None, |_| {});
    let root = authority("Licensor Root", 0, Some(&short), |_| {});
    let signer = licensor(BERLIN, P256, &root, |_| {});
    to.signed_by(
        "anchor-path-length",
        "CHAIN_INVALID",
        "a root below an anchor with path length 0",
        &signer,
        &[&root],
    )
    .trusting(&[("short", &short.der)]);
}
