//! Finds where one JSON value ends, in a stream that arrives in any pieces.
//!
//! [`Scanner`] reads each byte once, resumes where the bytes ran out, and checks
//! the whole grammar. Framing and checking in one pass is also the fastest way:
//! a parser that gives up at the end of the bytes would have to begin again at
//! each piece.

use crate::grammar::{Grammar, is_space};
use crate::limits::Limits;
use crate::notes::{NoteTaker, Notes};
use crate::scan_error::ScanError;

/// Finds the values in a stream, one after another.
///
/// Hand it, at each call, everything from the end of the last value on; it
/// looks only at the bytes that it hasn't seen. It keeps no bytes itself.
#[derive(Clone, Debug)]
pub struct Scanner {
    limits: Limits,
    /// Offset of the value's first byte, once one has begun.
    start: Option<usize>,
    grammar: Grammar,
    taker: NoteTaker,
}

/// What the bytes so far hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scan {
    /// Nothing but white space, which may be dropped.
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

impl Value {
    /// The value of `extended`, of a value that a scanner found in `bytes`.
    pub(crate) fn extended<'a>(&self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        let member = self.notes.extended?.range();
        let member = bytes.get(self.start..self.end)?.get(member)?;
        // The key is a string that holds no quotation mark, not even an escaped one.
        let key_end = 1 + member.get(1..)?.iter().position(|byte| *byte == b'"')?;
        let after_key = member.get(key_end + 1..)?.trim_ascii_start();
        Some(after_key.strip_prefix(b":")?.trim_ascii_start())
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
            start: None,
            grammar: Grammar::new(limits.max_depth),
            taker: NoteTaker::default(),
        }
    }

    /// Looks for the end of the next value in `bytes`.
    ///
    /// `bytes` begins where the last value ended (or where the stream began) and holds all that
    /// was handed over since, and more. After an error the stream can't be trusted, and the
    /// scanner must not be called again.
    pub fn scan(&mut self, bytes: &[u8]) -> Result<Scan, ScanError> {
        let Some(start) = self.start.or_else(|| first_of_value(bytes)) else {
            return Ok(Scan::Blank);
        };
        let max = self.limits.max_frame;
        let frame = &bytes[start..bytes.len().min(start + max)];
        let grammar = self.grammar.advance(frame, &mut self.taker)?;
        if grammar.is_complete() {
            return self.finish(start, &frame[..grammar.position()], grammar);
        }
        if frame.len() == max {
            return Err(ScanError::TooLong(max));
        }
        self.start = Some(start);
        self.grammar = grammar;
        Ok(Scan::Partial)
    }

    /// Returns the complete value and prepares for the next.
    fn finish(&mut self, start: usize, value: &[u8], ended: Grammar) -> Result<Scan, ScanError> {
        if ended.has_non_ascii()
            && let Err(error) = std::str::from_utf8(value)
        {
            let offset = error.valid_up_to();
            return Err(ScanError::NotUtf8 { offset });
        }
        let notes = self.taker.finish();
        self.start = None;
        self.grammar = Grammar::new(self.limits.max_depth);
        Ok(Scan::Value(Value {
            start,
            end: start + value.len(),
            line_break: ended.has_line_break(),
            notes,
        }))
    }
}

/// Where the first value begins; `None` if there is nothing but white space.
#[inline]
fn first_of_value(bytes: &[u8]) -> Option<usize> {
    bytes.iter().position(|byte| !is_space(*byte))
}

#[cfg(test)]
mod tests;
