//! What a version of an entitlement changes.

use std::collections::BTreeMap;

use licensor::clock::{from_unix_seconds, rfc3339};
use serde_json::Value;
use verifier::Entitlement;

/// One thing that changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    /// Where it stands: `modules.crm.quantity`.
    pub(crate) what: String,
    /// Empty if there was nothing.
    pub(crate) from: String,
    /// Empty if there will be nothing.
    pub(crate) to: String,
}

/// What is different in `new`, and nothing else.
pub(crate) fn changes(former: Option<&Entitlement>, new: &Entitlement) -> Vec<Change> {
    let former = former.map(lines).unwrap_or_default();
    let new = lines(new);
    let mut names: Vec<&String> = former.keys().chain(new.keys()).collect();
    names.sort();
    names.dedup();
    let value =
        |lines: &BTreeMap<String, String>, name: &String| lines.get(name).cloned().unwrap_or_default();
    names
        .into_iter()
        .map(|name| Change { what: name.clone(), from: value(&former, name), to: value(&new, name) })
        .filter(|change| change.from != change.to)
        .collect()
}

fn lines(entitlement: &Entitlement) -> BTreeMap<String, String> {
    let mut lines = BTreeMap::new();
    if let Ok(value) = serde_json::to_value(entitlement) {
        flatten("", &value, &mut lines);
    }
    lines
}

fn flatten(name: &str, value: &Value, lines: &mut BTreeMap<String, String>) {
    let below = |part: &str| if name.is_empty() { part.to_owned() } else { format!("{name}.{part}") };
    match value {
        Value::Object(members) => {
            for (key, value) in members {
                flatten(&below(key), value, lines);
            }
        }
        // Modules and services are known by their names, wherever they stand.
        Value::Array(items) if items.iter().any(Value::is_object) => {
            for item in items {
                flatten(&below(item["name"].as_str().unwrap_or_default()), item, lines);
            }
        }
        Value::Array(items) => {
            let items: Vec<&str> = items.iter().filter_map(Value::as_str).collect();
            lines.insert(name.to_owned(), items.join(", "));
        }
        Value::Number(seconds) if name.starts_with("dates.") || name.ends_with(".expires") => {
            let at = seconds.as_i64().unwrap_or_default();
            lines.insert(name.to_owned(), rfc3339(from_unix_seconds(at)));
        }
        Value::String(text) => {
            lines.insert(name.to_owned(), text.clone());
        }
        Value::Null => {}
        other => {
            lines.insert(name.to_owned(), other.to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use verifier::entitlement::{Dates, Module};

    use super::*;

    fn entitlement(version: u64, modules: &[(&str, u32)]) -> Entitlement {
        let modules = modules.iter().map(|(name, quantity)| Module {
            name: (*name).into(),
            quantity: *quantity,
            ..Module::default()
        });
        Entitlement {
            vendor: "Example".into(),
            version,
            modules: modules.collect(),
            ..Entitlement::default()
        }
    }

    #[test]
    fn only_what_is_different_is_shown_wherever_it_stands() {
        let former = entitlement(1, &[("crm", 5), ("reports", 1)]);
        let mut new = entitlement(2, &[("reports", 1), ("crm", 7)]);
        new.dates = Dates { expires: Some(0), ..Dates::default() };
        let shown = changes(Some(&former), &new);
        let shown: Vec<_> = shown
            .iter()
            .map(|change| (change.what.as_str(), change.from.as_str(), change.to.as_str()))
            .collect();
        let expected = [
            ("dates.expires", "", "1970-01-01T00:00:00Z"),
            ("modules.crm.quantity", "5", "7"),
            ("version", "1", "2"),
        ];
        assert_eq!(shown, expected);
        assert!(changes(Some(&new), &new).is_empty());
    }

    #[test]
    fn a_module_that_goes_is_shown_with_all_it_had() {
        let former = entitlement(1, &[("crm", 5)]);
        let new = entitlement(1, &[]);
        let gone = changes(Some(&former), &new);
        assert!(gone.iter().all(|change| change.what.starts_with("modules.crm.") && change.to.is_empty()));
        assert!(gone.iter().any(|change| change.what == "modules.crm.quantity"));
    }
}
