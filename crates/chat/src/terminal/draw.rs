//! Draws what a person sees: header, messages, sides, status, and what they type.

use ratatui_core::layout::Rect;
use ratatui_core::style::{Color, Modifier, Style};

use super::canvas::{Canvas, Row, Span};
use super::layout::{bold, dim};
use super::text::{columns, edited_width, shortened};
use super::ui::Ui;
use super::view::{Position, View};
use crate::output::item::Connection;
use crate::output::plural::counted;
use crate::output::sanitize::push_name;

impl Ui {
    /// The picture as it is now.
    pub(super) fn draw(&self) -> Canvas {
        let (width, height) = self.size;
        let mut canvas = Canvas::new(width, height);
        if width == 0 || height == 0 {
            return canvas;
        }
        let areas = self.areas();
        self.draw_header(&mut canvas, areas.header);
        self.draw_messages(&mut canvas, areas.messages);
        self.draw_topics(&mut canvas, areas.topics);
        self.draw_members(&mut canvas, areas.members);
        self.draw_input(&mut canvas, areas.input);
        // A question stands over everything else where there is little room.
        let status = match areas.status.height {
            0 if self.question().is_some() => Rect::new(0, 0, width, 1),
            _ => areas.status,
        };
        self.draw_status(&mut canvas, status);
        canvas
    }

    fn bar(&self) -> Style {
        Style::default().add_modifier(Modifier::REVERSED)
    }

    fn draw_header(&self, canvas: &mut Canvas, area: Rect) {
        if area.height == 0 {
            return;
        }
        canvas.shade(area.y, 0, area.width, self.bar());
        let (state, place) = (self.connection_words(), &self.place);
        let right = match state {
            "" => format!(" {place} "),
            state => format!(" {state} {place} "),
        };
        let right = shortened(&right, usize::from(area.width) * 2 / 3);
        let start = area.width.saturating_sub(narrow(columns(&right)));
        canvas.text(area.y, start, area.width, &Span::new(right, self.bar()));
        let Some(view) = self.view() else { return };
        let title = Span::new(
            format!(" {}", name(&view.target.label())),
            self.bar().add_modifier(Modifier::BOLD),
        );
        let at = canvas.text(area.y, 0, start, &title);
        let who = self.who(view, usize::from(start.saturating_sub(at)));
        canvas.text(area.y, at, start, &Span::new(who, self.bar()));
    }

    fn connection_words(&self) -> &'static str {
        match self.connection {
            _ if self.has_ended => "leaving",
            Connection::Up => "",
            Connection::Connecting => "connecting to",
            Connection::Waiting => "waiting on",
            Connection::Down { .. } => "not connected:",
        }
    }

    /// Who is there, as far as there is room.
    fn who(&self, view: &View, room: usize) -> String {
        let Some(count) = view.count else {
            return String::new();
        };
        let mut who = format!(" · {count} here");
        if self.areas().members.width > 0 {
            return who;
        }
        for (number, member) in view.members.iter().enumerate() {
            let next = format!("{}{}", if number == 0 { ": " } else { ", " }, name(member));
            if columns(&who) + columns(&next) + 2 > room {
                who.push('…');
                break;
            }
            who.push_str(&next);
        }
        who
    }

    fn draw_messages(&self, canvas: &mut Canvas, area: Rect) {
        let Some(view) = self.view() else { return };
        let look = self.look(usize::from(area.width));
        let rows = look.window(view, usize::from(area.height));
        // What there is stands at the bottom, next to what is typed.
        let gap = match view.position {
            Position::End => area.height - narrow(rows.len()).min(area.height),
            Position::At { .. } => 0,
        };
        for (number, row) in rows.iter().enumerate() {
            let y = area.y + gap + narrow(number);
            if y < area.bottom() {
                canvas.row(y, area.x, area.right(), row);
            }
        }
    }

    fn draw_topics(&self, canvas: &mut Canvas, area: Rect) {
        for (at, view) in self.views.iter().enumerate().take(area.height.into()) {
            let style = match at == self.current {
                true => bold(),
                false => self.news_style(view),
            };
            let mut text = format!(" {} {}", at + 1, name(&view.target.label()));
            if let Some(news) = news(view) {
                text = shortened(
                    &text,
                    usize::from(area.width).saturating_sub(columns(&news) + 3),
                );
                text = format!("{text} {news}");
            }
            let text = shortened(&text, usize::from(area.width).saturating_sub(2));
            canvas.text(
                area.y + narrow(at),
                area.x,
                area.right(),
                &Span::new(text, style),
            );
        }
        self.draw_line(canvas, area, area.right().saturating_sub(2));
    }

    fn draw_line(&self, canvas: &mut Canvas, area: Rect, column: u16) {
        if area.width == 0 {
            return;
        }
        for row in area.y..area.bottom() {
            canvas.text(row, column, area.right(), &Span::new("│", dim()));
        }
    }

    fn draw_members(&self, canvas: &mut Canvas, area: Rect) {
        let Some(view) = self.view().filter(|_| area.width > 0) else {
            return;
        };
        self.draw_line(canvas, area, area.x);
        let room = usize::from(area.width) - 2;
        let nameless = view
            .count
            .map_or(0, |count| count.saturating_sub(view.members.len() as u64));
        let mut rows: Vec<Span> = Vec::new();
        for member in &view.members {
            let style = match self.taste.has_colors {
                true => view.colors.known(member),
                false => Style::default(),
            };
            rows.push(Span::new(shortened(&name(member), room), style));
        }
        if nameless > 0 {
            rows.push(Span::new(format!("and {nameless} unnamed"), dim()));
        }
        let height = usize::from(area.height);
        if rows.len() > height && height > 0 {
            let more = rows.len() - height + 1;
            rows.truncate(height - 1);
            rows.push(Span::new(format!("and {more} more"), dim()));
        }
        for (number, span) in rows.iter().enumerate() {
            canvas.text(area.y + narrow(number), area.x + 2, area.right(), span);
        }
    }

    fn draw_status(&self, canvas: &mut Canvas, area: Rect) {
        if area.height == 0 {
            return;
        }
        if let Some(question) = self.question() {
            canvas.shade(area.y, 0, area.width, self.bar());
            let text = shortened(&name(&question), usize::from(area.width));
            let style = self.bar().add_modifier(Modifier::BOLD);
            canvas.text(area.y, 0, area.width, &Span::new(text, style));
            return;
        }
        canvas.shade(area.y, 0, area.width, dim());
        let right = self.state();
        let wide: usize = right.iter().map(|span| columns(&span.text)).sum();
        let start = area.width.saturating_sub(narrow(wide));
        canvas.row(area.y, start, area.width, &right);
        let mut at = 0;
        for span in self.tabs() {
            let end = at + narrow(columns(&span.text));
            if end > start {
                canvas.text(area.y, at, start, &Span::new("…", dim()));
                break;
            }
            at = canvas.text(area.y, at, start, &span);
        }
    }

    /// What is not as it should be, or waits to be seen.
    fn state(&self) -> Row {
        let mut parts: Vec<(String, Style)> = Vec::new();
        let warning = match self.taste.has_colors {
            true => Style::default().fg(Color::Yellow),
            false => bold(),
        };
        match self.unsent() {
            0 => {}
            count => {
                let style = match self.connection {
                    Connection::Up => dim(),
                    _ => warning,
                };
                parts.push((format!("{count} unsent"), style));
            }
        }
        if let Some(view) = self.view() {
            if view.is_fetching() {
                parts.push(("fetching older messages".into(), dim()));
            }
            match (view.position, view.below) {
                (Position::At { .. }, 0) => parts.push(("scrolled ↓ End".into(), dim())),
                (Position::At { .. }, count) => parts.push((format!("{count} new ↓"), warning)),
                (Position::End, _) => {}
            }
        }
        match self.connection {
            Connection::Down { seconds } => {
                let text = counted(seconds, "second", "seconds");
                parts.push((format!("trying again in {text}"), warning));
            }
            Connection::Connecting => parts.push(("connecting".into(), warning)),
            Connection::Waiting => parts.push(("nobody is connected".into(), dim())),
            Connection::Up => {}
        }
        let mut row = Vec::new();
        for (text, style) in parts {
            row.push(Span::new(" ", Style::default()));
            row.push(Span::new(text, style));
            row.push(Span::new(" ", Style::default()));
        }
        row
    }

    /// The topics with what is new there.
    fn tabs(&self) -> Vec<Span> {
        let tab = |(at, view): (usize, &View)| {
            let label = shortened(&name(&view.target.label()), 24);
            let news = news(view).map_or(String::new(), |news| format!(" {news}"));
            let text = format!(" {}:{label}{news} ", at + 1);
            match at == self.current {
                true => Span::new(text, bold()),
                false => Span::new(text, self.news_style(view)),
            }
        };
        self.views.iter().enumerate().map(tab).collect()
    }

    fn news_style(&self, view: &View) -> Style {
        match (view.mentions, view.unread) {
            (1.., _) if self.taste.has_colors => {
                Style::default().fg(Color::Red).add_modifier(Modifier::BOLD)
            }
            (1.., _) => bold(),
            (0, 1..) => Style::default(),
            (0, 0) => dim(),
        }
    }

    fn draw_input(&self, canvas: &mut Canvas, area: Rect) {
        if area.x > 0 {
            canvas.text(area.y, 0, area.x, &Span::new("> ", bold()));
        }
        let rows = self.editor.rows(usize::from(area.width));
        let (row, column) = rows.place(self.editor.cursor());
        let height = usize::from(area.height).max(1);
        let first = (row + 1).saturating_sub(height);
        for number in 0..height.min(rows.len() - first.min(rows.len())) {
            let text = &self.editor.text()[rows.range(first + number)];
            let shown = as_edited(text);
            let y = area.y + narrow(number);
            canvas.text(y, area.x, area.right(), &Span::new(shown, Style::default()));
        }
        let x = area.x + narrow(column).min(area.width.saturating_sub(1));
        canvas.cursor = Some((x, area.y + narrow(row - first)));
    }
}

/// What is new in a view: `3`, or `!1` where the person is mentioned.
fn news(view: &View) -> Option<String> {
    match (view.mentions, view.unread) {
        (0, 0) => None,
        (0, unread) => Some(unread.to_string()),
        (mentions, _) => Some(format!("!{mentions}")),
    }
}

/// A row of the text that is typed: what has no shape has a sign.
fn as_edited(text: &str) -> String {
    use unicode_segmentation::UnicodeSegmentation as _;
    let mut out = String::new();
    let mut column = 0;
    for cluster in text.graphemes(true) {
        let wide = edited_width(cluster, column);
        match cluster {
            "\n" => break,
            "\t" => out.extend(std::iter::repeat_n(' ', wide)),
            other if super::text::width(other) == 0 => out.push('\u{fffd}'),
            other => out.push_str(other),
        }
        column += wide;
    }
    out
}

/// A name, with what can't be seen escaped.
fn name(name: &str) -> String {
    let mut out = String::new();
    push_name(&mut out, name);
    out
}

fn narrow(number: usize) -> u16 {
    u16::try_from(number).unwrap_or(u16::MAX)
}

/// The last rows with something in them of what was shown, for the normal screen.
pub(super) fn last_lines(canvas: &Canvas, area: Rect) -> Vec<String> {
    let line = |row| canvas.line(row, area.x..area.right());
    let lines: Vec<String> = (area.y..area.bottom()).map(line).collect();
    let first = lines.iter().position(|line| !line.is_empty());
    lines[first.unwrap_or(lines.len())..].to_vec()
}
