//! The state that all connections of a server share, and how connections are handed over.

mod derived;

use std::fmt::Display;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::RwLock;
use tokio::sync::Notify;
use wire::{Durability, ErrorCode, UserName};

use crate::access::Access;
use crate::clock::Clock;
use crate::cluster::names::Names;
use crate::cluster::part::Part;
use crate::config::Config;
use crate::connections::{Connections, Key, Refusal};
use crate::identity::names::Directory;
use crate::identity::{Hashes, NoRandomness};
use crate::log_limit::LogLimiter;
use crate::metrics::CountedConnection;
use crate::outbox::SharedOutbox;
use crate::peer::Shown;
use crate::queues::QueueLimits;
use crate::store::Store;
use crate::tls::acceptor::Acceptor;
use crate::tls::reader::Reader;
use crate::topic::registry::Registry;
use crate::turn::Turns;
pub(crate) use derived::{lifetimes, part, retention};

/// The state of the server that its connections share.
pub(crate) struct ServerState {
    /// The configuration in force. A connection keeps the one with which it began.
    config: RwLock<Arc<Config>>,
    registry: Arc<Registry>,
    access: Access,
    connections: Connections,
    queue_limits: Arc<QueueLimits>,
    turns: Turns,
    directory: Arc<Directory>,
    /// The names at all servers of a cluster.
    names: Option<Arc<Names>>,
    hashes: Hashes,
    store: Option<Store>,
    /// The part in a cluster, with `--cluster`.
    cluster: Option<Part>,
    /// Accepts TLS, if the server speaks it.
    tls: RwLock<Option<Arc<Acceptor>>>,
    /// Notified when there is another one.
    tls_replaced: Notify,
    clock: Clock,
    /// Serves the connections that speak HTTP.
    http: Arc<dyn ServeHttp>,
    /// Limits log lines about peers' errors.
    peer_errors: LogLimiter,
    /// Limits log lines about the server's own errors, separately, so that peers' errors can't
    /// hide them.
    server_errors: LogLimiter,
    started: Instant,
    /// The server is to end.
    is_draining: AtomicBool,
}

/// Where messages are kept beside the memory.
#[derive(Default)]
pub(crate) struct Kept {
    /// On disk, with `--data`.
    pub(crate) store: Option<Store>,
    /// In the log of a cluster, with `--cluster`.
    pub(crate) cluster: Option<Part>,
}

/// Whether new clients should be sent here, for load balancers.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Readiness {
    pub(crate) ready: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    because: Vec<&'static str>,
    /// What doesn't work, though the server should go on: taking every server away from its
    /// clients would help nobody.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    degraded: Vec<&'static str>,
    /// Where a message is when it is acknowledged.
    durability: Durability,
}

impl ServerState {
    pub(crate) fn new(
        config: Config,
        kept: Kept,
        tls: Option<Arc<Acceptor>>,
        http: Arc<dyn ServeHttp>,
        clock: Clock,
        access: Access,
    ) -> Result<Arc<Self>, NoRandomness> {
        let (per_connection, per_topic) = (config.max_outbox, config.max_mailbox);
        let queue_limits = QueueLimits::new(per_connection, per_topic, config.max_queued);
        let queues = queue_limits.clone();
        let Kept { store, cluster } = kept;
        let own = store.as_ref().map(Store::secret);
        let secret = cluster.as_ref().map(Part::secret).or(own);
        let directory = Arc::new(Directory::new(config.name_grace));
        let names = |part: &Part| part.names(directory.clone());
        Ok(Arc::new(Self {
            names: cluster.as_ref().map(names),
            hashes: match secret {
                Some(secret) if cluster.is_some() => Hashes::new(secret)?.in_cluster(),
                Some(secret) => Hashes::new(secret)?,
                None => Hashes::random()?,
            },
            registry: Arc::new(Registry::new(
                &config,
                queues,
                store.clone(),
                clock.clone(),
                cluster.as_ref().map(|part| part.sender().clone()),
            )?),
            store,
            cluster,
            tls: RwLock::new(tls),
            tls_replaced: Notify::new(),
            clock,
            access,
            connections: Connections::new(
                config.max_connections,
                config.max_connections_per_address,
            ),
            queue_limits,
            turns: Turns::new(),
            directory,
            http,
            peer_errors: LogLimiter::default(),
            server_errors: LogLimiter::default(),
            started: Instant::now(),
            is_draining: AtomicBool::new(false),
            config: RwLock::new(Arc::new(config)),
        }))
    }

    /// The configuration in force now. Connections have one of their own, which doesn't change.
    pub(crate) fn config(&self) -> Arc<Config> {
        self.config.read().clone()
    }

    /// Puts another configuration in force, as far as it can be while the server runs: for new
    /// connections, and for what all of them share.
    pub(crate) async fn follow(&self, config: Config) {
        let (per_connection, per_topic) = (config.max_outbox, config.max_mailbox);
        self.queue_limits
            .set(per_connection, per_topic, config.max_queued);
        let (most, per_address) = (config.max_connections, config.max_connections_per_address);
        self.connections.set_limits(most, per_address);
        self.directory.set_grace(config.name_grace);
        self.http.follow(&config);
        self.access.follow(lifetimes(&config));
        if let Some(store) = &self.store {
            store.keep(retention(&config));
        }
        if let Some(part) = &self.cluster {
            part.keep(config.keep_messages, config.keep_bytes, config.keep_age);
        }
        let config = Arc::new(config);
        *self.config.write() = config.clone();
        self.registry.follow(&config).await;
    }

    pub(crate) fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    /// For how long the server has been there.
    pub(crate) fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    /// From now on no new clients should be sent here.
    pub(crate) fn start_draining(&self) {
        self.is_draining.store(true, Relaxed);
    }

    pub(crate) fn readiness(&self) -> Readiness {
        let is_draining = self.is_draining.load(Relaxed);
        let trouble = self.store.as_ref().and_then(Store::trouble);
        let part = self.cluster.as_ref();
        let has_quorum = part.is_none_or(|part| part.quorum().is_there());
        let has_settled = part.is_none_or(Part::has_settled);
        let draining = is_draining.then_some("draining");
        let joining = (!has_settled).then_some("joining");
        let no_quorum = (!has_quorum).then_some(ErrorCode::NoQuorum.as_str());
        Readiness {
            ready: !is_draining && has_settled && has_quorum,
            because: [draining, joining, no_quorum]
                .into_iter()
                .flatten()
                .collect(),
            degraded: trouble.map(ErrorCode::as_str).into_iter().collect(),
            durability: self.registry.durability(),
        }
    }

    /// Who may do what.
    pub(crate) fn access(&self) -> &Access {
        &self.access
    }

    pub(crate) fn directory(&self) -> &Arc<Directory> {
        &self.directory
    }

    /// The keyed hashes for names, keys and ids.
    pub(crate) fn hashes(&self) -> &Hashes {
        &self.hashes
    }

    /// Takes part in the cluster, if there is one, for ever.
    pub(crate) async fn take_part(&self) {
        match &self.cluster {
            Some(part) => {
                let names = async {
                    match &self.names {
                        Some(names) => names.clone().run().await,
                        None => std::future::pending().await,
                    }
                };
                tokio::join!(part.run(self.registry.clone()), names);
            }
            None => std::future::pending().await,
        }
    }

    /// The part in a cluster, with `--cluster`.
    pub(crate) fn cluster(&self) -> Option<&Part> {
        self.cluster.as_ref()
    }

    /// Where clients reach the other servers of its cluster.
    pub(crate) fn other_servers(&self) -> Vec<String> {
        self.cluster.as_ref().map(Part::servers).unwrap_or_default()
    }

    /// The names at all servers of the cluster, if there is one.
    pub(crate) fn names(&self) -> Option<&Arc<Names>> {
        self.names.as_ref()
    }

    /// Whether a connection, at any server, has this name, or its client may come back for it.
    pub(crate) async fn has_name(&self, user: &UserName) -> bool {
        match &self.names {
            Some(names) => names.has(user).await,
            None => self.directory.has(user),
        }
    }

    /// Hands this server's topics over to the others of its cluster.
    pub(crate) fn leave_cluster(&self) {
        if let Some(part) = &self.cluster {
            part.leave();
        }
    }

    /// Tells the others of its cluster that this server has ended.
    pub(crate) fn end_part(&self) {
        if let Some(part) = &self.cluster {
            part.end();
        }
    }

    /// The store, with `--data`.
    pub(crate) fn store(&self) -> Option<&Store> {
        self.store.as_ref()
    }

    /// Accepts TLS, if the server speaks it.
    pub(crate) fn tls(&self) -> Option<Arc<Acceptor>> {
        self.tls.read().clone()
    }

    /// From now on this one accepts TLS. Connections that there are stay as they are.
    pub(crate) fn set_tls(&self, tls: Option<Arc<Acceptor>>) {
        *self.tls.write() = tls;
        self.tls_replaced.notify_one();
    }

    /// Resolves when another one accepts TLS. Only one task may wait.
    pub(crate) async fn tls_replaced(&self) {
        self.tls_replaced.notified().await;
    }

    /// The server's clock.
    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The service for connections that speak HTTP.
    pub(crate) fn http(&self) -> &Arc<dyn ServeHttp> {
        &self.http
    }

    /// Whose turn is next.
    pub(crate) fn turns(&self) -> &Turns {
        &self.turns
    }

    /// The limits of all queues.
    pub(crate) fn queue_limits(&self) -> &Arc<QueueLimits> {
        &self.queue_limits
    }

    pub(crate) fn connections(&self) -> &Connections {
        &self.connections
    }

    /// Counts a new connection, unless there are too many. One of a trusted proxy counts for
    /// no address yet.
    pub(crate) fn admit(self: &Arc<Self>, peer: SocketAddr) -> Result<ConnectionGuard, Refusal> {
        let ip = peer.ip().to_canonical();
        let config = self.config();
        let ip = (!config.trusts_proxy(ip)).then_some(ip);
        Ok(ConnectionGuard {
            state: self.clone(),
            config,
            key: self.connections.admit(ip)?,
            ip,
            counted: CountedConnection::new(),
        })
    }

    /// Counts a connection of a trusted proxy for the client that it forwards, unless that client
    /// has too many.
    pub(crate) fn assign(self: &Arc<Self>, client: SocketAddr) -> Result<AddressPermit, Refusal> {
        let ip = client.ip().to_canonical();
        self.connections.assign(ip)?;
        let state = self.clone();
        Ok(AddressPermit {
            state,
            ip: Some(ip),
        })
    }

    /// Logs an error of a peer, at a limited rate.
    pub(crate) fn log_peer_error(&self, peer: SocketAddr, code: impl Display, text: &str) {
        let peer = Shown(peer);
        self.peer_errors.log(|left_out| match left_out {
            0 => tracing::warn!(%peer, %code, "{text}"),
            more => tracing::warn!(%peer, %code, left_out = more, "{text}"),
        });
    }

    /// Logs an error of the server itself, at a limited rate.
    pub(crate) fn warn(&self, write: impl FnOnce()) {
        self.server_errors.log(|_| write());
    }
}

/// Serves connections that speak HTTP. It is a trait because HTTP is built on sessions, and a
/// session hands over a connection that turns out to speak HTTP.
pub(crate) trait ServeHttp: Send + Sync {
    /// Serves a connection until it ends.
    fn serve(self: Arc<Self>, connection: Handover) -> Serving;

    /// Serves by another configuration from now on.
    fn follow(&self, config: &Config);
}

/// A connection that is being served.
pub(crate) type Serving = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A connection that a session hands over because its peer doesn't speak JSON.
pub(crate) struct Handover {
    pub(crate) reader: Reader,
    /// The bytes that were read already.
    pub(crate) bytes: Bytes,
    /// The outbox, by which the connection is told that the server ends.
    pub(crate) outbox: SharedOutbox,
    pub(crate) guard: ConnectionGuard,
}

/// Counts a connection as long as it is there.
pub(crate) struct ConnectionGuard {
    state: Arc<ServerState>,
    /// The configuration that was in force when the connection began.
    config: Arc<Config>,
    key: Key,
    /// The address under which the connection is counted. `None` for a connection of a trusted
    /// proxy, which may have any number.
    ip: Option<IpAddr>,
    counted: CountedConnection,
}

/// Counts a forwarded connection for its client until a [`ConnectionGuard`] does.
pub(crate) struct AddressPermit {
    state: Arc<ServerState>,
    ip: Option<IpAddr>,
}

impl Drop for AddressPermit {
    fn drop(&mut self) {
        if let Some(ip) = self.ip {
            self.state.connections.unassign(ip);
        }
    }
}

impl ConnectionGuard {
    pub(crate) fn state(&self) -> &Arc<ServerState> {
        &self.state
    }

    /// The configuration that was in force when the connection began.
    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    /// What the metrics count it as.
    pub(crate) fn counted(&mut self) -> &mut CountedConnection {
        &mut self.counted
    }

    /// Whether the connection comes from a trusted proxy that has not named its client yet.
    pub(crate) fn is_of_proxy(&self) -> bool {
        self.ip.is_none()
    }

    /// From now on this counts the connection for its client.
    pub(crate) fn take_permit(&mut self, mut permit: AddressPermit) {
        let ip = std::mem::replace(&mut self.ip, permit.ip.take());
        if let Some(ip) = ip {
            self.state.connections.unassign(ip);
        }
    }

    /// Lets the connection be reached when the server ends.
    pub(crate) fn set_outbox(&self, outbox: &SharedOutbox) {
        self.state.connections.set_outbox(self.key, outbox);
    }
}

impl Drop for ConnectionGuard {
    fn drop(&mut self) {
        self.state.connections.remove(self.key, self.ip);
    }
}
