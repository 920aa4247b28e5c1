//! Bytes as they come from a peer → frames → what the session does with them.
//!
//! A worker thread has one read buffer for all its connections: an idle
//! connection owns none. Frames stay in it, and consecutive ones for one topic
//! leave it as one slice, without a copy.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use tokio::io::AsyncRead;
use tokio_util::io::poll_read_buf;
use wire::{ErrorCode, Limits, ScanError, Scanner};

use crate::metrics::{self, Count};
use crate::queues::{Kind, QueueLimits, Queued};
use crate::turn::{NextTurn, Turns};

mod batches;
mod first;
mod line;

pub(crate) use batches::FrameSink;
use batches::{Progress, Rest, take_frames};
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
        /// Frames are left for later.
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
    /// Counts the bytes among those of all queues.
    queued: Queued,
    /// The turn in which frames that were left for later are carried out.
    turn: Option<NextTurn>,
}

/// Why a peer's bytes can't be read any further.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InputError {
    /// The stream isn't JSON.
    #[error(transparent)]
    Stream(#[from] ScanError),
    /// The queues have no room for the peer's frames.
    #[error(
        "{own} bytes of your frames wait for their end or their turn, and {all} of all \
         connections, of which there may be {most}; send shorter frames, or come back later"
    )]
    NoRoom {
        /// Bytes of this connection.
        own: usize,
        /// Bytes of all connections.
        all: usize,
        /// The limit.
        most: usize,
    },
}

impl InputError {
    /// The code that the peer is sent.
    pub(crate) fn code(&self) -> ErrorCode {
        match self {
            Self::Stream(error) => error.code(),
            Self::NoRoom { .. } => ErrorCode::QueuesFull,
        }
    }
}

impl Input {
    /// Whether a frame has begun and isn't finished.
    pub(crate) fn is_partial(&self) -> bool {
        self.partial.is_some()
    }

    /// Waits for a turn, if frames were left for later.
    pub(crate) fn poll_turn(&mut self, cx: &mut Context<'_>, turns: &Turns) -> Poll<()> {
        match &mut self.partial {
            Some(left) if left.rest == Rest::Deferred => {
                left.turn.get_or_insert_with(|| turns.next()).poll(cx)
            }
            _ => Poll::Ready(()),
        }
    }

    /// Reads once and hands the frames to `sink`.
    ///
    /// The outer error is the connection's. The inner error says that the peer's stream is
    /// broken.
    pub(crate) fn poll_read<R: AsyncRead + Unpin>(
        &mut self,
        reader: &mut R,
        cx: &mut Context<'_>,
        limits: Limits,
        sink: &mut impl FrameSink,
    ) -> Poll<io::Result<Result<Read, InputError>>> {
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
            metrics::count(Count::ReceivedBytes, count as u64);
            Poll::Ready(Ok(self.handle(buffer, count, room, limits, sink)))
        })
    }

    /// Carries out frames that were left for later.
    fn go_on(
        &mut self,
        mut left: Box<Partial>,
        sink: &mut impl FrameSink,
    ) -> Result<Read, InputError> {
        let taken = take_frames(&mut left.bytes, &mut left.scanner, sink)?;
        left.turn = None;
        if !left.bytes.is_empty() {
            left.rest = taken.rest;
            left.queued.set(left.bytes.len());
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

    /// Handles the bytes of a read into a buffer that had `room` bytes free.
    fn handle(
        &mut self,
        buffer: &mut BytesMut,
        count: usize,
        room: usize,
        limits: Limits,
        sink: &mut impl FrameSink,
    ) -> Result<Read, InputError> {
        if count == 0 {
            return Ok(Read::End);
        }
        let result = match self.partial.take() {
            Some(partial) => self.read_on(*partial, buffer, sink),
            None => self.read_new(buffer, limits, sink),
        };
        buffer.clear();
        let taken = result?;
        self.check_room(sink.queue_limits())?;
        Ok(Read::Some {
            finished: taken.finished,
            filled: count == room,
            stopped: taken.rest == Rest::Deferred,
        })
    }

    /// Checks that the queues have room for the bytes.
    fn check_room(&self, queues: &QueueLimits) -> Result<(), InputError> {
        let own = self
            .partial
            .as_ref()
            .map_or(0, |partial| partial.bytes.len());
        if own == 0 || own <= queues.allowed_input() {
            return Ok(());
        }
        Err(InputError::NoRoom {
            own,
            all: queues.input(),
            most: queues.most_input(),
        })
    }

    /// Handles bytes that begin with a new frame. Returns the number of complete frames.
    fn read_new(
        &mut self,
        buffer: &mut BytesMut,
        limits: Limits,
        sink: &mut impl FrameSink,
    ) -> Result<Progress, ScanError> {
        let mut scanner = Scanner::new(limits);
        let taken = take_frames(buffer, &mut scanner, sink)?;
        self.keep(buffer, scanner, taken.rest, sink.queue_limits());
        Ok(taken)
    }

    /// Handles bytes that continue an unfinished frame. They are appended to it, because a frame
    /// is read in one piece. Each byte is copied once.
    fn read_on(
        &mut self,
        mut partial: Partial,
        buffer: &BytesMut,
        sink: &mut impl FrameSink,
    ) -> Result<Progress, ScanError> {
        partial.bytes.extend_from_slice(buffer);
        let taken = take_frames(&mut partial.bytes, &mut partial.scanner, sink)?;
        if taken.finished {
            let queues = sink.queue_limits();
            self.keep(&partial.bytes, partial.scanner, taken.rest, queues);
        } else {
            partial.queued.set(partial.bytes.len());
            self.partial = Some(Box::new(partial));
        }
        Ok(taken)
    }

    /// Copies the bytes that remain into separate memory.
    fn keep(&mut self, bytes: &BytesMut, scanner: Scanner, rest: Rest, queues: &Arc<QueueLimits>) {
        if !bytes.is_empty() {
            let bytes = BytesMut::from(&bytes[..]);
            let mut queued = Queued::new(queues.clone(), Kind::Input);
            queued.add(bytes.len());
            self.partial = Some(Box::new(Partial {
                bytes,
                scanner,
                rest,
                queued,
                turn: None,
            }));
        }
    }
}

/// Gives the read buffer room for a read, in its old memory if no slice of it is in use. It is
/// empty between two reads.
fn make_room(buffer: &mut BytesMut) {
    if buffer.capacity() < SMALLEST_READ && !buffer.try_reclaim(READ_BLOCK) {
        *buffer = BytesMut::with_capacity(READ_BLOCK);
    }
}

#[cfg(test)]
mod tests;
