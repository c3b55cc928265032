//! Pages of lists: their sizes and tokens.

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};

use crate::error::{Error, Reason, Result};

const DEFAULT: usize = 100;
const LARGEST: usize = 1000;

/// How many entries a page may have: 100 if 0 was asked for, 1000 at most.
///
/// # Errors
/// `INVALID_ARGUMENT` for a negative number.
pub fn page_size(asked: i32) -> Result<usize> {
    match usize::try_from(asked) {
        Ok(0) => Ok(DEFAULT),
        Ok(size) => Ok(size.min(LARGEST)),
        Err(_) => Err(Error::new(Reason::InvalidArgument, "page_size must not be negative")),
    }
}

/// The token of the page that begins with the store's `key`.
#[must_use]
pub fn page_token(key: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(key)
}

/// The key at which the page of `token` begins; empty for the first page.
///
/// # Errors
/// `INVALID_ARGUMENT` for a token that was not given out.
pub fn page_start(token: &str) -> Result<Vec<u8>> {
    BASE64_URL_SAFE_NO_PAD.decode(token).map_err(|_| {
        Error::new(
            Reason::InvalidArgument,
            "page_token was not given out by this list: leave it empty to begin",
        )
    })
}
