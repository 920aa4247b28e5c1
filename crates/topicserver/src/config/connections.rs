//! How many connections there may be, and what one of them may take.

use clap::Args;

use super::Config;
use super::parse::count;

impl Config {
    /// More conversations than a person follows, and enough for a gateway with a
    /// topic for each of its sensors.
    pub const DEFAULT_MAX_TOPICS: usize = 1_000;
    /// 1 MiB: about 5,000 short messages, which is some seconds of a busy topic; and
    /// a thousand stalled readers cost 1 GiB at worst.
    pub const DEFAULT_MAX_OUTBOX: usize = 1024 * 1024;
    /// 256 KiB: four full reads. More wouldn't make the topic's task faster, only
    /// its publishers wait later.
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
    #[arg(long, value_name = "BYTES", default_value_t = Config::DEFAULT_MAX_OUTBOX,
          value_parser = count(1024))]
    max_outbox: usize,

    /// Maximum bytes queued per topic. Beyond it the server reads the topic's publishers more
    /// slowly
    #[arg(long, value_name = "BYTES", default_value_t = Config::DEFAULT_MAX_MAILBOX,
          value_parser = count(1))]
    max_mailbox: usize,

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
        config.max_outbox = self.max_outbox;
        config.max_mailbox = self.max_mailbox;
        config.max_connections = self.max_connections;
        config.max_connections_per_address = self.max_connections_per_address;
    }
}
