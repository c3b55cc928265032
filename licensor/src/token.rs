//! The enrolment token as it travels: made by a root, read by a licensing server.

use std::fmt;

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use prost::Message;

use crate::{
    config::host_and_port,
    error::{Error, Reason, Result},
};

/// What a token begins with: says what it is to people and to scanners for leaked secrets.
const PREFIX: &str = "licensor-token-v1.";

/// Where the root is, how to know it, and the right to be enrolled once.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub struct EnrollmentToken {
    /// `host:port` of the root.
    #[prost(string, tag = "1")]
    pub address: String,
    /// SHA-256 of the trust anchor's certificate.
    #[prost(bytes = "vec", tag = "2")]
    pub trust_anchor_sha256: Vec<u8>,
    /// Identifies the token at the root.
    #[prost(bytes = "vec", tag = "3")]
    pub id: Vec<u8>,
    /// Proves that its bearer was given it.
    #[prost(bytes = "vec", tag = "4")]
    pub secret: Vec<u8>,
}

impl EnrollmentToken {
    /// The token as one string.
    #[must_use]
    pub fn encode_text(&self) -> String {
        format!("{PREFIX}{}", BASE64_URL_SAFE_NO_PAD.encode(self.encode_to_vec()))
    }

    /// Reads a token; white space around it is passed over.
    ///
    /// # Errors
    /// `TOKEN_UNKNOWN` if it is no token, or cut short.
    pub fn parse(text: &str) -> Result<Self> {
        let token = text
            .trim()
            .strip_prefix(PREFIX)
            .and_then(|text| BASE64_URL_SAFE_NO_PAD.decode(text).ok())
            .and_then(|octets| Self::decode(&*octets).ok());
        token
            .filter(|token| {
                token.trust_anchor_sha256.len() == 32
                    && token.id.len() == 8
                    && token.secret.len() == 32
                    && host_and_port(&token.address).is_ok()
            })
            .ok_or_else(|| {
                Error::new(
                    Reason::TokenUnknown,
                    format!("this is no enrolment token: copy the whole line that begins with {PREFIX}"),
                )
            })
    }

    /// SHA-256 of the trust anchor's certificate.
    #[must_use]
    pub fn fingerprint(&self) -> [u8; 32] {
        // `parse` and the root make no other length.
        self.trust_anchor_sha256.as_slice().try_into().unwrap_or_default()
    }
}

impl fmt::Debug for EnrollmentToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EnrollmentToken").field("address", &self.address).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token() -> EnrollmentToken {
        EnrollmentToken {
            address: "root.example:7443".into(),
            trust_anchor_sha256: vec![1; 32],
            id: vec![2; 8],
            secret: vec![3; 32],
        }
    }

    #[test]
    fn a_token_survives_its_text() {
        let text = token().encode_text();
        assert_eq!(EnrollmentToken::parse(&format!(" {text}\n")).unwrap(), token());
    }

    #[test]
    fn what_is_no_token_is_refused() {
        let text = token().encode_text();
        for wrong in ["", "secret", &text[..text.len() - 4], &text[1..], "licensor-token-v1.!!"] {
            assert_eq!(EnrollmentToken::parse(wrong).unwrap_err().reason, Reason::TokenUnknown, "{wrong}");
        }
    }

    #[test]
    fn debug_shows_no_secret() {
        assert_eq!(format!("{:?}", token()), "EnrollmentToken { address: \"root.example:7443\", .. }");
    }
}
