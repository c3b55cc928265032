//! The fleet on an injected clock.
