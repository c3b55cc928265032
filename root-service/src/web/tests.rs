//! What the page asks for, and what is said on it in every language.

use std::collections::BTreeSet;

use licensor_web::{
    language::{Language, Languages},
    refusal::Refusal,
};

use super::{fleet::Wanted, shown, texts};
use crate::fleet::{Bucket, Renewal, State};

fn keys(language: Language) -> BTreeSet<&'static str> {
    let lines = texts(language).iter().flat_map(|file| file.lines());
    let messages = lines.filter(|line| line.starts_with(|first: char| first.is_ascii_alphabetic()));
    messages.filter_map(|line| line.split_once(" =")).map(|(key, _)| key).collect()
}

#[test]
fn every_language_says_everything_that_the_page_asks_for() {
    let languages = Languages::load(texts).unwrap();
    let english = keys(Language::En);
    for language in Language::ALL {
        assert_eq!(keys(language), english, "{language:?}");
    }
    // Keys as they stand in the code of the pages, and those that it puts together.
    let code = [
        include_str!("banners.rs"),
        include_str!("details.rs"),
        include_str!("events.rs"),
        include_str!("fleet.rs"),
        include_str!("nodes.rs"),
        include_str!("shown.rs"),
        include_str!("summary.rs"),
    ];
    let text = languages.texts(Language::En);
    for part in code.iter().flat_map(|code| code.split("texts.t(\"").skip(1)) {
        let key = part.split('"').next().unwrap();
        assert!(text.find(key, []).is_some(), "{key}");
    }
    for (_, name) in State::ALL {
        assert!(english.contains(&*format!("state-{name}")), "{name}");
    }
    for (_, name) in Bucket::ALL {
        assert!(english.contains(&*format!("bucket-{name}")), "{name}");
        assert!(english.contains(&*format!("bucket-{name}-title")), "{name}");
    }
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
