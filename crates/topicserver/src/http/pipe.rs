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

/// Both ends of a way on which so many bytes may be. The session writes into `Outlet` and is told by `Lifeline` when
/// nobody reads any more; whoever holds `Inlet` reads.
pub(crate) fn pipe(local: SocketAddr, room: usize) -> (Outlet, Inlet) {
    let pipe = Arc::new(Pipe {
        room,
        state: Mutex::default(),
    });
    let outlet = Outlet {
        pipe: pipe.clone(),
        local,
    };
    (outlet, Inlet(pipe))
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
    lifeline: Option<Waker>,
}

/// The end that a session writes to.
pub(crate) struct Outlet {
    pipe: Arc<Pipe>,
    local: SocketAddr,
}

/// The end that is read.
pub(crate) struct Inlet(Arc<Pipe>);

/// The reading side of a session that is told what it wants once, and then only hears
/// when its peer has gone.
pub(crate) struct Lifeline {
    first: Bytes,
    /// Nothing comes after that.
    ends: bool,
    pipe: Arc<Pipe>,
}

impl Inlet {
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
    pub(crate) fn lifeline(&self, first: Vec<u8>, ends: bool) -> Lifeline {
        Lifeline {
            first: first.into(),
            ends,
            pipe: self.0.clone(),
        }
    }
}

impl Drop for Inlet {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.is_abandoned = true;
        state.bytes = BytesMut::new();
        let wakers = [state.writer.take(), state.lifeline.take()];
        drop(state);
        wakers.into_iter().flatten().for_each(Waker::wake);
    }
}

impl Transport for Outlet {
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

impl Drop for Outlet {
    fn drop(&mut self) {
        // However its session ends, who reads is told.
        self.finish();
    }
}

impl AsyncRead for Lifeline {
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
        state.lifeline = Some(cx.waker().clone());
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: usize = 100;

    fn ends() -> (Outlet, Inlet) {
        pipe(([127, 0, 0, 1], 1).into(), ROOM)
    }

    fn cx() -> Context<'static> {
        Context::from_waker(Waker::noop())
    }

    #[test]
    fn it_takes_so_much_and_then_more_when_that_is_taken() {
        let (outlet, inlet) = ends();
        let bytes = [7; ROOM];
        let written = outlet.try_write_vectored(&[IoSlice::new(b"abc"), IoSlice::new(&bytes)]);
        assert_eq!(written.unwrap(), ROOM);
        assert_eq!(
            outlet.try_write(b"x").unwrap_err().kind(),
            io::ErrorKind::WouldBlock
        );
        assert!(outlet.poll_writable(&mut cx()).is_pending());
        let Poll::Ready(Some(taken)) = inlet.poll_take(&mut cx()) else {
            panic!("nothing came");
        };
        assert_eq!(taken.len(), ROOM);
        assert!(outlet.poll_writable(&mut cx()).is_ready());
        assert!(inlet.poll_take(&mut cx()).is_pending());
        outlet.try_write(b"end").unwrap();
        drop(outlet);
        assert_eq!(
            inlet.poll_take(&mut cx()),
            Poll::Ready(Some(Bytes::from_static(b"end")))
        );
        assert_eq!(inlet.poll_take(&mut cx()), Poll::Ready(None));
    }

    #[test]
    fn who_writes_to_nobody_hears_so() {
        let (outlet, inlet) = ends();
        let mut lifeline = inlet.lifeline(b"{}".to_vec(), false);
        let mut space = [0; 8];
        let mut buffer = ReadBuf::new(&mut space);
        assert!(
            Pin::new(&mut lifeline)
                .poll_read(&mut cx(), &mut buffer)
                .is_ready()
        );
        assert_eq!(buffer.filled(), b"{}");
        assert!(
            Pin::new(&mut lifeline)
                .poll_read(&mut cx(), &mut buffer)
                .is_pending()
        );
        drop(inlet);
        assert!(
            Pin::new(&mut lifeline)
                .poll_read(&mut cx(), &mut buffer)
                .is_ready()
        );
        assert_eq!(buffer.filled().len(), 2);
        let error = outlet.try_write(b"x").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }
}
