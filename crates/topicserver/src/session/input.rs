//! Bytes as they come from a peer → frames → what the session does with them.
//!
//! A worker thread has one read buffer for all its connections: an idle
//! connection owns none. Frames stay in it, and consecutive ones for one topic
//! leave it as one slice, without a copy.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{BufMut, BytesMut};
use tokio::io::AsyncRead;
use tokio_util::io::poll_read_buf;
use wire::{
    Frame, FrameError, JsonStr, Limits, RegistrationOptions, Request, Scan, ScanError, Scanner,
    TopicName, Value,
};

use crate::outbox::batch::Batch;
use crate::topic::publication::MessageId;
use crate::turn::Turn;

mod first;
mod line;

pub(crate) use first::First;
use line::{blank_line_breaks, line_of};

/// The size of a worker's read buffer: what one read brings at most. Larger ones
/// fall out of the second-level cache before their bytes are sent on.
const READ_BLOCK: usize = 64 * 1024;

/// With less room than this at the end of the read buffer a new one is taken, so
/// that a read is worth its system call.
const SMALLEST_READ: usize = 16 * 1024;

thread_local! {
    static READ_BUFFER: RefCell<BytesMut> = RefCell::new(BytesMut::new());
}

/// What becomes of the frames: a session, or a test.
pub(crate) trait FrameSink {
    /// The peer registers for these; with options, as an extended one.
    fn register(&mut self, topics: Vec<TopicName>, options: Option<Box<RegistrationOptions>>);

    /// Where a message for `topic` goes, as a number of the sink's own; `None`
    /// if it mustn't go there.
    fn route(&mut self, topic: &str, id: Option<&str>) -> Option<usize>;

    /// What has to be known of a message that is to be acknowledged.
    fn message_id(&mut self, id: &str, text: JsonStr<'_>) -> Box<MessageId>;

    /// Messages that go to one place.
    fn publish(&mut self, place: usize, frames: Batch, id: Option<Box<MessageId>>);

    /// The peer asks something.
    fn request(&mut self, request: Request);

    /// An object that is no frame; the stream goes on.
    fn reject(&mut self, error: &FrameError);

    /// Whether frames that have to be answered may follow now.
    fn has_room(&self) -> bool;
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
    /// There may be whole frames in it, which are dealt with before more is read.
    is_stopped: bool,
}

/// How far the frames in some bytes were dealt with.
struct Taken {
    /// One was complete, at least.
    finished: bool,
    /// The sink had no room for the others, or their turn comes later.
    is_stopped: bool,
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
        if let Some(left) = self.partial.take_if(|partial| partial.is_stopped) {
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
            left.is_stopped = taken.is_stopped;
            if !taken.is_stopped {
                // An unfinished frame takes no more memory than it needs.
                left.bytes = BytesMut::from(&left.bytes[..]);
            }
            self.partial = Some(left);
        }
        Ok(Read::Some {
            finished: taken.finished,
            filled: false,
            stopped: taken.is_stopped,
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
            stopped: taken.is_stopped,
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
        self.keep(buffer, scanner, taken.is_stopped);
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
            self.keep(&partial.bytes, partial.scanner, taken.is_stopped);
        } else {
            self.partial = Some(Box::new(partial));
        }
        Ok(taken)
    }

    /// Keeps the rest, in memory of its own.
    fn keep(&mut self, rest: &BytesMut, scanner: Scanner, is_stopped: bool) {
        if !rest.is_empty() {
            let bytes = BytesMut::from(&rest[..]);
            self.partial = Some(Box::new(Partial {
                bytes,
                scanner,
                is_stopped,
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

/// Hands over the complete frames in `buffer`, which keeps the unfinished rest, and
/// those for which there is no room or no time.
///
/// A frame that isn't a message can be very short and cost much. So after each of them
/// it is asked whether the next one may follow.
fn take_frames(
    buffer: &mut BytesMut,
    scanner: &mut Scanner,
    sink: &mut impl FrameSink,
) -> Result<Taken, ScanError> {
    let mut finished = false;
    let mut turn = Turn::default();
    let mut batches = Batches {
        buffer,
        sink,
        open: None,
        at: 0,
    };
    loop {
        match scanner.scan(&batches.buffer[batches.at..]) {
            Ok(Scan::Value(value)) => {
                finished = true;
                let is_message = batches.frame(&value);
                if !is_message && (!batches.sink.has_room() || turn.is_over()) {
                    batches.flush();
                    return Ok(Taken {
                        finished,
                        is_stopped: true,
                    });
                }
            }
            Ok(Scan::Partial) => {
                batches.flush();
                return Ok(Taken {
                    finished,
                    is_stopped: false,
                });
            }
            Ok(Scan::Blank) => {
                batches.flush();
                batches.buffer.clear();
                return Ok(Taken {
                    finished,
                    is_stopped: false,
                });
            }
            Err(error) => {
                batches.flush();
                return Err(error);
            }
        }
    }
}

/// Gathers consecutive frames into batches.
struct Batches<'a, S> {
    buffer: &'a mut BytesMut,
    sink: &'a mut S,
    /// Everything before is dealt with, or lies in `open`.
    at: usize,
    /// The batch that ends at `at`.
    open: Option<Open>,
}

/// A batch that may go on.
#[derive(Clone, Copy)]
struct Open {
    place: usize,
    start: usize,
    /// Frames so far.
    count: u32,
}

impl<S: FrameSink> Batches<'_, S> {
    /// Deals with the value that was found from `at` on. True if it is a message that
    /// was routed.
    fn frame(&mut self, value: &Value) -> bool {
        let unread = &self.buffer[self.at..];
        match Frame::read(unread, value) {
            Ok(Frame::Message { topic, text, id }) => {
                let place = self.sink.route(&topic, id.as_deref());
                let message_id = match (&place, &id) {
                    (Some(_), Some(id)) => Some(self.sink.message_id(id, text)),
                    _ => None,
                };
                if let Some(place) = place {
                    self.message(place, value, message_id);
                    return true;
                }
                self.skip(value);
            }
            Ok(Frame::Registration { topics, options }) => {
                self.skip(value);
                self.sink.register(topics, options);
            }
            Ok(Frame::Request(request)) => {
                self.skip(value);
                self.sink.request(request);
            }
            Err(error) => {
                self.skip(value);
                self.sink.reject(&error);
            }
        }
        false
    }

    /// A message to be relayed: where it is, if it can stay there.
    fn message(&mut self, place: usize, value: &Value, id: Option<Box<MessageId>>) {
        let continues = value.start == 0 && self.open.is_some_and(|open| open.place == place);
        if !continues {
            self.flush();
        }
        let frame = self.at + value.start..self.at + value.end;
        if value.line_break {
            blank_line_breaks(&mut self.buffer[frame.clone()]);
        }
        if value.notes.extended.is_some() || !self.end_line(frame.end) {
            self.flush();
            let bytes = line_of(&self.buffer[value.start..value.end], value);
            self.at = value.end;
            let count = 1;
            self.sink.publish(place, Batch::new(bytes, count), id);
            return;
        }
        self.at = frame.end + 1;
        let start = frame.start;
        let open = self.open.get_or_insert(Open {
            place,
            start,
            count: 0,
        });
        open.count += 1;
    }

    /// Makes the byte after a frame a line's end, if there is room for one.
    fn end_line(&mut self, end: usize) -> bool {
        match self.buffer.get_mut(end) {
            Some(byte @ (b' ' | b'\n' | b'\r' | b'\t')) => *byte = b'\n',
            Some(_) => return false,
            None => self.buffer.put_u8(b'\n'),
        }
        true
    }

    /// Passes over a value that is no part of a batch.
    fn skip(&mut self, value: &Value) {
        self.flush();
        self.at = value.end;
    }

    /// Hands over the batch, and removes from the buffer what was dealt with: what
    /// stood at `at` is now at its front.
    fn flush(&mut self) {
        let dealt_with = self.buffer.split_to(std::mem::take(&mut self.at));
        if let Some(Open {
            place,
            start,
            count,
        }) = self.open.take()
        {
            let bytes = dealt_with.freeze().slice(start..);
            let id = None;
            self.sink.publish(place, Batch::new(bytes, count), id);
        }
    }
}

#[cfg(test)]
mod tests;
