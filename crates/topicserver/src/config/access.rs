//! Options about who is served, and what clients may do.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::Config;
use super::parse::{Seconds, time_up_to};

impl Config {
    /// 30 days: who comes back every month never logs in twice, and a machine that was lost
    /// is forgotten after one.
    pub const DEFAULT_LOGIN_LIFETIME: Duration = Duration::from_secs(30 * 24 * 60 * 60);
    /// 30 s: a page fetches a ticket and opens its stream at once, also over a slow network.
    pub const DEFAULT_TICKET_LIFETIME: Duration = Duration::from_secs(30);
}

/// Browsers keep no cookie for longer.
const LONGEST_LOGIN: u64 = 400 * 24 * 60 * 60;

/// A ticket stands in an address, and addresses are kept in logs: what is good for longer is
/// a token.
const LONGEST_TICKET: u64 = 10 * 60;

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

    /// Time that a browser keeps a login of --auth
    #[arg(long, value_name = "TIME", value_parser = time_up_to(1, LONGEST_LOGIN),
          default_value_t = Seconds::of(Config::DEFAULT_LOGIN_LIFETIME))]
    login_lifetime: Seconds,

    /// Time that a ticket is good, with which a page of another site opens a stream or a
    /// WebSocket
    #[arg(long, value_name = "TIME", value_parser = time_up_to(1, LONGEST_TICKET),
          default_value_t = Seconds::of(Config::DEFAULT_TICKET_LIFETIME))]
    ticket_lifetime: Seconds,

    /// Append a line of JSON to this file for each login, refusal and change of --auth
    #[arg(long, value_name = "FILE")]
    audit_log: Option<PathBuf>,
}

impl AccessOptions {
    pub(super) fn apply(&self, config: &mut Config) {
        config.auth.clone_from(&self.auth);
        config.open_to_all = self.open_to_all;
        config.login_lifetime = self.login_lifetime.into();
        config.ticket_lifetime = self.ticket_lifetime.into();
        config.audit_log.clone_from(&self.audit_log);
    }
}
