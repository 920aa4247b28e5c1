//! The admin listener: metrics, statistics and commands, apart from the port that clients
//! reach. Whoever reaches it is an administrator, so it asks for no password, and it listens
//! only where it is told to.

mod guard;
mod history;
mod router;
mod stats;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::{TcpListener, UnixListener};
use tokio::sync::Notify;

use crate::config::AdminAddress;
use crate::reload::Reloader;
use crate::state::ServerState;
use crate::unix_socket::{self, SocketFile};

/// Administrators that may wait to be accepted: few come, and rarely.
const BACKLOG: i32 = 16;

/// Only the user who runs the server may use the socket.
const PERMISSIONS: u32 = 0o600;

/// What administrators can do to a server.
pub(crate) struct Control {
    pub(crate) state: Arc<ServerState>,
    /// Has it read everything again.
    pub(crate) reloader: Reloader,
    /// Has it end.
    pub(crate) drain: Arc<Notify>,
}

/// An admin listener that has its place.
pub(crate) enum AdminListener {
    Tcp(TcpListener),
    Unix(UnixListener, SocketFile),
}

impl AdminListener {
    /// Takes its place. Must be called within a tokio runtime.
    pub(crate) fn bind(address: &AdminAddress) -> io::Result<Self> {
        match address {
            AdminAddress::Tcp(address) => bind_tcp(*address).map(Self::Tcp),
            AdminAddress::Unix(path) => {
                let (listener, file) = unix_socket::bind(path, PERMISSIONS, BACKLOG)?;
                Ok(Self::Unix(listener, file))
            }
        }
    }

    /// Where it listens, with the port that it got.
    pub(crate) fn place(&self) -> io::Result<AdminAddress> {
        Ok(match self {
            Self::Tcp(listener) => AdminAddress::Tcp(listener.local_addr()?),
            Self::Unix(_, file) => AdminAddress::Unix(file.path().to_owned()),
        })
    }

    /// Whether other machines may reach it.
    pub(crate) fn is_exposed(&self) -> bool {
        match self.place() {
            Ok(AdminAddress::Tcp(address)) => !address.ip().is_loopback(),
            Ok(AdminAddress::Unix(_)) | Err(_) => false,
        }
    }

    /// Answers administrators for ever.
    pub(crate) async fn serve(self, control: Arc<Control>) {
        let router = router::router(control);
        // Neither listener reports an error: accepting is tried again.
        let served = match self {
            Self::Tcp(listener) => axum::serve(listener, router).await,
            Self::Unix(listener, _file) => axum::serve(listener, router).await,
        };
        if let Err(error) = served {
            tracing::error!(%error, "the admin listener has ended");
        }
        std::future::pending::<()>().await;
    }
}

fn bind_tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let listener = std::net::TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}
