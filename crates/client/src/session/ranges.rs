//! Messages before a number, which a program shows when somebody scrolls up.

use serde_json::value::RawValue;
use wire::HistoryRange;

use crate::event::{Arrival, Incoming, Range};
use crate::frame::{Frame, FrameBuffer};

/// The longest answer: 256 KiB of messages, or one that is longer, and what stands around
/// them.
pub(crate) const LONGEST_ANSWER: usize = 256 * 1024 + 4096;

/// What the server has sent, as the program gets it.
pub(super) fn read(range: &HistoryRange<'_>) -> Range {
    let count = range.messages.len();
    let messages = range.messages.iter().enumerate();
    let messages = messages.filter_map(|(index, frame)| message(frame, index + 1 == count));
    Range {
        topic: range.topic.to_string(),
        first: range.first,
        messages: messages.collect(),
    }
}

fn message(frame: &RawValue, is_last: bool) -> Option<Incoming> {
    let bytes = frame.get().as_bytes();
    let mut buffer = FrameBuffer::new(bytes.len());
    buffer.space().extend_from_slice(bytes);
    match buffer.next_frame() {
        Ok(Some(Frame::Message(frame))) => Some(Incoming {
            topic: frame.message.topic.decode().into_owned(),
            text: frame.message.text.decode().into_owned(),
            envelope: frame.envelope(),
            arrival: Arrival::Replayed { is_last },
        }),
        _ => None,
    }
}
