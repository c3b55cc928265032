//! The fleet on a clock that the tests move.

mod speed;
mod watch;

use licensor::config::Expiry;

use super::{
    index::{Entry, Standing::*},
    *,
};
const NOW: i64 = 1_800_000_000;
const DAY: i64 = 86_400;
const YEAR: i64 = 365 * DAY;

fn rules() -> Rules {
    Rules { expiry: Expiry::default(), renew_at: 0.667 }
}

/// A node of a year that has so many seconds left.
fn entry(name: &str, left: i64) -> Entry {
    Entry {
        name: name.to_owned(),
        owner: "Example GmbH".into(),
        issued_at: NOW + left - YEAR,
        not_after: NOW + left,
        renewed: false,
        standing: InService,
    }
}

fn index(entries: &[Entry]) -> Index {
    let mut index = Index::default();
    for entry in entries {
        index.add(entry);
    }
    index.arrange();
    index
}

fn facts(entry: &Entry) -> Facts {
    index(std::slice::from_ref(entry)).facts()[0]
}

fn selected(index: &Index, selection: &Selection) -> (Vec<String>, usize) {
    let Selected { names, total } = selection.of(index, &rules().at(NOW * 1000));
    (names, total)
}

fn all() -> Selection {
    Selection { limit: 100, ..Selection::default() }
}

#[test]
fn a_bucket_begins_where_the_one_before_it_ends() {
    use Bucket::*;
    for (left, bucket) in [
        (-5 * DAY, Expired),
        (0, Expired),
        (1, Week),
        (7 * DAY - 1, Week),
        (7 * DAY, Month),
        (30 * DAY - 1, Month),
        (30 * DAY, ThreeMonths),
        (90 * DAY - 1, ThreeMonths),
        (90 * DAY, SixMonths),
        (180 * DAY - 1, SixMonths),
        (180 * DAY, Year),
        (YEAR - 1, Year),
        (YEAR, Longer),
    ] {
        let of_a_year = facts(&entry("a", left));
        assert_eq!(rules().at(NOW * 1000).bucket(of_a_year), Some(bucket), "{left}");
    }
    // Half a second is something.
    assert_eq!(rules().at(NOW * 1000 - 500).bucket(facts(&entry("a", 0))), Some(Week));
    // And a bucket ends at an instant, not a second later.
    assert_eq!(rules().at(NOW * 1000 + 1).bucket(facts(&entry("a", YEAR))), Some(Year));
    let revoked = Entry { standing: Revoked, ..entry("a", DAY) };
    assert_eq!(rules().at(NOW * 1000).bucket(facts(&revoked)), None);
}

#[test]
fn a_node_is_what_the_warnings_say_whatever_its_lifetime() {
    let at = |lifetime: i64, left_in_milliseconds: i64| {
        let entry = Entry { issued_at: NOW - lifetime, not_after: NOW, ..entry("a", 0) };
        rules().at(NOW * 1000 - left_in_milliseconds).state(facts(&entry))
    };
    for (days, state) in
        [(31, State::Current), (30, State::MonthLeft), (8, State::MonthLeft), (7, State::WeekLeft)]
    {
        assert_eq!(at(YEAR, days * DAY * 1000), state, "{days}");
        assert_eq!(at(3 * YEAR, days * DAY * 1000), state, "{days}");
    }
    assert_eq!(at(YEAR, 1), State::WeekLeft);
    assert_eq!(at(YEAR, 0), State::Expired);
    // Of a minute the same shares: 4.93 and 1.15 seconds.
    assert_eq!(at(60, 5000), State::Current);
    assert_eq!(at(60, 4900), State::MonthLeft);
    assert_eq!(at(60, 1150), State::WeekLeft);
    for (standing, state) in [(Revoked, State::Revoked), (Decommissioned, State::Decommissioned)] {
        let ended = Entry { standing, ..entry("a", -DAY) };
        assert_eq!(rules().at(NOW * 1000).state(facts(&ended)), state);
    }
}

#[test]
fn a_node_is_overdue_when_its_window_has_ended() {
    // The window of 300 days around 0.667 is from 190.1 to 210.1 days.
    let after = |seconds: i64| {
        let entry = Entry { issued_at: NOW, not_after: NOW + 300 * DAY, ..entry("a", 0) };
        rules().at((NOW + seconds) * 1000).renewal(facts(&entry))
    };
    let (from, until) = (190 * DAY + DAY / 10, 210 * DAY + DAY / 10);
    assert_eq!(after(from - 1), Renewal::NotDue);
    assert_eq!(after(from + 1), Renewal::Due);
    assert_eq!(after(until - 1), Renewal::Due);
    assert_eq!(after(until + 1), Renewal::Overdue);
    assert_eq!(after(301 * DAY), Renewal::Overdue);
    let revoked = Entry { standing: Revoked, ..entry("a", DAY) };
    assert_eq!(rules().at(NOW * 1000).renewal(facts(&revoked)), Renewal::Never);
}

#[test]
fn everything_is_counted_once() {
    let renewed = |name, ago: i64| Entry { renewed: true, ..entry(name, YEAR - ago) };
    let index = index(&[
        entry("expired", -1),
        entry("week", DAY),
        entry("month", 10 * DAY),
        entry("due", 120 * DAY),
        entry("new", YEAR),
        renewed("today", DAY - 1),
        renewed("yesterday", DAY),
        renewed("before", 7 * DAY),
        Entry { standing: Revoked, ..entry("revoked", DAY) },
        Entry { standing: Decommissioned, ..entry("ended", DAY) },
    ]);
    let expected = Counts {
        nodes: 10,
        states: [5, 1, 1, 1, 1, 1],
        buckets: [1, 1, 1, 0, 1, 3, 1],
        due: 1,
        overdue: 3,
        renewed_in_a_day: 1,
        renewed_in_a_week: 2,
    };
    assert_eq!(rules().at(NOW * 1000).count(index.facts()), expected);
}

#[test]
fn those_that_run_out_first_come_first_and_those_that_were_ended_last() {
    let former = index(&[
        entry("c", 5 * DAY),
        Entry { standing: Decommissioned, ..entry("a", DAY) },
        entry("d", DAY),
        entry("b", DAY),
        Entry { standing: Revoked, ..entry("e", DAY) },
    ]);
    assert_eq!(selected(&former, &all()), (["b", "d", "c", "e", "a"].map(str::to_owned).into(), 5));
    // One renews, one is new, one is revoked; the former index stays what it was.
    let changed =
        [entry("d", YEAR), entry("aa", 2 * DAY), Entry { standing: Revoked, ..entry("c", 5 * DAY) }];
    let index = former.with(&changed);
    let expected = ["b", "aa", "d", "e", "c", "a"].map(str::to_owned);
    assert_eq!(selected(&index, &all()), (expected.into(), 6));
    assert_eq!(selected(&former, &all()).1, 5);
    // Whoever is known is found again, also among those that came later.
    let index = index.with(&[entry("aa", -DAY)]);
    let expected = ["aa", "b", "d", "e", "c", "a"].map(str::to_owned);
    assert_eq!(selected(&index, &all()), (expected.into(), 6));
}

#[test]
fn pages_follow_one_another_whatever_is_selected() {
    let entries: Vec<Entry> = (0..25).map(|day| entry(&format!("n{day:02}"), day * DAY + 1)).collect();
    let index = index(&entries);
    let page =
        |first, selection: &Selection| selected(&index, &Selection { first, limit: 10, ..selection.clone() });
    let names = |days: std::ops::Range<i64>| days.map(|day| format!("n{day:02}")).collect::<Vec<_>>();
    for (first, days) in [(0, 0..10), (20, 20..25), (30, 0..0)] {
        assert_eq!(page(first, &Selection::default()), (names(days), 25), "{first}");
    }
    let month = Selection { bucket: Some(Bucket::Month), ..Selection::default() };
    assert_eq!(page(0, &month), (names(7..17), 18));
    assert_eq!(page(10, &month), (names(17..25), 18));
    let week = Selection { state: Some(State::WeekLeft), ..Selection::default() };
    assert_eq!(page(0, &week), (names(0..7), 7));
    let overdue = Selection { renewal: Some(Renewal::Overdue), ..Selection::default() };
    assert_eq!(page(20, &overdue), (names(20..25), 25));
    let both = Selection { search: "n1".into(), ..month };
    assert_eq!(page(0, &both), (names(10..20), 10));
}

#[test]
fn a_search_finds_names_and_owners_in_any_case_and_what_was_found_otherwise() {
    let index = index(&[
        entry("Berlin-1", DAY),
        Entry { owner: "Ärzte Berlin".into(), ..entry("lund", 2 * DAY) },
        entry("other", 3 * DAY),
    ]);
    let found = |search: &str, names: &[&str]| {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        selected(&index, &Selection { search: search.into(), names, ..all() }).0
    };
    assert_eq!(found("BERLIN", &[]), ["Berlin-1", "lund"]);
    assert_eq!(found("ärzte", &[]), ["lund"]);
    assert_eq!(found("ÄRZTE", &[]), ["lund"]);
    assert_eq!(found("gmbh", &[]), ["Berlin-1", "other"]);
    assert_eq!(found("41aa12ff", &["other", "nobody"]), ["other"]);
    assert_eq!(found("nothing", &[]), [] as [&str; 0]);
}
