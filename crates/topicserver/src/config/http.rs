//! What browsers and other HTTP clients may do.

use std::time::Duration;

use clap::Args;

use super::Config;
use super::parse::{Bytes, Seconds, seconds, size_up_to, up_to};
use super::site::{host, origin};

impl Config {
    /// 16 KiB: browsers send 1 to 4, and cookies of other servers on the same host
    /// come with them.
    pub const DEFAULT_MAX_HEADERS: usize = 16 * 1024;
    /// Half of the minute after which most proxies and routers forget a connection
    /// that is silent.
    pub const DEFAULT_PING_INTERVAL: Duration = Duration::from_secs(30);
    /// The id of each event has a position of at most 38 bytes for each topic: 32 topics add
    /// 1.2 kB to an event.
    pub const DEFAULT_MAX_STREAM_TOPICS: usize = 32;
}

/// With more, the header in which a browser sends an event's id back could be longer than
/// the 8 KiB that proxies take.
const MOST_STREAM_TOPICS: u64 = 200;

// No doc comment: clap would show it as the program's description.
#[derive(Clone, Debug, Args)]
pub(super) struct HttpOptions {
    /// Let pages of this other site use the server: SCHEME://HOST or SCHEME://HOST:PORT. Can be
    /// given several times
    #[arg(long = "allow-origin", value_name = "ORIGIN", value_parser = origin)]
    allow_origins: Vec<String>,

    /// Let browsers reach the server under this name, in addition to its addresses, localhost
    /// and the name of the machine. Can be given several times
    #[arg(long = "allow-host", value_name = "NAME", value_parser = host)]
    allow_hosts: Vec<String>,

    /// Maximum bytes of an HTTP request before its body
    #[arg(long, value_name = "SIZE", default_value_t = Bytes::of(Config::DEFAULT_MAX_HEADERS),
          value_parser = size_up_to(1024, 1024 * 1024))]
    max_headers: Bytes,

    /// Maximum topics of one stream over HTTP
    #[arg(long, value_name = "COUNT", default_value_t = Config::DEFAULT_MAX_STREAM_TOPICS,
          value_parser = up_to(1, MOST_STREAM_TOPICS))]
    max_stream_topics: usize,

    /// Time between two pings of a WebSocket. The server closes it when two in a row stay
    /// unanswered
    #[arg(long, value_name = "TIME", value_parser = seconds(1),
          default_value_t = Seconds::of(Config::DEFAULT_PING_INTERVAL))]
    ping_interval: Seconds,
}

impl HttpOptions {
    pub(super) fn apply(&self, config: &mut Config) {
        config.allow_origins.clone_from(&self.allow_origins);
        config.allow_hosts.clone_from(&self.allow_hosts);
        config.max_headers = self.max_headers.in_memory();
        config.max_stream_topics = self.max_stream_topics;
        config.ping_interval = self.ping_interval.into();
    }
}
