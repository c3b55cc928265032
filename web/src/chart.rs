//! Charts as SVG, with what they show as text beside them for those who do not see them.

use maud::{Markup, html};

/// A share of a whole, as a bar.
#[derive(Debug, Clone, Copy)]
pub struct Share {
    /// The part.
    pub part: u64,
    /// The whole; 0 if there is none.
    pub whole: u64,
}

impl Share {
    /// In percent, 100 at most; a whole of 0 is full as soon as there is a part.
    #[must_use]
    pub fn percent(self) -> u64 {
        match self.whole {
            0 => {
                if self.part == 0 {
                    0
                } else {
                    100
                }
            }
            whole => (u128::from(self.part) * 100 / u128::from(whole)).min(100).try_into().unwrap_or(100),
        }
    }

    fn class(self) -> &'static str {
        match self.percent() {
            0..85 => "calm",
            85..100 => "near",
            _ => "full",
        }
    }

    /// The bar. `label` says what it shows.
    #[must_use]
    pub fn bar(self, label: &str) -> Markup {
        let percent = self.percent();
        html! {
            svg class={ "bar " (self.class()) } viewBox="0 0 100 8" preserveAspectRatio="none" role="img" aria-label=(label) {
                rect class="ground" width="100" height="8" {}
                rect class="part" width=(percent) height="8" {}
            }
        }
    }
}

/// A mark on a line of time.
#[derive(Debug, Clone)]
pub struct Mark {
    /// What it is called.
    pub label: String,
    /// Where, in thousandths of the line.
    pub at: u32,
    /// How it is coloured.
    pub class: &'static str,
}

/// Where `at` is between `start` and `end`, in thousandths.
#[must_use]
pub fn place(start: i64, end: i64, at: i64) -> u32 {
    if end <= start {
        return 1000;
    }
    let (at, whole) = (i128::from(at.clamp(start, end) - start), i128::from(end - start));
    u32::try_from(at * 1000 / whole).unwrap_or(1000)
}

/// A line of time with marks, of which `past` thousandths are over. `label` says what it shows.
#[must_use]
pub fn line_of_time(past: u32, marks: &[Mark], tone: &str, label: &str) -> Markup {
    html! {
        svg class={ "line-of-time " (tone) } viewBox="0 0 1000 40" preserveAspectRatio="none" role="img" aria-label=(label) {
            rect class="ground" y="14" width="1000" height="12" {}
            rect class="part" y="14" width=(past) height="12" {}
            @for mark in marks {
                rect class={ "mark " (mark.class) } x=(mark.at.saturating_sub(2).min(996)) y="6" width="4" height="28" { title { (mark.label) } }
            }
            rect class="now" x=(past.saturating_sub(2).min(996)) y="2" width="4" height="36" {}
        }
    }
}

/// A column of a chart.
#[derive(Debug, Clone)]
pub struct Column {
    /// Below it.
    pub label: String,
    /// What it shows, in words.
    pub title: String,
    /// Its value.
    pub value: u64,
    /// What is included: a line across it.
    pub limit: Option<u64>,
    /// Where a click leads.
    pub href: Option<String>,
}

/// Height of a chart's columns.
const HEIGHT: u64 = 120;

/// Columns side by side. `label` says what they show.
#[must_use]
pub fn columns(columns: &[Column], label: &str) -> Markup {
    let highest = columns.iter().flat_map(|column| [column.value, column.limit.unwrap_or_default()]).max();
    let highest = u128::from(highest.unwrap_or_default().max(1));
    let scale =
        |value: u64| u64::try_from(u128::from(value) * u128::from(HEIGHT) / highest).unwrap_or(HEIGHT);
    let width = columns.len().max(1) * 48;
    html! {
        svg class="columns" viewBox={ "0 0 " (width) " 156" } role="group" aria-label=(label) {
            @for (index, column) in columns.iter().enumerate() {
                @let x = index * 48;
                @let height = scale(column.value).max(u64::from(column.value > 0));
                @let included = column.limit.map_or(height, |limit| height.min(scale(limit)));
                g {
                    title { (column.title) }
                    @if let Some(href) = &column.href {
                        a href=(href) aria-label=(column.title) { (stack(x, height, included)) }
                    } @else {
                        g role="img" aria-label=(column.title) { (stack(x, height, included)) }
                    }
                    @if let Some(limit) = column.limit {
                        rect class="limit" x=(x + 4) y=(HEIGHT + 8 - scale(limit)) width="40" height="2" {}
                    }
                    text x=(x + 24) y="148" text-anchor="middle" { (column.label) }
                }
            }
        }
    }
}

fn stack(x: usize, height: u64, included: u64) -> Markup {
    let bottom = HEIGHT + 8;
    html! {
        rect class="target" x=(x) y="0" width="48" height=(bottom) {}
        rect class="part" x=(x + 10) y=(bottom - included) width="28" height=(included) {}
        rect class="surplus" x=(x + 10) y=(bottom - height) width="28" height=(height - included) {}
    }
}

/// A bin of a histogram.
#[derive(Debug, Clone)]
pub struct Bin {
    /// Below it.
    pub label: String,
    /// Its value as it is written above it.
    pub figure: String,
    /// What it shows, in words.
    pub title: String,
    /// How many are in it.
    pub value: u64,
    /// How it is coloured.
    pub tone: &'static str,
    /// Where a click leads.
    pub href: String,
    /// Whether it is the one whose content is shown.
    pub current: bool,
}

/// Bins side by side, each a link. `label` says what they show.
#[must_use]
pub fn histogram(bins: &[Bin], label: &str) -> Markup {
    let highest = u128::from(bins.iter().map(|bin| bin.value).max().unwrap_or_default().max(1));
    // What is not empty can be seen, however little it is.
    let height = |value: u64| match value {
        0 => 0,
        value => u64::try_from(u128::from(value) * 110 / highest).unwrap_or(110).max(2),
    };
    let width = bins.len().max(1) * 64;
    html! {
        svg class="columns histogram" viewBox={ "0 0 " (width) " 156" } role="group" aria-label=(label) {
            @for (index, bin) in bins.iter().enumerate() {
                @let (x, height) = (index * 64, height(bin.value));
                a href=(bin.href) aria-current=[bin.current.then_some("true")] {
                    title { (bin.title) }
                    rect class="target" x=(x) y="0" width="64" height="156" {}
                    rect class={ "part " (bin.tone) } x=(x + 10) y=(134 - height) width="44" height=(height) {}
                    text class="figure" x=(x + 32) y=(128 - height) text-anchor="middle" { (bin.figure) }
                    text x=(x + 32) y="150" text-anchor="middle" { (bin.label) }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_never_more_than_all_of_it() {
        for (part, whole, percent) in
            [(0, 0, 0), (1, 0, 100), (1, 3, 33), (85, 100, 85), (7, 5, 100), (u64::MAX, u64::MAX, 100)]
        {
            assert_eq!(Share { part, whole }.percent(), percent, "{part} of {whole}");
        }
    }

    #[test]
    fn an_instant_has_its_place_on_the_line_whatever_the_clock_says() {
        assert_eq!(place(0, 100, 50), 500);
        assert_eq!(place(0, 100, -5), 0);
        assert_eq!(place(0, 100, 500), 1000);
        assert_eq!(place(100, 100, 50), 1000);
        assert_eq!(place(i64::MIN / 2, i64::MAX / 2, 0), 500);
    }

    #[test]
    fn a_bin_with_anything_in_it_can_be_seen_and_the_fullest_fits() {
        let bin = |value: u64| Bin {
            label: "<1".into(),
            figure: value.to_string(),
            title: "less".into(),
            value,
            tone: "calm",
            href: "/?a=1&b=2".into(),
            current: value == 1,
        };
        let text = histogram(&[bin(0), bin(1), bin(u64::MAX)], "all").into_string();
        for part in ["height=\"0\"", "height=\"2\"", "height=\"110\"", "&lt;1", "/?a=1&amp;b=2"] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert_eq!(text.matches("aria-current").count(), 1);
    }

    #[test]
    fn columns_of_any_height_fit() {
        let column =
            |value, limit| Column { label: "Jan".into(), title: "<Jan>".into(), value, limit, href: None };
        let text = columns(&[column(0, None), column(u64::MAX, Some(5)), column(1, Some(u64::MAX))], "all")
            .into_string();
        assert!(text.contains("&lt;Jan&gt;"), "{text}");
    }
}
