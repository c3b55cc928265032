//! What there is, what is in use, and who uses it.

use std::sync::Arc;

use licensor::{
    clock::unix_seconds,
    error::Result,
    page::{page_start, page_token},
};
use verifier::entitlement::Module;

use super::{Licensing, MARGIN, book::tag};
use crate::{
    entitlement::Installed,
    ledger::{SeatPlace, SeatRecord},
};

/// A module with its seats.
#[derive(Debug, Clone)]
pub(crate) struct ModuleCounts {
    pub(crate) installed: Arc<Installed>,
    /// Its place in the entitlement.
    pub(crate) at: usize,
    pub(crate) in_use: u32,
    pub(crate) borrowed: u32,
}

impl ModuleCounts {
    pub(crate) fn module(&self) -> &Module {
        &self.installed.claims.entitlement.modules[self.at]
    }

    pub(crate) fn available(&self) -> u32 {
        self.module().quantity.saturating_sub(self.in_use)
    }
}

/// A seat that somebody has.
#[derive(Debug, Clone)]
pub(crate) struct SeatInUse {
    pub(crate) place: SeatPlace,
    pub(crate) record: SeatRecord,
}

impl Licensing {
    /// Every module of a vendor, or of all if `vendor` is empty, by vendor and name. All counts are of one instant.
    pub(crate) fn modules(&self, vendor: &str) -> Vec<ModuleCounts> {
        let now = unix_seconds(self.clock.now());
        let entitlements = self.entitlements.borrow().clone();
        let mut books = self.books();
        let mut modules = Vec::new();
        for installed in entitlements.iter() {
            if !vendor.is_empty() && installed.vendor() != vendor {
                continue;
            }
            for (at, module) in installed.claims.entitlement.modules.iter().enumerate() {
                let book = books.get_mut(&tag(installed.vendor(), &module.name));
                let (in_use, borrowed) = book.map_or((0, 0), |book| book.seats.counts(now));
                modules.push(ModuleCounts { installed: Arc::clone(installed), at, in_use, borrowed });
            }
        }
        modules.sort_by(|a, b| {
            (a.installed.vendor(), &a.module().name).cmp(&(b.installed.vendor(), &b.module().name))
        });
        modules
    }

    /// A page of the seats that are in use, and the token of the next page. A page may have fewer than `limit`.
    pub(crate) async fn seats(
        &self,
        vendor: &str,
        module: &str,
        assigned_only: bool,
        token: &str,
        limit: usize,
    ) -> Result<(Vec<SeatInUse>, String)> {
        let now = unix_seconds(self.clock.now());
        let (page, next) = self.ledger.seats(vendor, module, &page_start(token)?, limit).await?;
        let seats = page
            .into_iter()
            .filter(|(place, _)| module.is_empty() || place.module == module)
            .filter(|(_, record)| {
                record.assigned || !assigned_only && now < record.until.saturating_add(MARGIN)
            })
            .map(|(place, record)| SeatInUse { place, record });
        Ok((seats.collect(), if next.is_empty() { String::new() } else { page_token(&next) }))
    }
}
