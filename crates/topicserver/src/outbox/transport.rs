//! The writing side of a connection, as an outbox needs it.
//!
//! Writing never waits: a sender tries, and what the socket does not take stays in the
//! outbox.

use std::io::{self, IoSlice};
use std::net::{Shutdown, SocketAddr};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::net::tcp::OwnedWriteHalf;

/// Where an outbox writes to.
pub(crate) trait Transport: Send + Sync {
    /// Writes as much as can be written now; `WouldBlock` if that is nothing.
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize>;

    /// The same for several pieces, in their order.
    fn try_write_vectored(&self, pieces: &[IoSlice<'_>]) -> io::Result<usize>;

    /// Waits until trying again may be worth it.
    fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Tells the peer that nothing more comes.
    fn finish(&self);

    /// Has the connection's end look like what it is: the peer doesn't get everything.
    fn abort(&self) {}

    /// Our end of the connection.
    fn local_addr(&self) -> io::Result<SocketAddr>;
}

impl Transport for OwnedWriteHalf {
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        OwnedWriteHalf::try_write(self, bytes)
    }

    fn try_write_vectored(&self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        OwnedWriteHalf::try_write_vectored(self, pieces)
    }

    fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.as_ref().poll_write_ready(cx)
    }

    fn finish(&self) {
        // A peer that has gone already needs no word that nothing more comes.
        let _ = socket2::SockRef::from(self.as_ref()).shutdown(Shutdown::Write);
    }

    fn abort(&self) {
        // It resets the connection when it is closed. Where that can't be set, the peer
        // sees an end.
        let _ = socket2::SockRef::from(self.as_ref()).set_linger(Some(Duration::ZERO));
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        OwnedWriteHalf::local_addr(self)
    }
}
