//! Frames as a client writes them → the bytes of its messages, each on a line.

use wire::ErrorCode;

use crate::websocket::close::CloseCode;
use crate::websocket::frame::{MAX_CONTROL, pong_frame};
use crate::websocket::utf8::{NotUtf8, Utf8};

/// The longest head: two bytes, a length of eight, a mask of four.
const LONGEST_HEAD: usize = 14;

/// The opcodes of frames (RFC 6455, 5.2).
const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// Reads the frames of one peer.
pub(crate) struct FrameReader {
    /// The most bytes of a message.
    max: usize,
    head: [u8; LONGEST_HEAD],
    /// Bytes of the head that have come; 0 when it is complete.
    head_length: u8,
    opcode: u8,
    is_final: bool,
    mask: [u8; 4],
    /// Bytes of the frame that are still to come; `None` until its head is complete.
    left: Option<u64>,
    /// The message that has begun and isn't complete: text or binary.
    message: Option<u8>,
    /// Bytes that it has so far.
    length: u64,
    utf8: Utf8,
    /// The payload of a control frame, as far as it has come.
    control: Vec<u8>,
    /// A message has ended, and there was no room for its line's end.
    owes_line_end: bool,
}

/// The result of decoding some bytes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Decoded {
    /// Bytes of messages, which are now at the front.
    pub(crate) length: usize,
    /// Frames to be sent back.
    pub(crate) pongs: Vec<u8>,
    /// Nothing more is read.
    pub(crate) end: Option<ReadEnd>,
}

/// Why nothing more is read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ReadEnd {
    /// The peer has closed, with this code if it sent one.
    Closed(Option<CloseCode>),
    /// The peer has violated the protocol.
    Violation(Violation),
}

/// A violation of the protocol.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Violation {
    #[error("a reserved bit is set")]
    ReservedBit,
    #[error("opcode {0} is reserved")]
    Opcode(u8),
    #[error("a client's frame must be masked")]
    Unmasked,
    #[error("a control frame is in fragments")]
    FragmentedControl,
    #[error("a control frame has more than 125 bytes")]
    LongControl,
    #[error("a continuation of nothing")]
    Continuation,
    #[error("a message begins within another one")]
    Interleaved,
    #[error("a length is not in the fewest bytes")]
    Length,
    #[error("a close frame has one byte")]
    ShortClose,
    #[error("close code {0} may not be sent")]
    CloseCode(u16),
    #[error("a close frame's reason is no UTF-8")]
    CloseReason,
    #[error("a text message is no UTF-8")]
    NotUtf8,
    #[error("a message has more than {0} bytes")]
    TooLong(usize),
}

impl Violation {
    /// The status code with which the connection is closed.
    pub(crate) fn close_code(&self) -> CloseCode {
        match self {
            Self::CloseReason | Self::NotUtf8 => CloseCode::NOT_UTF8,
            Self::TooLong(_) => CloseCode::TOO_LONG,
            _ => CloseCode::PROTOCOL_ERROR,
        }
    }

    /// The matching error code of our protocol, if there is one.
    pub(crate) fn error_code(&self) -> Option<ErrorCode> {
        match self {
            Self::NotUtf8 => Some(ErrorCode::NotUtf8),
            Self::TooLong(_) => Some(ErrorCode::TooLong),
            _ => None,
        }
    }
}

impl FrameReader {
    /// A reader for messages of at most `max` bytes.
    pub(crate) fn new(max: usize) -> Self {
        Self {
            max,
            head: [0; LONGEST_HEAD],
            head_length: 0,
            opcode: 0,
            is_final: false,
            mask: [0; 4],
            left: None,
            message: None,
            length: 0,
            utf8: Utf8::default(),
            control: Vec::new(),
            owes_line_end: false,
        }
    }

    /// Whether a frame, or a message, has begun and isn't complete.
    pub(crate) fn is_partial(&self) -> bool {
        self.head_length > 0 || self.left.is_some() || self.message.is_some()
    }

    /// Whether the last message still needs its line's end, which the caller adds before more is
    /// decoded.
    pub(crate) fn take_line_end(&mut self) -> bool {
        std::mem::take(&mut self.owes_line_end)
    }

    /// Decodes the next bytes in place.
    pub(crate) fn decode(&mut self, bytes: &mut [u8]) -> Decoded {
        let mut decoded = Decoded::default();
        if let Err(end) = self.read(bytes, &mut decoded) {
            decoded.end = Some(end);
        }
        decoded
    }

    fn read(&mut self, bytes: &mut [u8], decoded: &mut Decoded) -> Result<(), ReadEnd> {
        let mut at = 0;
        loop {
            if self.left.is_none() {
                at += self.read_head(&bytes[at..]).map_err(ReadEnd::Violation)?;
            }
            // At least one byte of a head was read, so there is room for the line's end.
            if self.owes_line_end && decoded.length < at {
                bytes[decoded.length] = b'\n';
                decoded.length += 1;
                self.owes_line_end = false;
            }
            let Some(left) = self.left else {
                return Ok(());
            };
            let count =
                usize::try_from(left).map_or(bytes.len() - at, |left| left.min(bytes.len() - at));
            let left = left - count as u64;
            self.left = Some(left);
            let piece = at..at + count;
            at += count;
            if self.opcode >= CLOSE {
                self.read_control(&mut bytes[piece], left, decoded)?;
            } else {
                bytes.copy_within(piece, decoded.length);
                let out = &mut bytes[decoded.length..][..count];
                self.read_data(out, left).map_err(ReadEnd::Violation)?;
                decoded.length += count;
            }
            if left > 0 {
                return Ok(());
            }
            self.left = None;
        }
    }

    /// Takes the bytes of a head, and returns their number.
    fn read_head(&mut self, bytes: &[u8]) -> Result<usize, Violation> {
        for (at, byte) in bytes.iter().enumerate() {
            self.head[usize::from(self.head_length)] = *byte;
            self.head_length += 1;
            if self.head_length == 2 {
                self.check_head()?;
            }
            if self.head_length >= 2 && self.head_length == self.head_size() {
                self.begin_frame()?;
                return Ok(at + 1);
            }
        }
        Ok(bytes.len())
    }

    /// The length of the head, once its first two bytes are known.
    fn head_size(&self) -> u8 {
        match self.head[1] & 0x7f {
            126 => 2 + 2 + 4,
            127 => 2 + 8 + 4,
            _ => 2 + 4,
        }
    }

    /// Checks the first two bytes.
    fn check_head(&self) -> Result<(), Violation> {
        let (first, second) = (self.head[0], self.head[1]);
        let opcode = first & 0x0f;
        let is_final = first & 0x80 != 0;
        if first & 0x70 != 0 {
            return Err(Violation::ReservedBit);
        }
        match opcode {
            CONTINUATION if self.message.is_none() => return Err(Violation::Continuation),
            TEXT | BINARY if self.message.is_some() => return Err(Violation::Interleaved),
            CONTINUATION | TEXT | BINARY => {}
            CLOSE | PING | PONG if !is_final => return Err(Violation::FragmentedControl),
            CLOSE | PING | PONG if usize::from(second & 0x7f) > MAX_CONTROL => {
                return Err(Violation::LongControl);
            }
            CLOSE | PING | PONG => {}
            reserved => return Err(Violation::Opcode(reserved)),
        }
        if second & 0x80 == 0 {
            return Err(Violation::Unmasked);
        }
        Ok(())
    }

    /// Begins a frame whose head is complete.
    fn begin_frame(&mut self) -> Result<(), Violation> {
        let (first, short) = (self.head[0], self.head[1] & 0x7f);
        let size = usize::from(std::mem::take(&mut self.head_length));
        let length = match self.head[2..size - 4] {
            [] => u64::from(short),
            ref bytes => bytes
                .iter()
                .fold(0, |sum, byte| sum << 8 | u64::from(*byte)),
        };
        let fewest = match short {
            126 => 126,
            127 => 0x1_0000,
            _ => 0,
        };
        if length < fewest || length >> 63 != 0 {
            return Err(Violation::Length);
        }
        self.mask.copy_from_slice(&self.head[size - 4..size]);
        self.opcode = first & 0x0f;
        self.is_final = first & 0x80 != 0;
        self.left = Some(length);
        if self.opcode < CLOSE {
            if self.opcode != CONTINUATION {
                self.message = Some(self.opcode);
                self.length = 0;
            }
            self.length = self.length.saturating_add(length);
            if self.length > self.max as u64 {
                return Err(Violation::TooLong(self.max));
            }
        }
        Ok(())
    }

    /// Handles a piece of a message. `left` bytes of the frame come after it.
    fn read_data(&mut self, piece: &mut [u8], left: u64) -> Result<(), Violation> {
        self.unmask(piece);
        let is_text = self.message == Some(TEXT);
        let not_utf8 = |NotUtf8| Violation::NotUtf8;
        if is_text {
            self.utf8.take(piece).map_err(not_utf8)?;
        }
        if left == 0 && self.is_final {
            self.message = None;
            self.owes_line_end = true;
            if is_text {
                self.utf8.finish().map_err(not_utf8)?;
            }
        }
        Ok(())
    }

    /// Handles a piece of a control frame.
    fn read_control(
        &mut self,
        piece: &mut [u8],
        left: u64,
        decoded: &mut Decoded,
    ) -> Result<(), ReadEnd> {
        self.unmask(piece);
        self.control.extend_from_slice(piece);
        if left > 0 {
            return Ok(());
        }
        let payload = std::mem::take(&mut self.control);
        match self.opcode {
            PING => decoded.pongs.extend(pong_frame(&payload)),
            CLOSE => return Err(closed(&payload)),
            _ => {}
        }
        Ok(())
    }

    /// Unmasks the next bytes of the frame.
    fn unmask(&mut self, piece: &mut [u8]) {
        for four in piece.chunks_mut(4) {
            for (byte, mask) in four.iter_mut().zip(self.mask) {
                *byte ^= mask;
            }
        }
        self.mask.rotate_left(piece.len() % 4);
    }
}

/// The end that a close frame means.
fn closed(payload: &[u8]) -> ReadEnd {
    let (code, reason) = match payload {
        [] => return ReadEnd::Closed(None),
        [_] => return ReadEnd::Violation(Violation::ShortClose),
        [high, low, reason @ ..] => (u16::from_be_bytes([*high, *low]), reason),
    };
    if !CloseCode(code).may_be_sent() {
        return ReadEnd::Violation(Violation::CloseCode(code));
    }
    match std::str::from_utf8(reason) {
        Ok(_) => ReadEnd::Closed(Some(CloseCode(code))),
        Err(_) => ReadEnd::Violation(Violation::CloseReason),
    }
}

#[cfg(test)]
mod tests;
