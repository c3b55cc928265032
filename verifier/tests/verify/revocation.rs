//! Revocation lists of an authority of our own making.

use rcgen::{
    CertificateRevocationListParams, KeyIdMethod, RevocationReason, RevokedCertParams, SerialNumber,
};
use time::OffsetDateTime;
use verifier::{
    Certificate, JwsError, RevocationList, RevocationListError, Revoked, Trust, certificate::octets,
    verify_license,
};

use crate::bench::{Authority, DAY, Licensor, NOW, Order, anchor, claims, intermediate};

fn instant(seconds: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(seconds).unwrap()
}

fn key_id(authority: &Authority) -> Vec<u8> {
    octets(&Certificate::parse(authority.der()).unwrap().key_id).unwrap()
}

/// A list of `authority` with these serial numbers, issued now for a day.
fn list(authority: &Authority, serials: &[Vec<u8>]) -> Vec<u8> {
    let revoked = |serial: &Vec<u8>| RevokedCertParams {
        serial_number: SerialNumber::from_slice(serial),
        revocation_time: instant(NOW - 5),
        reason_code: Some(RevocationReason::KeyCompromise),
        invalidity_date: None,
    };
    let params = CertificateRevocationListParams {
        this_update: instant(NOW),
        next_update: instant(NOW + DAY),
        crl_number: SerialNumber::from(7_u64),
        issuing_distribution_point: None,
        revoked_certs: serials.iter().map(revoked).collect(),
        key_identifier_method: KeyIdMethod::PreSpecified(key_id(authority)),
    };
    params.signed_by(authority).unwrap().der().to_vec()
}

pub(crate) fn verified(authority: &Authority, serials: &[Vec<u8>]) -> RevocationList {
    RevocationList::verify(&list(authority, serials), &[authority.der().to_vec()]).unwrap()
}

pub(crate) fn serial(der: &[u8]) -> Vec<u8> {
    octets(&Certificate::parse(der).unwrap().serial).unwrap()
}

#[test]
fn a_list_tells_what_was_revoked_when_and_why() {
    let authority = anchor("Anchor");
    let list = verified(&authority, &[vec![0x41, 2, 3], vec![0x42]]);
    assert_eq!((list.number, list.this_update, list.next_update, list.len()), (7, NOW, NOW + DAY, 2));
    assert_eq!(list.find(&[0x41, 2, 3]), Some(Revoked { at: NOW - 5, reason: 1 }));
    assert_eq!(list.find(&[0x41, 2]), None);
}

#[test]
fn a_list_of_another_authority_of_the_same_name_is_refused() {
    let (authority, other) = (anchor("Anchor"), anchor("Anchor"));
    let error = RevocationList::verify(&list(&authority, &[]), &[other.der().to_vec()]).unwrap_err();
    let issuer_key_id = verifier::certificate::hex(&key_id(&authority));
    assert_eq!(error, RevocationListError::WrongIssuer { issuer_key_id });
}

#[test]
fn no_octet_of_a_list_can_be_changed() {
    let authority = anchor("Anchor");
    let issuers = [authority.der().to_vec()];
    let der = list(&authority, &[vec![0x41, 2, 3]]);
    RevocationList::verify(&der, &issuers).unwrap();
    for at in 0..der.len() {
        let mut changed = der.clone();
        changed[at] ^= 1;
        assert!(RevocationList::verify(&changed, &issuers).is_err(), "octet {at} was changed");
        assert!(RevocationList::verify(&der[..at], &issuers).is_err(), "cut after {at} octets");
    }
    assert!(RevocationList::verify(&[der, vec![0]].concat(), &issuers).is_err());
}

#[test]
fn a_list_of_tomorrow_and_one_that_is_overdue_are_told_apart() {
    let list = verified(&anchor("Anchor"), &[]);
    assert_eq!(list.check_dates(NOW - 61, 60), Err(RevocationListError::NotYetValid { this_update: NOW }));
    assert_eq!(list.check_dates(NOW - 60, 60), Ok(()));
    assert_eq!(list.check_dates(NOW + DAY + 59, 60), Ok(()));
    assert_eq!(
        list.check_dates(NOW + DAY + 60, 60),
        Err(RevocationListError::Expired { next_update: NOW + DAY })
    );
}

#[test]
fn a_licence_of_a_revoked_licensor_or_below_a_revoked_authority_is_refused() {
    let top = anchor("Anchor");
    let middle = intermediate("Middle", &top);
    let licensor = Licensor::certified(Order::default(), &middle);
    let license = licensor.sign(&licensor.header(&[&middle]), &claims());
    let anchors = [top.der().to_vec()];
    let verify = |lists: &[RevocationList]| {
        verify_license(
            &license,
            Trust { anchors: &anchors, revocation_lists: lists, ..Trust::default() },
            NOW,
        )
    };
    let leaf = serial(&licensor.certificate);
    verify(&[verified(&top, &[]), verified(&middle, &[vec![1]])]).unwrap();
    // The same number from another issuer is another certificate.
    verify(&[verified(&top, std::slice::from_ref(&leaf))]).unwrap();
    for (lists, serial) in [
        ([verified(&middle, std::slice::from_ref(&leaf))], &leaf),
        ([verified(&top, &[serial(middle.der())])], &serial(middle.der())),
    ] {
        let error = verify(&lists).unwrap_err();
        let serial = verifier::certificate::hex(serial);
        assert_eq!(error, JwsError::Revoked { serial, at: NOW - 5 });
    }
}
