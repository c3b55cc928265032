//! `verify`: checks a licence offline.

use std::{fs, io, path::PathBuf};

use licensor::{
    cli::{Failure, Output, print_object},
    clock::{SystemClock, from_unix_seconds, rfc3339, unix_seconds},
};
use serde_json::json;
use verifier::{InclusionProof, RevocationList, Trust};

/// Seconds by which the clocks of this machine and of an issuer may differ.
const LEEWAY: i64 = 60;

/// Checks the licence in `file` against the trust bundle, the revocation lists and the proof in other files.
pub(super) fn verify(
    file: &PathBuf,
    bundle: &PathBuf,
    lists: &[PathBuf],
    proof: Option<&PathBuf>,
    output: Output,
) -> Result<(), Failure> {
    let unreadable =
        |path: &PathBuf, error: io::Error| Failure::Failed(format!("{}: {error}", path.display()));
    let license = if file.as_os_str() == "-" {
        io::read_to_string(io::stdin()).map_err(|error| unreadable(file, error))?
    } else {
        fs::read_to_string(file).map_err(|error| unreadable(file, error))?
    };
    let anchors = pem::parse_many(fs::read(bundle).map_err(|error| unreadable(bundle, error))?)
        .map_err(|error| Failure::Failed(format!("{}: {error}", bundle.display())))?;
    let anchors: Vec<Vec<u8>> = anchors.into_iter().map(pem::Pem::into_contents).collect();
    let now = unix_seconds(SystemClock::shared().now());
    // A list is that of an anchor, or of one of the issuers in the licence, whose path is verified with it.
    let issuers = verifier::jws::issuers(&license).unwrap_or_default();
    let signers = [anchors.as_slice(), issuers.as_slice()].concat();
    let lists = lists
        .iter()
        .map(|path| {
            let der = fs::read(path).map_err(|error| unreadable(path, error))?;
            let list = RevocationList::verify(&der, &signers)
                .and_then(|list| list.check_dates(now, LEEWAY).map(|()| list));
            list.map_err(|error| {
                let next = "fetch the newest list from the address in the licensor certificate";
                Failure::Failed(format!("{}: {error}; {next}", path.display()))
            })
        })
        .collect::<Result<Vec<_>, _>>()?;
    let proof = proof
        .map(|path| {
            let text = fs::read_to_string(path).map_err(|error| unreadable(path, error))?;
            InclusionProof::parse(&text)
                .map_err(|error| Failure::Failed(format!("{}: {error}", path.display())))
        })
        .transpose()?;
    let (proof, leeway) = (proof.as_ref(), LEEWAY);
    let trust = Trust { anchors: &anchors, revocation_lists: &lists, proof, leeway, known: None };
    let claims = verifier::verify_license(&license, trust, now)
        .map_err(|error| Failure::other(anyhow::Error::new(error).context("the licence is not valid")))?;
    let mut shown = serde_json::to_value(&claims).map_err(Failure::other)?;
    for name in ["iat", "nbf", "exp"] {
        if output == Output::Table
            && let Some(seconds) = shown[name].as_i64()
        {
            shown[name] = json!(rfc3339(from_unix_seconds(seconds)));
        }
    }
    print_object(output, &shown)
}
