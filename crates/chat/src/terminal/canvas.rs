//! A picture of the screen: cells, the links in them, and where the cursor is.

use ratatui_core::buffer::Buffer;
use ratatui_core::layout::Rect;
use ratatui_core::style::Style;
use unicode_segmentation::UnicodeSegmentation as _;

use super::text::width;

/// Some text in one style.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) text: String,
    pub(super) style: Style,
    /// Where it leads.
    pub(super) link: Option<String>,
}

impl Span {
    pub(super) fn new(text: impl Into<String>, style: Style) -> Self {
        Self {
            text: text.into(),
            style,
            link: None,
        }
    }
}

/// One row of text.
pub(super) type Row = Vec<Span>;

/// A part of a row that leads somewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) row: u16,
    pub(super) start: u16,
    pub(super) end: u16,
    pub(super) target: String,
}

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Canvas {
    pub(super) cells: Buffer,
    pub(super) links: Vec<Link>,
    pub(super) cursor: Option<(u16, u16)>,
}

impl Canvas {
    pub(super) fn new(columns: u16, rows: u16) -> Self {
        Self {
            cells: Buffer::empty(Rect::new(0, 0, columns, rows)),
            links: Vec::new(),
            cursor: None,
        }
    }

    pub(super) fn area(&self) -> Rect {
        self.cells.area
    }

    /// Draws text from there on, up to the column `end`; returns where it ended.
    pub(super) fn text(&mut self, row: u16, column: u16, end: u16, span: &Span) -> u16 {
        let end = end.min(self.area().width);
        let mut at = column;
        if row >= self.area().height {
            return at;
        }
        for cluster in span.text.graphemes(true) {
            let wide = u16::try_from(width(cluster)).unwrap_or(2);
            if wide == 0 {
                self.join(row, at, column, cluster);
                continue;
            }
            if at + wide > end {
                break;
            }
            self.cells[(at, row)]
                .set_symbol(cluster)
                .set_style(span.style);
            for more in 1..wide {
                self.cells[(at + more, row)]
                    .set_symbol("")
                    .set_style(span.style);
            }
            at += wide;
        }
        if let Some(target) = &span.link
            && at > column
        {
            self.links.push(Link {
                row,
                start: column,
                end: at,
                target: target.clone(),
            });
        }
        at
    }

    /// What has no width belongs to the character before it.
    fn join(&mut self, row: u16, at: u16, start: u16, cluster: &str) {
        let before = (start..at)
            .rev()
            .find(|column| !self.cells[(*column, row)].symbol().is_empty());
        if let Some(column) = before {
            let cell = &mut self.cells[(column, row)];
            let symbol = format!("{}{cluster}", cell.symbol());
            cell.set_symbol(&symbol);
        }
    }

    /// Draws a row of text; returns where it ended.
    pub(super) fn row(&mut self, row: u16, column: u16, end: u16, spans: &[Span]) -> u16 {
        let mut at = column;
        for span in spans {
            at = self.text(row, at, end, span);
        }
        at
    }

    /// Gives a part of a row another style.
    pub(super) fn shade(&mut self, row: u16, start: u16, end: u16, style: Style) {
        let end = end.min(self.area().width);
        if row < self.area().height {
            for column in start..end {
                self.cells[(column, row)].set_style(style);
            }
        }
    }

    /// What stands in some columns of a row, as text.
    pub(super) fn line(&self, row: u16, columns: std::ops::Range<u16>) -> String {
        let cells = columns.map(|column| self.cells[(column, row)].symbol());
        cells.collect::<String>().trim_end().to_owned()
    }
}
