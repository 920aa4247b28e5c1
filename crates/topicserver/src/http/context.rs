//! What a request's handler knows of the request and of the connection on which it came.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::config::Config;
use crate::http::cookie::Cookie;
use crate::http::guard::Site;
use crate::state::{ConnectionGuard, ServerState};

/// A connection on which requests come.
pub(crate) struct HttpConnection {
    pub(super) guard: ConnectionGuard,
    /// The other end of the connection: a client, or a proxy.
    pub(super) peer: SocketAddr,
    /// The server's end.
    pub(super) local: SocketAddr,
    /// Nobody on the way can read along.
    pub(super) is_secure: bool,
}

/// A request.
pub(crate) struct RequestContext {
    pub(super) connection: Arc<HttpConnection>,
    /// The client, whom a trusted proxy may have forwarded.
    pub(super) peer: SocketAddr,
    /// Whose page sends it.
    pub(super) site: Site,
    /// In which a browser keeps a login.
    pub(super) cookie: Cookie,
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
        self.state().config()
    }

    /// The server's end of the connection.
    pub(super) fn local(&self) -> SocketAddr {
        self.connection.local
    }
}
