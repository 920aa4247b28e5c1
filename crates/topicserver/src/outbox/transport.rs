//! The writing side of a connection, as an outbox needs it.
//!
//! Writing never waits: a sender tries, and what the socket does not take stays in the
//! outbox.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::net::tcp::OwnedWriteHalf;
use tokio::net::{TcpStream, UnixStream, unix};

use crate::metrics;
use crate::socket::{Socket, local_address};

/// Where an outbox writes to.
pub(crate) trait Transport: Send + Sync {
    /// Writes as much as can be written now; `WouldBlock` if nothing can be.
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize>;

    /// The same for several pieces, in their order.
    fn try_write_vectored(&self, pieces: &[IoSlice<'_>]) -> io::Result<usize>;

    /// Waits until the socket may take more.
    fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Bytes that the transport has taken and the socket hasn't yet.
    fn unsent(&self) -> usize {
        0
    }

    /// Writes as much of the unsent bytes as the socket takes; `WouldBlock` if it takes none.
    fn flush(&self) -> io::Result<()> {
        Ok(())
    }

    /// Tells the peer that nothing more comes.
    fn finish(&self);

    /// Makes the connection end with a reset, so that the peer sees that it doesn't get
    /// everything.
    fn abort(&self) {}

    /// Our address of the connection.
    fn local_addr(&self) -> io::Result<SocketAddr>;
}

/// The writing half of a socket. Dropping it doesn't shut the socket down: something else may go
/// on writing there, and the socket closes when its reading half is dropped too.
pub(crate) struct TcpWriter(Option<OwnedWriteHalf>);

impl TcpWriter {
    pub(crate) fn new(half: OwnedWriteHalf) -> Self {
        Self(Some(half))
    }

    fn socket(&self) -> io::Result<&TcpStream> {
        // It is only taken out when this is dropped.
        let half = self.0.as_ref().ok_or(io::ErrorKind::NotConnected)?;
        Ok(half.as_ref())
    }
}

impl Drop for TcpWriter {
    fn drop(&mut self) {
        if let Some(half) = self.0.take() {
            half.forget();
        }
    }
}

impl Transport for TcpWriter {
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        metrics::count_sent(self.socket()?.try_write(bytes))
    }

    fn try_write_vectored(&self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        metrics::count_sent(self.socket()?.try_write_vectored(pieces))
    }

    fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket()?.poll_write_ready(cx)
    }

    fn finish(&self) {
        if let Ok(socket) = self.socket() {
            Socket::Tcp(socket).close_sending_side();
        }
    }

    fn abort(&self) {
        if let Ok(socket) = self.socket() {
            // The connection is reset when it is closed. If this can't be set, the peer sees a
            // normal end.
            let _ = socket2::SockRef::from(socket).set_linger(Some(Duration::ZERO));
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket()?.local_addr()
    }
}

/// The same of a UNIX socket.
pub(crate) struct UnixWriter(Option<unix::OwnedWriteHalf>);

impl UnixWriter {
    pub(crate) fn new(half: unix::OwnedWriteHalf) -> Self {
        Self(Some(half))
    }

    fn socket(&self) -> io::Result<&UnixStream> {
        let half = self.0.as_ref().ok_or(io::ErrorKind::NotConnected)?;
        Ok(half.as_ref())
    }
}

impl Drop for UnixWriter {
    fn drop(&mut self) {
        if let Some(half) = self.0.take() {
            half.forget();
        }
    }
}

/// A UNIX socket can't be reset: a peer that is cut off sees an end, after what it was sent.
impl Transport for UnixWriter {
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        metrics::count_sent(self.socket()?.try_write(bytes))
    }

    fn try_write_vectored(&self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        metrics::count_sent(self.socket()?.try_write_vectored(pieces))
    }

    fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Socket::Unix(self.socket()?).poll_write_ready(cx)
    }

    fn finish(&self) {
        if let Ok(socket) = self.socket() {
            Socket::Unix(socket).close_sending_side();
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(local_address())
    }
}
