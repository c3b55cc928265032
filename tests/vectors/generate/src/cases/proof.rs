//! Proofs that the issue of the certificate was logged.

use rcgen::KeyIdMethod;
use verifier::{Checkpoint, InclusionProof, certificate::octets};

use crate::{
    certificates::{Holder, authority},
    log::{ENROLLED, REVOKED, entry, note, proof},
    token::{header, sign},
    world::{Adder, LICENSE, claims},
};

pub(crate) fn add(to: &mut Adder<'_>) {
    let world = to.world;
    let (berlin, anchor) = (&world.berlin, &world.anchor);
    let (good, checkpoint) = proof(entry(ENROLLED, &berlin.der), anchor);
    let mut text = |name: &str, what: &str, text: String| {
        let jws = sign(&header(LICENSE, berlin, &[]), &claims(), berlin);
        to.license(name, "UNPROVED", what, jws).proof(text);
    };
    let others = proof(entry(ENROLLED, &world.paris.der), anchor).0;
    text("proof-of-another", "the proof is of another certificate", others.to_text());
    let revoked = proof(entry(REVOKED, &berlin.der), anchor).0;
    text("proof-of-no-issue", "the entry tells of something else than the issue", revoked.to_text());
    let strangers = proof(entry(ENROLLED, &berlin.der), &world.stranger).0;
    text("proof-by-stranger", "a stranger's log", strangers.to_text());

    let mut changed = |name: &str, what: &str, change: &dyn Fn(&mut InclusionProof)| {
        let mut proof = good.clone();
        change(&mut proof);
        text(name, what, proof.to_text());
    };
    changed("proof-hash-changed", "a bit of a hash is another", &|proof| proof.hashes[1][7] ^= 4);
    changed("proof-hash-missing", "the last hash is missing", &|proof| {
        proof.hashes.truncate(proof.hashes.len() - 1)
    });
    changed("proof-hash-more", "a hash too many", &|proof| proof.hashes.push([7; 32]));
    changed("proof-hashes-swapped", "two hashes have changed places", &|proof| proof.hashes.swap(0, 1));
    changed("proof-index", "the index is that of the entry beside it", &|proof| proof.index ^= 1);
    changed("proof-index-beyond", "the index is not below the size", &|proof| proof.index = 5);
    changed("proof-entry", "the entry was changed", &|proof| proof.entry[5] ^= 1);
    let resized = Checkpoint { size: 6, ..checkpoint.clone() };
    changed("proof-size", "another size, which nobody signed", &|proof| {
        let signatures = proof.checkpoint.split_once("\n\n").unwrap().1;
        proof.checkpoint = format!("{}\n{signatures}", resized.text());
    });
    let rooted = Checkpoint { root: [7; 32], ..checkpoint.clone() };
    changed("proof-root", "a checkpoint of another log of this authority", &|proof| {
        proof.checkpoint = note(&rooted, anchor);
    });
    changed("proof-unsigned", "nobody signed the checkpoint", &|proof| {
        proof.checkpoint = format!("{}\n", checkpoint.text());
    });
    changed("proof-signature-name", "the signature is in the name of another log", &|proof| {
        proof.checkpoint = proof.checkpoint.replace("— licensor.test/audit ", "— licensor.test/other ");
    });
    let plain = good.to_text();
    text("proof-garbage", "no proof at all", "no proof".into());
    text("proof-first-line", "another first line", plain.replace("tlog-proof@v1", "tlog-proof@v2"));
    text("proof-second-line", "a letter stands before the entry", plain.replace("\nextra ", "\nxextra "));
    text("proof-index-form", "the index has a nought before it", plain.replace("index 2", "index 02"));
    text("proof-line-ends", "a line ends with CR LF", plain.replace("@v1\n", "@v1\r\n"));

    let anchors = proof(entry(ENROLLED, &world.below.der), anchor).0;
    to.signed_by(
        "proof-by-anchor",
        "UNPROVED",
        "the anchor's log, but the root issued it",
        &world.below,
        &[&world.root],
    )
    .proof(anchors.to_text());
    // Its key identifier and name are those of the issuer, its key is another.
    let smuggled = |of: &Holder, by: Option<&Holder>| {
        authority("Licensor Anchor", 1, by, |params| {
            params.distinguished_name = of.params.distinguished_name.clone();
            params.key_identifier_method = KeyIdMethod::PreSpecified(octets(&of.facts().key_id).unwrap());
        })
    };
    let stranger = smuggled(anchor, None);
    let theirs = proof(entry(ENROLLED, &berlin.der), &stranger).0;
    to.signed_by(
        "proof-by-smuggled",
        "UNPROVED",
        "a stranger's log, whose certificate is in x5c with the anchor's name and key identifier",
        berlin,
        &[&stranger],
    )
    .proof(theirs.to_text());
    let stranger = smuggled(&world.root, Some(&world.stranger));
    let theirs = proof(entry(ENROLLED, &world.below.der), &stranger).0;
    to.signed_by(
        "proof-by-smuggled-root",
        "UNPROVED",
        "a stranger's log, whose certificate is in x5c with the root's name and key identifier",
        &world.below,
        &[&stranger, &world.root],
    )
    .proof(theirs.to_text());
}
