//! Every language says everything.

use std::{collections::BTreeMap, path::Path};

use licensor::event::Event;

use super::*;
use crate::{check, visitor::Theme};

fn languages() -> Languages {
    Languages::load(|_| &[]).unwrap()
}

fn sources() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src"))
}

#[test]
fn every_language_says_the_same() {
    check::same_in_every_language(common);
}

#[test]
#[should_panic(expected = "nl: [\n    \"b is missing\"")]
fn what_one_language_lacks_is_named() {
    check::same_in_every_language(|language| match language {
        Language::Nl => &["a = { $x }"],
        _ => &["a = { $x }\nb = b"],
    });
}

#[test]
#[should_panic(expected = "sv: [\n    \"a has {\\\"y\\\"}, in English {\\\"x\\\"}\"")]
fn what_one_language_says_with_other_variables_is_named() {
    check::same_in_every_language(|language| match language {
        Language::Sv => &["a = { $y }"],
        _ => &["a = { $x ->\n [one] { $x }\n *[other] two\n }"],
    });
}

#[test]
fn what_the_source_names_is_said() {
    let used = check::keys_used(sources()).unwrap();
    assert!(used.contains("sign-in") && used.contains("connection-lost"), "{used:?}");
    check::all_exist(used.iter().map(String::as_str), |_| &[]);
    let colours = Theme::ALL.map(|theme| format!("colours-{}", theme.as_str()));
    check::all_exist(colours.iter().map(String::as_str), |_| &[]);
    check::all_exist(["node-product", "root-product", "role-viewer", "role-administrator"], |_| &[]);
}

#[test]
fn whatever_is_refused_is_explained_and_has_a_next_step() {
    let used = check::refusals_used(sources()).unwrap();
    assert!(used.contains("refused-link-used-next") && used.contains("refused-not-found"), "{used:?}");
    check::all_exist(used.iter().map(String::as_str), |_| &[]);
}

#[test]
#[should_panic(expected = "missing [\n    \"nowhere\"")]
fn a_key_that_is_not_there_is_named() {
    check::all_exist(["sign-in", "nowhere"], |_| &[]);
}

/// The message of a kind in English with `{argument}`s.
fn template(kind: EventKind) -> String {
    kind.message(&BTreeMap::new())
}

#[test]
fn english_says_of_events_what_the_log_says() {
    let english = languages().texts(Language::En);
    for kind in EventKind::ALL {
        let mut event = Event::new(*kind);
        for (at, name) in variables(*kind).into_iter().enumerate() {
            event = event.argument(&name, format!("<{at}>"));
        }
        assert_eq!(english.event(&event, &Zone::utc()), kind.message(&event.arguments));
    }
}

fn variables(kind: EventKind) -> Vec<String> {
    let template = template(kind);
    template.split('{').skip(1).filter_map(|rest| Some(rest.split_once('}')?.0.to_owned())).collect()
}

#[test]
fn every_kind_of_event_has_a_message_and_a_name_in_every_language() {
    for language in Language::ALL {
        let messages = check::messages(common(language));
        for kind in EventKind::ALL {
            let said = messages.get(kind.name());
            let said = said.unwrap_or_else(|| panic!("{}: no {}", language.tag(), kind.name()));
            let expected = variables(*kind).into_iter().collect();
            assert_eq!(*said, expected, "{}: {}", language.tag(), kind.name());
            let name = format!("{}-name", kind.name());
            assert!(messages.contains_key(&name), "{}: no {name}", language.tag());
        }
    }
}

#[test]
fn events_of_the_certificate_speak_as_users_know_them() {
    let languages = languages();
    let said = |language, kind| {
        let event =
            Event::new(kind).argument("holder", "north").argument("not_after", "2026-11-27T17:34:56Z");
        languages.texts(language).event(&event, &Zone::utc())
    };
    for kind in [EventKind::LicensorCertExpiresInOneMonth, EventKind::LicensorCertExpiresInOneWeek] {
        assert!(said(Language::Nl, kind).contains("ervice blijft normaal functioneren"));
        assert!(said(Language::Sv, kind).contains("Tjänsten fortsätter att fungera normalt"));
    }
    assert!(said(Language::Nl, EventKind::LicensorCertExpired).contains("ervice is uitgeschakeld"));
    assert!(said(Language::Sv, EventKind::LicensorCertExpired).contains("Tjänsten avaktiveras"));
    assert!(said(Language::Nl, EventKind::LicensorCertExpired).contains("27 nov 2026, 17:34"));
}

#[test]
fn a_role_is_named_in_the_language() {
    let languages = languages();
    let said = |language, role| {
        let event = Event::new(EventKind::SignedIn).argument("person", "uid:0").argument("role", role);
        languages.texts(language).event(&event, &Zone::utc())
    };
    assert_eq!(said(Language::En, "viewer"), "uid:0 signed in on the screen, as viewer.");
    assert_eq!(
        said(Language::Nl, "administrator"),
        "uid:0 heeft zich aangemeld in de webinterface, als beheerder."
    );
    assert_eq!(said(Language::Sv, "viewer"), "uid:0 loggade in i webbgränssnittet, som läsare.");
}

#[test]
fn what_administrators_write_stays_as_it_is() {
    let texts = languages().texts(Language::Nl);
    let written = "2026-11-27T17:34:56Z { $x } <b>";
    let event = Event::new(EventKind::MessageOfTheDay).argument("description", written);
    assert_eq!(texts.event(&event, &Zone::utc()), written);
}

#[test]
fn times_have_the_form_of_the_language_and_the_zone() {
    let languages = languages();
    let new_year = "2025-12-31T23:30:00Z".parse().unwrap();
    for (language, zone, time, date) in [
        (Language::En, "UTC", "31 Dec 2025, 23:30", "31 Dec 2025"),
        (Language::Nl, "Europe/Amsterdam", "1 jan 2026, 00:30", "1 jan 2026"),
        (Language::Sv, "America/New_York", "31 dec. 2025 18:30", "31 dec. 2025"),
        (Language::Sv, "no such zone", "31 dec. 2025 23:30", "31 dec. 2025"),
        (Language::En, "", "31 Dec 2025, 23:30", "31 Dec 2025"),
    ] {
        let (texts, zone) = (languages.texts(language), Zone::named(zone));
        assert_eq!(texts.format().time(new_year, &zone), time, "{language:?} in {}", zone.name());
        assert_eq!(texts.format().date(new_year, &zone), date, "{language:?} in {}", zone.name());
    }
    assert_eq!(Zone::named("no such zone").name(), "UTC");
    assert_eq!(Zone::named("Europe/Stockholm").name(), "Europe/Stockholm");
}

#[test]
fn an_hour_that_comes_twice_or_never_has_a_time() {
    let (texts, zone) = (languages().texts(Language::Nl), Zone::named("Europe/Amsterdam"));
    for (time, expected) in [
        ("2026-03-29T00:59:59Z", "29 mrt 2026, 01:59"),
        ("2026-03-29T01:00:00Z", "29 mrt 2026, 03:00"),
        ("2026-10-25T00:30:00Z", "25 okt 2026, 02:30"),
        ("2026-10-25T01:30:00Z", "25 okt 2026, 02:30"),
    ] {
        assert_eq!(texts.format().time(time.parse().unwrap(), &zone), expected);
    }
}

#[test]
fn the_earliest_time_has_a_form() {
    let texts = languages().texts(Language::En);
    let shown = texts.format().time(jiff::Timestamp::MIN, &Zone::utc());
    assert!(shown.contains("10000 BC"), "{shown}");
}

#[test]
fn numbers_months_and_sizes_have_the_form_of_the_language() {
    let languages = languages();
    let forms = |language| {
        let texts = languages.texts(language);
        let format = texts.format();
        [
            format.number(1_234_567),
            format.number(-1_234),
            format.scaled(123_456, 2),
            format.scaled(5, 2),
            format.size(999),
            format.size(1_234_567),
            format.size(u64::MAX),
            format.quantity(12_345, "logins"),
            format.quantity(12_000, "B"),
            format.month("2026-03"),
            format.short_month("2026-03"),
            format.month("nonsense"),
        ]
    };
    let english = [
        "1,234,567",
        "-1,234",
        "1,234.56",
        "0.05",
        "999 B",
        "1.2 MB",
        "18.4 EB",
        "12,345 logins",
        "12 kB",
        "March 2026",
        "Mar",
        "nonsense",
    ];
    let dutch = [
        "1.234.567",
        "-1.234",
        "1.234,56",
        "0,05",
        "999 B",
        "1,2 MB",
        "18,4 EB",
        "12.345 logins",
        "12 kB",
        "maart 2026",
        "mrt",
        "nonsense",
    ];
    // Groups are kept together by spaces that do not break; the sign is U+2212.
    let swedish = [
        "1\u{a0}234\u{a0}567",
        "\u{2212}1\u{a0}234",
        "1\u{a0}234,56",
        "0,05",
        "999 B",
        "1,2 MB",
        "18,4 EB",
        "12\u{a0}345 logins",
        "12 kB",
        "mars 2026",
        "mars",
        "nonsense",
    ];
    assert_eq!(forms(Language::En), english);
    assert_eq!(forms(Language::Nl), dutch);
    assert_eq!(forms(Language::Sv), swedish);
}
