//! What an identity provider says of somebody: a name and a role.

use serde_json::{Map, Value};

use super::config::OidcConfig;
use crate::session::Role;

/// Claims of somebody.
pub(super) type Claims = Map<String, Value>;

/// Letters of a name at most.
const LONGEST: usize = 200;

/// The claim with this name; `a.b` is the member `b` of the claim `a`, unless there is a claim `a.b`.
pub(super) fn find<'a>(claims: &'a Claims, path: &str) -> Option<&'a Value> {
    claims.get(path).or_else(|| {
        path.match_indices('.')
            .find_map(|(at, _)| find(claims.get(&path[..at])?.as_object()?, &path[at + 1..]))
    })
}

/// The highest role that the claims give.
pub(super) fn role(config: &OidcConfig, claims: &Claims) -> Option<Role> {
    let values: Vec<&str> = match find(claims, &config.role_claim)? {
        Value::String(value) => vec![value],
        Value::Array(values) => values.iter().filter_map(Value::as_str).collect(),
        _ => return None,
    };
    let has = |names: &[String]| names.iter().any(|name| values.contains(&name.as_str()));
    match (has(&config.administrators), has(&config.viewers)) {
        (true, _) => Some(Role::Administrator),
        (false, true) => Some(Role::Viewer),
        (false, false) => None,
    }
}

/// The name of the person, which is never one that a local user could have.
pub(super) fn name(config: &OidcConfig, claims: &Claims) -> Option<String> {
    [&*config.name_claim, "preferred_username", "sub"].into_iter().find_map(|claim| {
        // Whoever can put down any address could put down that of somebody else.
        if claim == "email" && claims.get("email_verified") == Some(&Value::Bool(false)) {
            return None;
        }
        let name: String =
            find(claims, claim)?.as_str()?.chars().filter(|letter| !is_unseen(*letter)).collect();
        let name = name.trim();
        let local = name.eq_ignore_ascii_case("service")
            || name.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("uid:"));
        (!name.is_empty() && !local && name.chars().count() <= LONGEST).then(|| name.to_owned())
    })
}

/// Whether a letter is not seen, or changes how others are: with it one name could look like another.
fn is_unseen(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn config(role_claim: &str) -> OidcConfig {
        let value = json!({
            "issuer": "https://a.example", "client_id": "b", "role_claim": role_claim,
            "administrators": ["chiefs", "owners"], "viewers": ["staff"],
        });
        serde_json::from_value(value).unwrap()
    }

    fn claims(value: Value) -> Claims {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn a_role_is_found_where_providers_put_it() {
        let (administrator, viewer) = (Some(Role::Administrator), Some(Role::Viewer));
        for (claim, value, expected) in [
            ("roles", json!({ "roles": "chiefs" }), administrator),
            ("roles", json!({ "roles": ["x", "staff"] }), viewer),
            ("roles", json!({ "roles": ["staff", "owners"] }), administrator),
            ("roles", json!({ "roles": ["Chiefs", "chief", "staff "] }), None),
            ("roles", json!({ "roles": [["chiefs"], 7, null] }), None),
            ("roles", json!({ "roles": { "chiefs": true } }), None),
            ("roles", json!({ "groups": ["chiefs"] }), None),
            ("realm_access.roles", json!({ "realm_access": { "roles": ["staff"] } }), viewer),
            ("realm_access.roles", json!({ "realm_access": "staff", "roles": ["staff"] }), None),
            ("https://b.example/roles", json!({ "https://b.example/roles": ["staff"] }), viewer),
            ("a.b.c", json!({ "a.b": { "c": "staff" } }), viewer),
            ("a.b.c", json!({ "a": { "b.c": "staff" } }), viewer),
            ("a.", json!({ "a": { "": "staff" } }), viewer),
            ("", json!({}), None),
        ] {
            assert_eq!(role(&config(claim), &claims(value.clone())), expected, "{claim} of {value}");
        }
    }

    #[test]
    fn a_name_is_never_that_of_a_local_user() {
        let long = "x".repeat(LONGEST + 1);
        for (value, expected) in [
            (json!({ "email": "a@b.example", "preferred_username": "a", "sub": "1" }), Some("a@b.example")),
            (json!({ "email": "a@b.example", "email_verified": false, "sub": "1" }), Some("1")),
            (json!({ "email": "uid:0", "preferred_username": "a" }), Some("a")),
            (json!({ "email": " UID:0", "sub": "1" }), Some("1")),
            (json!({ "email": "\u{1}uid:0", "sub": "1" }), Some("1")),
            (json!({ "email": "a\nb", "sub": "1" }), Some("ab")),
            (json!({ "email": "\u{200b}uid:0", "sub": "1" }), Some("1")),
            (json!({ "email": "a\u{202e}b", "sub": "1" }), Some("ab")),
            (json!({ "email": "Service", "sub": "1" }), Some("1")),
            (json!({ "email": long, "sub": "1" }), Some("1")),
            (json!({ "email": "ärä", "sub": "1" }), Some("ärä")),
            (json!({ "email": 7, "sub": "uid:0" }), None),
            (json!({}), None),
        ] {
            assert_eq!(name(&config("roles"), &claims(value.clone())).as_deref(), expected, "{value}");
        }
    }
}
