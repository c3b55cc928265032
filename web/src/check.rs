//! Checks of texts, for the tests of this crate and of the services: every language says everything, and what is said in
//! the source is in the files.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::Path,
};

use fluent_syntax::{
    ast::{CallArguments, Entry, Expression, InlineExpression, Pattern, PatternElement},
    parser::parse,
};

use crate::language::{Files, Language};

/// The variables of each message.
pub type Messages = BTreeMap<String, BTreeSet<String>>;

/// The messages of one language's files.
///
/// # Panics
/// If a file is no Fluent, or a message stands twice.
#[must_use]
pub fn messages(files: Files) -> Messages {
    let mut found = Messages::new();
    for file in files {
        let resource = match parse(*file) {
            Ok(resource) => resource,
            Err((_, errors)) => panic!("{errors:?}"),
        };
        for entry in resource.body {
            let Entry::Message(message) = entry else { continue };
            let mut variables = BTreeSet::new();
            if let Some(pattern) = &message.value {
                of_pattern(pattern, &mut variables);
            }
            let key = message.id.name.to_owned();
            assert!(found.insert(key.clone(), variables).is_none(), "{key} stands twice");
        }
    }
    found
}

/// That the files of every language have the same messages with the same variables.
///
/// # Panics
/// If they have not: it says in which language what is missing.
pub fn same_in_every_language(own: impl Fn(Language) -> Files) {
    let english = messages(own(Language::En));
    let mut wrong = Vec::new();
    for language in Language::ALL {
        let said = messages(own(language));
        for (key, variables) in &english {
            match said.get(key) {
                None => wrong.push(format!("{key} is missing")),
                Some(others) if others != variables => {
                    wrong.push(format!("{key} has {others:?}, in English {variables:?}"));
                }
                Some(_) => {}
            }
        }
        wrong
            .extend(said.keys().filter(|key| !english.contains_key(*key)).map(|key| format!("{key} is new")));
        assert!(wrong.is_empty(), "{}: {wrong:#?}", language.tag());
    }
}

/// That there are messages with these keys, among the common ones or those of `own`, in every language.
///
/// # Panics
/// If there are not.
pub fn all_exist<'a>(keys: impl IntoIterator<Item = &'a str> + Clone, own: impl Fn(Language) -> Files) {
    for language in Language::ALL {
        let mut said = messages(crate::language::common(language));
        said.extend(messages(own(language)));
        let missing: Vec<&str> = keys.clone().into_iter().filter(|key| !said.contains_key(*key)).collect();
        assert!(missing.is_empty(), "{}: missing {missing:#?}", language.tag());
    }
}

/// The keys that the sources below a directory name as literals: `.t("…")` and `.with("…", …)`.
///
/// # Errors
/// What cannot be read.
pub fn keys_used(sources: &Path) -> io::Result<BTreeSet<String>> {
    let mut keys = BTreeSet::new();
    for text in texts(sources)? {
        for call in [".t(", ".with("] {
            let arguments = text.split(call).skip(1).map(str::trim_start);
            let literals = arguments.filter_map(|rest| rest.strip_prefix('"')?.split('"').next());
            keys.extend(literals.filter(|key| is_key(key)).map(str::to_owned));
        }
    }
    Ok(keys)
}

/// The keys of what is refused that the sources below a directory name as literals, `"refused-…"`, each with the one that
/// says what to do.
///
/// # Errors
/// What cannot be read.
pub fn refusals_used(sources: &Path) -> io::Result<BTreeSet<String>> {
    let mut keys = BTreeSet::new();
    for text in texts(sources)? {
        let literals = text.split("\"refused-").skip(1).filter_map(|rest| rest.split('"').next());
        for key in literals.map(|rest| format!("refused-{rest}")).filter(|key| is_key(key)) {
            keys.insert(format!("{key}-next"));
            keys.insert(key);
        }
    }
    Ok(keys)
}

/// Every source below a directory but tests.
fn texts(directory: &Path) -> io::Result<Vec<String>> {
    let mut texts = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            texts.extend(self::texts(&path)?);
        } else if path.extension().is_some_and(|end| end == "rs") && !path.ends_with("tests.rs") {
            texts.push(fs::read_to_string(path)?);
        }
    }
    Ok(texts)
}

fn is_key(text: &str) -> bool {
    text.starts_with(|letter: char| letter.is_ascii_alphabetic())
        && text.ends_with(|letter: char| letter.is_ascii_alphanumeric())
        && text.chars().all(|letter| letter.is_ascii_alphanumeric() || "-_".contains(letter))
}

fn of_pattern(pattern: &Pattern<&str>, variables: &mut BTreeSet<String>) {
    for element in &pattern.elements {
        if let PatternElement::Placeable { expression } = element {
            of_expression(expression, variables);
        }
    }
}

fn of_expression(expression: &Expression<&str>, variables: &mut BTreeSet<String>) {
    match expression {
        Expression::Inline(inline) => of_inline(inline, variables),
        Expression::Select { selector, variants } => {
            of_inline(selector, variables);
            for variant in variants {
                of_pattern(&variant.value, variables);
            }
        }
    }
}

fn of_inline(expression: &InlineExpression<&str>, variables: &mut BTreeSet<String>) {
    let mut of_arguments = |arguments: &CallArguments<&str>| {
        arguments.positional.iter().for_each(|argument| of_inline(argument, variables));
    };
    match expression {
        InlineExpression::FunctionReference { arguments, .. } => of_arguments(arguments),
        InlineExpression::TermReference { arguments: Some(arguments), .. } => of_arguments(arguments),
        InlineExpression::VariableReference { id } => {
            variables.insert(id.name.to_owned());
        }
        InlineExpression::Placeable { expression } => of_expression(expression, variables),
        _ => {}
    }
}
