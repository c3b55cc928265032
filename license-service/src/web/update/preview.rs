//! What a newer entitlement changes, and what stands in its way.

use licensor_web::{
    form,
    language::{Texts, Zone},
    layout::{icon, named},
    visitor::Visitor,
};
use maud::{Markup, html};

use crate::{entitlement::Change as Difference, licensing::Superfluous, updates::Preview};

/// Changes on a page.
const PAGE: usize = 200;

/// The preview of one vendor's entitlement, with the changes after the first `skip`.
pub(super) fn preview(visitor: &Visitor, preview: &Preview, skip: usize) -> Markup {
    let texts = &visitor.texts;
    let number = |version: u64| texts.format().number(version);
    let blocked = !preview.superfluous.is_empty();
    html! {
        section class="sheet" {
            h2 {
                (texts.with("new-version", [
                    ("vendor", preview.vendor.as_str().into()),
                    ("version", number(preview.version).into()),
                ]))
            }
            p class="soft" {
                @if preview.installed_version == 0 { (texts.t("first-version")) }
                @else { (texts.with("instead-of", [("version", number(preview.installed_version).into())])) }
            }
            @if blocked {
                div class="banner error" role="alert" {
                    (icon("error")) p { strong { (texts.t("update-blocked")) } " " (texts.t("update-blocked-next")) }
                }
            }
            (changes(texts, preview, skip))
            @for superfluous in &preview.superfluous { (too_many(visitor, &preview.vendor, superfluous)) }
            @if visitor.is_administrator() {
                form method="post" action="/update/activate" class="actions" {
                    (form::token(visitor))
                    input type="hidden" name="vendor" value=(preview.vendor);
                    input type="hidden" name="version" value=(preview.version);
                    @if blocked {
                        label { input type="checkbox" name="remove" value="yes" required; " " (texts.t("remove-superfluous")) }
                        button class="danger" { (texts.t("activate-and-remove")) }
                    } @else {
                        button { (texts.t("activate")) }
                    }
                }
            }
        }
    }
}

fn changes(texts: &Texts, preview: &Preview, skip: usize) -> Markup {
    let zone = Zone::named(&preview.time_zone);
    let too_many = |change: &Difference| {
        preview.superfluous.iter().any(|module| change.what == format!("modules.{}.quantity", module.module))
    };
    // What is in the way comes first, on whatever page it would be.
    let mut listed: Vec<&Difference> = preview.changes.iter().collect();
    listed.sort_by_key(|change| !too_many(change));
    let (total, end) = (listed.len(), skip.saturating_add(PAGE));
    let at = |skip: usize| {
        let skip = skip.to_string();
        format!(
            "/update?{}",
            licensor_web::url::query(&[("vendor", preview.vendor.as_str()), ("skip", skip.as_str())])
        )
    };
    let number = |count: usize| texts.format().number(count as u64);
    html! {
        div class="scroll" tabindex="0" role="group" aria-label=(texts.t("table")) {
            table {
                thead { tr {
                    th scope="col" { (texts.t("what-changes")) }
                    th scope="col" { (texts.t("now")) }
                    th scope="col" { (texts.t("then")) }
                } }
                tbody {
                    @for change in listed.into_iter().skip(skip).take(PAGE) {
                        tr class={ @if too_many(change) { "too-many" } } {
                            th scope="row" class="wide" { (field(texts, &change.what)) }
                            td class="wide" { (value(texts, &zone, &change.what, &change.from)) }
                            td class="wide" { (value(texts, &zone, &change.what, &change.to)) }
                        }
                    }
                }
            }
        }
        @if total > PAGE {
            nav class="pager" aria-label=(texts.with("changes-of", [("vendor", preview.vendor.as_str().into())])) {
                span {
                    (texts.with("pager-range", [
                        ("first", number(skip.saturating_add(1).min(total)).into()),
                        ("last", number(end.min(total)).into()),
                        ("total", number(total).into()),
                    ]))
                }
                @if skip > 0 { a href=(at(0)) { (texts.t("pager-first")) } }
                @if end < total { a rel="next" href=(at(end)) { (texts.t("pager-next")) } }
            }
        }
    }
}

/// `modules.crm.quantity` in words.
fn field(texts: &Texts, what: &str) -> Markup {
    let (of, name) = match what.split_once('.') {
        Some((group @ ("modules" | "services"), rest)) => match rest.rsplit_once('.') {
            Some((name, field)) => {
                // Of what a field has below it, the last but one belongs to the field.
                let nested = ["allowance", "price", "borrow"].into_iter().find_map(|nested| {
                    name.strip_suffix(nested)?
                        .strip_suffix('.')
                        .map(|name| (name, format!("{nested}.{field}")))
                });
                let (name, field) = nested.unwrap_or((name, field.to_owned()));
                (Some((group, name.to_owned())), field)
            }
            None => (None, what.to_owned()),
        },
        _ => (None, what.to_owned()),
    };
    let key = format!("field-{}", name.replace(['.', '_'], "-"));
    html! {
        @if let Some((group, of)) = of { (texts.t(&format!("field-of-{group}"))) " " strong { (of) } ": " }
        (texts.find(&key, []).unwrap_or(name))
    }
}

/// Fields that hold what people have written, whatever it looks like.
const WRITTEN: [&str; 8] =
    ["serial_number", "company", "title", "description", "features", "unit", "name", "vendor"];

fn value(texts: &Texts, zone: &Zone, what: &str, value: &str) -> String {
    let field = what.rsplit('.').next().unwrap_or_default();
    match (value, value.parse::<jiff::Timestamp>(), value.parse::<i128>()) {
        ("", ..) => "–".to_owned(),
        _ if WRITTEN.contains(&field) => value.to_owned(),
        (_, Ok(time), _) => texts.format().date(time, zone),
        (_, _, Ok(number)) => texts.format().number(number),
        _ => value.to_owned(),
    }
}

/// A licence of which more is in use than there would be, and whose seats could go.
fn too_many(visitor: &Visitor, vendor: &str, superfluous: &Superfluous) -> Markup {
    let texts = &visitor.texts;
    let number = |number: u32| texts.format().number(number);
    html! {
        h3 { (superfluous.module) }
        p class="pill-text" {
            (texts.with("too-many", [
                ("in_use", number(superfluous.in_use).into()),
                ("total", number(superfluous.total).into()),
                ("remove", number(superfluous.in_use.saturating_sub(superfluous.total)).into()),
            ]))
        }
        table {
            tbody {
                @for holder in &superfluous.holders {
                    tr class="too-many" {
                        th scope="row" class="wide" { (named(&holder.user)) }
                        td { @if holder.assigned { (texts.t("assigned")) } @else { (texts.t("leased")) } }
                        td {
                            @if holder.assigned && visitor.is_administrator() {
                                form method="post" action="/update/unassign" {
                                    (form::token(visitor))
                                    input type="hidden" name="vendor" value=(vendor);
                                    input type="hidden" name="module" value=(superfluous.module);
                                    input type="hidden" name="user" value=(holder.user);
                                    button class="quiet" { (texts.t("unassign")) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use licensor_web::language::{Language, Languages};

    use super::*;

    #[test]
    fn what_people_have_written_stays_as_it_is() {
        let languages = Languages::load(crate::web::texts).unwrap();
        let texts = languages.texts(Language::En);
        let zone = Zone::named("Europe/Berlin");
        let shown = |what, text| value(&texts, &zone, what, text);
        assert_eq!(shown("serial_number", "0042"), "0042");
        assert_eq!(shown("modules.crm.title", "2024"), "2024");
        assert_eq!(shown("modules.crm.quantity", "20000"), "20,000");
        assert_eq!(shown("dates.expires", "2026-12-31T23:00:00Z"), "1 Jan 2027");
        assert_eq!(shown("company", ""), "–");
    }
}
