//! Chains: what is accepted, and each way in which one is not.

use rcgen::{ExtendedKeyUsagePurpose, PKCS_ED25519, SanType};
use verifier::{ChainError, verify_licensor_chain};

use crate::bench::{Authority, DAY, Licensor, NOW, Order, SPIFFE_ID, anchor, intermediate};

fn check(order: Order, now: i64) -> Result<verifier::Certificate, ChainError> {
    let anchor = anchor("Anchor");
    let licensor = Licensor::certified(order, &anchor);
    verify_licensor_chain(&licensor.certificate, &[], &[anchor.der().to_vec()], now)
}

fn ders(authorities: &[&Authority]) -> Vec<Vec<u8>> {
    authorities.iter().map(|authority| authority.der().to_vec()).collect()
}

#[test]
fn a_licensor_certificate_of_a_trust_anchor_is_accepted() {
    let facts = check(Order::default(), NOW).unwrap();
    assert_eq!(facts.spiffe_id.as_deref(), Some(SPIFFE_ID));
    assert_eq!((facts.common_name.as_str(), facts.organization.as_str()), ("berlin-1", "Example GmbH"));
    check(Order { algorithm: &PKCS_ED25519, ..Order::default() }, NOW).unwrap();
}

#[test]
fn a_chain_with_an_issuer_between_is_accepted_with_that_issuer_only() {
    let top = anchor("Anchor");
    let (middle, other) = (intermediate("Middle", &top), intermediate("Other", &top));
    let leaf = Licensor::certified(Order::default(), &middle).certificate;
    let check = |issuers: &[&Authority]| verify_licensor_chain(&leaf, &ders(issuers), &ders(&[&top]), NOW);
    check(&[&middle]).unwrap();
    check(&[&other, &middle]).unwrap();
    for issuers in [&[][..], &[&other][..]] {
        assert!(matches!(check(issuers), Err(ChainError::NoPath(_))), "{:?}", check(issuers));
    }
}

#[test]
fn a_certificate_is_valid_from_its_not_before_until_just_before_its_not_after() {
    let (first, end) = (NOW - DAY, NOW + 30 * DAY);
    assert_eq!(check(Order::default(), first - 1), Err(ChainError::NotYetValid { not_before: first }));
    check(Order::default(), first).unwrap();
    check(Order::default(), end - 1).unwrap();
    assert_eq!(check(Order::default(), end), Err(ChainError::Expired { not_after: end }));
    assert_eq!(check(Order::default(), i64::MAX), Err(ChainError::Expired { not_after: end }));
    assert_eq!(check(Order::default(), i64::MIN), Err(ChainError::NotYetValid { not_before: first }));
}

#[test]
fn an_issuer_that_has_expired_carries_nothing() {
    let top = anchor("Anchor");
    let middle = intermediate("Middle", &top);
    let end = NOW + 3650 * DAY;
    let order = Order { not_before: NOW, not_after: end + 30 * DAY, ..Order::default() };
    let leaf = Licensor::certified(order, &middle).certificate;
    let check = |now| verify_licensor_chain(&leaf, &ders(&[&middle]), &ders(&[&top]), now);
    check(end - DAY).unwrap();
    assert!(matches!(check(end + DAY), Err(ChainError::NoPath(_))));
}

#[test]
fn a_certificate_without_the_licensor_purpose_is_refused() {
    for purposes in [vec![], vec![ExtendedKeyUsagePurpose::ClientAuth], vec![ExtendedKeyUsagePurpose::Any]] {
        assert_eq!(check(Order { purposes, ..Order::default() }, NOW), Err(ChainError::NotALicensor));
    }
}

#[test]
fn a_certificate_without_a_spiffe_id_is_refused() {
    let other = SanType::URI("https://licensor.test/berlin-1".try_into().unwrap());
    for names in [vec![], vec![SanType::DnsName("berlin-1".try_into().unwrap())], vec![other]] {
        assert_eq!(check(Order { names, ..Order::default() }, NOW), Err(ChainError::NoSpiffeId));
    }
}

#[test]
fn a_certificate_of_another_anchor_is_refused_even_under_the_same_name() {
    let (ours, theirs) = (anchor("Anchor"), anchor("Anchor"));
    let leaf = Licensor::certified(Order::default(), &theirs).certificate;
    for issuers in [ders(&[]), ders(&[&theirs]), ders(&[&ours])] {
        let result = verify_licensor_chain(&leaf, &issuers, &ders(&[&ours]), NOW);
        assert!(matches!(result, Err(ChainError::NoPath(_))), "{result:?}");
    }
    assert!(matches!(verify_licensor_chain(&leaf, &[], &[], NOW), Err(ChainError::NoPath(_))));
    verify_licensor_chain(&leaf, &[], &ders(&[&ours, &theirs]), NOW).unwrap();
}

#[test]
fn a_licensor_cannot_certify_another() {
    let top = anchor("Anchor");
    let licensor = Licensor::certified(Order::default(), &top).certificate;
    let below = intermediate("Below", &top);
    let leaf = Licensor::certified(Order::default(), &below).certificate;
    let result = verify_licensor_chain(&leaf, &[licensor], &ders(&[&top]), NOW);
    assert!(matches!(result, Err(ChainError::NoPath(_))), "{result:?}");
    // An authority is no licensor either.
    let result = verify_licensor_chain(below.der(), &[], &ders(&[&top]), NOW);
    assert_eq!(result, Err(ChainError::NotALicensor));
}

#[test]
fn what_is_no_certificate_is_malformed() {
    let top = anchor("Anchor");
    let leaf = Licensor::certified(Order::default(), &top).certificate;
    let longer = [leaf.as_slice(), &[0]].concat();
    for wrong in [&[][..], b"no certificate", &leaf[..leaf.len() - 1], &longer] {
        let result = verify_licensor_chain(wrong, &[], &ders(&[&top]), NOW);
        assert!(matches!(result, Err(ChainError::Malformed(_))), "{result:?}");
    }
    let result = verify_licensor_chain(&leaf, &[], &[b"no anchor".to_vec()], NOW);
    assert!(result.is_err());
}

#[test]
fn a_bit_that_was_changed_anywhere_is_noticed() {
    let top = anchor("Anchor");
    let leaf = Licensor::certified(Order::default(), &top).certificate;
    for position in 0..leaf.len() {
        let mut changed = leaf.clone();
        changed[position] ^= 1;
        let result = verify_licensor_chain(&changed, &[], &ders(&[&top]), NOW);
        assert!(result.is_err(), "octet {position} does not matter");
    }
}

#[test]
fn a_trust_anchor_that_has_expired_carries_nothing() {
    let anchor = anchor("Anchor");
    let end = NOW + 3650 * DAY;
    let order = Order { not_before: NOW, not_after: end + 30 * DAY, ..Order::default() };
    let leaf = Licensor::certified(order, &anchor).certificate;
    let check = |now| verify_licensor_chain(&leaf, &[], &ders(&[&anchor]), now);
    check(end - DAY).unwrap();
    assert!(matches!(check(end + DAY), Err(ChainError::NoPath(_))));
}
