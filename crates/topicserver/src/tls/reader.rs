//! The two ends of a connection, plain or encrypted.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::tcp::OwnedReadHalf;
use tokio::net::unix;

use crate::metrics;
use crate::outbox::transport::Transport;
use crate::socket::Socket;
use crate::tls::stream::TlsStream;

/// The reading end of an encrypted connection.
pub(crate) struct TlsReader(pub(crate) Arc<TlsStream>);

/// The writing end of an encrypted connection.
pub(crate) struct TlsWriter(pub(crate) Arc<TlsStream>);

/// The reading end of a connection, whether it is encrypted or not.
pub(crate) enum Reader {
    Plain(OwnedReadHalf),
    Tls(TlsReader),
    Unix(unix::OwnedReadHalf),
}

impl Reader {
    /// Whether the connection is encrypted.
    pub(crate) fn is_secure(&self) -> bool {
        matches!(self, Self::Tls(_))
    }

    /// Whether the connection comes over a UNIX socket, which is within this machine.
    pub(crate) fn is_local(&self) -> bool {
        matches!(self, Self::Unix(_))
    }

    pub(crate) fn socket(&self) -> Socket<'_> {
        match self {
            Self::Plain(socket) => Socket::Tcp(socket.as_ref()),
            Self::Tls(TlsReader(stream)) => Socket::Tcp(stream.socket()),
            Self::Unix(socket) => Socket::Unix(socket.as_ref()),
        }
    }

    /// Writes to the same connection as much as can be written now.
    pub(crate) fn try_write(&self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => metrics::count_sent(socket.as_ref().try_write_vectored(pieces)),
            Self::Tls(TlsReader(stream)) => metrics::count_sent(stream.write_gathered(pieces)),
            Self::Unix(socket) => metrics::count_sent(socket.as_ref().try_write_vectored(pieces)),
        }
    }

    /// Bytes that were written, and that the socket hasn't taken.
    pub(crate) fn unsent(&self) -> usize {
        match self {
            Self::Plain(_) | Self::Unix(_) => 0,
            Self::Tls(TlsReader(stream)) => stream.unsent(),
        }
    }

    /// Writes as much of them as the socket takes; `WouldBlock` if it takes none.
    pub(crate) fn try_flush(&self) -> io::Result<()> {
        match self {
            Self::Plain(_) | Self::Unix(_) => Ok(()),
            Self::Tls(TlsReader(stream)) => stream.flush(),
        }
    }
}

impl From<OwnedReadHalf> for Reader {
    fn from(reader: OwnedReadHalf) -> Self {
        Self::Plain(reader)
    }
}

impl From<unix::OwnedReadHalf> for Reader {
    fn from(reader: unix::OwnedReadHalf) -> Self {
        Self::Unix(reader)
    }
}

impl From<TlsReader> for Reader {
    fn from(reader: TlsReader) -> Self {
        Self::Tls(reader)
    }
}

impl AsyncRead for TlsReader {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.0.poll_read(cx, buffer)
    }
}

impl AsyncRead for Reader {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Plain(reader) => Pin::new(reader).poll_read(cx, buffer),
            Self::Tls(reader) => Pin::new(reader).poll_read(cx, buffer),
            Self::Unix(reader) => Pin::new(reader).poll_read(cx, buffer),
        }
    }
}

impl Transport for TlsWriter {
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        metrics::count_sent(self.0.write(bytes))
    }

    fn try_write_vectored(&self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        metrics::count_sent(self.0.write_gathered(pieces))
    }

    fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.socket().poll_write_ready(cx)
    }

    fn unsent(&self) -> usize {
        self.0.unsent()
    }

    fn flush(&self) -> io::Result<()> {
        self.0.flush()
    }

    fn finish(&self) {
        self.0.finish();
    }

    fn abort(&self) {
        // If this can't be set, the peer still sees an end without `close_notify`.
        let _ = SockRef::from(self.0.socket()).set_linger(Some(Duration::ZERO));
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.socket().local_addr()
    }
}
