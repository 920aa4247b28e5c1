//! What all sessions of one server share.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use wire::ErrorCode;

use crate::config::Config;
use crate::connections::{Connections, Refusal};
use crate::http::Web;
use crate::identity::Hashes;
use crate::identity::names::Directory;
use crate::log_limit::Complaints;
use crate::outbox::SharedOutbox;
use crate::store::Store;
use crate::topic::registry::Registry;

/// The server as its sessions see it.
pub(crate) struct Shared {
    config: Config,
    registry: Arc<Registry>,
    connections: Connections,
    directory: Arc<Directory>,
    hashes: Hashes,
    store: Option<Store>,
    web: Web,
    /// Of peers.
    complaints: Complaints,
    /// Of the server's own, which no peer's nonsense shall hide.
    troubles: Complaints,
}

impl Shared {
    pub(crate) fn new(config: Config, store: Option<Store>) -> Arc<Self> {
        Arc::new(Self {
            hashes: match &store {
                Some(store) => Hashes::new(store.secret()),
                None => Hashes::random(),
            },
            registry: Arc::new(Registry::new(&config, store.clone())),
            store,
            connections: Connections::new(
                config.max_connections,
                config.max_connections_per_address,
            ),
            directory: Arc::default(),
            web: Web::new(&config),
            complaints: Complaints::default(),
            troubles: Complaints::default(),
            config,
        })
    }

    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    pub(crate) fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    pub(crate) fn directory(&self) -> &Arc<Directory> {
        &self.directory
    }

    /// For names, keys and ids that are remembered.
    pub(crate) fn hashes(&self) -> &Hashes {
        &self.hashes
    }

    /// Where messages are kept on disk, if they are.
    pub(crate) fn store(&self) -> Option<&Store> {
        self.store.as_ref()
    }

    /// What HTTP requests are answered with.
    pub(crate) fn web(&self) -> &Web {
        &self.web
    }

    pub(crate) fn connections(&self) -> &Connections {
        &self.connections
    }

    /// Gives a new connection its place among the others.
    pub(crate) fn admit(self: &Arc<Self>, peer: SocketAddr) -> Result<Place, Refusal> {
        let ip = peer.ip().to_canonical();
        Ok(Place {
            shared: self.clone(),
            key: self.connections.admit(ip)?,
            ip: Some(ip),
        })
    }

    /// A place for a session within a connection that has its own: it can be reached
    /// when the server ends, and doesn't count as a connection.
    pub(crate) fn admit_within(self: &Arc<Self>) -> Place {
        Place {
            shared: self.clone(),
            key: self.connections.admit_within(),
            ip: None,
        }
    }

    /// Logs what a peer did wrong, unless there is too much of it.
    pub(crate) fn complain(&self, peer: SocketAddr, code: ErrorCode, text: &str) {
        self.complaints.log(|left_out| match left_out {
            0 => tracing::warn!(%peer, %code, "{text}"),
            more => tracing::warn!(%peer, %code, left_out = more, "{text}"),
        });
    }

    /// Logs a trouble of the server's own that may come again and again.
    pub(crate) fn warn(&self, write: impl FnOnce()) {
        self.troubles.log(|_| write());
    }
}

/// A connection's place in the server. Dropping it gives the place back.
pub(crate) struct Place {
    shared: Arc<Shared>,
    key: usize,
    /// The peer's, under which it is counted; `None` within a connection that counts.
    ip: Option<IpAddr>,
}

impl Place {
    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Lets the connection be reached when the server ends.
    pub(crate) fn set_outbox(&self, outbox: &SharedOutbox) {
        self.shared.connections.set_outbox(self.key, outbox);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.shared.connections.remove(self.key, self.ip);
    }
}
