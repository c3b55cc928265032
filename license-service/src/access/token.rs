//! The access token as it travels: `lic_<id>_<secret>_<checksum>`.
//!
//! The prefix and the fixed form let scanners for leaked secrets find it, and the checksum tells a token that was mistyped
//! or cut short from a wrong one without a look at anything.

use licensor::key::{KeyError, random_bytes, sha256};
use verifier::certificate::{hex, octets};

/// What a token begins with.
pub(super) const PREFIX: &str = "lic_";

/// Octets of an identifier.
pub(super) const ID: usize = 8;

/// Octets of a secret: nobody finds one by trying.
const SECRET: usize = 32;

/// Characters that are looked at: a caller decides how many it sends.
const LONGEST: usize = 128;

/// An identifier, which is no secret, and a secret.
pub(super) struct Token {
    pub(super) id: [u8; ID],
    secret: [u8; SECRET],
}

impl Token {
    /// A new token.
    ///
    /// # Errors
    /// [`KeyError`] if there is no randomness to be had.
    pub(super) fn new() -> Result<Self, KeyError> {
        Ok(Self { id: random_bytes()?, secret: random_bytes()? })
    }

    /// The token as one string.
    pub(super) fn text(&self) -> String {
        let body = format!("{PREFIX}{}_{}", hex(&self.id), hex(&self.secret));
        let checksum = checksum(&body);
        format!("{body}_{checksum}")
    }

    /// Reads a token; `None` if it is none, or not as it was given out.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if text.len() > LONGEST {
            return None;
        }
        let (body, sum) = text.rsplit_once('_')?;
        if checksum(body) != sum {
            return None;
        }
        let (id, secret) = body.strip_prefix(PREFIX)?.split_once('_')?;
        Some(Self { id: octets(id)?.try_into().ok()?, secret: octets(secret)?.try_into().ok()? })
    }

    /// What is kept of the secret. It is as random as a key, so that there is nothing to guess, and a hash that is slow on
    /// purpose, as passwords need it, would only let strangers keep the server busy.
    pub(super) fn secret_hash(&self) -> [u8; 32] {
        sha256(&self.secret)
    }
}

/// CRC-32, eight digits.
fn checksum(body: &str) -> String {
    format!("{:08x}", crc32fast::hash(body.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_survives_its_text_and_what_is_not_as_it_was_is_none() {
        let token = Token::new().unwrap();
        let text = token.text();
        assert_eq!(text.len(), 4 + 16 + 1 + 64 + 1 + 8, "{text}");
        let read = Token::parse(&text).unwrap();
        assert_eq!((read.id, read.secret), (token.id, token.secret));
        // Any one character changed, left out or doubled.
        for place in 0..text.len() {
            let other = if &text[place..=place] == "0" { "1" } else { "0" };
            let (before, after) = (&text[..place], &text[place + 1..]);
            for wrong in [format!("{before}{other}{after}"), format!("{before}{after}")] {
                assert!(Token::parse(&wrong).is_none(), "{wrong}");
            }
        }
        for wrong in ["", "lic_", "lic___", "_", "secret", &text[..60], &text.to_uppercase()] {
            assert!(Token::parse(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn a_right_checksum_makes_no_token_of_another_form() {
        for body in ["lic_00_11", "xyz_0011223344556677_00", "lic_0011223344556677", "lic"] {
            assert!(Token::parse(&format!("{body}_{}", checksum(body))).is_none(), "{body}");
        }
    }
}
