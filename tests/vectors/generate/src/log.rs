//! An audit log of five entries (RFC 9162 §2.1), and proofs of what is in it.

use aws_lc_rs::digest::{SHA256, digest};
use verifier::{Checkpoint, InclusionProof};

use crate::certificates::Holder;

/// Number of the event of an enrolment.
pub(crate) const ENROLLED: u8 = 100;
/// Number of an event that issues nothing.
pub(crate) const REVOKED: u8 = 110;
/// Where in the log the certificate's entry is.
const INDEX: usize = 2;

fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    digest(&SHA256, &parts.concat()).as_ref().try_into().unwrap()
}

/// The entry of an event with a certificate, as the root's log has it: field 1 is the number of the event, field 8 the
/// certificate's SHA-256; the others are for people.
pub(crate) fn entry(event: u8, certificate: &[u8]) -> Vec<u8> {
    let name = b"NodeEnrolledEvent";
    let mut entry = vec![1 << 3, event, (2 << 3) | 2, u8::try_from(name.len()).unwrap()];
    entry.extend_from_slice(name);
    entry.extend_from_slice(&[(8 << 3) | 2, 32]);
    entry.extend_from_slice(&sha256(&[certificate]));
    entry
}

fn leaf(entry: &[u8]) -> [u8; 32] {
    sha256(&[&[0], entry])
}

fn root(leaves: &[[u8; 32]]) -> [u8; 32] {
    match leaves {
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
            sha256(&[&[1], &root(left), &root(right)])
        }
    }
}

fn way(leaves: &[[u8; 32]], index: usize) -> Vec<[u8; 32]> {
    if leaves.len() == 1 {
        return Vec::new();
    }
    let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
    let (mut way, beside) = if index < left.len() {
        (way(left, index), root(right))
    } else {
        (way(right, index - left.len()), root(left))
    };
    way.push(beside);
    way
}

/// A checkpoint, signed.
pub(crate) fn note(checkpoint: &Checkpoint, by: &Holder) -> String {
    checkpoint.note(&[(&by.public_key_info(), by.sign_der(checkpoint.text().as_bytes()))])
}

/// The proof that this entry is in a log whose checkpoint `by` has signed.
pub(crate) fn proof(entry: Vec<u8>, by: &Holder) -> (InclusionProof, Checkpoint) {
    let mut leaves: Vec<_> = (0..5_u8).map(|number| leaf(&[number])).collect();
    leaves[INDEX] = leaf(&entry);
    let checkpoint = Checkpoint {
        origin: "licensor.test/audit".into(),
        size: 5,
        root: root(&leaves),
        extensions: Vec::new(),
    };
    let index = u64::try_from(INDEX).unwrap();
    let hashes = way(&leaves, INDEX);
    (InclusionProof { index, entry, hashes, checkpoint: note(&checkpoint, by) }, checkpoint)
}
