//! What a request's handler knows of the connection on which the request came.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::config::Config;
use crate::state::{ConnectionGuard, ServerState};

/// A connection on which requests come.
pub(crate) struct RequestContext {
    pub(super) guard: ConnectionGuard,
    /// The client's end of the connection.
    pub(super) peer: SocketAddr,
    /// The server's end.
    pub(super) local: SocketAddr,
    /// Nobody on the way can read along.
    pub(super) is_secure: bool,
}

impl RequestContext {
    /// What all connections share.
    pub(super) fn state(&self) -> &Arc<ServerState> {
        self.guard.state()
    }

    pub(super) fn config(&self) -> &Config {
        self.state().config()
    }
}
