//! The first bytes of a connection, from which its protocol is detected.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use tokio::io::AsyncRead;
use tokio_util::io::poll_read_buf;
use wire::{Limits, Scanner};

use super::{FrameSink, Input, InputError, Partial, READ_BUFFER, Read, Rest, make_room};
use crate::metrics::{self, Count};
use crate::queues::QueueLimits;
use crate::session::protocol::{Allowed, Protocol};

/// The result of a connection's first read.
#[derive(Debug)]
pub(crate) enum First {
    Json(Read),
    /// Another protocol; the bytes are kept.
    Other(Protocol),
}

impl Input {
    /// What was read and not handled yet.
    pub(crate) fn rest(&self) -> &[u8] {
        self.partial.as_ref().map_or(&[], |partial| &partial.bytes)
    }

    /// The bytes of the other protocol.
    pub(crate) fn into_bytes(self) -> Bytes {
        let partial = self.partial.map(|partial| partial.bytes.freeze());
        partial.unwrap_or_default()
    }

    /// The connection begins with these bytes, which were read already.
    pub(crate) fn begin_with(
        &mut self,
        bytes: &BytesMut,
        limits: Limits,
        queues: &Arc<QueueLimits>,
    ) {
        self.keep(bytes, Scanner::new(limits), Rest::Deferred, queues);
    }

    /// Handles the bytes of [`begin_with`](Self::begin_with).
    fn handle_first(
        &mut self,
        mut first: Box<Partial>,
        allowed: Allowed,
        sink: &mut impl FrameSink,
    ) -> Result<First, InputError> {
        let protocol = Protocol::of(&first.bytes, allowed);
        if protocol == Protocol::Json {
            return self.go_on(first, sink).map(First::Json);
        }
        first.rest = Rest::Unfinished;
        self.partial = Some(first);
        Ok(First::Other(protocol))
    }

    /// Reads the first bytes of a connection. If they are JSON they are handled; the bytes of
    /// another protocol stay as they are.
    pub(crate) fn poll_first<R: AsyncRead + Unpin>(
        &mut self,
        reader: &mut R,
        cx: &mut Context<'_>,
        (limits, allowed): (Limits, Allowed),
        sink: &mut impl FrameSink,
    ) -> Poll<io::Result<Result<First, InputError>>> {
        if let Some(first) = self
            .partial
            .take_if(|partial| partial.rest == Rest::Deferred)
        {
            return Poll::Ready(Ok(self.handle_first(first, allowed, sink)));
        }
        READ_BUFFER.with_borrow_mut(|buffer| {
            make_room(buffer);
            let room = buffer.capacity();
            let count = ready!(poll_read_buf(Pin::new(reader), cx, buffer))?;
            metrics::count(Count::ReceivedBytes, count as u64);
            let protocol = Protocol::of(buffer, allowed);
            if count > 0 && protocol != Protocol::Json {
                let queues = sink.queue_limits();
                self.keep(buffer, Scanner::new(limits), Rest::Unfinished, queues);
                buffer.clear();
                return Poll::Ready(Ok(Ok(First::Other(protocol))));
            }
            let read = self.handle(buffer, count, room, limits, sink);
            Poll::Ready(Ok(read.map(First::Json)))
        })
    }
}
