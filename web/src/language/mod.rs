//! The languages of the screen: messages in Fluent files, and the form of dates and numbers.

mod format;
mod negotiate;
#[cfg(test)]
mod tests;

use std::{borrow::Cow, collections::BTreeMap, fmt, sync::Arc};

use fluent_bundle::{FluentArgs, FluentResource, FluentValue, concurrent::FluentBundle};
use licensor::event::{Event, EventKind};
use unic_langid::LanguageIdentifier;

pub use format::{Format, Zone};

/// A language of the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Language {
    /// English.
    En,
    /// Dutch.
    Nl,
    /// Swedish.
    Sv,
}

impl Language {
    /// Every language.
    pub const ALL: [Self; 3] = [Self::En, Self::Nl, Self::Sv];

    /// Its tag (BCP 47).
    #[must_use]
    pub fn tag(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::Nl => "nl",
            Self::Sv => "sv",
        }
    }

    /// Its own name for itself.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::En => "English",
            Self::Nl => "Nederlands",
            Self::Sv => "Svenska",
        }
    }

    /// The language with this tag.
    #[must_use]
    pub fn from_tag(tag: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|language| language.tag() == tag)
    }

    /// The one that a browser prefers (`Accept-Language`, RFC 9110 §12.5.4); English if none of ours.
    #[must_use]
    pub fn preferred(accept: &str) -> Self {
        negotiate::preferred(accept).unwrap_or(Self::En)
    }

    /// The locale whose forms of dates and numbers it has.
    fn locale(self) -> &'static str {
        match self {
            Self::En => "en-GB",
            Self::Nl => "nl-NL",
            Self::Sv => "sv-SE",
        }
    }
}

/// The Fluent files of one language.
pub type Files = &'static [&'static str];

/// Everything that is said in every language.
pub struct Languages {
    texts: [Arc<Spoken>; 3],
}

struct Spoken {
    language: Language,
    bundle: FluentBundle<FluentResource>,
    format: Format,
}

impl fmt::Debug for Languages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Languages").finish_non_exhaustive()
    }
}

/// What is said on every screen: the frame, signing in, events.
pub(crate) fn common(language: Language) -> Files {
    match language {
        Language::En => {
            &[include_str!("../../locales/en/common.ftl"), include_str!("../../locales/en/events.ftl")]
        }
        Language::Nl => {
            &[include_str!("../../locales/nl/common.ftl"), include_str!("../../locales/nl/events.ftl")]
        }
        Language::Sv => {
            &[include_str!("../../locales/sv/common.ftl"), include_str!("../../locales/sv/events.ftl")]
        }
    }
}

impl Languages {
    /// The common texts, and those that `own` names for each language.
    ///
    /// # Errors
    /// What is wrong with a file.
    pub fn load(own: impl Fn(Language) -> Files) -> anyhow::Result<Self> {
        let load = |language: Language| -> anyhow::Result<Arc<Spoken>> {
            let tag: LanguageIdentifier = language.locale().parse()?;
            let mut bundle = FluentBundle::new_concurrent(vec![tag]);
            // Arguments are escaped where they are shown; marks of direction would get into what is copied.
            bundle.set_use_isolating(false);
            for file in common(language).iter().chain(own(language)) {
                let resource = FluentResource::try_new((*file).to_owned())
                    .map_err(|(_, errors)| anyhow::anyhow!("{}: {errors:?}", language.tag()))?;
                bundle
                    .add_resource(resource)
                    .map_err(|errors| anyhow::anyhow!("{}: {errors:?}", language.tag()))?;
            }
            Ok(Arc::new(Spoken { language, bundle, format: Format::new(language.locale())? }))
        };
        let [en, nl, sv] = Language::ALL.map(load);
        Ok(Self { texts: [en?, nl?, sv?] })
    }

    /// What is said in one language.
    #[must_use]
    pub fn texts(&self, language: Language) -> Texts {
        Texts(Arc::clone(&self.texts[language as usize]))
    }
}

/// What is said in one language.
#[derive(Clone)]
pub struct Texts(Arc<Spoken>);

impl fmt::Debug for Texts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Texts").field(&self.0.language).finish()
    }
}

/// An argument of a message.
pub type Argument<'a> = (&'a str, FluentValue<'a>);

impl Texts {
    /// The language.
    #[must_use]
    pub fn language(&self) -> Language {
        self.0.language
    }

    /// The form of dates and numbers.
    #[must_use]
    pub fn format(&self) -> &Format {
        &self.0.format
    }

    /// A message without arguments.
    #[must_use]
    pub fn t(&self, key: &str) -> String {
        self.with(key, [])
    }

    /// A message with its arguments.
    #[must_use]
    pub fn with<'a>(&self, key: &str, arguments: impl IntoIterator<Item = Argument<'a>>) -> String {
        self.find(key, arguments).unwrap_or_else(|| key.to_owned())
    }

    /// A message that there may be.
    #[must_use]
    pub fn find<'a>(&self, key: &str, arguments: impl IntoIterator<Item = Argument<'a>>) -> Option<String> {
        let pattern = self.0.bundle.get_message(key)?.value()?;
        let arguments: FluentArgs<'_> =
            arguments.into_iter().map(|(name, value)| (Cow::Borrowed(name), value)).collect();
        let mut errors = Vec::new();
        Some(self.0.bundle.format_pattern(pattern, Some(&arguments), &mut errors).into_owned())
    }

    /// What an event says, with times as they are in `zone`.
    #[must_use]
    pub fn event(&self, event: &Event, zone: &Zone) -> String {
        let shown = |(name, value): (&String, &String)| {
            // What people have written stays as it is.
            let value = if name == "description" { value.clone() } else { self.fact(value, zone) };
            (name.clone(), value)
        };
        let arguments: BTreeMap<String, String> = event.arguments.iter().map(shown).collect();
        let values = arguments.iter().map(|(name, value)| (name.as_str(), value.as_str().into()));
        self.find(event.kind.name(), values).unwrap_or_else(|| event.kind.message(&arguments))
    }

    /// A fact as people read it: a time that is written as programs read it (RFC 3339) has the form of the language.
    #[must_use]
    pub fn fact(&self, value: &str, zone: &Zone) -> String {
        match value.parse() {
            Ok(time) => self.0.format.time(time, zone),
            Err(_) => value.to_owned(),
        }
    }

    /// What a kind of event is called.
    #[must_use]
    pub fn event_name(&self, kind: EventKind) -> String {
        self.find(&format!("{}-name", kind.name()), []).unwrap_or_else(|| kind.name().to_owned())
    }
}
