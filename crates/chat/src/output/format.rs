//! What a person sees of each message and notice, as text with colours.
//!
//! Remembers what was shown, for searching, and whether a replay is being shown. It only
//! makes text: it makes no terminal call.

use std::collections::VecDeque;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use client::{Arrival, Incoming, Line};

use super::color::{Paint, Shade, of_name};
use super::notice::{CallLine, Notice, Severity, Shown};
use super::people::People;
use super::plural::counted;
use super::sanitize::{is_mixed, push_escaped, push_name};

/// Bytes of lines that can be searched: a long day's talk.
const REMEMBERED: usize = 4 * 1024 * 1024;
/// Lines that a search shows at most, the newest.
const FOUND: usize = 50;
/// Lines of one message that are shown as such.
const LONGEST_MESSAGE: usize = 100;

/// See the module.
#[derive(Debug)]
pub(crate) struct Formatter {
    paint: Paint,
    /// Rings when we are mentioned.
    rings: bool,
    zone: TimeZone,
    people: People,
    /// What is shown was said before.
    is_past: bool,
    /// What was shown, without colours.
    shown: VecDeque<String>,
    /// What `shown` takes, in bytes.
    size: usize,
}

/// One line of somebody's.
struct Entry<'a> {
    time: Option<u64>,
    user: Option<&'a str>,
    topic: &'a str,
    text: &'a str,
    /// Our name is in it.
    is_mention: bool,
}

impl Formatter {
    /// Nothing shown yet.
    pub(crate) fn new(paint: Paint, rings: bool, zone: TimeZone, people: People) -> Self {
        Self {
            paint,
            rings,
            zone,
            people,
            is_past: false,
            shown: VecDeque::new(),
            size: 0,
        }
    }

    /// A message from somebody.
    pub(crate) fn push_message(&mut self, out: &mut String, incoming: &Incoming) {
        let Incoming {
            topic,
            text,
            envelope,
            arrival,
        } = incoming;
        let user = envelope.user.as_deref();
        if let Some(user) = user {
            self.people.add_names(&[user]);
        }
        let is_past = *arrival != Arrival::Live;
        self.turn_to(out, is_past);
        let me = self.people.me();
        let is_mention = me.is_some_and(|me| mentions(text, &me));
        let entry = Entry {
            time: envelope.time,
            user,
            topic,
            text,
            is_mention,
        };
        // Before the line: what comes last must be its end, or the editor adds another.
        if is_mention && !is_past && self.rings {
            out.push('\u{7}');
        }
        self.push_entry(out, &entry);
        if *arrival == (Arrival::Replayed { is_last: true }) {
            self.turn_to(out, false);
        }
    }

    /// A line of our own that has arrived.
    pub(crate) fn push_own(&mut self, out: &mut String, topic: &str, text: &str) {
        self.turn_to(out, false);
        let me = self.people.me();
        self.push_entry(
            out,
            &Entry {
                time: None,
                // Where nobody has a name, our own lines are marked all the same.
                user: Some(me.as_deref().unwrap_or("you")),
                topic,
                text,
                is_mention: false,
            },
        );
    }

    /// A line of our own that has still to arrive.
    pub(crate) fn push_waiting(&mut self, out: &mut String, line: &Line) {
        self.paint.push(out, Shade::Dim, |out| {
            out.push_str("not sent yet: ");
            push_name(out, line.topic.as_str());
            out.push(':');
            push_escaped(out, &line.text);
        });
        out.push('\n');
    }

    /// What comes beside messages by topic.
    pub(crate) fn push_shown(&mut self, out: &mut String, shown: &Shown) {
        match shown {
            Shown::Notice(notice, left_out) => self.push_notice(out, notice, *left_out),
            Shown::CallLine(CallLine { who, topic, text }) => match who {
                None => self.push_own(out, topic, text),
                Some(who) => self.push_entry(
                    out,
                    &Entry {
                        time: None,
                        user: Some(who),
                        topic,
                        text,
                        is_mention: false,
                    },
                ),
            },
        }
    }

    /// A notice of the program's.
    fn push_notice(&mut self, out: &mut String, notice: &Notice, left_out: usize) {
        let (shade, mark) = match notice.severity {
            Severity::Info => (Shade::Dim, "-- "),
            Severity::Warning | Severity::Alert => (Shade::Warning, "!! "),
        };
        if notice.severity == Severity::Alert && self.rings {
            out.push('\u{7}');
        }
        self.paint.push(out, shade, |out| {
            out.push_str(mark);
            out.push_str(&notice.text);
        });
        out.push('\n');
        if left_out > 0 {
            let left_out = counted(left_out as u64, "notice was", "notices were");
            self.push_rule(out, &format!("{left_out} left out"));
        }
    }

    /// What holds `text` of what was shown, the newest of it.
    pub(crate) fn push_found(&mut self, out: &mut String, text: &str) {
        let wanted = text.to_lowercase();
        let is_wanted = |line: &&String| line.to_lowercase().contains(&wanted);
        let count = self.shown.iter().filter(is_wanted).count();
        let lines = counted(count as u64, "line", "lines");
        self.push_rule(out, &format!("{lines} with {text:?} in this run"));
        let found = self.shown.iter().filter(is_wanted);
        for line in found.skip(count.saturating_sub(FOUND)) {
            out.push_str(line);
            out.push('\n');
        }
        if count > 0 {
            self.push_rule(out, "now");
        }
    }

    /// Says when what follows is no longer, or again, what was said before.
    fn turn_to(&mut self, out: &mut String, past: bool) {
        if std::mem::replace(&mut self.is_past, past) != past {
            self.push_rule(out, if past { "earlier" } else { "now" });
        }
    }

    fn push_rule(&self, out: &mut String, what: &str) {
        self.paint.push(out, Shade::Dim, |out| {
            out.push_str("──── ");
            push_escaped(out, what);
            out.push_str(" ────");
        });
        out.push('\n');
    }

    fn push_entry(&mut self, out: &mut String, entry: &Entry<'_>) {
        self.write_entry(out, self.paint, entry);
        out.push('\n');
        let mut plain = String::new();
        self.write_entry(&mut plain, Paint::new(false), entry);
        self.remember(plain);
    }

    fn remember(&mut self, line: String) {
        self.size += line.len();
        self.shown.push_back(line);
        while self.size > REMEMBERED {
            let Some(oldest) = self.shown.pop_front() else {
                return;
            };
            self.size -= oldest.len();
        }
    }

    fn write_entry(&self, out: &mut String, paint: Paint, entry: &Entry<'_>) {
        paint.push(out, Shade::Dim, |out| out.push_str(&self.clock(entry.time)));
        out.push(' ');
        if let Some(user) = entry.user {
            paint.push(out, of_name(user), |out| push_name(out, user));
            push_mark(out, paint, user);
            out.push_str("  ");
        }
        push_name(out, entry.topic);
        push_mark(out, paint, entry.topic);
        out.push(':');
        let mut lines = entry.text.split('\n');
        let first = lines.next().unwrap_or_default();
        push_text(out, paint, first, entry.is_mention);
        for (number, line) in lines.enumerate() {
            out.push('\n');
            // Set in, so that no line of a message looks like another message.
            paint.push(out, Shade::Dim, |out| out.push_str("      │ "));
            if number == LONGEST_MESSAGE {
                out.push('…');
                return;
            }
            push_text(out, paint, line, entry.is_mention);
        }
    }

    /// The time of day, with the day if it is another one.
    fn clock(&self, time: Option<u64>) -> String {
        let now = self.zone.to_datetime(Timestamp::now());
        let then = time.and_then(|time| self.local(time));
        let then = then.as_ref().unwrap_or(&now);
        let format = match then.date() == now.date() {
            true => "%H:%M",
            false => "%e %b %H:%M",
        };
        then.strftime(format).to_string()
    }

    fn local(&self, milliseconds: u64) -> Option<DateTime> {
        let milliseconds = i64::try_from(milliseconds).ok()?;
        let time = Timestamp::from_millisecond(milliseconds).ok()?;
        Some(self.zone.to_datetime(time))
    }
}

fn push_text(out: &mut String, paint: Paint, text: &str, is_mention: bool) {
    match is_mention {
        true => paint.push(out, Shade::Bold, |out| push_escaped(out, text)),
        false => push_escaped(out, text),
    }
}

/// Warns of a name that may look like another one.
fn push_mark(out: &mut String, paint: Paint, name: &str) {
    if is_mixed(name) {
        paint.push(out, Shade::Warning, |out| out.push_str("(!)"));
    }
}

/// Our name is in it as a word, in upper or lower case. The page has the same rule.
fn mentions(text: &str, me: &str) -> bool {
    let is_in_word = |c: char| c.is_alphanumeric() || c == '_';
    let (text, me) = (text.to_lowercase(), me.to_lowercase());
    text.match_indices(&me).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + me.len()..].chars().next();
        !before.is_some_and(is_in_word) && !after.is_some_and(is_in_word)
    })
}

#[cfg(test)]
mod tests;
