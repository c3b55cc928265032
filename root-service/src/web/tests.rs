//! The pages in every language.
