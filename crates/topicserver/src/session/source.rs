//! The reading side of a connection, for each transport.

use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::AsyncRead;
use tokio::net::tcp::OwnedReadHalf;
use tokio::net::unix;
use wire::ErrorCode;

use crate::tls::reader::TlsReader;

/// Where a session reads frames from, and how it learns that its peer has gone.
pub(crate) trait Source: AsyncRead + Unpin {
    /// Whether the connection is encrypted.
    fn is_secure(&self) -> bool {
        false
    }

    /// Whether it comes over a UNIX socket, which is within this machine.
    fn is_local(&self) -> bool {
        false
    }

    /// Whether something below the frames, as a TLS record, is incomplete.
    fn is_partial(&self) -> bool {
        false
    }

    /// Checks whether the peer has gone, while nothing may be read.
    fn poll_gone(&mut self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }

    /// Why nothing more is to be read. Called after the end of the stream.
    fn end(&mut self) -> SourceEnd {
        SourceEnd::Finished(None)
    }
}

/// Over TCP, a peer that has finished sending may still receive.
impl Source for OwnedReadHalf {}

/// The same over a UNIX socket.
impl Source for unix::OwnedReadHalf {
    fn is_local(&self) -> bool {
        true
    }
}

/// Over TLS the same holds if the peer has sent `close_notify`. A connection that is cut off
/// without it is an error.
impl Source for TlsReader {
    fn is_secure(&self) -> bool {
        true
    }
}

/// Why nothing more is to be read.
#[derive(Debug)]
pub(crate) enum SourceEnd {
    /// The peer has finished sending, and still gets what was published before. These bytes are
    /// sent last, instead of the usual end of its form.
    Finished(Option<Bytes>),
    /// The peer has gone.
    Gone,
    /// The peer has broken the rules of its transport.
    Violation(Violation),
}

/// A violation of the transport's protocol, below the frames.
#[derive(Debug)]
pub(crate) struct Violation {
    /// The error code that the peer is sent, if there is one.
    pub(crate) code: Option<ErrorCode>,
    pub(crate) text: String,
    /// The last bytes that the peer is sent.
    pub(crate) last: Bytes,
}
