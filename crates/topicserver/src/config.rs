//! Options → a [`Config`] that is known to make sense. Each option is in the file of its group,
//! beside its default and the reason for it.

mod access;
mod admin;
mod changes;
mod cluster;
mod connections;
mod deadlines;
mod frames;
mod http;
mod layers;
mod listen;
mod memory;
mod nats_url;
mod parse;
mod proxies;
mod report;
mod site;
mod source;
mod storage;
mod tls;
mod topic;

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use wire::Limits;

use access::AccessOptions;
use admin::AdminOptions;
pub use admin::{AdminAddress, AdminAddressError, BackupRate, BackupRateError};
use cluster::ClusterOptions;
pub use cluster::{ClusterConfig, ClusterDurability, MonitorUrl, MonitorUrlError};
use connections::ConnectionOptions;
use deadlines::DeadlineOptions;
use frames::FrameOptions;
use http::HttpOptions;
use parse::up_to;
use proxies::ProxyOptions;
use storage::StorageOptions;
use tls::TlsOptions;
use topic::TopicOptions;

use crate::version;
pub use changes::Change;
pub(crate) use changes::InForce;
pub use layers::Gathered;
pub use nats_url::{NatsUrl, NatsUrlError};
pub use proxies::{TrustedProxy, TrustedProxyError};
pub use source::{ConfigMistake, OptionsError, Source};
pub use tls::{CertificateSource, TlsConfig, TlsMode, TlsVersion};

/// The settings of a server.
#[derive(Clone, Debug)]
pub struct Config {
    /// The address to listen on; `None`: all of them, IPv4 and IPv6.
    pub bind: Option<IpAddr>,
    /// The port; with 0 the system chooses one.
    pub port: u16,
    /// The path of a UNIX socket to listen on.
    pub unix: Option<PathBuf>,
    /// Listen on that socket only, and on no port.
    pub unix_only: bool,
    /// Announce the server to the local network.
    pub announce: bool,
    /// The limits of a frame.
    pub frame_limits: Limits,
    /// Maximum topics of one connection.
    pub max_topics: usize,
    /// Maximum bytes queued for one connection.
    pub max_outbox: usize,
    /// Maximum bytes queued for all connections together.
    pub max_queued: usize,
    /// Maximum bytes queued for one topic before its publishers are slowed.
    pub max_mailbox: usize,
    /// Maximum connections.
    pub max_connections: usize,
    /// Maximum connections of one IP address.
    pub max_connections_per_address: usize,
    /// Time from the connection to the first registration.
    pub registration_timeout: Duration,
    /// Time from the beginning of a frame to its end.
    pub frame_timeout: Duration,
    /// How long a peer may accept none of the bytes queued for it.
    pub write_timeout: Duration,
    /// Time to send what is queued when a connection or the server ends.
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
    /// Maximum members of a topic for which joining and leaving is announced.
    pub max_presence: usize,
    /// Where messages are kept on disk; `None` keeps them in memory alone.
    pub data: Option<PathBuf>,
    /// Bytes of an HTTP request before its body.
    pub max_headers: usize,
    /// Maximum topics of one stream over HTTP.
    pub max_stream_topics: usize,
    /// Sites whose pages may send requests, as `scheme://host[:port]`.
    pub allow_origins: Vec<String>,
    /// Names under which browsers may reach the server, beside its addresses,
    /// `localhost`, and `host_name`.
    pub allow_hosts: Vec<String>,
    /// Proxies that are trusted to name the client that they forward.
    pub trust_proxies: Vec<TrustedProxy>,
    /// The machine's own name.
    pub host_name: Option<String>,
    /// Time between two pings of a WebSocket, and between two comments on a silent event
    /// stream.
    pub ping_interval: Duration,
    /// How long a message may wait to be stored.
    pub storage_timeout: Duration,
    /// How old messages on disk become.
    pub keep_age: Duration,
    /// Messages of a topic that are kept on disk.
    pub keep_messages: u64,
    /// Bytes of a topic's messages that are kept on disk.
    pub keep_bytes: u64,
    /// How long the system's clock must agree with the monotonic one before messages are
    /// deleted for their age; zero trusts it at once.
    pub clock_settle: Duration,
    /// For how long a name is kept for the client whose connection has ended.
    pub name_grace: Duration,
    /// The policy's file. Without it everybody may do everything.
    pub auth: Option<PathBuf>,
    /// Without such a file, peers from outside of the server's own network are served too.
    pub open_to_all: bool,
    /// For how long a browser keeps a login.
    pub login_lifetime: Duration,
    /// For how long a ticket is good.
    pub ticket_lifetime: Duration,
    /// A file for logins, refusals and changes, in addition to the log.
    pub audit_log: Option<PathBuf>,
    /// How the server speaks TLS.
    pub tls: TlsConfig,
    /// Where administrators reach the server; `None`: nowhere.
    pub admin: Option<AdminAddress>,
    /// For how long a server that is to end says so before it does anything else.
    pub drain_announce: Duration,
    /// Over how long connections are closed when the server ends.
    pub drain_spread: Duration,
    /// The cluster that this server is one of; `None`: it is alone.
    pub cluster: Option<ClusterConfig>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            bind: None,
            port: 0,
            unix: None,
            unix_only: false,
            announce: false,
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
            max_stream_topics: Self::DEFAULT_MAX_STREAM_TOPICS,
            allow_origins: Vec::new(),
            allow_hosts: Vec::new(),
            trust_proxies: Vec::new(),
            host_name: None,
            ping_interval: Self::DEFAULT_PING_INTERVAL,
            storage_timeout: Self::DEFAULT_STORAGE_TIMEOUT,
            keep_age: Self::DEFAULT_KEEP_AGE,
            keep_messages: Self::DEFAULT_KEEP_MESSAGES,
            keep_bytes: Self::DEFAULT_KEEP_BYTES,
            clock_settle: Self::DEFAULT_CLOCK_SETTLE,
            name_grace: Self::DEFAULT_NAME_GRACE,
            auth: None,
            open_to_all: false,
            login_lifetime: Self::DEFAULT_LOGIN_LIFETIME,
            ticket_lifetime: Self::DEFAULT_TICKET_LIFETIME,
            audit_log: None,
            tls: TlsConfig::default(),
            admin: None,
            drain_announce: Self::DEFAULT_DRAIN_ANNOUNCE,
            drain_spread: Self::DEFAULT_DRAIN_SPREAD,
            cluster: None,
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
    version = version::VERSION,
    long_version = version::LONG_VERSION,
    after_help = "Example: topicserver 20000\n\
                  Then, in other terminals: chat -topic 127.0.0.1:20000 lame-conversation\n\
                  To see which options are in force, and whether the server would start:\n\
                  topicserver check-config [FILE] [PORT] [OPTIONS]\n\
                  To say who may do what: topicserver user|token|allow|deny|link --help\n\
                  To see and end a server that was started with --admin: \
                  topicserver top|reload|drain --help\n\
                  To look into, copy and restore what --data keeps: \
                  topicserver history|backup --help"
)]
pub struct Options {
    /// Port to listen on; with 0 the system chooses one. It can be left out with --listen
    #[arg(required_unless_present = "listen", value_parser = parse::port)]
    pub port: Option<u16>,

    /// Also read options from this TOML file: the options' names without the dashes, as in
    /// max-frame = "64KiB". An environment variable such as NATTER_MAX_FRAME goes before it, and
    /// the command line before both
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Listen on this IP address only [default: all addresses]
    #[arg(long, value_name = "ADDRESS", value_parser = parse::address)]
    pub bind: Option<IpAddr>,

    /// Also listen on a UNIX socket, for clients on this machine: its owner and its group may use
    /// it (mode 0660)
    #[arg(long, value_name = "unix:PATH", value_parser = listen::socket_path)]
    pub listen: Option<PathBuf>,

    /// Tell everybody in the local network that there is a server, by multicast DNS: chat -find
    /// lists those that do
    #[arg(long)]
    pub announce: bool,

    /// How much to log to standard error
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    pub log: LogLevel,

    /// How to write the log: text, or a JSON object per line
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub log_format: LogFormat,

    #[command(flatten)]
    frames: FrameOptions,

    #[command(flatten)]
    access: AccessOptions,

    #[command(flatten)]
    connections: ConnectionOptions,

    #[command(flatten)]
    deadlines: DeadlineOptions,

    #[command(flatten)]
    topic: TopicOptions,

    #[command(flatten)]
    storage: StorageOptions,

    #[command(flatten)]
    cluster: ClusterOptions,

    #[command(flatten)]
    http: HttpOptions,

    #[command(flatten)]
    tls: TlsOptions,

    #[command(flatten)]
    proxies: ProxyOptions,

    #[command(flatten)]
    admin: AdminOptions,

    /// Worker threads [default: one per core; one fewer with --data, because a separate thread
    /// writes to disk]
    #[arg(long, value_name = "COUNT", value_parser = up_to(1, 512))]
    pub threads: Option<usize>,
}

impl Options {
    /// Maximum connections.
    pub fn max_connections(&self) -> usize {
        self.connections.max_connections
    }

    /// Whether messages are kept on disk.
    pub fn keeps_on_disk(&self) -> bool {
        self.storage.data.is_some()
    }

    /// Whether `--max-connections` was given.
    pub fn asks_for_connections(&self) -> bool {
        self.connections.max_connections != Config::DEFAULT_MAX_CONNECTIONS
    }
}

/// How the log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// Lines for people; for the journal of systemd without a stamp, and with the level as
    /// journald takes it.
    Text,
    /// A JSON object per line: time, level, target, message, and further fields.
    Json,
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

impl From<&Options> for Config {
    fn from(options: &Options) -> Self {
        let mut config = Self {
            bind: options.bind,
            port: options.port.unwrap_or_default(),
            unix: options.listen.clone(),
            unix_only: options.port.is_none(),
            announce: options.announce,
            ..Self::default()
        };
        options.frames.apply(&mut config);
        options.access.apply(&mut config);
        options.connections.apply(&mut config);
        options.deadlines.apply(&mut config);
        options.topic.apply(&mut config);
        options.storage.apply(&mut config);
        options.cluster.apply(&mut config);
        options.http.apply(&mut config);
        options.tls.apply(&mut config);
        options.proxies.apply(&mut config);
        options.admin.apply(&mut config);
        config
    }
}

#[cfg(test)]
mod tests;
