//! What a request's handler knows about the request and its connection.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::cluster::quorum::refusal;
use crate::config::Config;
use crate::http::cookie::Cookie;
use crate::http::guard::Site;
use crate::http::problem::Problem;
use crate::state::{ConnectionGuard, ServerState};

/// A connection that speaks HTTP.
pub(crate) struct HttpConnection {
    pub(super) guard: ConnectionGuard,
    /// The address at the other end: a client's or a proxy's.
    pub(super) peer: SocketAddr,
    /// The server's address of the connection.
    pub(super) local: SocketAddr,
    /// The connection is encrypted.
    pub(super) is_secure: bool,
    /// It comes over a UNIX socket.
    pub(super) is_local: bool,
}

/// A request.
pub(crate) struct RequestContext {
    pub(super) connection: Arc<HttpConnection>,
    /// The client's address, which may come from a trusted proxy.
    pub(super) peer: SocketAddr,
    /// Whose page sends it.
    pub(super) site: Site,
    /// In which a browser keeps a login.
    pub(super) cookie: Cookie,
    /// The configuration in force when the request came.
    pub(super) config: Arc<Config>,
}

impl HttpConnection {
    /// What all connections share.
    pub(super) fn state(&self) -> &Arc<ServerState> {
        self.guard.state()
    }
}

impl RequestContext {
    /// What all connections share.
    pub(super) fn state(&self) -> &Arc<ServerState> {
        self.connection.state()
    }

    pub(super) fn config(&self) -> &Config {
        &self.config
    }

    /// Fails if the servers of a cluster that keep the messages are known to be out of reach.
    pub(super) fn check_quorum(&self) -> Result<(), Problem> {
        let cluster = self.state().cluster();
        match cluster.and_then(|part| refusal(part.quorum().is_there())) {
            Some((_, text)) => Err(Problem::no_quorum(text)),
            None => Ok(()),
        }
    }

    /// The server's address of the connection.
    pub(super) fn local(&self) -> SocketAddr {
        self.connection.local
    }
}
