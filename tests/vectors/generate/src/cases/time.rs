//! Instants of licences.

use serde_json::json;

use crate::{
    token::{sign, with},
    world::{Adder, DAY, NOW, claims},
};

pub(crate) fn add(to: &mut Adder<'_>) {
    let world = to.world;
    let (nbf, exp, not_after) = (NOW - 60, NOW + 3540, NOW + 30 * DAY);
    let plain = sign(&world.header(), &claims(), &world.berlin);
    to.license("time-expired", "EXPIRED", "long after exp", plain.clone()).at(exp + 3 * DAY);
    to.license("time-at-exp", "EXPIRED", "at exp, without leeway", plain.clone()).at(exp).leeway(0);
    to.license("time-at-exp-and-leeway", "EXPIRED", "at exp and leeway", plain.clone()).at(exp + 60);
    to.license("time-before-nbf", "NOT_YET_VALID", "a second before nbf, without leeway", {
        sign(&world.header(), &with(claims(), "/iat", json!(nbf - 60)), &world.berlin)
    })
    .at(nbf - 1)
    .leeway(0);
    let late = with(claims(), "/nbf", json!(NOW + 61));
    to.claimed("time-nbf-ahead", "NOT_YET_VALID", "nbf lies ahead by a second more than the leeway", &late);
    let ahead = with(claims(), "/iat", json!(NOW + 61));
    to.claimed("time-iat-ahead", "ISSUED_AHEAD", "iat lies ahead by a second more than the leeway", &ahead);

    let early = with(claims(), "/iat", json!(NOW - DAY - 1));
    to.claimed(
        "time-iat-before-certificate",
        "CERTIFICATE_NOT_YET_VALID",
        "issued a second before the certificate's notBefore",
        &early,
    );
    let after = with(with(claims(), "/iat", json!(not_after)), "/exp", json!(not_after));
    to.claimed(
        "time-iat-at-not-after",
        "CERTIFICATE_EXPIRED",
        "issued at the certificate's notAfter",
        &after,
    )
    .at(not_after - 1);
    let later = with(after, "/iat", json!(not_after + 30));
    to.claimed(
        "time-iat-after-certificate",
        "CERTIFICATE_EXPIRED",
        "issued after the certificate's notAfter",
        &later,
    )
    .at(not_after - 1);
    let outlives = with(claims(), "/exp", json!(not_after + 1));
    to.claimed("time-outlives", "OUTLIVES_LICENSOR", "a second longer than the certificate", &outlives);
    let absurd = with(claims(), "/exp", json!(9_007_199_254_740_991_i64));
    to.claimed("time-outlives-absurdly", "OUTLIVES_LICENSOR", "until 2^53-1", &absurd);
    let never = with(claims(), "/iat", json!(9_007_199_254_740_991_i64));
    to.claimed("time-iat-absurd", "CERTIFICATE_EXPIRED", "issued at 2^53-1", &never);
    let first = with(claims(), "/iat", json!(0));
    to.claimed("time-iat-nought", "CERTIFICATE_NOT_YET_VALID", "issued in 1970", &first);
}
