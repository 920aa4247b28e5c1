//! Bytes on their way from a session to the body of an answer, or to a WebSocket:
//! bounded, so that a reader that is slow is slow for its outbox too.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::{Buf, Bytes, BytesMut};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, ReadBuf};

use crate::outbox::transport::Transport;

/// Bytes on their way: as much as a socket's own buffer takes by default, or a reader
/// would be slow before its socket is full.
pub(crate) const STREAM_ROOM: usize = 64 * 1024;

/// Both ends of a pipe that holds at most `room` bytes. The session writes into the
/// `PipeWriter`; its `RequestReader` ends when the `PipeReader` is dropped.
pub(crate) fn pipe(local: SocketAddr, room: usize) -> (PipeWriter, PipeReader) {
    let pipe = Arc::new(Pipe {
        room,
        state: Mutex::default(),
    });
    let pipe_writer = PipeWriter {
        pipe: pipe.clone(),
        local,
    };
    (pipe_writer, PipeReader(pipe))
}

struct Pipe {
    room: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    bytes: BytesMut,
    /// Nothing more comes.
    is_finished: bool,
    /// Nobody reads any more.
    is_abandoned: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
    request_reader: Option<Waker>,
}

/// The end that a session writes to.
pub(crate) struct PipeWriter {
    pipe: Arc<Pipe>,
    local: SocketAddr,
}

/// The end that is read.
pub(crate) struct PipeReader(Arc<Pipe>);

/// The reading side of a session that is told what it wants once, and then only hears
/// when its peer has gone.
pub(crate) struct RequestReader {
    first: Bytes,
    /// Nothing comes after that.
    ends: bool,
    pipe: Arc<Pipe>,
}

impl PipeReader {
    /// What has come; `None` when nothing more comes.
    pub(crate) fn poll_take(&self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let mut state = self.0.state.lock();
        if state.bytes.is_empty() {
            if state.is_finished {
                return Poll::Ready(None);
            }
            state.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let bytes = std::mem::take(&mut state.bytes).freeze();
        let writer = state.writer.take();
        drop(state);
        if let Some(writer) = writer {
            writer.wake();
        }
        Poll::Ready(Some(bytes))
    }

    /// The same, for who waits for nothing else.
    pub(crate) async fn take(&self) -> Option<Bytes> {
        std::future::poll_fn(|cx| self.poll_take(cx)).await
    }

    /// A reading side for the session at the other end, which begins with these bytes.
    /// If they are all that it says (`ends`), the session ends when it has sent what
    /// was asked for.
    pub(crate) fn request_reader(&self, first: Vec<u8>, ends: bool) -> RequestReader {
        RequestReader {
            first: first.into(),
            ends,
            pipe: self.0.clone(),
        }
    }
}

impl Drop for PipeReader {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.is_abandoned = true;
        state.bytes = BytesMut::new();
        let wakers = [state.writer.take(), state.request_reader.take()];
        drop(state);
        wakers.into_iter().flatten().for_each(Waker::wake);
    }
}

impl Transport for PipeWriter {
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.try_write_vectored(&[IoSlice::new(bytes)])
    }

    fn try_write_vectored(&self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut state = self.pipe.state.lock();
        if state.is_abandoned || state.is_finished {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let mut written = 0;
        for piece in pieces {
            let count = piece.len().min(self.pipe.room - state.bytes.len());
            state.bytes.extend_from_slice(&piece[..count]);
            written += count;
        }
        if written == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let reader = state.reader.take();
        drop(state);
        if let Some(reader) = reader {
            reader.wake();
        }
        Ok(written)
    }

    fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.pipe.state.lock();
        if state.is_abandoned || state.bytes.len() < self.pipe.room {
            return Poll::Ready(Ok(()));
        }
        state.writer = Some(cx.waker().clone());
        Poll::Pending
    }

    fn finish(&self) {
        let mut state = self.pipe.state.lock();
        state.is_finished = true;
        let reader = state.reader.take();
        drop(state);
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.local)
    }
}

impl Drop for PipeWriter {
    fn drop(&mut self) {
        // However its session ends, who reads is told.
        self.finish();
    }
}

impl AsyncRead for RequestReader {
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
        let mut state = self.pipe.state.lock();
        if state.is_abandoned || self.ends {
            return Poll::Ready(Ok(()));
        }
        state.request_reader = Some(cx.waker().clone());
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: usize = 100;

    fn ends() -> (PipeWriter, PipeReader) {
        pipe(([127, 0, 0, 1], 1).into(), ROOM)
    }

    fn cx() -> Context<'static> {
        Context::from_waker(Waker::noop())
    }

    #[test]
    fn it_takes_so_much_and_then_more_when_that_is_taken() {
        let (pipe_writer, pipe_reader) = ends();
        let bytes = [7; ROOM];
        let written = pipe_writer.try_write_vectored(&[IoSlice::new(b"abc"), IoSlice::new(&bytes)]);
        assert_eq!(written.unwrap(), ROOM);
        assert_eq!(
            pipe_writer.try_write(b"x").unwrap_err().kind(),
            io::ErrorKind::WouldBlock
        );
        assert!(pipe_writer.poll_writable(&mut cx()).is_pending());
        let Poll::Ready(Some(taken)) = pipe_reader.poll_take(&mut cx()) else {
            panic!("nothing came");
        };
        assert_eq!(taken.len(), ROOM);
        assert!(pipe_writer.poll_writable(&mut cx()).is_ready());
        assert!(pipe_reader.poll_take(&mut cx()).is_pending());
        pipe_writer.try_write(b"end").unwrap();
        drop(pipe_writer);
        assert_eq!(
            pipe_reader.poll_take(&mut cx()),
            Poll::Ready(Some(Bytes::from_static(b"end")))
        );
        assert_eq!(pipe_reader.poll_take(&mut cx()), Poll::Ready(None));
    }

    #[test]
    fn who_writes_to_nobody_hears_so() {
        let (pipe_writer, pipe_reader) = ends();
        let mut request_reader = pipe_reader.request_reader(b"{}".to_vec(), false);
        let mut space = [0; 8];
        let mut buffer = ReadBuf::new(&mut space);
        assert!(
            Pin::new(&mut request_reader)
                .poll_read(&mut cx(), &mut buffer)
                .is_ready()
        );
        assert_eq!(buffer.filled(), b"{}");
        assert!(
            Pin::new(&mut request_reader)
                .poll_read(&mut cx(), &mut buffer)
                .is_pending()
        );
        drop(pipe_reader);
        assert!(
            Pin::new(&mut request_reader)
                .poll_read(&mut cx(), &mut buffer)
                .is_ready()
        );
        assert_eq!(buffer.filled().len(), 2);
        let error = pipe_writer.try_write(b"x").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }
}
