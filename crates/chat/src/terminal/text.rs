//! How text is laid out in rows of a screen: what a character takes, where a row ends.
//!
//! Pure functions over texts. A character here is a grapheme cluster.

use std::ops::Range;

use unicode_segmentation::UnicodeSegmentation as _;
use unicode_width::UnicodeWidthStr as _;

/// Columns between two stops of a tabulator.
const TAB: usize = 8;

/// The columns that a character takes, as most terminals have it.
pub(super) fn width(cluster: &str) -> usize {
    match cluster.as_bytes() {
        [b' '..=b'~'] => 1,
        [_] => 0,
        _ => cluster.width().min(2),
    }
}

/// The columns that a text takes.
pub(super) fn columns(text: &str) -> usize {
    text.graphemes(true).map(width).sum()
}

/// The beginning of a text that fits into this many columns.
pub(super) fn fitting(text: &str, most: usize) -> &str {
    let mut used = 0;
    for (at, cluster) in text.grapheme_indices(true) {
        used += width(cluster);
        if used > most {
            return &text[..at];
        }
    }
    text
}

/// A text in this many columns: cut, with an ellipsis, if it is longer.
pub(super) fn shortened(text: &str, most: usize) -> String {
    if columns(text) <= most {
        return text.into();
    }
    match most {
        0 => String::new(),
        most => format!("{}…", fitting(text, most - 1)),
    }
}

/// Tabs as spaces. `before` columns stand in the row before the text.
pub(super) fn expand_tabs(text: &str, before: usize) -> String {
    if !text.contains('\t') {
        return text.into();
    }
    let (mut out, mut column) = (String::new(), before);
    for cluster in text.graphemes(true) {
        if cluster == "\t" {
            let count = TAB - column % TAB;
            out.extend(std::iter::repeat_n(' ', count));
            column += count;
        } else {
            out.push_str(cluster);
            column += width(cluster);
        }
    }
    out
}

/// Breaks one line without line breaks into rows, at words where it can: the range of each
/// row. The first row may be shorter or longer than the others.
pub(super) fn wrap(line: &str, first: usize, rest: usize) -> Vec<Range<usize>> {
    let mut rows = Vec::new();
    let (mut start, mut room) = (0, first.max(1));
    loop {
        let (end, next) = row(&line[start..], room);
        rows.push(start..start + end);
        if next == line.len() - start {
            return rows;
        }
        start += next;
        room = rest.max(1);
    }
}

/// What of a text fits into a row: where it ends, and where the next row begins.
fn row(text: &str, room: usize) -> (usize, usize) {
    let mut used = 0;
    // Where the row can end, and where the next one would begin.
    let mut blank: Option<(usize, usize)> = None;
    for (at, cluster) in text.grapheme_indices(true) {
        if cluster == " " {
            // Several spaces are one place, and needn't fit.
            blank = match blank {
                Some((end, next)) if next == at && end < next => Some((end, at + 1)),
                _ => Some((at, at + 1)),
            };
        }
        used += width(cluster);
        if used > room && at > 0 && cluster != " " {
            return match blank {
                Some((end, next)) if end > 0 => (end, next),
                _ => (at, at),
            };
        }
        if ends_word(cluster) && used <= room {
            blank = Some((at + cluster.len(), at + cluster.len()));
        }
    }
    (text.len(), text.len())
}

/// A row may end after it.
fn ends_word(cluster: &str) -> bool {
    cluster == "-" || cluster == "/" || (cluster.len() > 2 && width(cluster) == 2)
}

/// How a text that is edited lies in rows: broken after any character.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Rows {
    /// Where each begins.
    starts: Vec<usize>,
    /// The text's length.
    end: usize,
    /// Each place and its column, for the row of the cursor only when asked.
    columns: Vec<Vec<(usize, usize)>>,
}

/// Lays out a text.
pub(super) fn rows(text: &str, most: usize) -> Rows {
    let most = most.max(1);
    let (mut starts, mut columns) = (vec![0], vec![Vec::new()]);
    let mut column = 0;
    for (at, cluster) in text.grapheme_indices(true) {
        if cluster == "\n" {
            push_place(&mut columns, at, column);
            starts.push(at + 1);
            columns.push(Vec::new());
            column = 0;
            continue;
        }
        let wide = edited_width(cluster, column);
        if column > 0 && column + wide > most {
            starts.push(at);
            columns.push(Vec::new());
            column = 0;
        }
        push_place(&mut columns, at, column);
        column += edited_width(cluster, column);
    }
    if column >= most {
        // The cursor behind a full row stands in the next one.
        starts.push(text.len());
        columns.push(Vec::new());
        column = 0;
    }
    push_place(&mut columns, text.len(), column);
    Rows {
        starts,
        end: text.len(),
        columns,
    }
}

fn push_place(columns: &mut [Vec<(usize, usize)>], at: usize, column: usize) {
    if let Some(last) = columns.last_mut() {
        last.push((at, column));
    }
}

/// What a character takes while it is edited: one that has no width is shown by a sign.
pub(super) fn edited_width(cluster: &str, column: usize) -> usize {
    match cluster {
        "\t" => TAB - column % TAB,
        other => width(other).max(1),
    }
}

impl Rows {
    /// At least one.
    pub(super) fn len(&self) -> usize {
        self.starts.len()
    }

    /// What of the text is in a row, without the line break.
    pub(super) fn range(&self, row: usize) -> Range<usize> {
        let start = self.starts.get(row).copied().unwrap_or(self.end);
        let end = self.starts.get(row + 1).copied().unwrap_or(self.end);
        start..end
    }

    /// The row and the column of a place in the text.
    pub(super) fn place(&self, cursor: usize) -> (usize, usize) {
        let row = self.starts.partition_point(|start| *start <= cursor) - 1;
        let places = &self.columns[row];
        let at = places.partition_point(|(at, _)| *at <= cursor);
        let column = at.checked_sub(1).map_or(0, |at| places[at].1);
        (row, column)
    }

    /// The place in the text at that row, in that column or before it.
    fn place_at(&self, row: usize, column: usize) -> usize {
        let places = &self.columns[row];
        let at = places.partition_point(|(_, one)| *one <= column);
        at.checked_sub(1)
            .map_or(self.starts[row], |at| places[at].0)
    }

    /// The same, never in the middle of a character.
    pub(super) fn at(&self, row: usize, column: usize, text: &str) -> usize {
        let place = self.place_at(row.min(self.len() - 1), column);
        (0..=place)
            .rev()
            .find(|at| text.is_char_boundary(*at))
            .unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrapped(line: &str, first: usize, rest: usize) -> Vec<&str> {
        wrap(line, first, rest)
            .into_iter()
            .map(|range| &line[range])
            .collect()
    }

    #[test]
    fn rows_end_between_words() {
        assert_eq!(wrapped("one two three", 7, 7), ["one two", "three"]);
        assert_eq!(wrapped("one two three", 3, 9), ["one", "two three"]);
        assert_eq!(wrapped("one  two", 4, 4), ["one", "two"]);
        assert_eq!(wrapped("", 5, 5), [""]);
        assert_eq!(wrapped("well-known", 6, 9), ["well-", "known"]);
    }

    #[test]
    fn what_is_longer_than_a_row_is_broken_and_nothing_is_lost() {
        assert_eq!(wrapped("abcdefgh", 3, 3), ["abc", "def", "gh"]);
        assert_eq!(wrapped("a bcdefgh", 3, 3), ["a", "bcd", "efg", "h"]);
        assert_eq!(wrapped("騒ぎだよ", 5, 5), ["騒ぎ", "だよ"]);
        assert_eq!(wrapped("a👩‍👧👩‍👧", 3, 2), ["a👩‍👧", "👩‍👧"]);
        assert_eq!(wrapped("騒", 1, 1), ["騒"]);
    }

    proptest::proptest! {
        #[test]
        fn every_character_but_blanks_is_in_one_row(
            line in "[a-c 騒é/👧\u{200d}-]{0,40}",
            first in 1..12_usize,
            rest in 1..12_usize,
        ) {
            let rows = wrapped(&line, first, rest);
            let strip = |text: &str| text.replace(' ', "");
            proptest::prop_assert_eq!(strip(&rows.concat()), strip(&line));
            for (number, row) in rows.iter().enumerate() {
                let room = if number == 0 { first } else { rest };
                let fits = columns(row.trim_end()) <= room;
                proptest::prop_assert!(fits || row.trim_end().graphemes(true).count() == 1, "{:?}", rows);
            }
        }

        #[test]
        fn every_place_of_an_edited_text_is_found_again(
            text in "[a-c 騒é\t\n👧\u{200d}]{0,40}",
            most in 1..12_usize,
        ) {
            let rows = rows(&text, most);
            let places = text.grapheme_indices(true).map(|(at, _)| at).chain([text.len()]);
            for place in places {
                let (row, column) = rows.place(place);
                proptest::prop_assert_eq!(rows.at(row, column, &text), place, "{:?}", rows);
            }
        }
    }

    #[test]
    fn tabs_are_spaces_up_to_the_next_stop() {
        assert_eq!(expand_tabs("a\tb", 0), "a       b");
        assert_eq!(expand_tabs("a\tb", 6), "a b");
        assert_eq!(expand_tabs("\t", 8), "        ");
    }

    #[test]
    fn an_edited_text_is_broken_anywhere_and_a_full_row_begins_the_next() {
        let rows = rows("abcd\nef", 4);
        assert_eq!(rows.len(), 2);
        assert_eq!((rows.range(0), rows.range(1)), (0..5, 5..7));
        assert_eq!(super::rows("abcd", 4).place(4), (1, 0));
        assert_eq!(super::rows("ab騒d", 3).place(2), (1, 0));
        assert_eq!(super::rows("", 4).place(0), (0, 0));
    }

    #[test]
    fn what_is_too_long_is_cut_with_a_sign() {
        assert_eq!(shortened("lame-conversation", 6), "lame-…");
        assert_eq!(shortened("騒ぎだ", 4), "騒…");
        assert_eq!(shortened("ab", 0), "");
        assert_eq!(shortened("ab", 2), "ab");
    }
}
