//! The socket of a connection, whichever kind it is: a TCP connection's or a UNIX socket's.

use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};
use std::task::{Context, Poll};

use socket2::SockRef;
use tokio::net::{TcpStream, UnixStream};

/// A socket, borrowed.
#[derive(Clone, Copy)]
pub(crate) enum Socket<'a> {
    Tcp(&'a TcpStream),
    Unix(&'a UnixStream),
}

/// Our address of a connection over a UNIX socket, for frames, which have only addresses.
pub(crate) fn local_address() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}

impl Socket<'_> {
    pub(crate) fn local_addr(self) -> io::Result<SocketAddr> {
        match self {
            Self::Tcp(socket) => socket.local_addr(),
            Self::Unix(_) => Ok(local_address()),
        }
    }

    pub(crate) async fn readable(self) -> io::Result<()> {
        match self {
            Self::Tcp(socket) => socket.readable().await,
            Self::Unix(socket) => socket.readable().await,
        }
    }

    pub(crate) fn try_read(self, bytes: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(socket) => socket.try_read(bytes),
            Self::Unix(socket) => socket.try_read(bytes),
        }
    }

    pub(crate) fn poll_write_ready(self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(socket) => socket.poll_write_ready(cx),
            Self::Unix(socket) => socket.poll_write_ready(cx),
        }
    }

    /// Tells the peer that nothing more comes. One that has gone needn't be told.
    pub(crate) fn close_sending_side(self) {
        let _ = SockRef::from(&self).shutdown(Shutdown::Write);
    }
}

impl AsFd for Socket<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(socket) => socket.as_fd(),
            Self::Unix(socket) => socket.as_fd(),
        }
    }
}
