//! The two directions of a connection: plain, within TLS, or over a UNIX socket.

use std::io;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
#[cfg(unix)]
use tokio::net::unix;
use tokio_rustls::client::TlsStream;

/// What the other side sends.
#[derive(Debug)]
pub(super) enum ReadHalf {
    Plain(OwnedReadHalf),
    Tls(tokio::io::ReadHalf<TlsStream<TcpStream>>),
    #[cfg(unix)]
    Unix(unix::OwnedReadHalf),
}

/// What this side sends.
#[derive(Debug)]
pub(super) enum WriteHalf {
    Plain(OwnedWriteHalf),
    Tls(tokio::io::WriteHalf<TlsStream<TcpStream>>),
    #[cfg(unix)]
    Unix(unix::OwnedWriteHalf),
}

impl ReadHalf {
    /// Cancel safe.
    pub(super) async fn read(&mut self, buffer: &mut Vec<u8>) -> io::Result<usize> {
        match self {
            Self::Plain(half) => half.read_buf(buffer).await,
            Self::Tls(half) => half.read_buf(buffer).await,
            #[cfg(unix)]
            Self::Unix(half) => half.read_buf(buffer).await,
        }
    }
}

impl WriteHalf {
    /// Cancel safe. Within TLS, what was written may have to be [flushed](Self::flush).
    pub(super) async fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(half) => half.write(bytes).await,
            Self::Tls(half) => half.write(bytes).await,
            #[cfg(unix)]
            Self::Unix(half) => half.write(bytes).await,
        }
    }

    /// Cancel safe.
    pub(super) async fn flush(&mut self) -> io::Result<()> {
        match self {
            // The system has all of it.
            Self::Plain(_) => Ok(()),
            #[cfg(unix)]
            Self::Unix(_) => Ok(()),
            Self::Tls(half) => half.flush().await,
        }
    }

    pub(super) async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(half) => half.write_all(bytes).await,
            #[cfg(unix)]
            Self::Unix(half) => half.write_all(bytes).await,
            Self::Tls(half) => {
                half.write_all(bytes).await?;
                half.flush().await
            }
        }
    }

    /// Closes this direction. Within TLS it sends `close_notify`, which nobody on the network can
    /// forge.
    pub(super) async fn shutdown(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(half) => half.shutdown().await,
            Self::Tls(half) => half.shutdown().await,
            #[cfg(unix)]
            Self::Unix(half) => half.shutdown().await,
        }
    }

    /// An error of the socket that no read or write has returned.
    pub(super) fn take_error(&self) -> Option<io::Error> {
        match self {
            Self::Plain(half) => half.as_ref().take_error().ok().flatten(),
            #[cfg(unix)]
            Self::Unix(half) => half.as_ref().take_error().ok().flatten(),
            // Within TLS every error is one of reading or writing.
            Self::Tls(_) => None,
        }
    }
}
