//! What all sessions of one server share.

use std::net::SocketAddr;
use std::sync::Arc;

use wire::ErrorCode;

use crate::complaints::Complaints;
use crate::config::Config;
use crate::connections::Connections;
use crate::registry::Registry;

/// The server as its sessions see it.
pub(crate) struct Shared {
    config: Config,
    registry: Arc<Registry>,
    connections: Arc<Connections>,
    complaints: Complaints,
}

impl Shared {
    pub(crate) fn new(config: Config) -> Arc<Self> {
        Arc::new(Self {
            registry: Arc::new(Registry::new(config.max_mailbox)),
            connections: Connections::new(
                config.max_connections,
                config.max_connections_per_address,
            ),
            complaints: Complaints::default(),
            config,
        })
    }

    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    pub(crate) fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    pub(crate) fn connections(&self) -> &Arc<Connections> {
        &self.connections
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
        self.complaints.log(|_| write());
    }
}
