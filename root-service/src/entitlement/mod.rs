//! Documents that state an entitlement, TOML or JSON: read, checked, and said of each mistake in which line it is.

mod document;
mod fields;
mod place;
#[cfg(test)]
mod tests;

use licensor::error::{Error, Reason, Result};
use verifier::Entitlement;

use document::Document;
pub(crate) use fields::LARGEST as LAST_VERSION;
use place::{Form, Path};

/// Octets of a document at most.
const LARGEST: usize = 512 << 10;

/// What a document states, after every check.
#[derive(Debug, Clone)]
pub(crate) struct Stated {
    /// The owner.
    pub(crate) owner: String,
    /// The version, if it is stated.
    pub(crate) version: Option<u64>,
    /// All the rest; its version is 0.
    pub(crate) entitlement: Entitlement,
}

impl Stated {
    /// Reads a document: TOML, or JSON if it begins with `{`.
    ///
    /// # Errors
    /// `ENTITLEMENT_INVALID` with the first thing that is wrong, and the line where it is (metadata: `line`).
    pub(crate) fn read(text: &str) -> Result<Self> {
        if text.len() > LARGEST {
            let message =
                format!("the document has {} octets, and must not have more than {LARGEST}", text.len());
            return Err(refused(place::line_at(text, LARGEST), &message));
        }
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let form = Form::of(text);
        let document = match form {
            Form::Toml => toml::from_str::<Document>(text).map_err(|error| {
                let at = error.span().map_or(0, |span| span.start);
                refused(place::line_at(text, at), &one_line(error.message()))
            }),
            Form::Json => serde_json::from_str::<Document>(text).map_err(|error| {
                let shown = error.to_string();
                let place = format!(" at line {} column {}", error.line(), error.column());
                refused(error.line().max(1), shown.strip_suffix(&place).unwrap_or(&shown))
            }),
        }?;
        document.stated().map_err(|Wrong { path, problem }| refused(form.line_of(text, &path), &problem))
    }
}

/// A rule that concerns more than one field, and is not kept.
#[derive(Debug)]
struct Wrong {
    /// The field to look at.
    path: Path,
    problem: String,
}

fn refused(line: usize, problem: &str) -> Error {
    Error::new(Reason::EntitlementInvalid, format!("line {line}: {problem}")).with("line", line.to_string())
}

/// Parsers put what they expected on lines of its own.
fn one_line(message: &str) -> String {
    message.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(": ")
}
