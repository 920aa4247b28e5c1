//! The deadlines of connections.

use std::time::Duration;

use clap::Args;

use super::Config;
use super::parse::{Seconds, seconds};

impl Config {
    /// A person who types a registration by hand can do it in a minute.
    pub const DEFAULT_REGISTRATION_TIMEOUT: Duration = Duration::from_secs(60);
    /// The largest frame by default takes 9 s over a telephone modem.
    pub const DEFAULT_FRAME_TIMEOUT: Duration = Duration::from_secs(60);
    /// Longer than TCP itself waits on a path that lost a few packets in a row, and less
    /// than a minute with what [`WRITE_GRACE`](Self::WRITE_GRACE) adds.
    pub const DEFAULT_WRITE_TIMEOUT: Duration = Duration::from_secs(50);
    /// Time after the write deadline until the system gives up a peer that doesn't even
    /// acknowledge packets. A peer that does is told of the write deadline first.
    pub const WRITE_GRACE: Duration = Duration::from_secs(5);
    /// As long as a supervisor such as systemd, or a person, waits without worrying.
    pub const DEFAULT_DRAIN_TIMEOUT: Duration = Duration::from_secs(5);
    /// Half a minute: a client has tried several times to come back by then.
    pub const DEFAULT_NAME_GRACE: Duration = Duration::from_secs(30);
}

// No doc comment: clap would show it as the program's description.
#[derive(Clone, Debug, Args)]
pub(super) struct DeadlineOptions {
    /// Time for a new connection to register
    #[arg(long, value_name = "TIME", value_parser = seconds(1),
          default_value_t = Seconds::of(Config::DEFAULT_REGISTRATION_TIMEOUT))]
    registration_timeout: Seconds,

    /// Time to finish a frame that has begun
    #[arg(long, value_name = "TIME", value_parser = seconds(1),
          default_value_t = Seconds::of(Config::DEFAULT_FRAME_TIMEOUT))]
    frame_timeout: Seconds,

    /// Time for a peer to accept any of the bytes queued for it; a peer that accepts none is
    /// disconnected
    #[arg(long, value_name = "TIME", value_parser = seconds(1),
          default_value_t = Seconds::of(Config::DEFAULT_WRITE_TIMEOUT))]
    write_timeout: Seconds,

    /// Time to send what is queued when a connection or the server ends
    #[arg(long, value_name = "TIME", value_parser = seconds(0),
          default_value_t = Seconds::of(Config::DEFAULT_DRAIN_TIMEOUT))]
    drain_timeout: Seconds,

    /// Time to keep the name of a client whose connection has ended, so that the client can
    /// come back under it
    #[arg(long, value_name = "TIME", value_parser = seconds(0),
          default_value_t = Seconds::of(Config::DEFAULT_NAME_GRACE))]
    name_grace: Seconds,
}

impl DeadlineOptions {
    pub(super) fn apply(&self, config: &mut Config) {
        config.registration_timeout = self.registration_timeout.into();
        config.frame_timeout = self.frame_timeout.into();
        config.write_timeout = self.write_timeout.into();
        config.drain_timeout = self.drain_timeout.into();
        config.name_grace = self.name_grace.into();
    }
}
