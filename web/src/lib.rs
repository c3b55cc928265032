//! What the screens of both services share: who is signed in, languages, the frame of a page, live updates.
//!
//! Pages are rendered on the server and complete without a script. Nothing is loaded from elsewhere.

pub mod assets;
mod certificate;
pub mod chart;
#[cfg(any(test, feature = "check"))]
pub mod check;
pub mod config;
pub mod form;
pub mod guard;
pub mod language;
pub mod layout;
pub mod live;
pub mod oidc;
pub mod refusal;
pub mod screen;
pub mod serve;
pub mod session;
#[cfg(test)]
mod test_screen;
pub mod url;
pub mod visitor;
