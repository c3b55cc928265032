//! Links that sign the local administrator in.

use licensor::error::{Error, Reason, Result};
use licensor_web::screen::Screen;

/// A link for the local administrator `uid`, and when it expires (seconds since 1970).
///
/// # Errors
/// `SCREEN_DISABLED` if there is no screen, and what the store says.
pub(crate) async fn link(screen: Option<&Screen>, uid: u32) -> Result<(String, i64)> {
    let screen = screen.ok_or_else(|| {
        let message =
            "this service has no screen: set `web.listen`, without `web.enabled = false`, and restart it";
        Error::new(Reason::ScreenDisabled, message)
    })?;
    let (secret, expires_at) = screen.sessions.link(uid).await?;
    Ok((screen.link(&secret), expires_at))
}
