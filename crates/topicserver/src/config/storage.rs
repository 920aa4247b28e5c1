//! What is kept on disk, and for how long.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use clap::builder::RangedU64ValueParser;

use super::Config;
use super::parse::seconds;

impl Config {
    /// Longer than a disk takes that is only busy, and soon enough for a publisher to try
    /// elsewhere.
    pub const DEFAULT_STORAGE_TIMEOUT: Duration = Duration::from_secs(10);
    /// 30 days: after a holiday a user still finds the messages.
    pub const DEFAULT_KEEP_AGE: Duration = Duration::from_secs(30 * 24 * 60 * 60);
    /// A million: a message every three seconds for those 30 days.
    pub const DEFAULT_KEEP_MESSAGES: u64 = 1_000_000;
    /// 1 GiB: a million messages of a kilobyte.
    pub const DEFAULT_KEEP_BYTES: u64 = 1024 * 1024 * 1024;
}

// No doc comment: clap would show it as the program's description.
#[derive(Clone, Debug, Args)]
pub(super) struct StorageOptions {
    /// Keep messages on disk in this directory, so that they survive a restart
    #[arg(long, value_name = "DIRECTORY")]
    pub(super) data: Option<PathBuf>,

    /// Time to store a message on disk. Beyond it the publisher gets the error storage-busy
    #[arg(long, value_name = "SECONDS", value_parser = seconds(1),
          default_value_t = Config::DEFAULT_STORAGE_TIMEOUT.as_secs())]
    storage_timeout: u64,

    /// Maximum age of messages on disk
    #[arg(long, value_name = "SECONDS", value_parser = RangedU64ValueParser::<u64>::new().range(1..),
          default_value_t = Config::DEFAULT_KEEP_AGE.as_secs())]
    keep_age: u64,

    /// Messages to keep on disk per topic
    #[arg(long, value_name = "COUNT", default_value_t = Config::DEFAULT_KEEP_MESSAGES,
          value_parser = RangedU64ValueParser::<u64>::new().range(1..))]
    keep_messages: u64,

    /// Bytes of messages to keep on disk per topic
    #[arg(long, value_name = "BYTES", default_value_t = Config::DEFAULT_KEEP_BYTES,
          value_parser = RangedU64ValueParser::<u64>::new().range(1..))]
    keep_bytes: u64,
}

impl StorageOptions {
    pub(super) fn apply(&self, config: &mut Config) {
        config.data.clone_from(&self.data);
        config.storage_timeout = Duration::from_secs(self.storage_timeout);
        config.keep_age = Duration::from_secs(self.keep_age);
        config.keep_messages = self.keep_messages;
        config.keep_bytes = self.keep_bytes;
    }
}
