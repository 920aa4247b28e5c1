//! The text that is being typed: where the cursor is, what was undone and what was cut.
//!
//! Moves by what a person sees as one character (a grapheme cluster). Knows no terminal and
//! no key.

use unicode_segmentation::UnicodeSegmentation as _;

use super::text::{Rows, rows};

/// Steps that can be undone.
const MOST_STEPS: usize = 200;
/// Bytes of texts that are kept for that.
const MOST_BYTES: usize = 4 * 1024 * 1024;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Editor {
    text: String,
    /// In bytes, on a character's boundary.
    cursor: usize,
    /// Where the cursor wants to be when it moves up and down.
    column: Option<usize>,
    undone: Vec<State>,
    redone: Vec<State>,
    /// What the last change was: several of one kind are undone together.
    last: Change,
    /// What was cut last.
    cut: String,
}

/// A text as it was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct State {
    pub(super) text: String,
    pub(super) cursor: usize,
}

/// Kinds of changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Change {
    /// None, or the cursor was moved since.
    #[default]
    None,
    Insert,
    Delete,
    Cut,
}

/// How far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// One character.
    Character,
    /// To the next beginning or end of a word.
    Word,
    /// To the next white space.
    Blank,
    /// To the beginning or end of the line.
    Line,
}

/// In which direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    Back,
    Forward,
}

impl Editor {
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn cursor(&self) -> usize {
        self.cursor
    }

    pub(super) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// What stands before the cursor.
    pub(super) fn before(&self) -> &str {
        &self.text[..self.cursor]
    }

    /// Adds text at the cursor.
    pub(super) fn insert(&mut self, text: &str) {
        // A word is undone at once, not each of its letters.
        let goes_on = self.last == Change::Insert && !text.starts_with(char::is_whitespace);
        if !goes_on {
            self.remember();
        }
        self.text.insert_str(self.cursor, text);
        self.cursor += text.len();
        self.last = Change::Insert;
        self.column = None;
    }

    /// Replaces what stands from `start` to the cursor.
    pub(super) fn replace(&mut self, start: usize, with: &str) {
        self.remember();
        self.text.replace_range(start..self.cursor, with);
        self.cursor = start + with.len();
        self.last = Change::None;
        self.column = None;
    }

    /// Takes the whole text away.
    pub(super) fn take(&mut self) -> State {
        let cursor = std::mem::take(&mut self.cursor);
        let text = std::mem::take(&mut self.text);
        self.undone.clear();
        self.redone.clear();
        self.last = Change::None;
        self.column = None;
        State { text, cursor }
    }

    /// Shows another text. What was there can be undone to.
    pub(super) fn set(&mut self, text: &str) {
        self.remember();
        self.text = text.into();
        self.cursor = text.len();
        self.last = Change::None;
        self.column = None;
    }

    /// Puts back what was taken.
    pub(super) fn restore(&mut self, state: State) {
        self.take();
        self.cursor = state.cursor.min(state.text.len());
        self.text = state.text;
    }

    /// Moves the cursor.
    pub(super) fn go(&mut self, direction: Direction, step: Unit) {
        self.cursor = self.target(direction, step);
        self.last = Change::None;
        self.column = None;
    }

    /// Moves the cursor by a row of the screen, if there is one there.
    pub(super) fn go_row(&mut self, direction: Direction, width: usize) -> bool {
        let rows = self.rows(width);
        let (row, column) = rows.place(self.cursor);
        let column = *self.column.get_or_insert(column);
        let next = match direction {
            Direction::Back => row.checked_sub(1),
            Direction::Forward => Some(row + 1).filter(|row| *row < rows.len()),
        };
        let Some(next) = next else { return false };
        self.cursor = rows.at(next, column, &self.text);
        self.last = Change::None;
        true
    }

    /// How it is laid out at that width.
    pub(super) fn rows(&self, width: usize) -> Rows {
        rows(&self.text, width)
    }

    /// Takes away what is there.
    pub(super) fn delete(&mut self, direction: Direction, step: Unit) {
        let target = self.target(direction, step);
        if target == self.cursor {
            return;
        }
        if self.last != Change::Delete {
            self.remember();
        }
        self.remove(target);
        self.last = Change::Delete;
    }

    /// Takes it away, to be put somewhere else by [`yank`](Self::yank).
    pub(super) fn cut(&mut self, direction: Direction, step: Unit) {
        let target = self.target(direction, step);
        if target == self.cursor {
            return;
        }
        self.remember();
        let goes_on = self.last == Change::Cut;
        let cut = self.remove(target);
        match direction {
            _ if !goes_on => self.cut = cut,
            Direction::Back => self.cut.insert_str(0, &cut),
            Direction::Forward => self.cut.push_str(&cut),
        }
        self.last = Change::Cut;
    }

    /// Puts back what was cut last.
    pub(super) fn yank(&mut self) {
        let cut = self.cut.clone();
        self.last = Change::None;
        self.insert(&cut);
        self.last = Change::None;
    }

    /// Exchanges the characters around the cursor.
    pub(super) fn transpose(&mut self) {
        if self.cursor == self.text.len() {
            self.go(Direction::Back, Unit::Character);
        }
        let (start, end) = (
            self.target(Direction::Back, Unit::Character),
            self.target(Direction::Forward, Unit::Character),
        );
        if start == self.cursor || end == self.cursor {
            return;
        }
        self.remember();
        let turned = format!(
            "{}{}",
            &self.text[self.cursor..end],
            &self.text[start..self.cursor]
        );
        self.text.replace_range(start..end, &turned);
        self.cursor = end;
        self.last = Change::None;
    }

    /// Undoes the last change.
    pub(super) fn undo(&mut self) {
        if let Some(state) = self.undone.pop() {
            self.redone.push(self.state());
            self.show(state);
        }
    }

    /// Does again what was undone last.
    pub(super) fn redo(&mut self) {
        if let Some(state) = self.redone.pop() {
            self.undone.push(self.state());
            self.show(state);
        }
    }

    fn state(&self) -> State {
        State {
            text: self.text.clone(),
            cursor: self.cursor,
        }
    }

    fn show(&mut self, state: State) {
        self.text = state.text;
        self.cursor = state.cursor;
        self.last = Change::None;
        self.column = None;
    }

    fn remember(&mut self) {
        self.redone.clear();
        self.undone.push(self.state());
        let mut bytes: usize = self.undone.iter().map(|state| state.text.len()).sum();
        let mut surplus = self.undone.len().saturating_sub(MOST_STEPS);
        while bytes > MOST_BYTES && surplus + 1 < self.undone.len() {
            bytes -= self.undone[surplus].text.len();
            surplus += 1;
        }
        self.undone.drain(..surplus);
    }

    /// Removes what is between there and the cursor, which ends there.
    fn remove(&mut self, target: usize) -> String {
        let (start, end) = (target.min(self.cursor), target.max(self.cursor));
        self.cursor = start;
        self.column = None;
        self.text.drain(start..end).collect()
    }

    fn target(&self, direction: Direction, step: Unit) -> usize {
        let (before, after) = self.text.split_at(self.cursor);
        match direction {
            Direction::Back => self.cursor - back(before, step),
            Direction::Forward => self.cursor + forward(after, step),
        }
    }
}

/// Bytes from the end of `before` back.
fn back(before: &str, step: Unit) -> usize {
    let without = |rest: &str| before.len() - rest.len();
    match step {
        Unit::Character => before.graphemes(true).next_back().map_or(0, str::len),
        Unit::Word => {
            let rest = before.trim_end_matches(|c| !is_in_word(c));
            without(rest.trim_end_matches(is_in_word))
        }
        Unit::Blank => {
            let rest = before.trim_end_matches(char::is_whitespace);
            without(rest.trim_end_matches(|c: char| !c.is_whitespace()))
        }
        Unit::Line => before.len() - before.rfind('\n').map_or(0, |at| at + 1),
    }
}

/// Bytes from the beginning of `after` on.
fn forward(after: &str, step: Unit) -> usize {
    let without = |rest: &str| after.len() - rest.len();
    match step {
        Unit::Character => after.graphemes(true).next().map_or(0, str::len),
        Unit::Word => {
            let rest = after.trim_start_matches(|c| !is_in_word(c));
            without(rest.trim_start_matches(is_in_word))
        }
        Unit::Blank => {
            let rest = after.trim_start_matches(char::is_whitespace);
            without(rest.trim_start_matches(|c: char| !c.is_whitespace()))
        }
        // At the end of a line, its end.
        Unit::Line => match after.find('\n') {
            Some(0) => 1,
            Some(at) => at,
            None => after.len(),
        },
    }
}

fn is_in_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;
    use Direction::{Back, Forward};

    fn typed(text: &str) -> Editor {
        let mut editor = Editor::default();
        text.chars()
            .for_each(|c| editor.insert(c.encode_utf8(&mut [0; 4])));
        editor
    }

    #[test]
    fn the_cursor_moves_by_what_is_seen() {
        let mut editor = typed("a👩‍👧é騒");
        for left in ["a👩‍👧é", "a👩‍👧", "a", "", ""] {
            editor.go(Back, Unit::Character);
            assert_eq!(editor.before(), left);
        }
        editor.go(Forward, Unit::Character);
        editor.delete(Forward, Unit::Character);
        assert_eq!(editor.text(), "aé騒");
        editor.delete(Back, Unit::Character);
        assert_eq!(editor.text(), "é騒");
    }

    #[test]
    fn words_lines_and_the_text_are_passed_at_once() {
        let mut editor = typed("one two-three\nfour");
        for left in ["one two-three\n", "one two-", "one ", ""] {
            editor.go(Back, Unit::Word);
            assert_eq!(editor.before(), left);
        }
        editor.go(Forward, Unit::Line);
        assert_eq!(editor.before(), "one two-three");
        editor.go(Back, Unit::Blank);
        assert_eq!(editor.before(), "one ");
        editor.go(Forward, Unit::Line);
        editor.go(Forward, Unit::Line);
        editor.go(Forward, Unit::Line);
        assert_eq!(editor.before(), "one two-three\nfour");
        editor.go(Back, Unit::Line);
        assert_eq!(editor.before(), "one two-three\n");
    }

    #[test]
    fn what_is_cut_in_several_steps_is_put_back_together() {
        let mut editor = typed("one two three");
        editor.cut(Back, Unit::Blank);
        editor.cut(Back, Unit::Blank);
        assert_eq!(editor.text(), "one ");
        editor.go(Back, Unit::Line);
        editor.yank();
        assert_eq!(editor.text(), "two threeone ");
    }

    #[test]
    fn words_are_undone_one_by_one_and_come_back() {
        let mut editor = typed("one two");
        editor.cut(Back, Unit::Line);
        editor.undo();
        assert_eq!(editor.text(), "one two");
        editor.undo();
        assert_eq!(editor.text(), "one");
        editor.undo();
        editor.undo();
        assert_eq!(editor.text(), "");
        editor.redo();
        editor.redo();
        assert_eq!(editor.text(), "one two");
    }

    #[test]
    fn rows_are_passed_in_the_column_where_the_cursor_began() {
        let mut editor = typed("first line\nab\nthird line");
        assert!(editor.go_row(Back, 40));
        assert_eq!(editor.before(), "first line\nab");
        assert!(editor.go_row(Back, 40));
        assert_eq!(editor.before(), "first line");
        assert!(!editor.go_row(Back, 40));
        // A long line has several rows.
        let mut editor = typed("abcdefgh");
        assert!(editor.go_row(Back, 4));
        assert_eq!(editor.before(), "abcd");
    }

    #[test]
    fn characters_are_exchanged() {
        let mut editor = typed("teh");
        editor.transpose();
        assert_eq!(editor.text(), "the");
    }

    #[test]
    fn very_long_texts_are_not_remembered_without_end() {
        let mut editor = Editor::default();
        for _ in 0..20 {
            editor.set(&"x".repeat(1024 * 1024));
        }
        assert!(editor.undone.len() <= 5, "{}", editor.undone.len());
    }
}
