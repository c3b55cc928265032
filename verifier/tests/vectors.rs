//! The verifier over the vectors that are for every verifier (`tests/vectors/vectors.json`).
#![allow(clippy::unwrap_used, clippy::expect_used)]

use base64::prelude::{BASE64_STANDARD, Engine};
use serde_json::Value;
use verifier::{
    InclusionProof, JwsError, KnownChains, RevocationList, Trust, jws::issuers, verify_entitlement,
    verify_license,
};

const VECTORS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors/vectors.json");

/// The values that a case names in one of the tables.
fn named<'a>(vectors: &'a Value, table: &str, case: &Value) -> Vec<&'a str> {
    let names = case[table].as_array().map(Vec::as_slice).unwrap_or_default();
    names.iter().map(|name| vectors[table][name.as_str().unwrap()].as_str().unwrap()).collect()
}

fn decoded(values: &[&str]) -> Vec<Vec<u8>> {
    values.iter().map(|value| BASE64_STANDARD.decode(value).unwrap()).collect()
}

/// What comes of a case, as the command line goes about it: lists are verified by the anchors and by the issuers in `x5c`.
fn outcome(vectors: &Value, case: &Value, known: Option<&KnownChains>) -> &'static str {
    let number = |name: &str| case[name].as_i64().unwrap();
    let (jws, now, leeway) = (case["jws"].as_str().unwrap(), number("now"), number("leeway"));
    let anchors = decoded(&named(vectors, "anchors", case));
    let proof = case["proof"].as_str().map(|name| vectors["proofs"][name].as_str().unwrap());
    let proof = match proof.map(InclusionProof::parse).transpose() {
        Ok(proof) => proof,
        Err(error) => return JwsError::from(error).reason(),
    };
    let mut authorities = anchors.clone();
    authorities.extend(issuers(jws).unwrap_or_default());
    let mut revocation_lists = Vec::new();
    for der in decoded(&named(vectors, "revocation_lists", case)) {
        let list = RevocationList::verify(&der, &authorities)
            .and_then(|list| list.check_dates(now, leeway).map(|()| list));
        match list {
            Ok(list) => revocation_lists.push(list),
            Err(error) => return error.reason(),
        }
    }
    let (proof, lists) = (proof.as_ref(), revocation_lists.as_slice());
    let trust = Trust { anchors: &anchors, revocation_lists: lists, proof, leeway, known };
    let result = match case["kind"].as_str().unwrap() {
        "license" => verify_license(jws, trust, now).map(|_| ()),
        "entitlement" => verify_entitlement(jws, trust, now).map(|_| ()),
        kind => panic!("{kind} is no kind"),
    };
    result.map_or_else(|error| error.reason(), |()| "valid")
}

fn vectors() -> Value {
    serde_json::from_slice(&std::fs::read(VECTORS).unwrap()).unwrap()
}

#[test]
fn every_vector_has_the_outcome_that_it_names() {
    let vectors = vectors();
    let cases = vectors["cases"].as_array().unwrap();
    // Whatever was verified before: the same case, or all the others.
    let all = KnownChains::default();
    let outcomes = cases.iter().flat_map(|case| {
        let own = KnownChains::default();
        let known = [None, Some(&own), Some(&own), Some(&all)];
        known.map(|known| (case, outcome(&vectors, case, known)))
    });
    let wrong: Vec<_> = outcomes
        .filter(|(case, found)| case["expected"] != *found)
        .map(|(case, found)| format!("{}: {found}, not {}", case["name"], case["expected"]))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(cases.len() > 200, "{} vectors", cases.len());
}

/// Whether the verifier has the reason in its sources.
#[test]
fn every_reason_has_a_vector() {
    let sources = [
        include_str!("../src/jws.rs"),
        include_str!("../src/chain.rs"),
        include_str!("../src/revocation.rs"),
    ];
    let vectors = vectors();
    let expected =
        |reason: &str| vectors["cases"].as_array().unwrap().iter().any(|case| case["expected"] == reason);
    let reasons = sources.iter().flat_map(|source| source.split("=> \"").skip(1));
    let reasons: Vec<_> = reasons
        .map(|rest| rest.split('"').next().unwrap())
        .filter(|reason| reason.chars().all(|character| character.is_ascii_uppercase() || character == '_'))
        .collect();
    assert!(reasons.len() > 20, "{reasons:?}");
    for reason in reasons {
        assert!(expected(reason), "no vector is refused as {reason}");
    }
}
