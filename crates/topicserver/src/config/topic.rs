//! What a topic keeps in memory, and what it announces.

use std::time::Duration;

use clap::Args;

use super::Config;
use super::parse::{Bytes, Seconds, count, seconds, size};

impl Config {
    /// An afternoon of a busy topic, and more than a new member reads.
    pub const DEFAULT_HISTORY_MESSAGES: usize = 1_000;
    /// 1 MiB: a thousand messages of a kilobyte.
    pub const DEFAULT_HISTORY_BYTES: usize = 1024 * 1024;
    /// 256 MiB: enough for a thousand busy topics, and a small part of a small server's memory.
    pub const DEFAULT_HISTORY_MEMORY: usize = 256 * 1024 * 1024;
    /// Longer than a client that has lost its connection tries to reconnect.
    pub const DEFAULT_ID_WINDOW: Duration = Duration::from_secs(600);
    /// A publisher that sends without a pause has some seconds to send unacknowledged messages
    /// again: far more than can be in flight.
    pub const DEFAULT_MAX_IDS: usize = 100_000;
    /// Every member is told of every other: 100 members that join cause 5,000 lines.
    pub const DEFAULT_MAX_PRESENCE: usize = 100;
}

// No doc comment: clap would show it as the program's description.
#[derive(Clone, Debug, Args)]
pub(super) struct TopicOptions {
    /// Messages to keep in memory per topic; 0 keeps none
    #[arg(long, value_name = "COUNT", default_value_t = Config::DEFAULT_HISTORY_MESSAGES,
          value_parser = count(0))]
    history_messages: usize,

    /// Bytes of messages to keep in memory per topic; 0 keeps none
    #[arg(long, value_name = "SIZE", default_value_t = Bytes::of(Config::DEFAULT_HISTORY_BYTES),
          value_parser = size(0))]
    history_bytes: Bytes,

    /// Bytes of messages and ids to keep in memory for all topics. Beyond it, the least
    /// recently used topic drops its messages, then its oldest ids
    #[arg(long, value_name = "SIZE", default_value_t = Bytes::of(Config::DEFAULT_HISTORY_MEMORY),
          value_parser = size(0))]
    history_memory: Bytes,

    /// Time to remember the id of a message. A message sent again with the same id in that time
    /// is not delivered again
    #[arg(long, value_name = "TIME", value_parser = seconds(0),
          default_value_t = Seconds::of(Config::DEFAULT_ID_WINDOW))]
    id_window: Seconds,

    /// Maximum ids to remember per publisher and topic
    #[arg(long, value_name = "COUNT", default_value_t = Config::DEFAULT_MAX_IDS,
          value_parser = count(1))]
    max_ids: usize,

    /// Maximum members of a topic for which the server announces who joins
    #[arg(long, value_name = "COUNT", default_value_t = Config::DEFAULT_MAX_PRESENCE,
          value_parser = count(0))]
    max_presence: usize,
}

impl TopicOptions {
    pub(super) fn apply(&self, config: &mut Config) {
        config.history_messages = self.history_messages;
        config.history_bytes = self.history_bytes.in_memory();
        config.history_memory = self.history_memory.in_memory();
        config.id_window = self.id_window.into();
        config.max_ids = self.max_ids;
        config.max_presence = self.max_presence;
    }
}
