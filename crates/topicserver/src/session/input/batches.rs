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

    /// How much may wait, of all connections.
    fn queue_limits(&self) -> &Arc<QueueLimits>;
}

/// What the bytes are that remain after frames were carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rest {
    /// The beginning of a frame, or nothing.
    Unfinished,
    /// There may be whole frames, which are carried out before more is read: the sink had no
    /// room for them, or it is the turn of other tasks.
    Deferred,
}

/// How far the frames in some bytes were dealt with.
pub(super) struct Taken {
    /// One was complete, at least.
    pub(super) finished: bool,
    pub(super) rest: Rest,
}

/// Hands over the complete frames in `buffer`, which keeps the unfinished rest, and
/// those for which there is no room or no time.
///
/// A frame that isn't a message can be very short and cost much. So after each of them
/// it is asked whether the next one may follow.
pub(super) fn take_frames(
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
                        rest: Rest::Deferred,
                    });
                }
            }
            Ok(Scan::Partial) => {
                batches.flush();
                return Ok(Taken {
                    finished,
                    rest: Rest::Unfinished,
                });
            }
            Ok(Scan::Blank) => {
                batches.flush();
                batches.buffer.clear();
                return Ok(Taken {
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
