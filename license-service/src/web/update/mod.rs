//! The update: what a newer entitlement changes, what stands in its way, and how it comes into force.

mod preview;
mod upload;

use axum::{
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use licensor::error::{Error, Reason};
use licensor_web::{
    form::{self, Change},
    language::Texts,
    layout::{Banner, Tone, icon, said},
    refusal::Refusal,
    visitor::{Asked, Viewer, Visitor},
};
use maud::html;
use serde::Deserialize;

use self::{preview::preview, upload::Upload};
use super::{Here, In, Shown, Site, note, then};
use crate::licensing::Wanted;

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
