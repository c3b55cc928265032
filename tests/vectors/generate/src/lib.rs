//! Licences and entitlements that keep every rule of the verifier, and for each rule some that break it and no other.
//! Keys and signatures are new with every run; names, instants and expectations are not.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::missing_panics_doc)]

mod cases;
mod certificates;
mod collection;
mod log;
mod token;
mod world;

use std::{fs, io, path::Path};

use base64::prelude::{BASE64_STANDARD, Engine};

pub use collection::{Collection, Kind, Vector};

/// All vectors, made anew.
#[must_use]
pub fn generate() -> Collection {
    let mut collection = Collection::default();
    cases::add_all(&mut collection);
    collection
}

/// Writes `vectors.json` into a folder, and beside it one licence and its trust anchor as files, for a first try.
///
/// # Errors
/// What the file system says.
pub fn write(folder: &Path) -> io::Result<()> {
    let collection = generate();
    let mut text = serde_json::to_string_pretty(&collection)?;
    text.push('\n');
    fs::write(folder.join("vectors.json"), text)?;
    let (license, anchor) = cases::example();
    fs::write(folder.join("example.jwt"), license + "\n")?;
    fs::write(folder.join("example-anchor.pem"), pem(&anchor))
}

/// A certificate in PEM (RFC 7468).
fn pem(der: &[u8]) -> String {
    let encoded = BASE64_STANDARD.encode(der);
    let lines = encoded.as_bytes().chunks(64).map(|line| str::from_utf8(line).unwrap_or_default());
    let body: Vec<_> = lines.collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", body.join("\n"))
}
