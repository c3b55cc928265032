//! The vectors, by what they are about.

mod chain;
mod claims;
mod entitlement;
mod form;
mod header;
mod proof;
mod revocation;
mod signature;
mod time;
mod valid;

use rcgen::PKCS_ECDSA_P256_SHA256;
use serde_json::json;

use crate::{
    certificates::{authority, instant, licensor},
    collection::Collection,
    token::{header, sign, with},
    world::{Adder, BERLIN, DAY, LICENSE, World, claims},
};

pub(crate) fn add_all(collection: &mut Collection) {
    let world = World::new();
    let mut adder = Adder { world: &world, collection };
    valid::add(&mut adder);
    form::add(&mut adder);
    header::add(&mut adder);
    claims::add(&mut adder);
    chain::add(&mut adder);
    time::add(&mut adder);
    revocation::add(&mut adder);
    proof::add(&mut adder);
    signature::add(&mut adder);
    entitlement::add(&mut adder);
}

/// A licence that is valid for ten years, and its trust anchor.
pub(crate) fn example() -> (String, Vec<u8>) {
    const ISSUED: i64 = 1_767_225_600;
    let lasting = |params: &mut rcgen::CertificateParams| {
        params.not_before = instant(ISSUED - DAY);
        params.not_after = instant(ISSUED + 3700 * DAY);
    };
    let anchor = authority("Licensor Anchor", 1, None, lasting);
    let licensor = licensor(BERLIN, &PKCS_ECDSA_P256_SHA256, &anchor, lasting);
    let mut claims = claims();
    for (name, time) in [("/iat", ISSUED), ("/nbf", ISSUED), ("/exp", ISSUED + 3650 * DAY)] {
        claims = with(claims, name, json!(time));
    }
    claims = with(claims, "/license/lease", json!(3650 * DAY));
    (sign(&header(LICENSE, &licensor, &[]), &claims, &licensor), anchor.der)
}
