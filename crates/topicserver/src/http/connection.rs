//! A socket for the HTTP library: it begins with the bytes that were read already, and has a
//! deadline for a peer that reads nothing.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use crate::linger;
use crate::metrics::{self, Count};
use crate::outbox::transport::Transport;
use crate::outbox::{Outbox, SharedOutbox};
use crate::tls::reader::Reader;

/// How long a connection stays after the last answer, for its peer to read it: closing
/// with bytes unread would reset it.
const LINGER: Duration = Duration::from_secs(1);

/// A connection that speaks HTTP.
pub(crate) struct Io {
    reader: Reader,
    /// Bytes that were read to detect the protocol.
    first: Bytes,
    /// The sending side is closed when the last owner drops it.
    outbox: SharedOutbox,
    write_timeout: Duration,
    /// The deadline for the peer to read some bytes.
    deadline: Option<Pin<Box<Sleep>>>,
    /// The socket is full, and something is still to be written.
    is_blocked: Arc<AtomicBool>,
}

impl Io {
    pub(crate) fn new(
        reader: Reader,
        first: Bytes,
        outbox: SharedOutbox,
        write_timeout: Duration,
    ) -> Self {
        Self {
            reader,
            first,
            outbox,
            write_timeout,
            deadline: None,
            is_blocked: Arc::default(),
        }
    }

    /// Whether bytes wait to be written, for code that can't ask the library.
    pub(crate) fn is_blocked(&self) -> Arc<AtomicBool> {
        self.is_blocked.clone()
    }

    /// The first bytes that the library hasn't read.
    pub(crate) fn take_first(&mut self) -> Bytes {
        std::mem::take(&mut self.first)
    }

    /// The connection's reading side.
    pub(crate) fn into_reader(self) -> Reader {
        self.reader
    }

    /// Writes when the socket takes bytes. It is an error if the socket takes none for too long.
    fn poll_try(
        &mut self,
        cx: &mut Context<'_>,
        write: impl Fn(&Reader) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            match write(&self.reader) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => {
                    self.deadline = None;
                    self.is_blocked.store(false, Relaxed);
                    return Poll::Ready(result);
                }
            }
            if let Poll::Ready(ready) = self.reader.socket().poll_write_ready(cx) {
                ready?;
                continue;
            }
            self.is_blocked.store(true, Relaxed);
            let timeout = self.write_timeout;
            let deadline = self
                .deadline
                .get_or_insert_with(|| Box::pin(tokio::time::sleep(timeout)));
            ready!(deadline.as_mut().poll(cx));
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
    }
}

impl AsyncRead for Io {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.first.is_empty() {
            let count = self.first.len().min(buffer.remaining());
            buffer.put_slice(&self.first[..count]);
            self.first.advance(count);
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.reader).poll_read(cx, buffer);
        metrics::count(
            Count::ReceivedBytes,
            (buffer.filled().len() - before) as u64,
        );
        read
    }
}

impl AsyncWrite for Io {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_try(cx, |reader| reader.try_write(&[IoSlice::new(bytes)]))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_try(cx, |reader| reader.try_write(pieces))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.reader.unsent() > 0 {
            let flush = |reader: &Reader| reader.try_flush().map(|()| 0);
            ready!(self.poll_try(cx, flush))?;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.outbox.finish_transport();
        Poll::Ready(Ok(()))
    }
}

/// Closes the sending side, and waits a moment for the peer to close too.
pub(crate) async fn lingering_close(reader: &Reader, outbox: &Outbox<dyn Transport>) {
    outbox.finish_transport();
    linger::discard(reader.socket(), LINGER).await;
}
