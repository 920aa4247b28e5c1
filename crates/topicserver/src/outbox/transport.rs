//! The writing side of a connection, as an outbox needs it.
//!
//! Writing never waits: a sender tries, and what the socket does not take stays in the
//! outbox.

use std::io::{self, IoSlice};
use std::net::{Shutdown, SocketAddr};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::net::tcp::OwnedWriteHalf;

use crate::metrics;

/// Where an outbox writes to.
pub(crate) trait Transport: Send + Sync {
    /// Writes as much as can be written now; `WouldBlock` if that is nothing.
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize>;

    /// The same for several pieces, in their order.
    fn try_write_vectored(&self, pieces: &[IoSlice<'_>]) -> io::Result<usize>;

    /// Waits until trying again may be worth it.
    fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Bytes that were taken, and that the socket hasn't taken yet.
    fn unsent(&self) -> usize {
        0
    }

    /// Writes what the socket takes of those; `WouldBlock` if that is nothing.
    fn flush(&self) -> io::Result<()> {
        Ok(())
    }

    /// Tells the peer that nothing more comes.
    fn finish(&self);

    /// Has the connection's end look like what it is: the peer doesn't get everything.
    fn abort(&self) {}

    /// Our end of the connection.
    fn local_addr(&self) -> io::Result<SocketAddr>;
}

/// The writing end of a socket. The end of this isn't the socket's: that is closed when its
/// reading end goes too, because something else may go on writing there.
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
            // A peer that has gone already needs no word that nothing more comes.
            let _ = socket2::SockRef::from(socket).shutdown(Shutdown::Write);
        }
    }

    fn abort(&self) {
        if let Ok(socket) = self.socket() {
            // It resets the connection when it is closed. Where that can't be set, the peer
            // sees an end.
            let _ = socket2::SockRef::from(socket).set_linger(Some(Duration::ZERO));
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket()?.local_addr()
    }
}
