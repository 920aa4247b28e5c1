//! Limits of connections and of queues.

use clap::Args;

use super::Config;
use super::memory::default_max_queued;
use super::parse::{Bytes, count, size};

impl Config {
    /// More conversations than a person follows, and enough for a gateway with a
    /// topic for each of its sensors.
    pub const DEFAULT_MAX_TOPICS: usize = 1_000;
    /// 1 MiB: about 5,000 short messages, which is some seconds of a busy topic; and
    /// a thousand stalled readers cost 1 GiB at worst.
    pub const DEFAULT_MAX_OUTBOX: usize = 1024 * 1024;
    /// This part of the machine's memory. Other memory is for the history, for connections and
    /// for other programs.
    pub const MAX_QUEUED_PART: usize = 4;
    /// 256 MiB: 256 readers that have stopped may hold their limit each.
    pub const LEAST_MAX_QUEUED: usize = 256 * 1024 * 1024;
    /// 256 KiB: four full reads. More wouldn't make the topic's task faster; publishers would
    /// only be slowed later.
    pub const DEFAULT_MAX_MAILBOX: usize = 256 * 1024;
    /// About 1 kB each when idle, so 100 MB.
    pub const DEFAULT_MAX_CONNECTIONS: usize = 100_000;
    /// A campus behind one address, or one machine's load test, but not so many
    /// that a single address uses up all connections.
    pub const DEFAULT_MAX_CONNECTIONS_PER_ADDRESS: usize = 20_000;
}

// No doc comment: clap would show it as the program's description.
#[derive(Clone, Debug, Args)]
pub(super) struct ConnectionOptions {
    /// Maximum topics per connection
    #[arg(long, value_name = "COUNT", default_value_t = Config::DEFAULT_MAX_TOPICS,
          value_parser = count(1))]
    max_topics: usize,

    /// Maximum bytes queued per connection. A classic client beyond it is disconnected; an
    /// extended one catches up from the history
    #[arg(long, value_name = "SIZE", default_value_t = Bytes::of(Config::DEFAULT_MAX_OUTBOX),
          value_parser = size(1024))]
    max_outbox: Bytes,

    /// Maximum bytes in all queues together: for connections, for topics, and of unfinished
    /// frames. Near it, connections that have more queued than others are treated as if they
    /// were beyond --max-outbox [default: a quarter of the machine's memory, at least 256 MiB]
    #[arg(long, value_name = "SIZE", value_parser = size(1024))]
    max_queued: Option<Bytes>,

    /// Maximum bytes queued per topic. Beyond it the server reads the topic's publishers more
    /// slowly
    #[arg(long, value_name = "SIZE", default_value_t = Bytes::of(Config::DEFAULT_MAX_MAILBOX),
          value_parser = size(1))]
    max_mailbox: Bytes,

    /// Maximum connections
    #[arg(long, value_name = "COUNT", default_value_t = Config::DEFAULT_MAX_CONNECTIONS,
          value_parser = count(1))]
    pub(super) max_connections: usize,

    /// Maximum connections per IP address
    #[arg(long, value_name = "COUNT",
          default_value_t = Config::DEFAULT_MAX_CONNECTIONS_PER_ADDRESS,
          value_parser = count(1))]
    max_connections_per_address: usize,
}

impl ConnectionOptions {
    pub(super) fn apply(&self, config: &mut Config) {
        config.max_topics = self.max_topics;
        config.max_outbox = self.max_outbox.in_memory();
        config.max_queued = self
            .max_queued
            .map_or_else(default_max_queued, Bytes::in_memory);
        config.max_mailbox = self.max_mailbox.in_memory();
        config.max_connections = self.max_connections;
        config.max_connections_per_address = self.max_connections_per_address;
    }
}
