//! How much of the screen a text takes, as the line editor counts it.

use rustyline::GraphemeClusterMode;
use unicode_segmentation::UnicodeSegmentation as _;

/// Columns between two stops of a tabulator, as the line editor has them.
const TAB: usize = 8;

/// The rows that a text takes from the first column on, with the cursor behind it.
pub(super) fn rows(text: &str, columns: usize) -> usize {
    let mode = GraphemeClusterMode::from_env();
    let (mut row, mut column) = (0, 0);
    for cluster in text.graphemes(true) {
        if cluster == "\n" {
            row += 1;
            column = 0;
            continue;
        }
        let width = match cluster {
            "\t" => TAB - column % TAB,
            other => usize::from(mode.width(other)),
        };
        column += width;
        if column > columns {
            row += 1;
            column = width;
        }
    }
    row + usize::from(column == columns) + 1
}

#[cfg(test)]
mod tests {
    use super::rows;

    #[test]
    fn wide_characters_wrap_before_the_edge_and_a_full_row_begins_the_next() {
        assert_eq!(rows("", 10), 1);
        assert_eq!(rows("123456789", 10), 1);
        assert_eq!(rows("1234567890", 10), 2);
        assert_eq!(rows("12345678901", 10), 2);
        assert_eq!(rows("123456789騒", 10), 2);
        assert_eq!(rows("騒騒騒騒騒", 10), 2);
        assert_eq!(rows("a\nb\nc", 10), 3);
        assert_eq!(rows("e\u{301}e\u{301}", 3), 1);
    }
}
