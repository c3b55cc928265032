//! The fleet: all nodes at once, as a page shows them. Nobody needs it to issue or to renew, so it costs nothing while nobody
//! looks.

mod counts;
mod index;
mod selection;
#[cfg(test)]
mod tests;
mod watch;
mod words;

pub(crate) use counts::{Bucket, Counts, Renewal, Rules, State};
pub(crate) use index::{Facts, Index, Standing};
pub(crate) use selection::{Selected, Selection};
pub(crate) use watch::{FleetWatch, View};
