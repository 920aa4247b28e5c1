//! Where one JSON value ends, in a stream that arrives in any pieces.
//!
//! [`Scanner`] reads each byte once, resumes where the bytes ran out, and checks
//! the whole grammar of RFC 8259. It is iterative: nesting costs one bit a
//! level. Framing and checking in one pass is also the fastest way: a parser
//! that gives up at the end of the bytes would have to begin again at each piece.

use crate::notes::NoteTaker;
use crate::{ErrorCode, Limits};

pub use crate::notes::{Notes, Span};

/// Finds the values in a stream, one after another.
///
/// Hand it, at each call, everything from the end of the last value on; it
/// looks only at the bytes that it hasn't seen. It keeps no bytes itself.
#[derive(Clone, Debug)]
pub struct Scanner {
    limits: Limits,
    /// Offset of the next byte to look at.
    position: usize,
    /// Offset of the value's first byte.
    start: usize,
    state: State,
    /// Objects and arrays that are open.
    depth: usize,
    /// One bit for each that is open, the innermost lowest: 1 is an object.
    objects: u128,
    /// The string that is being read is a key.
    in_key: bool,
    /// Offset of the quotation mark before the string that is being read.
    text_start: usize,
    line_break: bool,
    taker: NoteTaker,
}

/// What the bytes so far hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scan {
    /// Nothing but white space, which may be forgotten.
    Blank,
    /// A value has begun and goes on past the end: call again with more.
    Partial,
    /// One complete value.
    Value(Value),
}

/// One complete JSON value in the bytes that were scanned: valid, UTF-8, and
/// within the limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    /// Offset of its first byte. White space comes before.
    pub start: usize,
    /// Offset just past its last byte.
    pub end: usize,
    /// There is a line break between its tokens.
    pub line_break: bool,
    /// Where its parts are.
    pub notes: Notes,
}

/// Why a stream can't be read any further.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScanError {
    /// A byte that can't stand where it stands.
    #[error("not JSON: found {} at byte {offset} of the frame, where {expected} should be", Found(*.found))]
    NotJson {
        /// The byte.
        found: u8,
        /// Its place, counted from the value's first byte.
        offset: usize,
        /// What could have stood there.
        expected: &'static str,
    },
    /// A string with bytes that aren't UTF-8.
    #[error("not UTF-8: the bytes of the frame are no text from byte {offset} on")]
    NotUtf8 {
        /// The first such byte, counted from the value's first byte.
        offset: usize,
    },
    /// More levels than [`Limits::max_depth`], which is given.
    #[error("too deep: more than {0} objects and arrays within one another")]
    TooDeep(usize),
    /// More bytes than [`Limits::max_frame`], which is given.
    #[error("too long: a frame has at most {0} bytes")]
    TooLong(usize),
}

impl ScanError {
    /// The code that the peer is told.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::NotJson { .. } => ErrorCode::NotJson,
            Self::NotUtf8 { .. } => ErrorCode::NotUtf8,
            Self::TooDeep(_) => ErrorCode::TooDeep,
            Self::TooLong(_) => ErrorCode::TooLong,
        }
    }
}

/// A byte as people can read it, whatever it is.
struct Found(u8);

impl std::fmt::Display for Found {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            printable @ b' '..=b'~' => write!(f, "'{}'", char::from(printable)),
            other => write!(f, "the byte 0x{other:02x}"),
        }
    }
}

/// What may come next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The first byte of the next value; white space until then.
    Blank,
    /// A value.
    Value,
    /// The first value of an array, or its end.
    FirstElement,
    /// A key.
    Key,
    /// The first key of an object, or its end.
    FirstKey,
    /// The colon after a key.
    Colon,
    /// A comma, or the end of the innermost object or array.
    Next,
    /// More of a string.
    Text,
    /// What a backslash escapes.
    Escape,
    /// So many more hexadecimal digits.
    Hex(u8),
    /// The rest of `true`, `false` or `null`.
    Word(&'static [u8]),
    /// More of a number.
    Number(Number),
}

/// How far a number has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Number {
    Minus,
    Zero,
    Integer,
    Point,
    Fraction,
    Exponent,
    ExponentSign,
    ExponentDigits,
}

impl Number {
    /// The state after one more byte; `None` if the byte isn't part of it.
    fn after(self, byte: u8) -> Option<Self> {
        Some(match (self, byte) {
            (Self::Minus, b'0') => Self::Zero,
            (Self::Minus, b'1'..=b'9') | (Self::Integer, b'0'..=b'9') => Self::Integer,
            (Self::Zero | Self::Integer, b'.') => Self::Point,
            (Self::Point | Self::Fraction, b'0'..=b'9') => Self::Fraction,
            (Self::Zero | Self::Integer | Self::Fraction, b'e' | b'E') => Self::Exponent,
            (Self::Exponent, b'+' | b'-') => Self::ExponentSign,
            (Self::Exponent | Self::ExponentSign | Self::ExponentDigits, b'0'..=b'9') => {
                Self::ExponentDigits
            }
            _ => return None,
        })
    }

    fn is_complete(self) -> bool {
        matches!(
            self,
            Self::Zero | Self::Integer | Self::Fraction | Self::ExponentDigits
        )
    }
}

impl Scanner {
    /// A scanner at the beginning of a stream.
    ///
    /// Limits beyond [`Limits::DEEPEST`] and [`Limits::LARGEST_FRAME`] are
    /// brought down to those.
    pub fn new(limits: Limits) -> Self {
        let limits = Limits {
            max_frame: limits.max_frame.min(Limits::LARGEST_FRAME),
            max_depth: limits.max_depth.min(Limits::DEEPEST),
        };
        Self {
            limits,
            position: 0,
            start: 0,
            state: State::Blank,
            depth: 0,
            objects: 0,
            in_key: false,
            text_start: 0,
            line_break: false,
            taker: NoteTaker::default(),
        }
    }

    /// Looks for the end of the next value in `bytes`.
    ///
    /// `bytes` begins where the last value ended (or where the stream began)
    /// and holds all that was handed over since, and more. After an error the
    /// stream can't be trusted, and the scanner mustn't be asked again.
    pub fn scan(&mut self, bytes: &[u8]) -> Result<Scan, ScanError> {
        if self.state == State::Blank && !self.begin(bytes) {
            self.position = 0;
            return Ok(Scan::Blank);
        }
        let visible = bytes.len().min(self.start + self.limits.max_frame);
        let complete = self.advance(&bytes[..visible])?;
        if complete {
            return self.finish(bytes).map(Scan::Value);
        }
        if visible == self.start + self.limits.max_frame {
            return Err(ScanError::TooLong(self.limits.max_frame));
        }
        Ok(Scan::Partial)
    }

    /// Skips white space; true if a value begins after it.
    fn begin(&mut self, bytes: &[u8]) -> bool {
        let space = bytes.iter().take_while(|byte| is_space(**byte)).count();
        self.position = space;
        self.start = space;
        self.state = State::Value;
        if space == bytes.len() {
            self.state = State::Blank;
        }
        self.state == State::Value
    }

    /// Hands over the value that has ended at `position` and starts anew.
    fn finish(&mut self, bytes: &[u8]) -> Result<Value, ScanError> {
        let (start, end) = (self.start, self.position);
        if let Err(error) = std::str::from_utf8(&bytes[start..end]) {
            let offset = error.valid_up_to();
            return Err(ScanError::NotUtf8 { offset });
        }
        let value = Value {
            start,
            end,
            line_break: self.line_break,
            notes: self.taker.notes,
        };
        *self = Self::new(self.limits);
        Ok(value)
    }

    /// Reads until the value is complete (true) or the bytes run out (false).
    fn advance(&mut self, bytes: &[u8]) -> Result<bool, ScanError> {
        while let Some(&byte) = bytes.get(self.position) {
            match self.state {
                State::Text => self.text(bytes)?,
                State::Number(number) => self.number(number, byte)?,
                State::Escape | State::Hex(_) => self.escape(byte)?,
                State::Word(rest) => self.word(rest, byte)?,
                _ if is_space(byte) => self.space(byte),
                State::Blank | State::Value => self.value(byte)?,
                State::FirstElement if byte == b']' => self.close(),
                State::FirstElement => self.value(byte)?,
                State::FirstKey if byte == b'}' => self.close(),
                State::Key | State::FirstKey => self.key(byte)?,
                State::Colon => self.colon(byte)?,
                State::Next => self.next(byte)?,
            }
            if self.state == State::Next && self.depth == 0 {
                return Ok(true);
            }
        }
        Ok(false)
    }

    #[inline]
    fn space(&mut self, byte: u8) {
        self.line_break |= byte == b'\n' || byte == b'\r';
        self.position += 1;
    }

    /// The first byte of a value.
    #[inline]
    fn value(&mut self, byte: u8) -> Result<(), ScanError> {
        let at = self.offset();
        self.taker.value_start(self.depth, at);
        match byte {
            b'"' => self.open_text(false),
            b'{' => return self.open(true),
            b'[' => return self.open(false),
            b'-' => self.state = State::Number(Number::Minus),
            b'0' => self.state = State::Number(Number::Zero),
            b'1'..=b'9' => self.state = State::Number(Number::Integer),
            b't' => self.state = State::Word(b"rue"),
            b'f' => self.state = State::Word(b"alse"),
            b'n' => self.state = State::Word(b"ull"),
            _ if self.state == State::FirstElement => {
                return Err(self.unexpected(byte, "a value or ']'"));
            }
            _ => return Err(self.unexpected(byte, "a value")),
        }
        self.position += 1;
        Ok(())
    }

    fn open(&mut self, object: bool) -> Result<(), ScanError> {
        if self.depth == self.limits.max_depth {
            return Err(ScanError::TooDeep(self.limits.max_depth));
        }
        self.depth += 1;
        self.objects = self.objects << 1 | u128::from(object);
        self.state = if object {
            State::FirstKey
        } else {
            State::FirstElement
        };
        self.position += 1;
        Ok(())
    }

    fn close(&mut self) {
        self.depth -= 1;
        self.objects >>= 1;
        self.position += 1;
        self.value_end();
    }

    /// A value has ended just before `position`.
    #[inline]
    fn value_end(&mut self) {
        let end = self.offset();
        self.taker.value_end(self.depth, end);
        self.state = State::Next;
    }

    #[inline]
    fn next(&mut self, byte: u8) -> Result<(), ScanError> {
        let in_object = self.objects & 1 == 1;
        match (byte, in_object) {
            (b',', true) => self.state = State::Key,
            (b',', false) => self.state = State::Value,
            (b'}', true) | (b']', false) => {
                self.close();
                return Ok(());
            }
            (_, true) => return Err(self.unexpected(byte, "',' or '}'")),
            (_, false) => return Err(self.unexpected(byte, "',' or ']'")),
        }
        self.position += 1;
        Ok(())
    }

    #[inline]
    fn key(&mut self, byte: u8) -> Result<(), ScanError> {
        if byte != b'"' {
            return Err(self.unexpected(byte, "a key in quotation marks"));
        }
        self.open_text(true);
        self.position += 1;
        Ok(())
    }

    #[inline]
    fn colon(&mut self, byte: u8) -> Result<(), ScanError> {
        if byte != b':' {
            return Err(self.unexpected(byte, "':'"));
        }
        self.state = State::Value;
        self.position += 1;
        Ok(())
    }

    #[inline]
    fn open_text(&mut self, is_key: bool) {
        self.text_start = self.position;
        self.in_key = is_key;
        self.state = State::Text;
    }

    /// Runs to the next byte of a string that isn't plain.
    #[inline]
    fn text(&mut self, bytes: &[u8]) -> Result<(), ScanError> {
        self.position += plain_prefix(&bytes[self.position..]);
        match bytes.get(self.position) {
            None => Ok(()),
            Some(b'"') => {
                self.close_text(bytes);
                Ok(())
            }
            Some(b'\\') => {
                self.position += 1;
                self.state = State::Escape;
                Ok(())
            }
            Some(&control) => Err(self.unexpected(control, "text without control characters")),
        }
    }

    #[inline]
    fn close_text(&mut self, bytes: &[u8]) {
        let raw = &bytes[self.text_start + 1..self.position];
        self.position += 1;
        if self.in_key {
            let start = to_offset(self.text_start - self.start);
            self.taker.key(self.depth, start, raw);
            self.state = State::Colon;
        } else {
            self.value_end();
        }
    }

    fn escape(&mut self, byte: u8) -> Result<(), ScanError> {
        self.state = match (self.state, byte) {
            (State::Escape, b'u') => State::Hex(4),
            (State::Escape, b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => State::Text,
            (State::Hex(1), _) if byte.is_ascii_hexdigit() => State::Text,
            (State::Hex(left), _) if byte.is_ascii_hexdigit() => State::Hex(left - 1),
            (State::Hex(_), _) => return Err(self.unexpected(byte, "a hexadecimal digit")),
            _ => return Err(self.unexpected(byte, "an escape such as \\n")),
        };
        self.position += 1;
        Ok(())
    }

    fn word(&mut self, rest: &'static [u8], byte: u8) -> Result<(), ScanError> {
        match rest {
            [expected, rest @ ..] if *expected == byte => {
                self.position += 1;
                self.state = State::Word(rest);
                if rest.is_empty() {
                    self.value_end();
                }
                Ok(())
            }
            _ => Err(self.unexpected(byte, "true, false or null")),
        }
    }

    fn number(&mut self, number: Number, byte: u8) -> Result<(), ScanError> {
        match number.after(byte) {
            Some(number) => {
                self.position += 1;
                self.state = State::Number(number);
                Ok(())
            }
            None if number.is_complete() => {
                self.value_end();
                Ok(())
            }
            None => Err(self.unexpected(byte, "a digit")),
        }
    }

    /// The place of the next byte, counted from the value's first.
    #[inline]
    fn offset(&self) -> u32 {
        to_offset(self.position - self.start)
    }

    #[cold]
    fn unexpected(&self, found: u8, expected: &'static str) -> ScanError {
        ScanError::NotJson {
            found,
            offset: self.position - self.start,
            expected,
        }
    }
}

/// An offset within a value, which [`Limits::LARGEST_FRAME`] keeps in range.
#[inline]
fn to_offset(offset: usize) -> u32 {
    u32::try_from(offset).unwrap_or(u32::MAX)
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\n' | b'\r' | b'\t')
}

/// Counts the bytes before the first quotation mark, backslash or control
/// character: eight at a time, because most of a frame is text.
#[inline]
fn plain_prefix(bytes: &[u8]) -> usize {
    let mut count = 0;
    let mut words = bytes.chunks_exact(8);
    for word in &mut words {
        let mut eight = [0; 8];
        eight.copy_from_slice(word);
        let special = special_bytes(u64::from_le_bytes(eight));
        if special != 0 {
            return count + (special.trailing_zeros() / 8) as usize;
        }
        count += 8;
    }
    count
        + words
            .remainder()
            .iter()
            .take_while(|byte| !matches!(byte, b'"' | b'\\' | 0..=0x1f))
            .count()
}

/// The high bit of each byte of `word` that ends plain text. A borrow can also
/// set bits above the lowest one that is right, never below it.
#[inline]
fn special_bytes(word: u64) -> u64 {
    const ONES: u64 = u64::from_ne_bytes([0x01; 8]);
    const HIGH: u64 = ONES << 7;
    let is_zero = |word: u64| word.wrapping_sub(ONES) & !word;
    let quote = is_zero(word ^ (ONES * b'"' as u64));
    let backslash = is_zero(word ^ (ONES * b'\\' as u64));
    let control = word.wrapping_sub(ONES * 0x20) & !word;
    (quote | backslash | control) & HIGH
}

#[cfg(test)]
mod tests;
