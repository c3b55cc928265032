//! The frame of a page: head, tabs, what everybody must see, who is signed in.

use axum::response::{IntoResponse, Response};
use fluent_bundle::FluentValue;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::{
    assets, form,
    language::{Language, Texts, Zone},
    refusal::Refusal,
    session::Person,
    visitor::{Theme, Visitor},
};

/// A tab.
#[derive(Debug, Clone)]
pub struct Tab {
    /// What it is called.
    pub label: String,
    /// Where it leads.
    pub href: String,
    /// Whether this page is in it.
    pub current: bool,
    /// How many things wait there for somebody; 0 is not shown.
    pub waiting: usize,
}

/// How bad something is that everybody must see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// Good to know.
    Info,
    /// Somebody should act.
    Warning,
    /// Somebody must act.
    Error,
}

impl Tone {
    /// The class that colours it.
    #[must_use]
    pub fn class(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// Something that everybody must see.
#[derive(Debug, Clone)]
pub struct Banner {
    /// How bad it is.
    pub tone: Tone,
    /// What it is.
    pub text: String,
    /// What to do.
    pub next: String,
}

/// What stands around the content of a page.
#[derive(Debug, Clone, Default)]
pub struct Frame {
    /// Title of the page.
    pub title: String,
    /// Which of several services this is: shown beside the name of the product.
    pub place: String,
    /// Tabs.
    pub tabs: Vec<Tab>,
    /// What everybody must see.
    pub banners: Vec<Banner>,
    /// Whether the page is kept up to date while it is open.
    pub live: bool,
}

impl Frame {
    /// The page.
    #[must_use]
    pub fn page(&self, visitor: &Visitor, content: Markup) -> Page {
        let texts = &visitor.texts;
        let product = texts.t(visitor.screen.product);
        let body = html! {
            a class="skip" href="#main" { (texts.t("skip-to-content")) }
            header class="top" {
                a class="brand" href="/" {
                    (icon("mark"))
                    span class="name" { (product) }
                    @if !self.place.is_empty() { span class="place" { (self.place) } }
                }
                div class="tools" {
                    (preferences(visitor))
                    @if let Some(session) = &visitor.session {
                        (person(&session.person))
                        form method="post" action="/sign-out" {
                            (form::token(visitor))
                            button class="quiet" { (icon("leave")) (texts.t("sign-out")) }
                        }
                    }
                }
            }
            @if !self.tabs.is_empty() {
                nav class="tabs" aria-label=(texts.t("tabs")) data-live id="tabs" {
                    ul {
                        @for tab in &self.tabs {
                            li {
                                a href=(tab.href) aria-current=[tab.current.then_some("page")] {
                                    (tab.label)
                                    @if tab.waiting > 0 { span class="count" { (texts.format().number(tab.waiting as u64)) } }
                                }
                            }
                        }
                    }
                }
            }
            div id="banners" data-live role="status" {
                @for banner in &self.banners { (self::banner(banner)) }
            }
            div id="lost" role="status" hidden { (texts.t("connection-lost")) }
            main id="main" tabindex="-1" { (content) }
        };
        let live = (self.live && visitor.session.is_some()).then_some(visitor.page.as_str());
        document(texts, visitor.theme, &format!("{} – {product}", self.title), live, body)
    }
}

/// A page that is ready to be sent.
#[derive(Debug, Clone)]
pub struct Page(Markup);

impl IntoResponse for Page {
    fn into_response(self) -> Response {
        self.0.into_response()
    }
}

/// `live` is the page that is fetched anew when something has changed.
fn document(texts: &Texts, theme: Theme, title: &str, live: Option<&str>, body: Markup) -> Page {
    Page(html! {
        (DOCTYPE)
        html lang=(texts.language().tag()) data-theme=(theme.as_str()) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                link rel="icon" type="image/svg+xml" href=(assets::url("icon.svg"));
                link rel="preload" as="font" type="font/woff2" crossorigin href=(assets::url("inter-latin.woff2"));
                link rel="stylesheet" href=(assets::url("app.css"));
                script src=(assets::url("app.js")) defer {}
            }
            body data-live-from=[live.map(|_| "/live")] data-live-page=[live] { (body) }
        }
    })
}

fn banner(banner: &Banner) -> Markup {
    html! {
        div class={ "banner " (banner.tone.class()) } {
            (icon(banner.tone.class()))
            p { strong { (banner.text) } " " (banner.next) }
        }
    }
}

fn preferences(visitor: &Visitor) -> Markup {
    let texts = &visitor.texts;
    html! {
        details class="menu" {
            summary { (icon("globe")) span { (texts.language().name()) } }
            form method="post" action="/preferences" {
                input type="hidden" name="back" value=(visitor.page);
                fieldset {
                    legend { (texts.t("language")) }
                    @for language in Language::ALL {
                        button name="language" value=(language.tag()) lang=(language.tag())
                            aria-pressed=(language == texts.language()) { (language.name()) }
                    }
                }
                fieldset {
                    legend { (texts.t("colours")) }
                    @for theme in Theme::ALL {
                        button name="theme" value=(theme.as_str()) aria-pressed=(theme == visitor.theme) {
                            (texts.t(&format!("colours-{}", theme.as_str())))
                        }
                    }
                }
            }
        }
    }
}

/// A person, with a portrait of the initials.
#[must_use]
pub fn person(person: &Person) -> Markup {
    named(&person.name)
}

/// Somebody by name, with a portrait of the initials: whoever has none is shown as a machine.
#[must_use]
pub fn named(name: &str) -> Markup {
    let letters = |word: &str| word.chars().find(|letter| letter.is_alphanumeric());
    let shown = name.split('@').next().unwrap_or_default();
    let mut words = shown.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty());
    let first = words.next().and_then(letters);
    let last = words.next_back().and_then(letters);
    let initials: String = first.into_iter().chain(last).flat_map(char::to_uppercase).collect();
    let hue = name.bytes().fold(0_u32, |sum, octet| sum.wrapping_mul(31).wrapping_add(octet.into())) % 8;
    html! {
        span class="person" {
            svg class={ "portrait hue-" (hue) } viewBox="0 0 32 32" aria-hidden="true" {
                circle cx="16" cy="16" r="16" {}
                text x="16" y="21" text-anchor="middle" { (initials) }
            }
            span { (name) }
        }
    }
}

/// A page without tabs: for those who are not signed in, and for what was refused.
fn plain(visitor: &Visitor, title: &str, content: Markup) -> Page {
    let frame = Frame { title: title.to_owned(), ..Frame::default() };
    frame.page(visitor, html! { div class="plain" { (content) } })
}

/// Where somebody signs in.
pub(crate) fn sign_in(visitor: &Visitor) -> Page {
    let texts = &visitor.texts;
    plain(
        visitor,
        &texts.t("sign-in"),
        html! {
            h1 { (texts.t("sign-in")) }
            p { (texts.t("sign-in-local")) }
            pre { code { (visitor.screen.command) } }
            @if visitor.screen.has_provider() {
                p { a class="button" href="/oidc/start" { (texts.t("sign-in-provider")) } }
            }
        },
    )
}

/// What somebody sees for a moment who has just signed in.
pub(crate) fn signed_in(visitor: &Visitor) -> Page {
    let texts = &visitor.texts;
    plain(visitor, &texts.t("signed-in"), html! { p { a href="/" { (texts.t("signed-in")) } } })
}

/// What was refused, why, and what to do.
#[must_use]
pub fn refused(visitor: &Visitor, refusal: &Refusal) -> Page {
    let texts = &visitor.texts;
    let (what, next) = said(texts, refusal);
    plain(
        visitor,
        &texts.t("refused"),
        html! {
            h1 { (texts.t("refused")) }
            div class="banner error" role="alert" {
                (icon("error"))
                p { strong { (what) } " " (next) }
            }
            @if visitor.session.is_some() {
                p { a class="button" href="/" { (texts.t("back-to-start")) } }
            } @else {
                p { a class="button" href="/sign-in" { (texts.t("sign-in")) } }
            }
        },
    )
}

/// What a refusal says: what happened, and what to do.
#[must_use]
pub fn said(texts: &Texts, refusal: &Refusal) -> (String, String) {
    match refusal {
        Refusal::Service(error) => {
            let zone = Zone::utc();
            let message = ("message", FluentValue::from(error.message.as_str()));
            let facts = || {
                let facts = error.metadata.iter();
                let facts = facts.map(|(name, value)| (name.as_str(), texts.fact(value, &zone).into()));
                facts.chain([message.clone()])
            };
            let key = format!("reason-{}", error.reason);
            match texts.find(&key, facts()) {
                Some(what) => (what, texts.find(&format!("{key}-next"), facts()).unwrap_or_default()),
                None => (texts.t(refusal.key()), texts.with(&format!("{}-next", refusal.key()), [message])),
            }
        }
        refusal => (texts.t(refusal.key()), texts.t(&format!("{}-next", refusal.key()))),
    }
}

/// An icon.
#[must_use]
pub fn icon(name: &str) -> Markup {
    let path = match name {
        "mark" => {
            "M12 2 4 5v6c0 5 3.4 9.3 8 11 4.6-1.7 8-6 8-11V5zm-1.2 14-4-4 1.5-1.5 2.5 2.5 5-5L17.3 9.5z"
        }
        "leave" => "M10 4H4v16h6v-2H6V6h4zm5.5 3.5L14 9l2 2H9v2h7l-2 2 1.5 1.5L20 12z",
        "globe" => {
            "M12 2a10 10 0 1 0 0 20 10 10 0 0 0 0-20zm6.9 6h-3a15 15 0 0 0-1.3-3.5A8 8 0 0 1 18.9 8zM12 4c.8 1.1 1.5 2.5 1.9 4h-3.8c.4-1.5 1.1-2.9 1.9-4zM4.3 14a8 8 0 0 1 0-4h3.4a16 16 0 0 0 0 4zm.8 2h3c.3 1.3.7 2.5 1.3 3.5A8 8 0 0 1 5.1 16zm3-8h-3a8 8 0 0 1 4.3-3.5C8.8 5.5 8.4 6.7 8.1 8zM12 20c-.8-1.1-1.5-2.5-1.9-4h3.8c-.4 1.5-1.1 2.9-1.9 4zm2.3-6H9.7a14 14 0 0 1 0-4h4.6a14 14 0 0 1 0 4zm.3 5.5c.6-1 1-2.2 1.3-3.5h3a8 8 0 0 1-4.3 3.5zM16.3 14a16 16 0 0 0 0-4h3.4a8 8 0 0 1 0 4z"
        }
        "warning" => "M12 3 1.5 21h21zm-1 7h2v5h-2zm0 6.5h2v2h-2z",
        "error" => "M8 2h8l6 6v8l-6 6H8l-6-6V8zm3 5v6h2V7zm0 8v2h2v-2z",
        "ok" => "M12 2a10 10 0 1 0 0 20 10 10 0 0 0 0-20zm-1.2 14-4-4 1.4-1.4 2.6 2.6 5-5L17.2 9.6z",
        _ => "M12 2a10 10 0 1 0 0 20 10 10 0 0 0 0-20zm-1 5h2v2h-2zm0 4h2v6h-2z",
    };
    html! { svg class={ "icon " (name) } viewBox="0 0 24 24" aria-hidden="true" { path d=(PreEscaped(path)) {} } }
}
