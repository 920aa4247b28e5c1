//! The writing side of a connection, as an outbox needs it.
//!
//! Writing never waits here: whoever holds a message tries, and what the socket
//! doesn't take stays in the outbox.

use std::io::{self, IoSlice};
use std::net::{Ipv4Addr, Shutdown, SocketAddr};
use std::task::{Context, Poll};

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

    /// Our end of the connection and the peer's.
    fn ends(&self) -> (SocketAddr, SocketAddr);
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

    /// Asked of the system when an error is told, so that an idle connection
    /// doesn't keep 64 bytes for it. Of a connection that is gone both are
    /// `0.0.0.0:0`; nobody will read them.
    fn ends(&self) -> (SocketAddr, SocketAddr) {
        let gone = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
        (
            self.local_addr().unwrap_or(gone),
            self.peer_addr().unwrap_or(gone),
        )
    }
}
