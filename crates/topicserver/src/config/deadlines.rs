//! How long a connection may take for what it has to do.

use std::time::Duration;

use clap::Args;

use super::Config;
use super::parse::seconds;

impl Config {
    /// A person who types a registration by hand can do it in a minute.
    pub const DEFAULT_REGISTRATION_TIMEOUT: Duration = Duration::from_secs(60);
    /// The largest frame by default takes 9 s over a telephone modem.
    pub const DEFAULT_FRAME_TIMEOUT: Duration = Duration::from_secs(60);
    /// Longer than TCP itself waits on a path that lost a few packets in a row, and less
    /// than a minute with what [`WRITE_GRACE`](Self::WRITE_GRACE) adds.
    pub const DEFAULT_WRITE_TIMEOUT: Duration = Duration::from_secs(50);
    /// After the write deadline, until the system gives up a peer that doesn't even
    /// acknowledge what was sent to it: it has heard of the deadline before.
    pub const WRITE_GRACE: Duration = Duration::from_secs(5);
    /// What a supervisor such as systemd or a person waits without asking.
    pub const DEFAULT_DRAIN_TIMEOUT: Duration = Duration::from_secs(5);
}

// No doc comment: clap would show it as the program's description.
#[derive(Clone, Debug, Args)]
pub(super) struct DeadlineOptions {
    /// Time for a new connection to register
    #[arg(long, value_name = "SECONDS", value_parser = seconds(1),
          default_value_t = Config::DEFAULT_REGISTRATION_TIMEOUT.as_secs())]
    registration_timeout: u64,

    /// Time to finish a frame that has begun
    #[arg(long, value_name = "SECONDS", value_parser = seconds(1),
          default_value_t = Config::DEFAULT_FRAME_TIMEOUT.as_secs())]
    frame_timeout: u64,

    /// Time for a peer to accept any of the bytes queued for it; a peer that accepts none is
    /// disconnected
    #[arg(long, value_name = "SECONDS", value_parser = seconds(1),
          default_value_t = Config::DEFAULT_WRITE_TIMEOUT.as_secs())]
    write_timeout: u64,

    /// Time to send what is queued when a connection or the server ends
    #[arg(long, value_name = "SECONDS", value_parser = seconds(0),
          default_value_t = Config::DEFAULT_DRAIN_TIMEOUT.as_secs())]
    drain_timeout: u64,
}

impl DeadlineOptions {
    pub(super) fn apply(&self, config: &mut Config) {
        config.registration_timeout = Duration::from_secs(self.registration_timeout);
        config.frame_timeout = Duration::from_secs(self.frame_timeout);
        config.write_timeout = Duration::from_secs(self.write_timeout);
        config.drain_timeout = Duration::from_secs(self.drain_timeout);
    }
}
