//! Bytes in, frames out: the reading side of a connection, without its socket.

use wire::{Envelope, Event, Limits, Received, Scan, ScanError, Scanner, Value};

/// What one read may bring: some hundred messages, or one of the longest.
const READ: usize = 64 * 1024;

/// One frame that arrived.
#[derive(Debug)]
pub enum Frame<'a> {
    /// A message.
    Message(MessageFrame<'a>),
    /// An event of the server's.
    Event(Event<'a>),
}

/// A message as it arrived.
#[derive(Debug)]
pub struct MessageFrame<'a> {
    /// Topic and text.
    pub message: Received<'a>,
    bytes: &'a [u8],
    value: Value,
}

impl MessageFrame<'_> {
    /// The whole frame.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[self.value.start..self.value.end]
    }

    /// What the server has added; empty if it adds nothing.
    pub fn envelope(&self) -> Envelope {
        Envelope::read(self.bytes, &self.value)
    }
}

/// Reads a message that is part of a longer frame.
pub(crate) fn read_message(bytes: &[u8]) -> Option<MessageFrame<'_>> {
    let limits = Limits {
        max_frame: bytes.len(),
        ..Limits::default()
    };
    let Ok(Scan::Value(value)) = Scanner::new(limits).scan(bytes) else {
        return None;
    };
    let message = Received::read(bytes, &value).ok()?;
    Some(MessageFrame {
        message,
        bytes,
        value,
    })
}

/// Finds the frames in a stream of bytes.
#[derive(Debug)]
pub struct FrameBuffer {
    scanner: Scanner,
    /// Bytes that were read; those before `consumed` are handled.
    bytes: Vec<u8>,
    consumed: usize,
    /// The buffer ends within a frame.
    partial: bool,
}

impl FrameBuffer {
    /// A buffer for frames of at most that many bytes.
    pub fn new(max_frame: usize) -> Self {
        let limits = Limits {
            max_frame,
            ..Limits::default()
        };
        Self {
            scanner: Scanner::new(limits),
            bytes: Vec::new(),
            consumed: 0,
            partial: false,
        }
    }

    /// The vector to which the next bytes of the stream are appended, with room for a read.
    pub fn space(&mut self) -> &mut Vec<u8> {
        self.bytes.drain(..self.consumed);
        self.consumed = 0;
        self.bytes.reserve(READ);
        &mut self.bytes
    }

    /// The next complete frame. Values that are no known frame are skipped. After an
    /// error the stream has no next frame.
    pub fn next_frame(&mut self) -> Result<Option<Frame<'_>>, ScanError> {
        loop {
            let bytes = &self.bytes[self.consumed..];
            let value = match self.scanner.scan(bytes)? {
                Scan::Value(value) => value,
                Scan::Partial => {
                    self.partial = true;
                    return Ok(None);
                }
                Scan::Blank => {
                    self.partial = false;
                    self.consumed = self.bytes.len();
                    return Ok(None);
                }
            };
            self.consumed += value.end;
            if let Ok(message) = Received::read(bytes, &value) {
                return Ok(Some(Frame::Message(MessageFrame {
                    message,
                    bytes,
                    value,
                })));
            }
            if let Ok(event) = Event::read(bytes, &value) {
                return Ok(Some(Frame::Event(event)));
            }
        }
    }

    /// A frame has begun, and its end hasn't arrived.
    pub fn is_partial(&self) -> bool {
        self.partial
    }

    /// Discards what was read.
    pub(crate) fn clear(&mut self) -> &mut Vec<u8> {
        self.bytes.clear();
        self.consumed = 0;
        self.bytes.reserve(READ);
        &mut self.bytes
    }
}
