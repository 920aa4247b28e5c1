//! The frames in some bytes, and consecutive messages for one topic as one batch.

use std::sync::Arc;

use bytes::{BufMut, BytesMut};
use wire::{
    Frame, FrameError, JsonStr, RegistrationOptions, Request, Scan, ScanError, Scanner, TopicName,
    Value,
};

use super::line::{blank_line_breaks, line_of};
use crate::outbox::batch::Batch;
use crate::queues::QueueLimits;
use crate::topic::publication::MessageId;
use crate::turn::Turn;

/// Receives the frames: a session, or a test.
pub(crate) trait FrameSink {
    /// The peer registers for topics; with options, as an extended connection.
    fn register(&mut self, topics: Vec<TopicName>, options: Option<Box<RegistrationOptions>>);

    /// The sink's own number for the topic of a message; `None` if the peer may not publish
    /// there.
    fn route(&mut self, topic: &str, id: Option<&str>) -> Option<usize>;

    /// Prepares the id of a message that is to be acknowledged.
    fn message_id(&mut self, id: &str, text: JsonStr<'_>) -> Box<MessageId>;

    /// Publishes messages to the topic with the number `place`.
    fn publish(&mut self, place: usize, frames: Batch, id: Option<Box<MessageId>>);

    /// Answers a request.
    fn request(&mut self, request: Request);

    /// Rejects an object that is no frame. The stream goes on.
    fn reject(&mut self, error: &FrameError);

    /// Whether there is room for further frames and for the answers to them.
    fn has_room(&self) -> bool;

    /// The limits of all queues together.
    fn queue_limits(&self) -> &Arc<QueueLimits>;
}

/// What remains of the bytes after frames were carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rest {
    /// The beginning of an unfinished frame, or nothing.
    Unfinished,
    /// There may be whole frames. The sink had no room for them, or other tasks must run first.
    /// They are carried out before more is read.
    Deferred,
}

/// How far `take_frames` has come.
pub(super) struct Progress {
    /// At least one frame was complete.
    pub(super) finished: bool,
    pub(super) rest: Rest,
}

/// Hands over the complete frames in `buffer`, which keeps the unfinished rest, and
/// those for which there is no room or no time.
///
/// A frame that isn't a message can be very short and cost much, and a message that is published
/// by itself takes more memory than its bytes. So after each of them the sink is asked whether it
/// has room for the next one.
pub(super) fn take_frames(
    buffer: &mut BytesMut,
    scanner: &mut Scanner,
    sink: &mut impl FrameSink,
) -> Result<Progress, ScanError> {
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
                let goes_on = match batches.frame(&value) {
                    Handled::Batched => true,
                    Handled::Published => batches.sink.has_room(),
                    Handled::Other => batches.sink.has_room() && !turn.is_over(),
                };
                if !goes_on {
                    batches.flush();
                    return Ok(Progress {
                        finished,
                        rest: Rest::Deferred,
                    });
                }
            }
            Ok(Scan::Partial) => {
                batches.flush();
                return Ok(Progress {
                    finished,
                    rest: Rest::Unfinished,
                });
            }
            Ok(Scan::Blank) => {
                batches.flush();
                batches.buffer.clear();
                return Ok(Progress {
                    finished,
                    rest: Rest::Unfinished,
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
    /// Everything before this index is handled, or is in `open`.
    at: usize,
    /// The batch that ends at `at`.
    open: Option<Open>,
}

/// What became of a frame.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Handled {
    /// It is a message in a batch.
    Batched,
    /// It is a message that was published by itself.
    Published,
    /// It is anything else.
    Other,
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
    /// Handles the value that begins at `at`.
    fn frame(&mut self, value: &Value) -> Handled {
        let unread = &self.buffer[self.at..];
        match Frame::read(unread, value) {
            Ok(Frame::Message { topic, text, id }) => {
                let place = self.sink.route(&topic, id.as_deref());
                let message_id = match (&place, &id) {
                    (Some(_), Some(id)) => Some(self.sink.message_id(id, text)),
                    _ => None,
                };
                if let Some(place) = place {
                    return self.message(place, value, message_id);
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
        Handled::Other
    }

    /// Adds a message to a batch, without a copy, if it can stay in the buffer. If not, it is
    /// published by itself.
    fn message(&mut self, place: usize, value: &Value, id: Option<Box<MessageId>>) -> Handled {
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
            return Handled::Published;
        }
        self.at = frame.end + 1;
        let start = frame.start;
        let open = self.open.get_or_insert(Open {
            place,
            start,
            count: 0,
        });
        open.count += 1;
        Handled::Batched
    }

    /// Makes the byte after a frame a line's end, if that byte is white space.
    fn end_line(&mut self, end: usize) -> bool {
        match self.buffer.get_mut(end) {
            Some(byte @ (b' ' | b'\n' | b'\r' | b'\t')) => *byte = b'\n',
            Some(_) => return false,
            None => self.buffer.put_u8(b'\n'),
        }
        true
    }

    /// Skips a value that is no part of a batch.
    fn skip(&mut self, value: &Value) {
        self.flush();
        self.at = value.end;
    }

    /// Hands over the batch, and removes from the buffer what was handled. What was at `at` is
    /// now at the front.
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
