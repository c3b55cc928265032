//! The update: what a newer entitlement changes, what stands in its way, and how it comes into force.

use std::sync::Arc;

use axum::{
    extract::{DefaultBodyLimit, FromRequest, FromRequestParts, Multipart, Request, State},
    response::{IntoResponse, Response},
};
use licensor::error::{Error, Reason};
use licensor_web::{
    form::{self, Change},
    language::{Texts, Zone},
    layout::{Banner, Tone, icon, named, said},
    refusal::Refusal,
    session::Person,
    visitor::{Administrator, Asked, Viewer, Visitor},
};
use maud::{Markup, html};
use serde::Deserialize;

use super::{Here, In, Shown, Site, note, then};
use crate::{
    entitlement::Change as Difference,
    licensing::{Superfluous, Wanted},
    updates::Preview,
};

/// Octets of a file with an entitlement at most.
const LARGEST: usize = 2 << 20;
/// Octets that are read and thrown away of what is larger, so that a browser hears the answer.
const THROWN_AWAY: usize = 128 << 20;

/// Changes on a page.
const PAGE: usize = 200;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Shift {
    /// Of whose entitlement later changes are shown.
    vendor: String,
    /// How many are passed over.
    skip: usize,
}

pub(super) async fn page(
    State(site): Here,
    Viewer(visitor): Viewer,
    Asked(shift): Asked<Shift>,
) -> Shown<Response> {
    show(&site, &visitor, &shift, None).await
}

/// The page, with what has just happened above it.
async fn show(site: &Site, visitor: &Visitor, shift: &Shift, happened: Option<Banner>) -> Shown<Response> {
    let texts = &visitor.texts;
    let frame = site.frame(visitor, In::Update, texts.t("tab-update")).await?;
    let enrolled = site.credential().is_some();
    let previews = if enrolled { site.updates.previews().await? } else { Vec::new() };
    let content = html! {
        h1 { (texts.t("tab-update")) }
        @if let Some(happened) = &happened {
            div class={ "banner " (happened.tone.class()) } role="alert" {
                (icon(happened.tone.class())) p { strong { (happened.text) } " " (happened.next) }
            }
        }
        div id="previews" data-live {
            @if previews.is_empty() { section class="sheet" { p { (texts.t("up-to-date")) } } }
            @for preview in &previews {
                @let skip = if shift.vendor == preview.vendor { shift.skip } else { 0 };
                (self::preview(visitor, preview, skip))
            }
        }
        @if visitor.is_administrator() && enrolled {
            div class="sides even" {
                section class="sheet" {
                    h2 { (texts.t("ask-root")) }
                    p class="soft" { (texts.t("ask-root-note")) " " (texts.t(if site.activates { "by-itself" } else { "by-your-word" })) }
                    form method="post" action="/update/check" { (form::token(visitor)) button { (texts.t("check-now")) } }
                }
                section class="sheet" {
                    h2 { (texts.t("load-file")) }
                    p class="soft" { (texts.t("load-file-note")) }
                    form class="drop" method="post" action="/update/import" enctype="multipart/form-data" data-drop {
                        (form::token(visitor))
                        label { span { (texts.t("file")) } input type="file" name="file" required; }
                        button { (texts.t("load")) }
                    }
                }
            }
        }
    };
    Ok(frame.page(visitor, content).into_response())
}

fn preview(visitor: &Visitor, preview: &Preview, skip: usize) -> Markup {
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

#[derive(Debug, Deserialize)]
pub(super) struct Nothing {}

pub(super) async fn check(State(site): Here, change: Change<Nothing>) -> Shown<Response> {
    note(&site, &change.person, "CheckEntitlement", "").await?;
    let found = site.updates.check().await;
    let happened = match found {
        Ok(previews) if previews.is_empty() => told(&change.visitor.texts, "nothing-newer"),
        Ok(_) => return Ok(then("/update")),
        Err(error) => refused(&change.visitor.texts, error.into()),
    };
    show(&site, &change.visitor, &Shift::default(), Some(happened)).await
}

pub(super) async fn import(State(site): Here, request: Request) -> Shown<Response> {
    let upload = Upload::read(request).await?;
    let Upload { visitor, person, file, name } = upload;
    let happened = match file {
        None => refused(&visitor.texts, Refusal::TooLarge),
        Some(file) => {
            note(&site, &person, "ImportEntitlement", &name).await?;
            match std::str::from_utf8(&file).map(|text| text.trim().to_owned()) {
                Ok(text) if !text.is_empty() => match site.updates.import(&text).await {
                    Ok(preview) if preview.version > preview.installed_version => return Ok(then("/update")),
                    Ok(_) => told(&visitor.texts, "nothing-newer"),
                    Err(error) => refused(&visitor.texts, error.into()),
                },
                _ => refused(
                    &visitor.texts,
                    Error::new(Reason::EntitlementInvalid, "this is no entitlement").into(),
                ),
            }
        }
    };
    show(&site, &visitor, &Shift::default(), Some(happened)).await
}

/// A file that an administrator has sent.
struct Upload {
    visitor: Arc<Visitor>,
    person: Person,
    /// `None` if it is too large.
    file: Option<Vec<u8>>,
    name: String,
}

impl Upload {
    async fn read(request: Request) -> Shown<Self> {
        let (mut parts, body) = request.into_parts();
        let Administrator { visitor, person } = Administrator::from_request_parts(&mut parts, &()).await?;
        form::check_site(&visitor.screen, &parts.headers)?;
        let mut request = Request::from_parts(parts, body);
        DefaultBodyLimit::max(THROWN_AWAY).apply(&mut request);
        let incomplete = |_| Refusal::FormInvalid("refused-form-invalid");
        let mut form = Multipart::from_request(request, &()).await.map_err(|_| Refusal::FormForged)?;
        let (mut token, mut file, mut name, mut length) = (String::new(), Vec::new(), String::new(), 0);
        while let Some(mut field) = form.next_field().await.map_err(|_| Refusal::TooLarge)? {
            if field.name() == Some(form::TOKEN) {
                while let Some(chunk) = field.chunk().await.map_err(incomplete)? {
                    token.push_str(std::str::from_utf8(&chunk).map_err(|_| Refusal::FormForged)?);
                    if token.len() > 1024 {
                        return Err(Refusal::FormForged);
                    }
                }
                continue;
            }
            if length > 0 {
                return Err(Refusal::FormInvalid("refused-form-invalid"));
            }
            name =
                field.file_name().unwrap_or_default().chars().filter(|c| !c.is_control()).take(200).collect();
            // A stranger's file is not read to its end.
            let session = visitor.session.as_ref().ok_or(Refusal::SignInFirst)?;
            form::check(session, &token)?;
            while let Some(chunk) = field.chunk().await.map_err(|_| Refusal::TooLarge)? {
                length += chunk.len();
                if length <= LARGEST {
                    file.extend_from_slice(&chunk);
                }
            }
        }
        let session = visitor.session.as_ref().ok_or(Refusal::SignInFirst)?;
        form::check(session, &token)?;
        let file = (length <= LARGEST).then_some(file);
        Ok(Self { visitor, person, file, name })
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Activated {
    vendor: String,
    version: u64,
    #[serde(default)]
    remove: String,
}

pub(super) async fn activate(State(site): Here, change: Change<Activated>) -> Shown<Response> {
    let Activated { vendor, version, remove } = change.fields;
    note(&site, &change.person, "ActivateEntitlement", &vendor).await?;
    // What comes into force is what the page showed.
    match site.updates.activate(&vendor, Some(version), remove == "yes", &change.person.name).await {
        Ok(_) => Ok(then(&super::licences::href(&vendor))),
        Err(error) if error.reason == Reason::EntitlementUnknown => {
            show(
                &site,
                &change.visitor,
                &Shift::default(),
                Some(told(&change.visitor.texts, "changed-meanwhile")),
            )
            .await
        }
        Err(error) => {
            show(
                &site,
                &change.visitor,
                &Shift::default(),
                Some(refused(&change.visitor.texts, error.into())),
            )
            .await
        }
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Unassigned {
    vendor: String,
    module: String,
    user: String,
}

pub(super) async fn unassign(State(site): Here, change: Change<Unassigned>) -> Shown<Response> {
    let Unassigned { vendor, module, user } = change.fields;
    note(&site, &change.person, "UnassignLicense", &format!("{vendor}, {module}, {user}")).await?;
    let wanted = Wanted { vendor, module, user, ..Wanted::default() };
    site.licensing.unassign(wanted, &change.person.name).await?;
    Ok(then("/update"))
}

fn told(texts: &Texts, key: &str) -> Banner {
    Banner { tone: Tone::Info, text: texts.t(key), next: texts.t(&format!("{key}-next")) }
}

fn refused(texts: &Texts, refusal: Refusal) -> Banner {
    let (text, next) = said(texts, &refusal);
    Banner { tone: Tone::Error, text, next }
}

#[cfg(test)]
mod tests {
    use licensor_web::language::{Language, Languages};

    use super::*;

    #[test]
    fn what_people_have_written_stays_as_it_is() {
        let languages = Languages::load(super::super::texts).unwrap();
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
