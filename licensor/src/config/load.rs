//! Reading the file and the environment, and saying where one of them is wrong.

use std::{collections::BTreeMap, ffi::OsString, fs, io, path::Path};

use serde::de::DeserializeOwned;

use super::ConfigError;

/// Reads the configuration: the file at `path` (if `None`, the one at `default_path` if there is one), then the
/// variables of `environment` that begin with `prefix` (for example `LICENSOR_ROOT__`).
///
/// # Errors
/// [`ConfigError`] that names the file and line, or the variable, and the nearest known key.
pub fn load<C: DeserializeOwned>(
    path: Option<&Path>,
    default_path: &Path,
    prefix: &str,
    environment: impl Iterator<Item = (OsString, OsString)>,
) -> Result<C, ConfigError> {
    let (origin, text) = match path {
        Some(path) => (path, read(path)?),
        // One that is there and cannot be read is not passed over.
        None if default_path.try_exists().unwrap_or(true) => (default_path, read(default_path)?),
        None => (default_path, String::new()),
    };
    let invalid =
        |origin: String, error: &toml::de::Error| ConfigError::Invalid { origin, problem: explain(error) };
    // The file is read for itself first: only then an error can name its line. A key that only the environment gives
    // is no fault of the file.
    let mut table: toml::Table =
        toml::from_str(&text).map_err(|error| invalid(origin.display().to_string(), &error))?;
    let variables: BTreeMap<String, String> = environment
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.to_string_lossy().into_owned())))
        .filter(|(name, _)| name.starts_with(prefix))
        .collect();
    if let Err(error) = toml::from_str::<C>(&text)
        && (variables.is_empty() || !error.message().contains("missing field"))
    {
        return Err(invalid(origin.display().to_string(), &error));
    }
    for (name, value) in variables {
        let keys: Vec<String> = name[prefix.len()..].split("__").map(str::to_lowercase).collect();
        let mut failed = None;
        // What looks like a number may be meant as a string.
        for value in [parse_value(&value), toml::Value::String(value.clone())] {
            set(&mut table, &keys, value);
            match table.clone().try_into::<C>() {
                Err(error) if !error.message().contains("missing field") => failed = failed.or(Some(error)),
                _ => {
                    failed = None;
                    break;
                }
            }
        }
        if let Some(error) = failed {
            return Err(invalid(format!("variable {name}"), &error));
        }
    }
    table.try_into().map_err(|error| invalid(origin.display().to_string(), &error))
}

fn read(path: &Path) -> Result<String, ConfigError> {
    fs::read_to_string(path).map_err(|error: io::Error| ConfigError::Unreadable {
        path: path.display().to_string(),
        cause: error.to_string(),
    })
}

/// Numbers, booleans and arrays are written as in TOML; everything else is a string.
fn parse_value(text: &str) -> toml::Value {
    toml::from_str::<toml::Table>(&format!("value = {text}"))
        .ok()
        .and_then(|mut table| table.remove("value"))
        .filter(|value| value.is_integer() || value.is_float() || value.is_bool() || value.is_array())
        .unwrap_or_else(|| toml::Value::String(text.to_owned()))
}

fn set(table: &mut toml::Table, keys: &[String], value: toml::Value) {
    match keys {
        [] => {}
        [key] => {
            table.insert(key.clone(), value);
        }
        [key, rest @ ..] => {
            let inner = table.entry(key.clone()).or_insert_with(|| toml::Value::Table(toml::Table::new()));
            if let toml::Value::Table(inner) = inner {
                set(inner, rest, value);
            } else {
                *inner = value;
            }
        }
    }
}

/// The parser's words with the line, and the nearest known key.
fn explain(error: &toml::de::Error) -> String {
    let shown = error.to_string();
    let text = if error.span().is_some() { shown.trim_end().to_owned() } else { error.message().to_owned() };
    match nearest(error.message()) {
        Some(key) => format!("{text}\ndid you mean `{key}`?"),
        None => text,
    }
}

/// Of ``unknown field `x`, expected one of `a`, `b` `` the one that is most like `x`.
fn nearest(message: &str) -> Option<&str> {
    let mut quoted = message.strip_prefix("unknown ")?.split('`').skip(1).step_by(2);
    let unknown = quoted.next()?;
    quoted.max_by(|a, b| strsim::jaro_winkler(unknown, a).total_cmp(&strsim::jaro_winkler(unknown, b)))
}

#[cfg(test)]
mod tests {
    use std::{io::Write, path::PathBuf, time::Duration};

    use serde::Deserialize;

    use super::*;
    use crate::config::{Admin, Expiry};

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Sample {
        data_dir: PathBuf,
        #[serde(default)]
        expiry: Expiry,
        #[serde(default)]
        admin: Admin,
    }

    fn load_text(text: &str, variables: &[(&str, &str)]) -> Result<Sample, String> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        let variables = variables.iter().map(|(name, value)| (name.into(), value.into()));
        load(Some(file.path()), Path::new("/nonexistent"), "LICENSOR_ROOT__", variables)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn variables_override_the_file() {
        let sample = load_text(
            "data_dir = \"a\"\n[expiry]\ncheck_interval = \"5s\"",
            &[
                ("LICENSOR_ROOT__EXPIRY__CHECK_INTERVAL", "7s"),
                ("LICENSOR_ROOT__ADMIN__UIDS", "[7, 8]"),
                ("LICENSOR_ROOT_SERVICE_HOST", "set by the cluster"),
            ],
        )
        .unwrap();
        assert_eq!(sample.expiry.check_interval.0, Duration::from_secs(7));
        assert_eq!(sample.admin.uids, [7, 8]);
        assert_eq!(load_text("", &[("LICENSOR_ROOT__DATA_DIR", "b")]).unwrap().data_dir, Path::new("b"));
    }

    #[test]
    fn an_unknown_key_is_refused_with_its_line_and_the_nearest_known_one() {
        let error = load_text("data_dir = \"a\"\n[expiry]\ncheck_intervall = \"5s\"", &[]).unwrap_err();
        assert!(error.contains("line 3") && error.contains("did you mean `check_interval`"), "{error}");
        let error = load_text("data_dir = \"a\"", &[("LICENSOR_ROOT__EXPIRY__WEAK", "5d")]).unwrap_err();
        assert!(error.contains("LICENSOR_ROOT__EXPIRY__WEAK") && error.contains("`week`"), "{error}");
    }

    #[test]
    fn a_bad_duration_is_refused_with_its_line() {
        for text in ["\"soon\"", "\"-3d\"", "\"\"", "\"4000y\"", "5"] {
            let error = load_text(&format!("data_dir = \"a\"\n[expiry]\nweek = {text}"), &[]).unwrap_err();
            assert!(error.contains("line 3"), "{error}");
        }
    }

    #[test]
    fn a_variable_that_looks_like_a_number_can_be_a_string() {
        assert_eq!(
            load_text("", &[("LICENSOR_ROOT__DATA_DIR", "12345")]).unwrap().data_dir,
            Path::new("12345")
        );
    }

    #[test]
    fn a_missing_key_is_named() {
        let error = load_text("", &[]).unwrap_err();
        assert!(error.contains("data_dir"), "{error}");
    }
}
