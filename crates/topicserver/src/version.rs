//! What was built: the version, and the commit that it was built from.

/// The version as `-V` prints it, and programs read it.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The same with the commit, if that is known: `0.1.0 (1a2b3c4d5e6f)`.
pub(crate) const LONG_VERSION: &str = env!("BUILD_VERSION");

/// The commit, or `unknown`.
pub(crate) const COMMIT: &str = env!("BUILD_COMMIT");
