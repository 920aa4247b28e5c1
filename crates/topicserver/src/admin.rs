//! The admin listener: metrics, statistics and commands, apart from the port that clients
//! reach. Whoever reaches it is an administrator, so it asks for no password, and it listens
//! only where it is told to.

mod guard;
mod router;
mod stats;

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use socket2::{Domain, SockAddr, Socket, Type};
use tokio::net::TcpListener;
use tokio::net::UnixListener;
use tokio::sync::Notify;

use crate::config::AdminAddress;
use crate::reload::Reloader;
use crate::state::ServerState;

/// Administrators that may wait to be accepted: few come, and rarely.
const BACKLOG: i32 = 16;

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
                let listener = bind_unix(path)?;
                Ok(Self::Unix(listener, SocketFile(path.clone())))
            }
        }
    }

    /// Where it listens, with the port that it got.
    pub(crate) fn place(&self) -> io::Result<AdminAddress> {
        Ok(match self {
            Self::Tcp(listener) => AdminAddress::Tcp(listener.local_addr()?),
            Self::Unix(_, file) => AdminAddress::Unix(file.0.clone()),
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

/// The file of a UNIX socket, which goes with the listener.
pub(crate) struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Somebody else may have removed it already.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Only the user who runs the server may use the socket. A file that a server left behind,
/// which nobody listens on, is replaced.
fn bind_unix(path: &Path) -> io::Result<UnixListener> {
    use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
    use std::os::unix::net::UnixStream;

    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket());
    if is_socket && UnixStream::connect(path).is_err() {
        std::fs::remove_file(path)?;
    }
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.bind(&SockAddr::unix(path)?)?;
    // Nobody can connect before this is set: the socket doesn't listen yet.
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    UnixListener::from_std(socket.into())
}
