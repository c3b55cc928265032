//! Links and sessions on an injected clock.
