//! The values that `main.rs` has read from the environment. Nothing else reads it.

use std::path::PathBuf;

/// The values from the process's environment.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// The person's login name.
    pub login: Option<String>,
    /// `NO_COLOR` is set.
    pub no_color: bool,
    /// The kind of the terminal.
    pub term: Option<String>,
    /// The terminal is one of those built on VTE, such as GNOME's.
    pub is_vte: bool,
    /// The folder in which programs keep state from run to run.
    pub state: Option<PathBuf>,
    /// The folder in which programs look for their configuration.
    pub config: Option<PathBuf>,
}
