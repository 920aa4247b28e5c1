//! Bytes as they come from a peer → frames → what the session does with them.
//!
//! A worker thread has one read buffer for all its connections: an idle
//! connection owns none. Frames stay in it, and consecutive ones for one topic
//! leave it as one slice, without a copy.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use tokio::io::AsyncRead;
use tokio_util::io::poll_read_buf;
use wire::{Limits, ScanError, Scanner};

mod batches;
mod first;
mod line;

pub(crate) use batches::FrameSink;
use batches::{Rest, Taken, take_frames};
pub(crate) use first::First;

/// The size of a worker's read buffer: what one read brings at most. Larger ones
/// fall out of the second-level cache before their bytes are sent on.
const READ_BLOCK: usize = 64 * 1024;

/// With less room than this at the end of the read buffer a new one is taken, so
/// that a read is worth its system call.
const SMALLEST_READ: usize = 16 * 1024;

thread_local! {
    static READ_BUFFER: RefCell<BytesMut> = RefCell::new(BytesMut::new());
}

/// What came of a read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Read {
    /// The peer sends no more.
    End,
    /// Bytes.
    Some {
        /// At least one frame was complete.
        finished: bool,
        /// There may be more at once.
        filled: bool,
        /// Frames were left for later.
        stopped: bool,
    },
}

/// A peer's bytes between two reads: nothing, unless a frame is unfinished, or frames
/// had to be left for later.
#[derive(Default)]
pub(crate) struct Input {
    partial: Option<Box<Partial>>,
}

/// A frame that has begun.
struct Partial {
    bytes: BytesMut,
    scanner: Scanner,
    rest: Rest,
}

impl Input {
    /// Whether a frame has begun and isn't finished.
    pub(crate) fn is_partial(&self) -> bool {
        self.partial.is_some()
    }

    /// Reads once and hands the frames to `sink`.
    ///
    /// The outer error is the connection's, the inner one the peer's, whose
    /// stream can't be read any further.
    pub(crate) fn poll_read<R: AsyncRead + Unpin>(
        &mut self,
        reader: &mut R,
        cx: &mut Context<'_>,
        limits: Limits,
        sink: &mut impl FrameSink,
    ) -> Poll<io::Result<Result<Read, ScanError>>> {
        if let Some(left) = self
            .partial
            .take_if(|partial| partial.rest == Rest::Deferred)
        {
            return Poll::Ready(Ok(self.go_on(left, sink)));
        }
        READ_BUFFER.with_borrow_mut(|buffer| {
            make_room(buffer);
            let room = buffer.capacity();
            let count = ready!(poll_read_buf(Pin::new(reader), cx, buffer))?;
            Poll::Ready(Ok(self.handle(buffer, count, room, limits, sink)))
        })
    }

    /// Deals with frames that were left for later.
    fn go_on(
        &mut self,
        mut left: Box<Partial>,
        sink: &mut impl FrameSink,
    ) -> Result<Read, ScanError> {
        let taken = take_frames(&mut left.bytes, &mut left.scanner, sink)?;
        if !left.bytes.is_empty() {
            left.rest = taken.rest;
            if taken.rest == Rest::Unfinished {
                // An unfinished frame takes no more memory than it needs.
                left.bytes = BytesMut::from(&left.bytes[..]);
            }
            self.partial = Some(left);
        }
        Ok(Read::Some {
            finished: taken.finished,
            filled: false,
            stopped: taken.rest == Rest::Deferred,
        })
    }

    /// Deals with what a read has brought for which there was so much room.
    fn handle(
        &mut self,
        buffer: &mut BytesMut,
        count: usize,
        room: usize,
        limits: Limits,
        sink: &mut impl FrameSink,
    ) -> Result<Read, ScanError> {
        if count == 0 {
            return Ok(Read::End);
        }
        let result = match self.partial.take() {
            Some(partial) => self.read_on(*partial, buffer, sink),
            None => self.read_new(buffer, limits, sink),
        };
        buffer.clear();
        result.map(|taken| Read::Some {
            finished: taken.finished,
            filled: count == room,
            stopped: taken.rest == Rest::Deferred,
        })
    }

    /// Bytes that begin with a new frame. Returns the number of complete frames.
    fn read_new(
        &mut self,
        buffer: &mut BytesMut,
        limits: Limits,
        sink: &mut impl FrameSink,
    ) -> Result<Taken, ScanError> {
        let mut scanner = Scanner::new(limits);
        let taken = take_frames(buffer, &mut scanner, sink)?;
        self.keep(buffer, scanner, taken.rest);
        Ok(taken)
    }

    /// Bytes that go on with an unfinished frame. They are added to it, because
    /// a frame is read in one piece: a copy, but of each byte only one.
    fn read_on(
        &mut self,
        mut partial: Partial,
        buffer: &BytesMut,
        sink: &mut impl FrameSink,
    ) -> Result<Taken, ScanError> {
        partial.bytes.extend_from_slice(buffer);
        let taken = take_frames(&mut partial.bytes, &mut partial.scanner, sink)?;
        if taken.finished {
            self.keep(&partial.bytes, partial.scanner, taken.rest);
        } else {
            self.partial = Some(Box::new(partial));
        }
        Ok(taken)
    }

    /// Copies the bytes that remain into separate memory.
    fn keep(&mut self, bytes: &BytesMut, scanner: Scanner, rest: Rest) {
        if !bytes.is_empty() {
            let bytes = BytesMut::from(&bytes[..]);
            self.partial = Some(Box::new(Partial {
                bytes,
                scanner,
                rest,
            }));
        }
    }
}

/// Gives the read buffer room for a read, in its old memory if nobody holds a
/// slice of it any more. It is empty between two reads.
fn make_room(buffer: &mut BytesMut) {
    if buffer.capacity() < SMALLEST_READ && !buffer.try_reclaim(READ_BLOCK) {
        *buffer = BytesMut::with_capacity(READ_BLOCK);
    }
}

#[cfg(test)]
mod tests;
