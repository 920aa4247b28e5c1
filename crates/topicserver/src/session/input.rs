//! Bytes as they come from a peer → frames → what the session does with them.
//!
//! A worker thread has one read buffer for all its connections: an idle
//! connection owns none. Frames stay in it, and consecutive ones for one topic
//! leave it as one slice, without a copy.

use std::cell::RefCell;
use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{BufMut, Bytes, BytesMut};
use tokio::io::AsyncRead;
use tokio_util::io::poll_read_buf;
use wire::{
    Frame, FrameError, JsonStr, Limits, RegistrationOptions, Request, Scan, ScanError, Scanner,
    TopicName, Value,
};

use crate::outbox::batch::Batch;
use crate::session::protocol::Protocol;
use crate::topic::publication::MessageId;

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
}

/// What came of a read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Read {
    /// The peer sends no more.
    End,
    /// Bytes, and all of them were handled.
    Some {
        /// At least one frame was complete.
        finished: bool,
        /// There may be more at once.
        filled: bool,
    },
}

/// What came of a connection's first read.
#[derive(Debug)]
pub(crate) enum First {
    Json(Read),
    /// Something else; the bytes are kept.
    Other(Protocol),
}

/// A peer's bytes between two reads: nothing, unless a frame is unfinished.
#[derive(Default)]
pub(crate) struct Input {
    partial: Option<Box<Partial>>,
}

/// A frame that has begun.
struct Partial {
    bytes: BytesMut,
    scanner: Scanner,
}

impl Input {
    /// Whether a frame has begun and isn't finished.
    pub(crate) fn is_partial(&self) -> bool {
        self.partial.is_some()
    }

    /// What was read and isn't JSON.
    pub(crate) fn into_bytes(self) -> Bytes {
        let partial = self.partial.map(|partial| partial.bytes.freeze());
        partial.unwrap_or_default()
    }

    /// Reads the first bytes of a connection: a session's if they are JSON, and else
    /// what they are, untouched.
    pub(crate) fn poll_first<R: AsyncRead + Unpin>(
        &mut self,
        reader: &mut R,
        cx: &mut Context<'_>,
        limits: Limits,
        sink: &mut impl FrameSink,
    ) -> Poll<io::Result<Result<First, ScanError>>> {
        READ_BUFFER.with_borrow_mut(|buffer| {
            make_room(buffer);
            let room = buffer.capacity();
            let count = ready!(poll_read_buf(Pin::new(reader), cx, buffer))?;
            if count > 0 && Protocol::of(buffer) != Protocol::Json {
                let first = First::Other(Protocol::of(buffer));
                self.keep(buffer, Scanner::new(limits));
                buffer.clear();
                return Poll::Ready(Ok(Ok(first)));
            }
            let read = self.handle(buffer, count, room, limits, sink);
            Poll::Ready(Ok(read.map(First::Json)))
        })
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
        READ_BUFFER.with_borrow_mut(|buffer| {
            make_room(buffer);
            let room = buffer.capacity();
            let count = ready!(poll_read_buf(Pin::new(reader), cx, buffer))?;
            Poll::Ready(Ok(self.handle(buffer, count, room, limits, sink)))
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
        result.map(|complete| Read::Some {
            finished: complete > 0,
            filled: count == room,
        })
    }

    /// Bytes that begin with a new frame. Returns the number of complete frames.
    fn read_new(
        &mut self,
        buffer: &mut BytesMut,
        limits: Limits,
        sink: &mut impl FrameSink,
    ) -> Result<usize, ScanError> {
        let mut scanner = Scanner::new(limits);
        let complete = take_frames(buffer, &mut scanner, sink)?;
        self.keep(buffer, scanner);
        Ok(complete)
    }

    /// Bytes that go on with an unfinished frame. They are added to it, because
    /// a frame is read in one piece: a copy, but of each byte only one.
    fn read_on(
        &mut self,
        mut partial: Partial,
        buffer: &BytesMut,
        sink: &mut impl FrameSink,
    ) -> Result<usize, ScanError> {
        partial.bytes.extend_from_slice(buffer);
        let complete = take_frames(&mut partial.bytes, &mut partial.scanner, sink)?;
        if complete > 0 {
            self.keep(&partial.bytes, partial.scanner);
        } else {
            self.partial = Some(Box::new(partial));
        }
        Ok(complete)
    }

    /// Keeps an unfinished rest, in memory of its own.
    fn keep(&mut self, rest: &BytesMut, scanner: Scanner) {
        if !rest.is_empty() {
            let bytes = BytesMut::from(&rest[..]);
            self.partial = Some(Box::new(Partial { bytes, scanner }));
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

/// Hands over the complete frames in `buffer`, which keeps the unfinished rest.
/// Returns their number.
fn take_frames(
    buffer: &mut BytesMut,
    scanner: &mut Scanner,
    sink: &mut impl FrameSink,
) -> Result<usize, ScanError> {
    let mut complete = 0;
    let mut batches = Batches {
        buffer,
        sink,
        open: None,
        at: 0,
    };
    loop {
        match scanner.scan(&batches.buffer[batches.at..]) {
            Ok(Scan::Value(value)) => {
                complete += 1;
                batches.frame(&value);
            }
            Ok(Scan::Partial) => {
                batches.flush();
                return Ok(complete);
            }
            Ok(Scan::Blank) => {
                batches.flush();
                batches.buffer.clear();
                return Ok(complete);
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
    /// Deals with the value that was found from `at` on.
    fn frame(&mut self, value: &Value) {
        let unread = &self.buffer[self.at..];
        match Frame::read(unread, value) {
            Ok(Frame::Message { topic, text, id }) => {
                let place = self.sink.route(&topic, id.as_deref());
                let message_id = match (&place, &id) {
                    (Some(_), Some(id)) => Some(self.sink.message_id(id, text)),
                    _ => None,
                };
                match place {
                    Some(place) => self.message(place, value, message_id),
                    None => self.skip(value),
                }
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

/// A copy of a frame as it is relayed: on a line of its own, and without what its
/// sender put under `extended`, which only the server writes.
fn line_of(frame: &[u8], value: &Value) -> Bytes {
    let mut line = BytesMut::with_capacity(frame.len() + 1);
    match value.notes.extended {
        Some(member) => {
            let (before, after) = around_member(frame, member.range());
            line.put_slice(before);
            line.put_slice(after);
        }
        None => line.put_slice(frame),
    }
    line.put_u8(b'\n');
    line.freeze()
}

/// A line break can only stand between tokens: in a string it would be escaped.
fn blank_line_breaks(frame: &mut [u8]) {
    for byte in frame {
        if matches!(byte, b'\n' | b'\r') {
            *byte = b' ';
        }
    }
}

/// What stands before and after a member and the one comma that goes with it.
fn around_member(frame: &[u8], member: Range<usize>) -> (&[u8], &[u8]) {
    let (before, after) = (&frame[..member.start], &frame[member.end..]);
    if let Some(rest) = after.trim_ascii_start().strip_prefix(b",") {
        return (before, rest);
    }
    let before = before.trim_ascii_end();
    (before.strip_suffix(b",").unwrap_or(before), after)
}

#[cfg(test)]
mod tests;
