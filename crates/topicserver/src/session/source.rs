//! The reading side of a connection, as a session needs it of each transport.

use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::AsyncRead;
use tokio::net::tcp::OwnedReadHalf;
use wire::ErrorCode;

use crate::tls::reader::TlsReader;

/// Where a session reads frames from, and how it learns that its peer has gone.
pub(crate) trait Source: AsyncRead + Unpin {
    /// Whether nobody on the way can read along.
    fn is_secure(&self) -> bool {
        false
    }

    /// Whether something beneath the frames has begun and isn't complete.
    fn is_partial(&self) -> bool {
        false
    }

    /// Looks whether the peer has gone, while nothing may be read.
    fn poll_gone(&mut self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }

    /// What it means that nothing more is to be read.
    fn end(&mut self) -> SourceEnd {
        SourceEnd::Finished(None)
    }
}

/// Over TCP, a peer that has said everything may still want to hear.
impl Source for OwnedReadHalf {}

/// Over TLS the same holds of one that has said so. A cut connection is an error.
impl Source for TlsReader {
    fn is_secure(&self) -> bool {
        true
    }
}

/// Why nothing more is to be read.
#[derive(Debug)]
pub(crate) enum SourceEnd {
    /// The peer has said everything, and still gets what was published before. These
    /// bytes come last, if not those that its form has.
    Finished(Option<Bytes>),
    /// Nobody is there.
    Gone,
    /// The peer did what it mustn't.
    Violation(Violation),
}

/// What a peer did that it mustn't, beneath the frames.
#[derive(Debug)]
pub(crate) struct Violation {
    /// The error that the peer is told, if there is a code for it.
    pub(crate) code: Option<ErrorCode>,
    pub(crate) text: String,
    /// What the peer gets last.
    pub(crate) last: Bytes,
}
