//! Addresses with a query.

/// Pairs as a query (application/x-www-form-urlencoded): `a=1&b=2`.
#[must_use]
pub fn query<'a>(pairs: impl IntoIterator<Item = &'a (&'a str, &'a str)>) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs.into_iter().copied()).finish()
}
