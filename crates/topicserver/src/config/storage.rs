//! The options of the history on disk.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::Config;
use super::parse::{Bytes, Seconds, count, seconds, size, time_up_to};

impl Config {
    /// Longer than a busy disk takes, and soon enough for a publisher to try another server.
    pub const DEFAULT_STORAGE_TIMEOUT: Duration = Duration::from_secs(10);
    /// 30 days: after a holiday a user still finds the messages.
    pub const DEFAULT_KEEP_AGE: Duration = Duration::from_secs(30 * 24 * 60 * 60);
    /// A million: a message every three seconds for those 30 days.
    pub const DEFAULT_KEEP_MESSAGES: u64 = 1_000_000;
    /// 1 GiB: a million messages of a kilobyte.
    pub const DEFAULT_KEEP_BYTES: u64 = 1024 * 1024 * 1024;
    /// 5 minutes: longer than a time server takes to set a clock after a start, and than a person
    /// takes to notice a clock that is set wrong; short compared with an age of days.
    pub const DEFAULT_CLOCK_SETTLE: Duration = Duration::from_secs(300);
}

/// A thousand years, practically for ever.
const LONGEST_AGE: u64 = 1000 * 366 * 24 * 60 * 60;

// No doc comment: clap would show it as the program's description.
#[derive(Clone, Debug, Args)]
pub(super) struct StorageOptions {
    /// Keep messages on disk in this directory, so that they survive a restart
    #[arg(long, value_name = "DIRECTORY")]
    pub(super) data: Option<PathBuf>,

    /// Time to store a message on disk. Beyond it the publisher gets the error storage-busy
    #[arg(long, value_name = "TIME", value_parser = seconds(1),
          default_value_t = Seconds::of(Config::DEFAULT_STORAGE_TIMEOUT))]
    storage_timeout: Seconds,

    /// Maximum age of messages on disk
    #[arg(long, value_name = "TIME", value_parser = time_up_to(1, LONGEST_AGE),
          default_value_t = Seconds::of(Config::DEFAULT_KEEP_AGE))]
    keep_age: Seconds,

    /// Messages to keep on disk per topic
    #[arg(long, value_name = "COUNT", default_value_t = Config::DEFAULT_KEEP_MESSAGES as usize,
          value_parser = count(1))]
    keep_messages: usize,

    /// Bytes of messages to keep on disk per topic
    #[arg(long, value_name = "SIZE", default_value_t = Bytes(Config::DEFAULT_KEEP_BYTES),
          value_parser = size(1))]
    keep_bytes: Bytes,

    /// Time for which the system's clock must run evenly, after the start and after a jump,
    /// before messages are deleted for their age by it
    #[arg(long, value_name = "TIME", value_parser = seconds(1),
          default_value_t = Seconds::of(Config::DEFAULT_CLOCK_SETTLE))]
    clock_settle: Seconds,
}

impl StorageOptions {
    pub(super) fn apply(&self, config: &mut Config) {
        config.data.clone_from(&self.data);
        config.storage_timeout = self.storage_timeout.into();
        config.keep_age = self.keep_age.into();
        config.keep_messages = self.keep_messages as u64;
        config.keep_bytes = self.keep_bytes.0;
        config.clock_settle = self.clock_settle.into();
    }
}
