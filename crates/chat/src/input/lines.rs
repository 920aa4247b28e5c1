//! Splits the bytes of a keyboard or a pipe into lines.
//!
//! Sans-IO: the caller hands in bytes in any pieces. It holds at most one unfinished
//! line, and nothing of a line that is too long.

use std::io;

use client::Line;

use super::action::Action;

/// One line as it was typed, or why there is none.
#[derive(Debug)]
pub(crate) enum Typed {
    /// A line without its end.
    Line {
        /// The text, with U+FFFD for what isn't UTF-8.
        text: String,
        /// Some of it wasn't UTF-8.
        replaced: bool,
    },
    /// A line with its topic.
    Addressed(Line),
    /// No line, but something to do.
    Action(Action),
    /// A line longer than the limit; its bytes are gone.
    TooLong,
    /// Nothing more can be read.
    Failed(io::Error),
}

/// Finds the lines in a stream of bytes.
#[derive(Debug)]
pub(crate) struct LineSplitter {
    /// The longest line, in bytes.
    limit: usize,
    /// The beginning of a line whose end hasn't come.
    partial: Vec<u8>,
    /// That line is too long already: its bytes are skipped.
    skipping: bool,
}

/// By what a line ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LineEnd {
    /// A line break.
    Break,
    /// The end of the input.
    Input,
}

impl LineSplitter {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit,
            partial: Vec::new(),
            skipping: false,
        }
    }

    /// Takes more bytes; the lines that are complete now go to `lines`.
    pub(crate) fn push(&mut self, bytes: &[u8], lines: &mut Vec<Typed>) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            match piece.strip_suffix(b"\n") {
                Some(end) => {
                    self.extend(end, lines);
                    self.end_line(LineEnd::Break, lines);
                }
                None => self.extend(piece, lines),
            }
        }
    }

    /// The bytes have ended: a last line needs no line break.
    pub(crate) fn finish(&mut self, lines: &mut Vec<Typed>) {
        if !self.partial.is_empty() {
            self.end_line(LineEnd::Input, lines);
        }
    }

    fn extend(&mut self, piece: &[u8], lines: &mut Vec<Typed>) {
        if self.skipping {
            return;
        }
        if self.partial.len() + piece.len() > self.limit {
            self.partial = Vec::new();
            self.skipping = true;
            // Said now: its end may be long in coming.
            lines.push(Typed::TooLong);
            return;
        }
        self.partial.extend_from_slice(piece);
    }

    fn end_line(&mut self, end: LineEnd, lines: &mut Vec<Typed>) {
        if std::mem::take(&mut self.skipping) {
            return;
        }
        let mut line = std::mem::take(&mut self.partial);
        if end == LineEnd::Break && line.last() == Some(&b'\r') {
            line.pop();
        }
        lines.push(text(line));
    }
}

/// Bytes as the text of a line.
pub(crate) fn text(line: Vec<u8>) -> Typed {
    match String::from_utf8(line) {
        Ok(text) => Typed::Line {
            text,
            replaced: false,
        },
        Err(error) => Typed::Line {
            text: String::from_utf8_lossy(error.as_bytes()).into_owned(),
            replaced: true,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines of `pieces`; `!` before one that isn't all UTF-8, `#` for one
    /// that is too long.
    fn lines(limit: usize, pieces: &[&[u8]]) -> Vec<String> {
        let mut splitter = LineSplitter::new(limit);
        let mut lines = Vec::new();
        for piece in pieces {
            splitter.push(piece, &mut lines);
            assert!(splitter.partial.len() <= limit);
        }
        splitter.finish(&mut lines);
        let show = |typed| match typed {
            Typed::Line { text, replaced } => format!("{}{text}", if replaced { "!" } else { "" }),
            Typed::TooLong => "#".into(),
            other => panic!("{other:?}"),
        };
        lines.into_iter().map(show).collect()
    }

    #[test]
    fn a_line_ends_with_either_line_break_or_with_the_input() {
        assert_eq!(
            lines(9, &[b"a\nb\r\n\n\r\nlast"]),
            ["a", "b", "", "", "last"]
        );
        assert_eq!(lines(9, &[b"a\rb\n", b"c\r"]), ["a\rb", "c\r"]);
        assert_eq!(lines(9, &[b"a\n"]), ["a"]);
        assert_eq!(lines(9, &[]), [""; 0]);
    }

    #[test]
    fn pieces_make_no_difference() {
        let whole = "one\r\ntwo\n\nthreeé\nx".as_bytes();
        let expected = lines(9, &[whole]);
        for at in 0..whole.len() {
            assert_eq!(lines(9, &[&whole[..at], &whole[at..]]), expected, "{at}");
        }
        let bytes: Vec<&[u8]> = whole.chunks(1).collect();
        assert_eq!(lines(9, &bytes), expected);
    }

    #[test]
    fn a_line_that_is_too_long_is_skipped_and_the_rest_goes_on() {
        assert_eq!(lines(4, &[b"1234\n12345\nok\n"]), ["1234", "#", "ok"]);
        assert_eq!(lines(4, &[b"123", b"456", b"789", b"\nok"]), ["#", "ok"]);
        assert_eq!(lines(4, &[b"123456"]), ["#"]);
    }

    #[test]
    fn what_is_no_utf_8_is_replaced_and_marked() {
        assert_eq!(lines(9, &[b"a\xffb\nc\n"]), ["!a\u{fffd}b", "c"]);
    }
}
