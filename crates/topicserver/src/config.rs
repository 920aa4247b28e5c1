//! Options → a [`Config`] that is known to make sense. Each default has its
//! reason beside it.

mod memory;

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use clap::builder::RangedU64ValueParser;
use wire::Limits;

/// The settings of a server.
#[derive(Clone, Debug)]
pub struct Config {
    /// The address to listen on; `None`: all of them, IPv4 and IPv6.
    pub bind: Option<IpAddr>,
    /// 0 lets the system choose one.
    pub port: u16,
    /// What one frame may be.
    pub frame_limits: Limits,
    /// Topics of one connection.
    pub max_topics: usize,
    /// Bytes that may wait for one connection.
    pub max_outbox: usize,
    /// Bytes that may wait for all connections together.
    pub max_queued: usize,
    /// Bytes that may wait for one topic before its publishers are slowed.
    pub max_mailbox: usize,
    /// Connections in all.
    pub max_connections: usize,
    /// Connections of one IP address.
    pub max_connections_per_address: usize,
    /// From the connection to the first registration.
    pub registration_timeout: Duration,
    /// From the beginning of a frame that doesn't arrive whole to its end.
    pub frame_timeout: Duration,
    /// How long a peer may take nothing of what waits for it.
    pub write_timeout: Duration,
    /// For what is queued to go out when a connection, or the server, ends.
    pub drain_timeout: Duration,
    /// Messages that are kept in memory of each topic; 0 keeps none.
    pub history_messages: usize,
    /// Bytes that are kept in memory of each topic.
    pub history_bytes: usize,
    /// Bytes that are kept in memory of all topics together.
    pub history_memory: usize,
    /// For how long a message's id is remembered.
    pub id_window: Duration,
    /// Ids that are remembered of one publisher in one topic.
    pub max_ids: usize,
    /// Members of a topic who are still told of who comes and goes.
    pub max_presence: usize,
    /// Where messages are kept on disk; `None` keeps them in memory alone.
    pub data: Option<PathBuf>,
    /// Bytes of an HTTP request before its body.
    pub max_headers: usize,
    /// Sites whose pages may send requests, as `scheme://host[:port]`.
    pub allow_origins: Vec<String>,
    /// Names under which browsers may reach the server, beside its addresses,
    /// `localhost`, and `host_name`.
    pub allow_hosts: Vec<String>,
    /// The machine's own name.
    pub host_name: Option<String>,
    /// How often a WebSocket is asked whether it is still there, and an event stream
    /// kept from looking dead.
    pub ping_interval: Duration,
    /// How long a message may wait to be stored.
    pub storage_timeout: Duration,
    /// How old messages on disk become.
    pub keep_age: Duration,
    /// Messages of a topic that are kept on disk.
    pub keep_messages: u64,
    /// Bytes of a topic's messages that are kept on disk.
    pub keep_bytes: u64,
}

impl Config {
    /// More conversations than anybody follows, and enough for a gateway with a
    /// topic for each of its sensors.
    pub const DEFAULT_MAX_TOPICS: usize = 1_000;
    /// 1 MiB: about 5,000 short messages, which is some seconds of a busy topic; and
    /// a thousand stalled readers cost 1 GiB at worst.
    pub const DEFAULT_MAX_OUTBOX: usize = 1024 * 1024;
    /// This part of the machine's memory: the rest is for messages that are kept, for
    /// connections and for other programs.
    pub const MAX_QUEUED_PART: usize = 4;
    /// 256 MiB: what 256 readers that have stopped may hold each to their limit.
    pub const LEAST_MAX_QUEUED: usize = 256 * 1024 * 1024;
    /// 256 KiB: four full reads. More wouldn't make the topic's task faster, only
    /// its publishers wait later.
    pub const DEFAULT_MAX_MAILBOX: usize = 256 * 1024;
    /// About 1 kB each when idle, so 100 MB.
    pub const DEFAULT_MAX_CONNECTIONS: usize = 100_000;
    /// A campus behind one address, or one machine's load test, but not so many
    /// that a single address takes everyone's place.
    pub const DEFAULT_MAX_CONNECTIONS_PER_ADDRESS: usize = 20_000;
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
    /// An afternoon of a busy room, and more than anybody reads who comes late.
    pub const DEFAULT_HISTORY_MESSAGES: usize = 1_000;
    /// 1 MiB: a thousand messages of a kilobyte.
    pub const DEFAULT_HISTORY_BYTES: usize = 1024 * 1024;
    /// 256 MiB: a thousand busy topics, and what a small server can do without.
    pub const DEFAULT_HISTORY_MEMORY: usize = 256 * 1024 * 1024;
    /// Longer than a client that has lost its connection tries to come back.
    pub const DEFAULT_ID_WINDOW: Duration = Duration::from_secs(600);
    /// A publisher that sends without a pause has some seconds to send again what
    /// wasn't acknowledged: far more than may be on its way.
    pub const DEFAULT_MAX_IDS: usize = 100_000;
    /// Everybody is told of everybody: for 100 who come, that is 5,000 lines.
    pub const DEFAULT_MAX_PRESENCE: usize = 100;
    /// 16 KiB: browsers send 1 to 4, and cookies of other servers on the same host
    /// come with them.
    pub const DEFAULT_MAX_HEADERS: usize = 16 * 1024;
    /// Half of the minute after which most proxies and routers forget a connection
    /// that is silent.
    pub const DEFAULT_PING_INTERVAL: Duration = Duration::from_secs(30);
    /// Longer than a disk takes that is only busy, and soon enough for a publisher to try
    /// elsewhere.
    pub const DEFAULT_STORAGE_TIMEOUT: Duration = Duration::from_secs(10);
    /// 30 days: who was away for a holiday finds what was said.
    pub const DEFAULT_KEEP_AGE: Duration = Duration::from_secs(30 * 24 * 60 * 60);
    /// A million: a message every three seconds for those 30 days.
    pub const DEFAULT_KEEP_MESSAGES: u64 = 1_000_000;
    /// 1 GiB: a million messages of a kilobyte.
    pub const DEFAULT_KEEP_BYTES: u64 = 1024 * 1024 * 1024;
}

impl Default for Config {
    fn default() -> Self {
        Self {
            bind: None,
            port: 0,
            frame_limits: Limits::default(),
            max_topics: Self::DEFAULT_MAX_TOPICS,
            max_outbox: Self::DEFAULT_MAX_OUTBOX,
            max_queued: memory::default_max_queued(),
            max_mailbox: Self::DEFAULT_MAX_MAILBOX,
            max_connections: Self::DEFAULT_MAX_CONNECTIONS,
            max_connections_per_address: Self::DEFAULT_MAX_CONNECTIONS_PER_ADDRESS,
            registration_timeout: Self::DEFAULT_REGISTRATION_TIMEOUT,
            frame_timeout: Self::DEFAULT_FRAME_TIMEOUT,
            write_timeout: Self::DEFAULT_WRITE_TIMEOUT,
            drain_timeout: Self::DEFAULT_DRAIN_TIMEOUT,
            history_messages: Self::DEFAULT_HISTORY_MESSAGES,
            history_bytes: Self::DEFAULT_HISTORY_BYTES,
            history_memory: Self::DEFAULT_HISTORY_MEMORY,
            id_window: Self::DEFAULT_ID_WINDOW,
            max_ids: Self::DEFAULT_MAX_IDS,
            max_presence: Self::DEFAULT_MAX_PRESENCE,
            data: None,
            max_headers: Self::DEFAULT_MAX_HEADERS,
            allow_origins: Vec::new(),
            allow_hosts: Vec::new(),
            host_name: None,
            ping_interval: Self::DEFAULT_PING_INTERVAL,
            storage_timeout: Self::DEFAULT_STORAGE_TIMEOUT,
            keep_age: Self::DEFAULT_KEEP_AGE,
            keep_messages: Self::DEFAULT_KEEP_MESSAGES,
            keep_bytes: Self::DEFAULT_KEEP_BYTES,
        }
    }
}

/// Relay JSON messages by topic.
///
/// Clients connect over TCP, HTTP or WebSocket, register for topics, and receive what others
/// send there.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "topicserver",
    version,
    after_help = "Example: topicserver 20000\n\
                  Then, in other terminals: chat -topic 127.0.0.1:20000 lame-conversation"
)]
pub struct Options {
    /// Port to listen on; with 0 the system chooses one
    pub port: u16,

    /// Listen on this IP address only [default: all addresses]
    #[arg(long, value_name = "ADDRESS")]
    pub bind: Option<IpAddr>,

    /// How much to log to standard error
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    pub log: LogLevel,

    /// Maximum bytes of a frame
    #[arg(long, value_name = "BYTES", default_value_t = Limits::DEFAULT_MAX_FRAME,
          value_parser = up_to(64, Limits::LARGEST_FRAME as u64))]
    pub max_frame: usize,

    /// Maximum nesting of objects and arrays in a frame
    #[arg(long, value_name = "LEVELS", default_value_t = Limits::DEFAULT_MAX_DEPTH,
          value_parser = up_to(2, Limits::DEEPEST as u64))]
    pub max_depth: usize,

    /// Maximum topics per connection
    #[arg(long, value_name = "COUNT", default_value_t = Config::DEFAULT_MAX_TOPICS,
          value_parser = count(1))]
    pub max_topics: usize,

    /// Maximum bytes queued per connection. A classic client beyond it is disconnected; an
    /// extended one catches up from the history
    #[arg(long, value_name = "BYTES", default_value_t = Config::DEFAULT_MAX_OUTBOX,
          value_parser = count(1024))]
    pub max_outbox: usize,

    /// Maximum bytes queued for all connections together. Near it, connections that have more
    /// queued than others are treated as if they were beyond --max-outbox [default: a quarter of
    /// the machine's memory, at least 256 MiB]
    #[arg(long, value_name = "BYTES", value_parser = count(1024))]
    pub max_queued: Option<usize>,

    /// Maximum bytes queued per topic. Beyond it the server reads the topic's publishers more
    /// slowly
    #[arg(long, value_name = "BYTES", default_value_t = Config::DEFAULT_MAX_MAILBOX,
          value_parser = count(1))]
    pub max_mailbox: usize,

    /// Maximum connections
    #[arg(long, value_name = "COUNT", default_value_t = Config::DEFAULT_MAX_CONNECTIONS,
          value_parser = count(1))]
    pub max_connections: usize,

    /// Maximum connections per IP address
    #[arg(long, value_name = "COUNT",
          default_value_t = Config::DEFAULT_MAX_CONNECTIONS_PER_ADDRESS,
          value_parser = count(1))]
    pub max_connections_per_address: usize,

    /// Time for a new connection to register
    #[arg(long, value_name = "SECONDS", value_parser = seconds(1),
          default_value_t = Config::DEFAULT_REGISTRATION_TIMEOUT.as_secs())]
    pub registration_timeout: u64,

    /// Time to finish a frame that has begun
    #[arg(long, value_name = "SECONDS", value_parser = seconds(1),
          default_value_t = Config::DEFAULT_FRAME_TIMEOUT.as_secs())]
    pub frame_timeout: u64,

    /// Time for a peer to accept any of the bytes queued for it; a peer that accepts none is
    /// disconnected
    #[arg(long, value_name = "SECONDS", value_parser = seconds(1),
          default_value_t = Config::DEFAULT_WRITE_TIMEOUT.as_secs())]
    pub write_timeout: u64,

    /// Time to send what is queued when a connection or the server ends
    #[arg(long, value_name = "SECONDS", value_parser = seconds(0),
          default_value_t = Config::DEFAULT_DRAIN_TIMEOUT.as_secs())]
    pub drain_timeout: u64,

    /// Messages to keep in memory per topic; 0 keeps none
    #[arg(long, value_name = "COUNT", default_value_t = Config::DEFAULT_HISTORY_MESSAGES,
          value_parser = count(0))]
    pub history_messages: usize,

    /// Bytes of messages to keep in memory per topic; 0 keeps none
    #[arg(long, value_name = "BYTES", default_value_t = Config::DEFAULT_HISTORY_BYTES,
          value_parser = count(0))]
    pub history_bytes: usize,

    /// Bytes of messages and ids to keep in memory for all topics. Beyond it, the least
    /// recently used topic drops its messages, then its oldest ids
    #[arg(long, value_name = "BYTES", default_value_t = Config::DEFAULT_HISTORY_MEMORY,
          value_parser = count(0))]
    pub history_memory: usize,

    /// Time to remember the id of a message. A message sent again with the same id in that time
    /// is not delivered again
    #[arg(long, value_name = "SECONDS", value_parser = seconds(0),
          default_value_t = Config::DEFAULT_ID_WINDOW.as_secs())]
    pub id_window: u64,

    /// Maximum ids to remember per publisher and topic
    #[arg(long, value_name = "COUNT", default_value_t = Config::DEFAULT_MAX_IDS,
          value_parser = count(1))]
    pub max_ids: usize,

    /// Maximum members of a topic for which the server announces who joins
    #[arg(long, value_name = "COUNT", default_value_t = Config::DEFAULT_MAX_PRESENCE,
          value_parser = count(0))]
    pub max_presence: usize,

    /// Keep messages on disk in this directory, so that they survive a restart
    #[arg(long, value_name = "DIRECTORY")]
    pub data: Option<PathBuf>,

    /// Time to store a message on disk. Beyond it the publisher gets the error storage-busy
    #[arg(long, value_name = "SECONDS", value_parser = seconds(1),
          default_value_t = Config::DEFAULT_STORAGE_TIMEOUT.as_secs())]
    pub storage_timeout: u64,

    /// Maximum age of messages on disk
    #[arg(long, value_name = "SECONDS", value_parser = RangedU64ValueParser::<u64>::new().range(1..),
          default_value_t = Config::DEFAULT_KEEP_AGE.as_secs())]
    pub keep_age: u64,

    /// Messages to keep on disk per topic
    #[arg(long, value_name = "COUNT", default_value_t = Config::DEFAULT_KEEP_MESSAGES,
          value_parser = RangedU64ValueParser::<u64>::new().range(1..))]
    pub keep_messages: u64,

    /// Bytes of messages to keep on disk per topic
    #[arg(long, value_name = "BYTES", default_value_t = Config::DEFAULT_KEEP_BYTES,
          value_parser = RangedU64ValueParser::<u64>::new().range(1..))]
    pub keep_bytes: u64,

    /// Let pages of this other site use the server: SCHEME://HOST or SCHEME://HOST:PORT. Can be
    /// given several times
    #[arg(long = "allow-origin", value_name = "ORIGIN")]
    pub allow_origins: Vec<String>,

    /// Let browsers reach the server under this name, in addition to its addresses, localhost
    /// and the name of the machine. Can be given several times
    #[arg(long = "allow-host", value_name = "NAME")]
    pub allow_hosts: Vec<String>,

    /// Maximum bytes of an HTTP request before its body
    #[arg(long, value_name = "BYTES", default_value_t = Config::DEFAULT_MAX_HEADERS,
          value_parser = RangedU64ValueParser::<usize>::new().range(1024..=1024 * 1024))]
    pub max_headers: usize,

    /// Time between two pings of a WebSocket. The server closes it when two in a row stay
    /// unanswered
    #[arg(long, value_name = "SECONDS", value_parser = seconds(1),
          default_value_t = Config::DEFAULT_PING_INTERVAL.as_secs())]
    pub ping_interval: u64,

    /// Worker threads [default: one per core; one fewer with --data, because a separate thread
    /// writes to disk]
    #[arg(long, value_name = "COUNT", value_parser = up_to(1, 512))]
    pub threads: Option<usize>,
}

impl Options {
    /// Whether `--max-connections` was given.
    pub fn asks_for_connections(&self) -> bool {
        self.max_connections != Config::DEFAULT_MAX_CONNECTIONS
    }
}

/// How much is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum LogLevel {
    /// Nothing.
    Off,
    /// Only failures of the server itself.
    Error,
    /// Also client errors.
    Warn,
    /// Also when the server starts and stops.
    Info,
    /// Also each connection's start and end.
    Debug,
    /// Also what its libraries log.
    Trace,
}

/// A number that is at least `min`.
fn count(min: u64) -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(min..)
}

/// A number from `min` to `max`.
fn up_to(min: u64, max: u64) -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(min..=max)
}

/// Whole seconds, at most a day: more would never expire in practice.
fn seconds(min: u64) -> RangedU64ValueParser<u64> {
    RangedU64ValueParser::new().range(min..=24 * 60 * 60)
}

impl From<&Options> for Config {
    fn from(options: &Options) -> Self {
        Self {
            bind: options.bind,
            port: options.port,
            frame_limits: Limits {
                max_frame: options.max_frame,
                max_depth: options.max_depth,
            },
            max_topics: options.max_topics,
            max_outbox: options.max_outbox,
            max_queued: options
                .max_queued
                .unwrap_or_else(memory::default_max_queued),
            max_mailbox: options.max_mailbox,
            max_connections: options.max_connections,
            max_connections_per_address: options.max_connections_per_address,
            registration_timeout: Duration::from_secs(options.registration_timeout),
            frame_timeout: Duration::from_secs(options.frame_timeout),
            write_timeout: Duration::from_secs(options.write_timeout),
            drain_timeout: Duration::from_secs(options.drain_timeout),
            history_messages: options.history_messages,
            history_bytes: options.history_bytes,
            history_memory: options.history_memory,
            id_window: Duration::from_secs(options.id_window),
            max_ids: options.max_ids,
            max_presence: options.max_presence,
            data: options.data.clone(),
            max_headers: options.max_headers,
            allow_origins: options.allow_origins.clone(),
            allow_hosts: options.allow_hosts.clone(),
            host_name: None,
            ping_interval: Duration::from_secs(options.ping_interval),
            storage_timeout: Duration::from_secs(options.storage_timeout),
            keep_age: Duration::from_secs(options.keep_age),
            keep_messages: options.keep_messages,
            keep_bytes: options.keep_bytes,
        }
    }
}

#[cfg(test)]
mod tests;
