//! Own object identifiers, all under one arc.
//!
//! The arc is `2.25.N` (ITU-T X.667). `N` is a random number below 2^28 rather than a whole 128-bit UUID, so that it takes
//! four octets: Go's TLS stack, and with it every gRPC client written in Go, refuses a certificate with an arc of 2^31 or
//! more in an extended key usage or an access method, and decoders written in Rust and Python (RustCrypto's const-oid,
//! pkilint's pyasn1-fasder) stumble over most that take five octets.

/// The arc.
pub const ARC: [u64; 3] = [2, 25, ARC_NUMBER];

const ARC_NUMBER: u64 = 104_752_958;

/// Extended key usage: the holder may issue licences.
pub const LICENSOR_PURPOSE: [u64; 4] = [2, 25, ARC_NUMBER, 1];

/// Extended key usage: the holder may sign entitlements.
pub const ENTITLEMENT_PURPOSE: [u64; 4] = [2, 25, ARC_NUMBER, 3];

/// Access method in authorityInfoAccess: where to renew this certificate, an `https` URI.
pub const RENEWAL_ACCESS_METHOD: [u64; 4] = [2, 25, ARC_NUMBER, 2];

/// Content octets of an object identifier (X.690 §8.19), without tag and length.
#[must_use]
pub fn content_octets(arcs: &[u64]) -> Vec<u8> {
    let [first, second, rest @ ..] = arcs else { return Vec::new() };
    let mut octets = Vec::new();
    for arc in std::iter::once(first * 40 + second).chain(rest.iter().copied()) {
        let groups = (64 - (arc | 1).leading_zeros()).div_ceil(7);
        for group in (0..groups).rev() {
            let continues = if group == 0 { 0 } else { 0x80 };
            octets.push(((arc >> (7 * group)) & 0x7f) as u8 | continues);
        }
    }
    octets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octets_follow_x690() {
        assert_eq!(content_octets(&[1, 2, 840, 113_549]), [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d]);
        assert_eq!(content_octets(&[2, 999, 3]), [0x88, 0x37, 0x03]);
        assert_eq!(content_octets(&[1, 3, 0]), [0x2b, 0]);
    }

    #[test]
    fn arcs_fit_what_others_read() {
        assert!(
            [LICENSOR_PURPOSE, RENEWAL_ACCESS_METHOD, ENTITLEMENT_PURPOSE]
                .iter()
                .flatten()
                .all(|arc| *arc < 1 << 28)
        );
    }
}
