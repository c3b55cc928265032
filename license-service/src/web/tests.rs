//! What is said on this screen.

use std::path::Path;

use licensor_web::check;

use super::texts;

#[test]
fn every_language_says_everything_that_the_pages_ask_for() {
    check::same_in_every_language(texts);
    let used = check::keys_used(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src/web"))).unwrap();
    assert!(used.contains("tab-status"), "{used:?}");
    check::all_exist(used.iter().map(String::as_str), texts);
}

#[test]
fn what_is_put_together_from_parts_is_there_too() {
    let parts = [
        ("scope", &["system", "database", "group", "user"][..]),
        ("severity", &["info", "warning", "error"]),
        ("role", &["viewer", "administrator"]),
        ("field-of", &["modules", "services"]),
        ("nothing-newer", &["next"]),
        ("changed-meanwhile", &["next"]),
        ("certificate-month", &["next"]),
        ("certificate-week", &["next"]),
        ("clock-behind", &["next"]),
        ("entitlement-soon", &["next"]),
        ("entitlement-grace", &["next"]),
        ("entitlement-over", &["next"]),
    ];
    let keys: Vec<String> = parts
        .iter()
        .flat_map(|(first, rest)| rest.iter().map(move |rest| format!("{first}-{rest}")))
        .collect();
    check::all_exist(keys.iter().map(String::as_str), texts);
}
