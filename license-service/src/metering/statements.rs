//! What is read of usage: months, and statements.

use licensor::{
    clock::unix_seconds,
    error::{Error, Reason, Result},
    page::{page_start, page_token},
};
use prost::Message;
use proto::licensing::v1::{Statement, VendorUsage};

use super::{
    Metering,
    month::Month,
    statement::{draw_up, usage},
    terms::{Book, Books},
};

impl Metering {
    /// What has been used in a month (the current one of each vendor if there is none), of one vendor or of all.
    ///
    /// # Errors
    /// `SERVICE_UNKNOWN` if nothing of the vendor is metered; `STORE_UNAVAILABLE`.
    pub(crate) async fn usage(&self, month: Option<Month>, vendor: &str) -> Result<Vec<VendorUsage>> {
        let books = self.books.borrow().clone();
        if !vendor.is_empty() && !books.contains_key(vendor) {
            let message = format!(
                "nothing of `{vendor}` is metered here: `license-service entitlement show` says what is"
            );
            return Err(Error::new(Reason::ServiceUnknown, message).with("vendor", vendor));
        }
        let mut usages = Vec::new();
        for (name, book) in books.iter().filter(|(name, _)| vendor.is_empty() || *name == vendor) {
            let Some(month) = month.or_else(|| self.current_month(book)) else { continue };
            let lines = usage(&self.ledger, name, book, month).await?;
            let terms = book.zone().and_then(|zone| book.terms_before(zone.start(month.next())));
            usages.push(VendorUsage {
                vendor: name.clone(),
                owner: terms.map(|terms| terms.claims.sub.clone()).unwrap_or_default(),
                month: month.to_string(),
                time_zone: terms.map(|terms| terms.claims.entitlement.time_zone.clone()).unwrap_or_default(),
                lines,
            });
        }
        Ok(usages)
    }

    /// At most `limit` statements from the page of `token` on, by vendor and month, and the token to go on with.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` for a token that was not given out; `STORE_UNAVAILABLE`.
    pub(crate) async fn statements(
        &self,
        vendor: &str,
        token: &str,
        limit: usize,
    ) -> Result<(Vec<Statement>, String)> {
        let start = page_start(token)?;
        let books = self.books.borrow().clone();
        let mut statements = Vec::new();
        for (name, month) in self.months(&books, vendor) {
            let key = [name.as_bytes(), &[0], &month.0.to_be_bytes()].concat();
            if key < start {
                continue;
            }
            if statements.len() == limit {
                return Ok((statements, page_token(&key)));
            }
            if let Some(book) = books.get(name) {
                statements.push(self.read(name, book, month).await?);
            }
        }
        Ok((statements, String::new()))
    }

    /// One statement; the vendor may be empty if there is one alone.
    ///
    /// # Errors
    /// `STATEMENT_UNKNOWN`, `INVALID_ARGUMENT` if a vendor must be named, or `STORE_UNAVAILABLE`.
    pub(crate) async fn statement(&self, vendor: &str, month: Month) -> Result<Statement> {
        let books = self.books.borrow().clone();
        let name = match (vendor, books.len()) {
            ("", 2..) => {
                let names: Vec<_> = books.keys().map(String::as_str).collect();
                let message = format!("say of which vendor: {}", names.join(", "));
                return Err(Error::new(Reason::InvalidArgument, message));
            }
            ("", _) => books.keys().next().map_or("", String::as_str),
            (vendor, _) => vendor,
        };
        let known = self.months(&books, name).any(|(_, known)| known == month);
        match books.get(name).filter(|_| known) {
            Some(book) => self.read(name, book, month).await,
            None => {
                let whose = if name.is_empty() { String::new() } else { format!(" of {name}") };
                let message = format!("there is no statement{whose} for {month}: see ListStatements");
                Err(Error::new(Reason::StatementUnknown, message).with("month", month.to_string()))
            }
        }
    }

    /// Every statement there is: vendor and month, in this order.
    fn months<'a>(&self, books: &'a Books, vendor: &str) -> impl Iterator<Item = (&'a str, Month)> {
        let chosen = books.iter().filter(move |(name, _)| vendor.is_empty() || *name == vendor);
        chosen.flat_map(|(name, book)| {
            let last =
                self.current_month(book).map_or(book.record.open, |current| current.0.max(book.record.open));
            // The clock may have been set back behind the first month.
            (book.record.first..=last).map(|month| (name.as_str(), Month(month)))
        })
    }

    fn current_month(&self, book: &Book) -> Option<Month> {
        book.zone().map(|zone| zone.month(unix_seconds(self.clock.now())))
    }

    /// A statement as it was kept, or as it would be now.
    async fn read(&self, vendor: &str, book: &Book, month: Month) -> Result<Statement> {
        if let Some(kept) = self.ledger.statement(vendor, month.0).await? {
            return Statement::decode(&*kept).map_err(|error| Error::internal("a statement", error));
        }
        Ok(draw_up(&self.ledger, vendor, book, month).await?)
    }
}
