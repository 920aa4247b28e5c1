//! Who is served.

use std::path::PathBuf;

use clap::Args;

use super::Config;

// No doc comment: clap would show it as the program's description.
#[derive(Clone, Debug, Args)]
pub(super) struct AccessOptions {
    /// Ask who clients are, and let them do what this file allows: a TOML file with users, tokens
    /// and rules. Changes take effect within a second. Without it, everybody in the server's own
    /// network may do everything
    #[arg(long, value_name = "FILE")]
    auth: Option<PathBuf>,

    /// Let everybody do everything, also from outside of the server's own network
    #[arg(long, conflicts_with = "auth")]
    open_to_all: bool,

    /// Append a line of JSON to this file for each login, refusal and change of --auth
    #[arg(long, value_name = "FILE")]
    audit_log: Option<PathBuf>,
}

impl AccessOptions {
    pub(super) fn apply(&self, config: &mut Config) {
        config.auth.clone_from(&self.auth);
        config.open_to_all = self.open_to_all;
        config.audit_log.clone_from(&self.audit_log);
    }
}
