//! The grammar of JSON (RFC 8259) as an automaton that can stop at any byte.
//!
//! It is iterative, and nesting costs one bit a level. It is a small value that
//! is copied, run and handed back, so that it stays in registers as it runs.

use crate::notes::NoteTaker;
use crate::plain::plain_prefix;
use crate::scan_error::ScanError;

/// How far the reading of one value has come.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Grammar {
    /// Offset of the next byte to look at, from the value's first.
    position: usize,
    state: State,
    /// Objects and arrays that are open.
    depth: usize,
    max_depth: usize,
    /// One bit for each that is open, the innermost lowest: 1 is an object.
    objects: u128,
    /// Offset of the quotation mark before the string that is being read.
    text_start: usize,
    /// Hexadecimal digits that an escape still needs.
    digits: u8,
    /// What is missing of `true`, `false` or `null`.
    word: &'static [u8],
    number: Number,
    /// The string that is being read is a key.
    in_key: bool,
    /// The string that is being read holds a backslash.
    escaped: bool,
    line_break: bool,
    non_ascii: bool,
}

type Step = Result<(), ScanError>;

/// What may come next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
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
    /// More hexadecimal digits: [`Grammar::digits`].
    Hex,
    /// The rest of `true`, `false` or `null`: [`Grammar::word`].
    Word,
    /// More of a number: [`Grammar::number`].
    Number,
    /// Nothing: the value is complete.
    Done,
}

/// What a bracket opens.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Container {
    Object,
    Array,
}

/// What a string is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum TextRole {
    Key,
    Value,
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

impl Grammar {
    pub(crate) fn new(max_depth: usize) -> Self {
        Self {
            position: 0,
            state: State::Value,
            depth: 0,
            max_depth,
            objects: 0,
            text_start: 0,
            digits: 0,
            word: b"",
            number: Number::Zero,
            in_key: false,
            escaped: false,
            line_break: false,
            non_ascii: false,
        }
    }

    /// The bytes of the value that were read.
    pub(crate) fn position(self) -> usize {
        self.position
    }

    /// There was a line break between tokens.
    pub(crate) fn has_line_break(self) -> bool {
        self.line_break
    }

    /// There may have been a byte beyond ASCII in a string.
    pub(crate) fn has_non_ascii(self) -> bool {
        self.non_ascii
    }

    /// The value is complete.
    pub(crate) fn is_complete(self) -> bool {
        self.state == State::Done
    }

    /// Reads until the value is complete or the bytes run out. `bytes` begins with the
    /// value's first byte.
    pub(crate) fn advance(
        mut self,
        bytes: &[u8],
        taker: &mut NoteTaker,
    ) -> Result<Self, ScanError> {
        while let Some(&byte) = bytes.get(self.position) {
            match self.state {
                State::Text => self.text(bytes, taker)?,
                State::Number => self.number(byte, taker)?,
                State::Escape => self.escape(byte)?,
                State::Hex => self.hex(byte)?,
                State::Word => self.word(byte, taker)?,
                State::Done => break,
                _ if is_space(byte) => self.space(byte),
                State::FirstElement if byte == b']' => self.close(taker),
                State::Value | State::FirstElement => self.value(byte, bytes, taker)?,
                State::FirstKey if byte == b'}' => self.close(taker),
                State::Key | State::FirstKey => self.key(byte, bytes, taker)?,
                State::Colon => self.colon(byte)?,
                State::Next => self.next(byte, taker)?,
            }
        }
        Ok(self)
    }

    #[inline(always)]
    fn space(&mut self, byte: u8) {
        self.line_break |= byte == b'\n' || byte == b'\r';
        self.position += 1;
    }

    /// The first byte of a value.
    #[inline(always)]
    fn value(&mut self, byte: u8, bytes: &[u8], taker: &mut NoteTaker) -> Step {
        taker.value_start(self.depth, self.position);
        match byte {
            b'"' => self.open_text(TextRole::Value, bytes, taker),
            b'{' => self.open(Container::Object),
            b'[' => self.open(Container::Array),
            _ => self.open_other(byte),
        }
    }

    /// The first byte of a number or a word.
    fn open_other(&mut self, byte: u8) -> Step {
        self.state = match byte {
            b'-' | b'0'..=b'9' => State::Number,
            b't' | b'f' | b'n' => State::Word,
            _ if self.state == State::FirstElement => {
                return Err(self.unexpected(byte, "a value or ']'"));
            }
            _ => return Err(self.unexpected(byte, "a value")),
        };
        match byte {
            b'-' => self.number = Number::Minus,
            b'0' => self.number = Number::Zero,
            b't' => self.word = b"rue",
            b'f' => self.word = b"alse",
            b'n' => self.word = b"ull",
            _ => self.number = Number::Integer,
        }
        self.position += 1;
        Ok(())
    }

    #[inline(always)]
    fn open(&mut self, container: Container) -> Step {
        if self.depth == self.max_depth {
            return Err(ScanError::TooDeep(self.max_depth));
        }
        self.depth += 1;
        self.objects = self.objects << 1 | u128::from(container == Container::Object);
        self.state = match container {
            Container::Object => State::FirstKey,
            Container::Array => State::FirstElement,
        };
        self.position += 1;
        Ok(())
    }

    #[inline(always)]
    fn close(&mut self, taker: &mut NoteTaker) {
        self.depth -= 1;
        self.objects >>= 1;
        self.position += 1;
        self.value_end(taker);
    }

    /// A value has ended just before `position`.
    #[inline(always)]
    fn value_end(&mut self, taker: &mut NoteTaker) {
        taker.value_end(self.depth, self.position);
        self.state = match self.depth {
            0 => State::Done,
            _ => State::Next,
        };
    }

    #[inline(always)]
    fn next(&mut self, byte: u8, taker: &mut NoteTaker) -> Step {
        let in_object = self.objects & 1 == 1;
        match (byte, in_object) {
            (b',', true) => self.state = State::Key,
            (b',', false) => self.state = State::Value,
            (b'}', true) | (b']', false) => {
                self.close(taker);
                return Ok(());
            }
            (_, true) => return Err(self.unexpected(byte, "',' or '}'")),
            (_, false) => return Err(self.unexpected(byte, "',' or ']'")),
        }
        self.position += 1;
        Ok(())
    }

    #[inline(always)]
    fn key(&mut self, byte: u8, bytes: &[u8], taker: &mut NoteTaker) -> Step {
        if byte != b'"' {
            return Err(self.unexpected(byte, "a key in quotation marks"));
        }
        self.open_text(TextRole::Key, bytes, taker)
    }

    #[inline(always)]
    fn colon(&mut self, byte: u8) -> Step {
        if byte != b':' {
            return Err(self.unexpected(byte, "':'"));
        }
        self.state = State::Value;
        self.position += 1;
        Ok(())
    }

    #[inline(always)]
    fn open_text(&mut self, role: TextRole, bytes: &[u8], taker: &mut NoteTaker) -> Step {
        self.text_start = self.position;
        self.in_key = role == TextRole::Key;
        self.escaped = false;
        self.state = State::Text;
        self.position += 1;
        self.text(bytes, taker)
    }

    /// Runs to the next byte of a string that isn't plain.
    #[inline(always)]
    fn text(&mut self, bytes: &[u8], taker: &mut NoteTaker) -> Step {
        let plain = plain_prefix(&bytes[self.position..]);
        self.position += plain.length;
        self.non_ascii |= plain.non_ascii;
        match bytes.get(self.position) {
            None => Ok(()),
            Some(b'"') => {
                self.close_text(bytes, taker);
                Ok(())
            }
            Some(b'\\') => {
                self.position += 1;
                self.escaped = true;
                self.state = State::Escape;
                Ok(())
            }
            Some(&control) => Err(self.unexpected(control, "text without control characters")),
        }
    }

    #[inline(always)]
    fn close_text(&mut self, bytes: &[u8], taker: &mut NoteTaker) {
        let quoted = self.text_start..self.position + 1;
        self.position += 1;
        if self.in_key {
            taker.key(self.depth, quoted, bytes, self.escaped);
            self.state = State::Colon;
            // Nearly always it stands right here.
            if bytes.get(self.position) == Some(&b':') {
                self.position += 1;
                self.state = State::Value;
            }
        } else {
            self.value_end(taker);
        }
    }

    fn escape(&mut self, byte: u8) -> Step {
        self.state = match byte {
            b'u' => State::Hex,
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => State::Text,
            _ => return Err(self.unexpected(byte, "an escape such as \\n")),
        };
        self.digits = 4;
        self.position += 1;
        Ok(())
    }

    fn hex(&mut self, byte: u8) -> Step {
        if !byte.is_ascii_hexdigit() {
            return Err(self.unexpected(byte, "a hexadecimal digit"));
        }
        self.digits -= 1;
        if self.digits == 0 {
            self.state = State::Text;
        }
        self.position += 1;
        Ok(())
    }

    fn word(&mut self, byte: u8, taker: &mut NoteTaker) -> Step {
        match self.word {
            [expected, rest @ ..] if *expected == byte => self.word = rest,
            _ => return Err(self.unexpected(byte, "true, false or null")),
        }
        self.position += 1;
        if self.word.is_empty() {
            self.value_end(taker);
        }
        Ok(())
    }

    fn number(&mut self, byte: u8, taker: &mut NoteTaker) -> Step {
        match self.number.after(byte) {
            Some(number) => {
                self.position += 1;
                self.number = number;
            }
            None if self.number.is_complete() => self.value_end(taker),
            None => return Err(self.unexpected(byte, "a digit")),
        }
        Ok(())
    }

    #[cold]
    fn unexpected(self, found: u8, expected: &'static str) -> ScanError {
        ScanError::NotJson {
            found,
            offset: self.position,
            expected,
        }
    }
}

/// White space between tokens, by RFC 8259.
#[inline]
pub(crate) fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\n' | b'\r' | b'\t')
}
