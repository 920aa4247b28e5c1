//! What a view's entries look like as rows of a certain width, and which rows are seen.
//!
//! Pure: facts in, rows out. Only what is near the window is ever laid out.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use ratatui_core::style::{Color, Modifier, Style};

use super::canvas::{Row, Span};
use super::links::links;
use super::text::{columns, expand_tabs, shortened, wrap};
use super::view::{Body, Entry, Message, Position, View};
use crate::output::item::Severity;
use crate::output::sanitize::{is_mixed, push_escaped, push_name};

/// Consecutive messages of one person within this time, in milliseconds, share the name.
const TOGETHER: u64 = 5 * 60 * 1000;
/// From this width on, names have a column of their own.
const ROOMY: usize = 60;
/// Notices between two messages that are looked past.
const LONGEST_LOOK_BACK: usize = 100;
/// Below this width there are no times.
const CRAMPED: usize = 24;

/// How a view is to look.
#[derive(Clone, Debug)]
pub(super) struct Formatter<'a> {
    pub(super) width: usize,
    pub(super) zone: &'a TimeZone,
    pub(super) has_colors: bool,
    /// Messages of the view's own topic don't name it.
    pub(super) hides_topic: bool,
    /// What is searched for, and where it was found.
    pub(super) found: Option<(&'a str, i64)>,
}

pub(super) fn dim() -> Style {
    Style::default().add_modifier(Modifier::DIM)
}

pub(super) fn bold() -> Style {
    Style::default().add_modifier(Modifier::BOLD)
}

impl Formatter<'_> {
    pub(super) fn warning(&self) -> Style {
        match self.has_colors {
            true => Style::default().fg(Color::Yellow),
            false => bold(),
        }
    }

    fn local(&self, milliseconds: u64) -> DateTime {
        let milliseconds = i64::try_from(milliseconds).unwrap_or(i64::MAX);
        let time = Timestamp::from_millisecond(milliseconds).unwrap_or_default();
        self.zone.to_datetime(time)
    }

    /// Columns before the text of a message: the time's and the name's.
    fn margins(&self, view: &View) -> (usize, usize) {
        match self.width {
            ROOMY.. => (6, view.name_width + 2),
            CRAMPED.. => (6, 0),
            _ => (0, 0),
        }
    }

    /// All rows of an entry, with the lines that separate it from the one before.
    pub(super) fn rows(&self, view: &View, id: i64) -> Vec<Row> {
        let Some(entry) = view.get(id) else {
            return Vec::new();
        };
        let before = id.checked_sub(1).and_then(|id| view.get(id));
        let mut rows = self.rules(view, before, entry, id);
        let is_separate = !rows.is_empty();
        match &entry.body {
            Body::Notice { text, severity } => self.notice(&mut rows, text, *severity),
            Body::Message(message) => {
                let shares_name = !is_separate && is_together(before, entry);
                self.message(&mut rows, view, entry, message, shares_name, id);
            }
        }
        rows
    }

    fn rules(&self, view: &View, before: Option<&Entry>, entry: &Entry, id: i64) -> Vec<Row> {
        let mut rows = Vec::new();
        let day = self.local(entry.time).date();
        if before.is_none_or(|before| self.local(before.time).date() != day) {
            let day = day.strftime("%A, %-d %B").to_string();
            rows.push(self.rule(&day, dim()));
        }
        if matches!(entry.body, Body::Message(_)) {
            match (was_past(view, id), entry.is_past) {
                (false, true) => rows.push(self.rule("earlier", dim())),
                (true, false) => rows.push(self.rule("now", dim())),
                _ => {}
            }
        }
        if view.marker == Some(id) {
            rows.push(self.rule("new", self.warning()));
        }
        rows
    }

    fn rule(&self, what: &str, style: Style) -> Row {
        let text = format!("── {what} ");
        let rest = self.width.saturating_sub(columns(&text)).min(2);
        vec![Span::new(text + &"─".repeat(rest), style)]
    }

    fn notice(&self, rows: &mut Vec<Row>, text: &str, severity: Severity) {
        let (mark, style) = match severity {
            Severity::Info => ("-- ", dim()),
            Severity::Warning | Severity::Alert => ("!! ", self.warning()),
        };
        let room = self.width.saturating_sub(3);
        for (number, range) in wrap(text, room, room).into_iter().enumerate() {
            let lead = if number == 0 { mark } else { "   " };
            rows.push(vec![Span::new(format!("{lead}{}", &text[range]), style)]);
        }
    }

    fn message(
        &self,
        rows: &mut Vec<Row>,
        view: &View,
        entry: &Entry,
        message: &Message,
        shares_name: bool,
        id: i64,
    ) {
        let (time, name) = self.margins(view);
        let mut lead: Row = Vec::new();
        if time > 0 {
            let clock = self.local(entry.time).strftime("%H:%M ").to_string();
            lead.push(Span::new(clock, dim()));
        }
        match &message.user {
            Some(user) if !shares_name => self.name(&mut lead, view, user, name),
            _ => lead.push(Span::new(" ".repeat(name), Style::default())),
        }
        let style = match message.is_mention {
            true => bold(),
            false => Style::default(),
        };
        let used: usize = lead.iter().map(|span| columns(&span.text)).sum();
        let indent = (time + name).min(self.width.saturating_sub(1));
        let mut first = Some((lead, used));
        for (number, line) in self.lines(view, message).into_iter().enumerate() {
            let line = expand_tabs(&line, 0);
            let before = first.as_ref().map_or(indent, |(_, used)| *used);
            let room = self.width.saturating_sub(before);
            let ranges = wrap(&line, room, self.width.saturating_sub(indent));
            for (part, range) in ranges.into_iter().enumerate() {
                let mut row = match first.take() {
                    Some((lead, _)) => lead,
                    None => vec![self.margin(indent, number > 0 && part == 0)],
                };
                self.pieces(&mut row, &line, range, style, id);
                rows.push(row);
            }
        }
    }

    /// What stands before a row that isn't a message's first: after a line break a sign, so
    /// that no line of a message looks like another message.
    fn margin(&self, indent: usize, is_line: bool) -> Span {
        let text = match (is_line, indent) {
            (true, 2..) => format!("{}│ ", " ".repeat(indent - 2)),
            (true, _) => "│".repeat(indent),
            (false, _) => " ".repeat(indent),
        };
        Span::new(text, dim())
    }

    fn name(&self, lead: &mut Row, view: &View, user: &str, room: usize) {
        let mut name = String::new();
        push_name(&mut name, user);
        let style = match self.has_colors {
            true => view.colors.known(user),
            false => bold(),
        };
        let mark = if is_mixed(user) { "(!)" } else { "" };
        let name = shortened(&name, (self.width / 2).max(8));
        let used = columns(&name) + mark.len();
        lead.push(Span::new(name, style));
        if !mark.is_empty() {
            lead.push(Span::new(mark, self.warning()));
        }
        let gap = room.saturating_sub(used).max(2);
        lead.push(Span::new(" ".repeat(gap), Style::default()));
    }

    /// The lines of a message, escaped: the first as the specification prints it.
    fn lines(&self, view: &View, message: &Message) -> Vec<String> {
        let mut first = String::new();
        let is_own_topic = view.target.label() == message.topic;
        if !(self.hides_topic && is_own_topic) {
            push_name(&mut first, &message.topic);
            if is_mixed(&message.topic) {
                first.push_str("(!)");
            }
            first.push(':');
        }
        let mut lines = vec![first];
        for (number, text) in message.text.split('\n').enumerate() {
            if number > 0 {
                lines.push(String::new());
            }
            let Some(line) = lines.last_mut() else { break };
            for (part, piece) in text.split('\t').enumerate() {
                if part > 0 {
                    line.push('\t');
                }
                push_escaped(line, piece);
            }
        }
        lines
    }

    /// A part of a line, with what leads somewhere and what was found.
    fn pieces(
        &self,
        row: &mut Row,
        line: &str,
        range: std::ops::Range<usize>,
        style: Style,
        id: i64,
    ) {
        let text = &line[range.clone()];
        let mut cuts: Vec<usize> = vec![range.start, range.end];
        let links = links(line);
        let found = self.matches(line);
        for one in links.iter().chain(&found) {
            cuts.extend([one.start, one.end].map(|at| at.clamp(range.start, range.end)));
        }
        cuts.sort_unstable();
        cuts.dedup();
        if text.is_empty() {
            return row.push(Span::new("", style));
        }
        for cut in cuts.windows(2) {
            let (start, end) = (cut[0], cut[1]);
            let mut span = Span::new(&line[start..end], style);
            let holds = |one: &&std::ops::Range<usize>| one.contains(&start);
            if let Some(link) = links.iter().find(holds) {
                span.link = Some(line[link.clone()].to_owned());
                span.style = span.style.add_modifier(Modifier::UNDERLINED);
            }
            if found.iter().any(|one| one.contains(&start)) {
                span.style = span.style.add_modifier(Modifier::REVERSED);
                if self.found.is_some_and(|(_, at)| at == id) {
                    span.style = span.style.add_modifier(Modifier::BOLD);
                }
            }
            row.push(span);
        }
    }

    fn matches(&self, line: &str) -> Vec<std::ops::Range<usize>> {
        let Some((text, _)) = self.found else {
            return Vec::new();
        };
        let (lower, wanted) = (line.to_lowercase(), text.to_lowercase());
        // Where another case has another length, places can't be told.
        if wanted.is_empty() || lower.len() != line.len() {
            return Vec::new();
        }
        let is_whole = |range: &std::ops::Range<usize>| {
            line.is_char_boundary(range.start) && line.is_char_boundary(range.end)
        };
        lower
            .match_indices(&wanted)
            .map(|(at, one)| at..at + one.len())
            .filter(is_whole)
            .collect()
    }

    /// The lines of ours that have not arrived.
    fn pending(&self, view: &View, height: usize) -> Vec<Row> {
        let surplus = view.pending.len().saturating_sub(height);
        let mut rows = Vec::new();
        for text in view.pending.iter().skip(surplus) {
            let mut line = String::from("… ");
            push_escaped(&mut line, text);
            let room = self.width.saturating_sub(2);
            for range in wrap(&line, room, room) {
                rows.push(vec![Span::new(&line[range], dim())]);
            }
        }
        rows
    }

    /// The rows to be seen in a window of that height.
    pub(super) fn window(&self, view: &View, height: usize) -> Vec<Row> {
        let (mut rows, first, hidden) = match view.position {
            Position::End => self.end(view, height),
            Position::At { id, row } => {
                let mut rows = self.rows(view, id);
                let row = row.min(rows.len());
                for next in id + 1..view.ids().end {
                    if rows.len() >= row + height {
                        break;
                    }
                    rows.extend(self.rows(view, next));
                }
                (rows, id, row)
            }
        };
        self.name_first(view, &mut rows, first, hidden);
        rows.drain(..hidden.min(rows.len()));
        rows.truncate(height);
        rows
    }

    /// The rows at the end, the entry that they begin with, and how many of them are too many.
    fn end(&self, view: &View, height: usize) -> (Vec<Row>, i64, usize) {
        let pending = self.pending(view, height);
        let mut first = view.ids().end;
        let mut blocks = vec![pending];
        let mut count = blocks[0].len();
        for id in view.ids().rev() {
            if count >= height {
                break;
            }
            let rows = self.rows(view, id);
            count += rows.len();
            blocks.push(rows);
            first = id;
        }
        let rows: Vec<Row> = blocks.into_iter().rev().flatten().collect();
        let hidden = rows.len().saturating_sub(height);
        (rows, first, hidden)
    }

    /// The first message that begins in the window says whose it is, also if the one before it
    /// does: that can't be seen.
    fn name_first(&self, view: &View, rows: &mut [Row], first: i64, hidden: usize) {
        let (at, id) = match hidden {
            0 => (0, first),
            _ => (self.rows(view, first).len(), first + 1),
        };
        let (Some(row), Some(entry)) = (rows.get_mut(at), view.get(id)) else {
            return;
        };
        let (time, room) = self.margins(view);
        let Body::Message(Message {
            user: Some(user), ..
        }) = &entry.body
        else {
            return;
        };
        let is_blank = |span: &Span| span.text.len() == room && span.text.trim().is_empty();
        if time == 0 || room == 0 || !row.get(1).is_some_and(is_blank) {
            return;
        }
        let mut name = Row::new();
        self.name(&mut name, view, user, room);
        // A longer one would move what stands behind it.
        if name.iter().map(|span| columns(&span.text)).sum::<usize>() == room {
            row.splice(1..2, name);
        }
    }

    /// Scrolls by rows, up if negative. True if there is nothing more above.
    pub(super) fn scroll(&self, view: &mut View, height: usize, by: i64) -> bool {
        let (mut id, mut row) = match view.position {
            Position::At { id, row } => (id, row),
            Position::End => self.back_from(view, view.ids().end, height),
        };
        let mut is_top = false;
        if by < 0 {
            let count = usize::try_from(-by).unwrap_or(usize::MAX);
            let (up, at) = self.back_from_row(view, id, row, count);
            is_top = up == view.ids().start && at == 0;
            (id, row) = (up, at);
        } else {
            let mut count = usize::try_from(by).unwrap_or(usize::MAX);
            while count > 0 && id < view.ids().end {
                let left = self.rows(view, id).len().saturating_sub(row);
                if count < left {
                    row += count;
                    break;
                }
                count -= left;
                id += 1;
                row = 0;
            }
        }
        self.place(view, height, id, row);
        is_top
    }

    /// Makes that the first row to be seen, or the end if everything behind it fits.
    pub(super) fn place(&self, view: &mut View, height: usize, id: i64, row: usize) {
        if (id, row) >= self.back_from(view, view.ids().end, height) {
            view.go_to_end();
        } else {
            view.position = Position::At { id, row };
        }
    }

    /// The place so many rows before the beginning of an entry.
    fn back_from(&self, view: &View, id: i64, count: usize) -> (i64, usize) {
        self.back_from_row(view, id, 0, count)
    }

    fn back_from_row(&self, view: &View, id: i64, row: usize, count: usize) -> (i64, usize) {
        let (mut id, mut row, mut count) = (id, row, count);
        while count > row {
            if id <= view.ids().start {
                return (view.ids().start, 0);
            }
            count -= row;
            id -= 1;
            row = self.rows(view, id).len();
        }
        (id, row - count)
    }
}

/// The last message before that entry was said before we came. Notices don't count.
fn was_past(view: &View, id: i64) -> bool {
    let before = (view.ids().start..id).rev().take(LONGEST_LOOK_BACK);
    before
        .filter_map(|id| view.get(id))
        .find(|entry| matches!(entry.body, Body::Message(_)))
        .is_some_and(|entry| entry.is_past)
}

/// Said by the same person shortly after.
fn is_together(before: Option<&Entry>, entry: &Entry) -> bool {
    let Some(before) = before else { return false };
    let (Body::Message(one), Body::Message(other)) = (&before.body, &entry.body) else {
        return false;
    };
    let is_soon = entry.time.saturating_sub(before.time) <= TOGETHER;
    is_soon && one.user.is_some() && one.user == other.user
}

#[cfg(test)]
mod tests;
