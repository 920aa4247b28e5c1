//! Why a server can't be one of a cluster.

use std::path::PathBuf;

/// Why a server can't be one of a cluster. Each says what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// The program lacks it.
    #[error(
        "--cluster: this topicserver is built without clusters; build it with the feature \"cluster\""
    )]
    NotBuilt,
    /// No NATS server answers.
    #[error("--cluster: no NATS server can be reached at {servers}: {cause}")]
    Unreachable {
        /// Where they were looked for.
        servers: String,
        /// What the last of them said.
        cause: String,
    },
    /// NATS isn't to be trusted, or speaks no TLS.
    #[error(
        "--cluster: there is no TLS with NATS at {servers}: {cause}; name the authority that has signed its certificate with --cluster-ca, name the servers as their certificates do, and see that they have a \"tls\" block"
    )]
    Tls {
        /// Where.
        servers: String,
        /// What the library says.
        cause: String,
    },
    /// NATS doesn't know this server.
    #[error(
        "--cluster: NATS at {servers} refuses {login}; give a user and password, a token or credentials that it knows with --cluster-credentials"
    )]
    Login {
        /// Where.
        servers: String,
        /// Of whom, without the secret.
        login: String,
    },
    /// The file of credentials can't be used.
    #[error("--cluster-credentials: {}: {cause}", .path.display())]
    Credentials {
        /// Its path.
        path: PathBuf,
        /// What is wrong with it.
        cause: String,
    },
    /// The file of authorities can't be used.
    #[error("--cluster-ca: {}: {cause}", .path.display())]
    Authorities {
        /// Its path.
        path: PathBuf,
        /// What is wrong with it.
        cause: String,
    },
    /// A NATS server is too old.
    #[error(
        "--cluster: the NATS server at {server} has version {version}, which can accept two messages for the same place and lose one; use nats-server 2.12.7 or newer, and 2.11 at least"
    )]
    Version {
        /// Which server.
        server: String,
        /// Its version.
        version: String,
    },
    /// Records would be too long.
    #[error(
        "--cluster: NATS takes {bytes} bytes in a message; set max_payload to 1MB in the configuration of each NATS server"
    )]
    Payload {
        /// The longest message that it takes.
        bytes: usize,
    },
    /// Nothing is stored there.
    #[error(
        "--cluster: JetStream is off in NATS; add \"jetstream {{ store_dir: …, sync_interval: always }}\" to the configuration of each NATS server, and for an account to its limits"
    )]
    NoJetStream,
    /// Flushing is promised, and it can't be checked.
    #[error(
        "--cluster: that messages are flushed to disk before they are acknowledged can't be checked: name the monitoring addresses of all NATS servers with --nats-monitor http://HOST:8222,… (in their configuration: \"http: 8222\"), or promise less with --cluster-durability replicated"
    )]
    NoMonitor,
    /// Too many monitoring addresses don't answer.
    #[error(
        "--nats-monitor: most NATS servers must tell whether they flush, and these don't: {}; start them with \"http: PORT\", take them off the list and out of the NATS cluster, or promise less with --cluster-durability replicated",
        .causes.join("; ")
    )]
    Monitors {
        /// Which, and what went wrong with each.
        causes: Vec<String>,
    },
    /// NATS acknowledges what it hasn't flushed.
    #[error(
        "--cluster-durability: the NATS server at http://{monitor} acknowledges messages before they are on its disk; set \"sync_interval: always\" in the jetstream block of its configuration, or promise less with --cluster-durability replicated: then a power cut of all servers loses the messages of the last seconds"
    )]
    NotFlushed {
        /// The monitoring address of that server.
        monitor: String,
    },
    /// Some servers weren't looked at.
    #[error(
        "--nats-monitor: {seen} of the {all} NATS servers with JetStream are named; name all of them"
    )]
    FewMonitors {
        /// Different servers that were named.
        seen: usize,
        /// Servers that there are.
        all: usize,
    },
    /// The cluster was made with other options.
    #[error(
        "--cluster-shards: the cluster was made with {shards} shards, and can't have {mine} now"
    )]
    Shards {
        /// The cluster's.
        shards: usize,
        /// This server's.
        mine: usize,
    },
    /// A stream has the name of one of the cluster, and isn't.
    #[error(
        "--cluster-name: NATS has a stream {0} that isn't this cluster's; give the cluster another name"
    )]
    OtherStream(String),
    /// Not as many servers as replicas.
    #[error(
        "--cluster-replicas: NATS can't keep the stream {0} on so many servers; there are fewer of them, or they have no room"
    )]
    FewServers(String),
    /// JetStream doesn't answer.
    #[error(
        "--cluster: NATS is reached, but JetStream doesn't answer; most of its servers must run, and JetStream must be on"
    )]
    Silent,
    /// JetStream refuses a stream.
    #[error("--cluster: NATS can't serve the stream {stream}: {cause}")]
    Stream {
        /// Which.
        stream: String,
        /// What it says.
        cause: String,
    },
}
