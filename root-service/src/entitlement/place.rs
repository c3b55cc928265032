//! Where something stands in a document.

use std::{borrow::Cow, collections::BTreeMap};

use serde_json::value::RawValue;
use toml::de::{DeTable, DeValue};

/// The form of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Toml,
    Json,
}

/// One step on the way to a field.
#[derive(Debug, Clone, Copy)]
pub(super) enum Step {
    /// The member of a table.
    Key(&'static str),
    /// The element of an array, from 0.
    Index(usize),
}

/// The way to a field.
pub(super) type Path = Vec<Step>;

impl Form {
    /// The form of this text.
    pub(super) fn of(text: &str) -> Self {
        if text.trim_start().starts_with('{') { Self::Json } else { Self::Toml }
    }

    /// The line (from 1) in which the field begins; that of what it is in, as far as that is there.
    pub(super) fn line_of(self, text: &str, path: &[Step]) -> usize {
        let offset = match self {
            Self::Toml => in_toml(text, path),
            Self::Json => in_json(text, path),
        };
        line_at(text, offset)
    }
}

/// The line (from 1) of an octet.
pub(super) fn line_at(text: &str, offset: usize) -> usize {
    let before = &text.as_bytes()[..offset.min(text.len())];
    before.iter().filter(|octet| **octet == b'\n').count() + 1
}

fn in_toml(text: &str, path: &[Step]) -> usize {
    let Ok(table) = DeTable::parse(text) else { return 0 };
    let mut offset = 0;
    let mut here: Option<&DeValue<'_>> = None;
    for step in path {
        let next = match (step, here) {
            (Step::Key(key), None) => table.get_ref().get(*key),
            (Step::Key(key), Some(DeValue::Table(table))) => table.get(*key),
            (Step::Index(index), Some(DeValue::Array(array))) => array.get(*index),
            _ => None,
        };
        let Some(next) = next else { break };
        offset = next.span().start;
        here = Some(next.get_ref());
    }
    offset
}

fn in_json(text: &str, path: &[Step]) -> usize {
    let Ok(mut here) = serde_json::from_str::<&RawValue>(text) else { return 0 };
    for step in path {
        let next = match step {
            Step::Key(key) => serde_json::from_str::<BTreeMap<Cow<'_, str>, &RawValue>>(here.get())
                .ok()
                .and_then(|members| members.get(*key).copied()),
            Step::Index(index) => serde_json::from_str::<Vec<&RawValue>>(here.get())
                .ok()
                .and_then(|elements| elements.get(*index).copied()),
        };
        let Some(next) = next else { break };
        here = next;
    }
    // A raw value is a part of the text.
    (here.get().as_ptr() as usize).saturating_sub(text.as_ptr() as usize)
}
