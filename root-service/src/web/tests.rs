//! What the page asks for, and what is said on it in every language.

use std::path::Path;

use licensor_web::{
    check,
    language::{Language, Languages},
    refusal::Refusal,
};

use super::{fleet::Wanted, shown, texts};
use crate::fleet::{Bucket, Renewal, State};

#[test]
fn every_language_says_everything_that_the_page_asks_for() {
    check::same_in_every_language(texts);
    let used = check::keys_used(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src/web"))).unwrap();
    assert!(used.contains("recent-events"), "{used:?}");
    check::all_exist(used.iter().map(String::as_str), texts);
}

#[test]
fn what_is_put_together_from_parts_is_there_too() {
    let states = State::ALL.iter().map(|(_, name)| format!("state-{name}"));
    let buckets = Bucket::ALL.iter();
    let buckets = buckets.flat_map(|(_, name)| [format!("bucket-{name}"), format!("bucket-{name}-title")]);
    let banners = ["NOT_ENROLLED", "CERTIFICATE_REVOKED", "AUTHORITY_EXPIRED", "CERTIFICATE_NOT_YET_VALID"];
    let banners = banners.map(|reason| format!("authority-off-{reason}"));
    let banners = banners.into_iter().chain(["authority-month".to_owned(), "authority-week".to_owned()]);
    let banners = banners.flat_map(|key| [format!("{key}-next"), key]);
    let severities = ["info", "warning", "error"].map(|severity| format!("severity-{severity}"));
    let spans = ["seconds", "minutes", "hours", "days"].map(|unit| format!("span-{unit}"));
    let all: Vec<String> = states
        .chain(buckets)
        .chain(banners)
        .chain(severities)
        .chain(spans)
        .chain(["due".into(), "overdue".into()])
        .collect();
    check::all_exist(all.iter().map(String::as_str), texts);
}

#[test]
fn what_is_left_is_said_in_the_largest_unit_that_it_fills() {
    let languages = Languages::load(texts).unwrap();
    let said = |language, seconds| shown::left(&languages.texts(language), seconds);
    assert_eq!(said(Language::En, 1), "1 second");
    assert_eq!(said(Language::En, 7_199), "119 minutes");
    assert_eq!(said(Language::En, 172_800), "2 days");
    assert_eq!(said(Language::En, -3 * 86_400), "3 days ago");
    assert_eq!(said(Language::Nl, 3 * 86_400), "3 dagen");
    assert_eq!(said(Language::Nl, -86_400 * 2), "2 dagen geleden");
    assert_eq!(said(Language::Sv, 1), "1 sekund");
    assert_eq!(said(Language::Sv, -7_200), "för 2 timmar sedan");
}

#[test]
fn an_address_says_which_nodes_are_in_the_table() {
    let wanted = |show: &str| Wanted { show: show.into(), ..Wanted::default() };
    let selection = |show: &str| wanted(show).selection();
    assert_eq!(selection("week").unwrap().state, Some(State::WeekLeft));
    assert_eq!(selection("3m").unwrap().bucket, Some(Bucket::ThreeMonths));
    assert_eq!(selection("overdue").unwrap().renewal, Some(Renewal::Overdue));
    assert_eq!(selection("everything").unwrap_err(), Refusal::NotFound);
    let second = Wanted { page: 1, search: " a&b ".into(), node: "n".into(), ..wanted("due") };
    let selection = second.selection().unwrap();
    assert_eq!((selection.first, selection.limit, &*selection.search), (100, 100, "a&b"));
    assert_eq!(second.href(), "/?show=due&search=+a%26b+&page=1&node=n");
    assert_eq!(second.plain().href(), "/?show=due&search=+a%26b+&page=1");
    assert_eq!(second.showing("").href(), "/?search=+a%26b+");
}
