//! Turns pictures into what a terminal is sent: only what has changed since the last one.
//!
//! Terminals differ in how wide they draw some characters. So a row that holds any of them
//! is drawn whole, and the place of what follows each is given: a wrong guess spoils that
//! character until it is drawn over, and never the next row.

use std::fmt::Write as _;

use ratatui_core::buffer::Cell;
use ratatui_core::style::{Color, Modifier};

use super::canvas::{Canvas, Link};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Painter {
    /// What is on the screen, if that is known.
    shown: Option<Canvas>,
    /// Links are sent.
    has_links: bool,
}

/// How a cell looks.
type CellStyle = (Color, Color, Modifier);

const PLAIN: CellStyle = (Color::Reset, Color::Reset, Modifier::empty());

impl Painter {
    pub(super) fn new(has_links: bool) -> Self {
        Self {
            shown: None,
            has_links,
        }
    }

    /// Another program has drawn on the screen, so the next picture is sent whole.
    pub(super) fn forget(&mut self) {
        self.shown = None;
    }

    /// What to send so that this is shown. Nothing if it is already.
    pub(super) fn paint(&mut self, next: Canvas) -> String {
        let mut rows = String::new();
        let before = self.shown.as_ref();
        let is_same_size = before.is_some_and(|before| before.area() == next.area());
        if !is_same_size {
            rows.push_str("\x1b[0m\x1b[2J");
        }
        let old = before.filter(|_| is_same_size);
        for row in 0..next.area().height {
            self.paint_row(&mut rows, old, &next, row);
        }
        let has_moved = old.is_none_or(|old| old.cursor != next.cursor);
        if rows.is_empty() && !has_moved {
            return rows;
        }
        // Drawn at once where the terminal can, without a cursor that jumps about, and
        // without running over the right edge.
        let mut out = String::from("\x1b[?2026h\x1b[?25l\x1b[?7l");
        out.push_str(&rows);
        out.push_str("\x1b[?7h");
        if let Some((column, row)) = next.cursor {
            go(&mut out, column, row);
            out.push_str("\x1b[?25h");
        }
        out.push_str("\x1b[?2026l");
        self.shown = Some(next);
        out
    }

    fn paint_row(&self, out: &mut String, old: Option<&Canvas>, next: &Canvas, row: u16) {
        let width = next.area().width;
        let is_changed = |column: &u16| {
            old.is_none_or(|old| {
                let at = (*column, row);
                old.cells[at] != next.cells[at]
                    || link_at(&old.links, row, *column) != link_at(&next.links, row, *column)
            })
        };
        let Some(first) = (0..width).find(is_changed) else {
            return;
        };
        let last = (first..width).rev().find(is_changed).unwrap_or(first);
        // Blanks up to the right edge aren't sent, so that they aren't copied with the text.
        let is_blank = |column: &u16| next.cells[(*column, row)] == Cell::EMPTY;
        let blanks = (0..width).rev().take_while(is_blank).count();
        let text_end = width - u16::try_from(blanks).unwrap_or(width);
        let has_odd =
            |canvas: &Canvas| (0..width).any(|column| is_odd(canvas.cells[(column, row)].symbol()));
        if has_odd(next) || old.is_some_and(has_odd) {
            go(out, 0, row);
            out.push_str("\x1b[0m\x1b[2K");
            self.cells(out, next, row, 0, text_end);
        } else if last >= text_end {
            self.cells(out, next, row, first.min(text_end), text_end);
            out.push_str("\x1b[K");
        } else {
            self.cells(out, next, row, first, last + 1);
        }
    }

    /// Sends some cells of a row.
    fn cells(&self, out: &mut String, next: &Canvas, row: u16, start: u16, end: u16) {
        go(out, start, row);
        let (mut look, mut link) = (PLAIN, None);
        out.push_str("\x1b[0m");
        for column in start..end {
            let cell = &next.cells[(column, row)];
            if cell.symbol().is_empty() {
                continue;
            }
            let target = link_at(&next.links, row, column).filter(|_| self.has_links);
            if target != link {
                push_link(out, target);
                link = target;
            }
            if style_of(cell) != look {
                look = style_of(cell);
                push_style(out, look);
            }
            out.push_str(cell.symbol());
            if is_odd(cell.symbol()) && column + 1 < end {
                let wide = super::text::width(cell.symbol()).max(1);
                go(out, column + u16::try_from(wide).unwrap_or(1), row);
            }
        }
        if link.is_some() {
            push_link(out, None);
        }
        if look != PLAIN {
            out.push_str("\x1b[0m");
        }
    }
}

/// Terminals may disagree about its width.
fn is_odd(symbol: &str) -> bool {
    let mut chars = symbol.chars();
    let is_simple = |c: char| c < '\u{300}' || ('\u{2010}'..='\u{2027}').contains(&c) || is_rule(c);
    let first = chars.next();
    first.is_some_and(|c| !is_simple(c)) || chars.next().is_some()
}

/// What we draw ourselves: box drawing, arrows and the like.
fn is_rule(c: char) -> bool {
    ('\u{2190}'..='\u{25ff}').contains(&c)
}

fn style_of(cell: &Cell) -> CellStyle {
    (cell.fg, cell.bg, cell.modifier)
}

fn go(out: &mut String, column: u16, row: u16) {
    // Writing into a String can't fail.
    let _ = write!(out, "\x1b[{};{}H", row + 1, column + 1);
}

fn push_style(out: &mut String, (foreground, background, modifier): CellStyle) {
    out.push_str("\x1b[0");
    for (flag, code) in [
        (Modifier::BOLD, "1"),
        (Modifier::DIM, "2"),
        (Modifier::ITALIC, "3"),
        (Modifier::UNDERLINED, "4"),
        (Modifier::REVERSED, "7"),
    ] {
        if modifier.contains(flag) {
            out.push(';');
            out.push_str(code);
        }
    }
    push_color(out, foreground, 30);
    push_color(out, background, 40);
    out.push('m');
}

/// A colour. `base` is 30 for the text's, 40 for the background's.
fn push_color(out: &mut String, color: Color, base: u8) {
    let code = match color {
        Color::Indexed(number) => format!(";{};5;{number}", base + 8),
        Color::Red => format!(";{}", base + 1),
        Color::Green => format!(";{}", base + 2),
        Color::Yellow => format!(";{}", base + 3),
        _ => return,
    };
    out.push_str(&code);
}

fn link_at(links: &[Link], row: u16, column: u16) -> Option<&str> {
    let is_here = |link: &&Link| link.row == row && (link.start..link.end).contains(&column);
    links.iter().find(is_here).map(|link| link.target.as_str())
}

/// Begins or ends a link. The id tells a terminal which pieces belong together.
fn push_link(out: &mut String, target: Option<&str>) {
    match target {
        Some(target) => {
            let id = target.bytes().fold(0_u32, |id, byte| {
                id.wrapping_mul(31).wrapping_add(byte.into())
            });
            let _ = write!(out, "\x1b]8;id={id:x};");
            for byte in target.bytes() {
                // What isn't ASCII is written as the web does it.
                let _ = match byte {
                    b'!'..=b'~' => write!(out, "{}", char::from(byte)),
                    other => write!(out, "%{other:02X}"),
                };
            }
            out.push_str("\x1b\\");
        }
        None => out.push_str("\x1b]8;;\x1b\\"),
    }
}

#[cfg(test)]
mod tests {
    use ratatui_core::style::Style;

    use super::super::canvas::Span;
    use super::*;

    fn picture(text: &str) -> Canvas {
        let mut canvas = Canvas::new(20, 3);
        canvas.text(1, 0, 20, &Span::new(text, Style::default()));
        canvas
    }

    #[test]
    fn only_what_has_changed_is_sent() {
        let mut painter = Painter::new(true);
        assert!(painter.paint(picture("hello there")).contains("\x1b[2J"));
        assert_eq!(painter.paint(picture("hello there")), "");
        let update = painter.paint(picture("hello THere"));
        assert!(update.contains("\x1b[2;7H\x1b[0mTH\x1b"), "{update:?}");
        assert!(!update.contains("hello"), "{update:?}");
    }

    #[test]
    fn what_stands_behind_an_odd_character_is_placed() {
        let mut painter = Painter::new(true);
        painter.paint(picture("x"));
        let update = painter.paint(picture("a👩\u{200d}👧b"));
        assert!(
            update.contains("\x1b[2K\x1b[2;1H\x1b[0ma👩\u{200d}👧\x1b[2;4Hb"),
            "{update:?}"
        );
        // Whatever it has left is taken off.
        assert!(painter.paint(picture("x")).contains("\x1b[2K"));
    }

    #[test]
    fn a_link_leads_where_its_text_says_unless_there_are_none() {
        let mut canvas = Canvas::new(30, 1);
        let mut span = Span::new("http://a/b", Style::default());
        span.link = Some(span.text.clone());
        canvas.text(0, 2, 30, &span);
        let sent = Painter::new(true).paint(canvas.clone());
        assert!(
            sent.contains(";http://a/b\x1b\\http://a/b\x1b]8;;\x1b\\"),
            "{sent:?}"
        );
        assert!(!Painter::new(false).paint(canvas).contains("\x1b]8"));
    }
}
