//! One line of a text file with carets under a part of it, to show where a mistake is.

use std::fmt;
use std::iter::repeat;
use std::ops::Range;

/// A line of a file, of which a part is marked.
#[derive(Clone, PartialEq, Eq)]
pub struct Excerpt {
    /// From 1.
    line: usize,
    /// Where the marked part begins, in characters, from 1.
    column: usize,
    text: String,
    /// The length of the marked part, in characters.
    marked: usize,
}

impl Excerpt {
    /// Marks a part of a file, in bytes. Of a part that has several lines the first is shown.
    pub(crate) fn new(file: &str, part: Range<usize>) -> Self {
        let start = file.floor_char_boundary(part.start.min(file.len()));
        let end = file.floor_char_boundary(part.end.clamp(start, file.len()));
        let (before, behind) = file.split_at(start);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let line_end = behind.find('\n').map_or(file.len(), |at| start + at);
        let marked = file[start..end].lines().next().unwrap_or_default();
        Self {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            text: file[line_start..line_end].trim_end().to_owned(),
            marked: marked.chars().count(),
        }
    }

    /// The same without the text of the line.
    pub(crate) fn without_text(self) -> Self {
        let text = String::new();
        Self { text, ..self }
    }

    /// The line's number, from 1.
    pub(crate) fn line(&self) -> usize {
        self.line
    }

    /// Where in the line the marked part begins, in characters, from 1.
    pub(crate) fn column(&self) -> usize {
        self.column
    }

    /// The whole line; empty if it is not to be shown.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }
}

/// The line below its number, and carets under the marked part.
impl fmt::Display for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (line, text) = (self.line, &self.text);
        let margin = " ".repeat(line.to_string().len());
        let blank = |c: char| if c == '\t' { '\t' } else { ' ' };
        let blanks = text.chars().map(blank).chain(repeat(' '));
        let indent: String = blanks.take(self.column - 1).collect();
        let carets = "^".repeat(self.marked.max(1));
        write!(f, "{line} | {text}\n{margin} | {indent}{carets}")
    }
}

/// Without the text, which may hold a secret.
impl fmt::Debug for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn shows(file: &str, part: Range<usize>, expected: &str) {
        assert_eq!(Excerpt::new(file, part).to_string(), expected);
    }

    #[test]
    fn carets_stand_under_the_marked_part() {
        shows("a\nbcd\ne\n", 3..5, "2 | bcd\n  |  ^^");
        shows("é\u{20ac}x", 2..5, "1 | é\u{20ac}x\n  |  ^");
        let tenth = format!("{}x", "\n".repeat(9));
        shows(&tenth, 9..10, "10 | x\n   | ^");
        shows("\tx = 1\t", 5..6, "1 | \tx = 1\n  | \t    ^");
    }

    #[test]
    fn every_part_can_be_shown() {
        shows("", 0..0, "1 | \n  | ^");
        shows("ab", 2..9, "1 | ab\n  |   ^");
        shows("ab", 9..9, "1 | ab\n  |   ^");
        shows("a  \nb", 3..4, "1 | a\n  |    ^");
        shows("a\nb", 0..3, "1 | a\n  | ^");
        shows("\u{20ac}", 1..2, "1 | \u{20ac}\n  | ^");
        assert_eq!(Excerpt::new("ab\ncd", 4..5).column(), 2);
    }

    #[test]
    fn the_text_is_not_in_the_log() {
        let shown = format!("{:?}", Excerpt::new("a\nsecret = 5", 2..8));
        assert_eq!(shown, "line 2, column 1");
    }
}
