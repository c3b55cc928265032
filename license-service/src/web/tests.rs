//! What is said on this screen.

use std::path::Path;

use licensor::error::Reason;
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

/// Reasons that the pages can meet.
const REASONS: [Reason; 23] = [
    Reason::InvalidArgument,
    Reason::Overloaded,
    Reason::CertificateSuperseded,
    Reason::CertificateExpired,
    Reason::CertificateRevoked,
    Reason::NodeDecommissioned,
    Reason::AuthorityExpired,
    Reason::NotEnrolled,
    Reason::ClockRolledBack,
    Reason::SeatsInUse,
    Reason::EntitlementInvalid,
    Reason::EntitlementSignerUntrusted,
    Reason::EntitlementOfAnotherOwner,
    Reason::EntitlementOutdated,
    Reason::EntitlementUnknown,
    Reason::VendorTaken,
    Reason::RootUnreachable,
    Reason::EventAlreadyActive,
    Reason::EventAlreadyEnded,
    Reason::AssignmentUnknown,
    Reason::StatementUnknown,
    Reason::DiskFull,
    Reason::StoreUnavailable,
];
/// Reasons for which nothing is issued.
const DISABLED: [Reason; 4] = [
    Reason::NotEnrolled,
    Reason::LicensorCertificateExpired,
    Reason::LicensorCertificateNotYetValid,
    Reason::CertificateRevoked,
];

#[test]
fn what_is_refused_says_why_and_what_to_do() {
    let keys = REASONS.map(|reason| format!("reason-{reason}"));
    let keys = keys.into_iter().chain(DISABLED.map(|reason| format!("disabled-{reason}")));
    let keys: Vec<String> = keys.flat_map(|key| [format!("{key}-next"), key]).collect();
    check::all_exist(keys.iter().map(String::as_str), texts);
}
