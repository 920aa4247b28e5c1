//! The lines that were written and are not acknowledged, and which of them the
//! current connection has still to carry.
//!
//! A plain state machine without a socket or a clock. A line gets its id when it is
//! first written and keeps it until it is acknowledged, over any number of
//! connections. The server recognises a retransmitted line by its id.

use std::collections::VecDeque;

use crate::line::Line;

/// The cost of lines in flight, in bytes, above which new ones have to wait: some thousand lines.
/// A server leaves fewer unacknowledged for long, and remembers the ids of many more.
const ROOM: usize = 256 * 1024;
/// The cost of a line beside its text, so that empty lines are bounded too.
const LINE_COST: usize = size_of::<Sent>();

/// See the module.
#[derive(Debug)]
pub(super) struct InFlight {
    /// The prefix of all ids of this run.
    run: String,
    /// The number of the next line that is written for the first time.
    next: u64,
    /// The lines in flight, oldest first, by ascending numbers.
    lines: VecDeque<Sent>,
    /// What `lines` costs, in bytes.
    cost: usize,
    /// How many of `lines`, the oldest, were written over this connection.
    written: usize,
    /// How many of `lines`, the oldest, were written over an earlier connection.
    in_doubt: usize,
}

#[derive(Debug)]
struct Sent {
    number: u64,
    line: Line,
}

/// What to write next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next<'a> {
    /// A line that was written before, over a connection that was lost.
    Retransmit {
        /// Its number, to be given to [`InFlight::retransmitted`].
        number: u64,
        /// The line.
        line: &'a Line,
    },
    /// A line that was never written, under this number.
    New(u64),
    /// Nothing, until something is acknowledged.
    Full,
}

/// The result of a request to write a line again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Retransmission {
    /// The line and those after it will be written again.
    Started,
    /// The line will be written again anyway, or is not in flight.
    NotNeeded,
}

impl InFlight {
    /// Nothing in flight; `run` is the prefix of the ids.
    pub(super) fn new(run: String) -> Self {
        Self {
            run,
            next: 1,
            lines: VecDeque::new(),
            cost: 0,
            written: 0,
            in_doubt: 0,
        }
    }

    /// The id of the line with that number.
    pub(super) fn id(&self, number: u64) -> String {
        format!("{}-{number}", self.run)
    }

    /// The number of lines in flight.
    pub(super) fn len(&self) -> usize {
        self.lines.len()
    }

    /// The oldest line in flight.
    pub(super) fn first(&self) -> Option<&str> {
        self.lines.front().map(|sent| sent.line.text.as_str())
    }

    /// All of them, oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Line> {
        self.lines.iter().map(|sent| &sent.line)
    }

    /// Nothing in flight is to be written again.
    pub(super) fn is_written(&self) -> bool {
        self.written == self.lines.len()
    }

    /// A new connection was made, which has to carry everything in flight.
    pub(super) fn restart(&mut self) {
        self.written = 0;
        self.in_doubt = self.lines.len();
    }

    /// What to write next.
    pub(super) fn next(&self) -> Next<'_> {
        match self.lines.get(self.written) {
            Some(Sent { number, line }) => Next::Retransmit {
                number: *number,
                line,
            },
            None if self.cost < ROOM => Next::New(self.next),
            None => Next::Full,
        }
    }

    /// That line was written again, completely.
    pub(super) fn retransmitted(&mut self, number: u64) {
        // If the server has acknowledged the line before all of it was written, it is no longer
        // here.
        let sent = self.lines.get(self.written);
        if sent.is_some_and(|sent| sent.number == number) {
            self.written += 1;
        }
    }

    /// A line was written for the first time, completely.
    pub(super) fn sent(&mut self, line: Line) {
        let number = self.next;
        self.next += 1;
        self.cost += line.text.len() + LINE_COST;
        // An earlier line may have to be written again by now; then this one follows it.
        self.written += usize::from(self.is_written());
        self.lines.push_back(Sent { number, line });
    }

    /// The index of the line with that id.
    fn place(&self, id: &str) -> Option<usize> {
        let number = id.strip_prefix(&self.run)?.strip_prefix('-')?;
        let number: u64 = number.parse().ok()?;
        let at = self.lines.binary_search_by_key(&number, |sent| sent.number);
        at.ok()
    }

    /// The line with that id must be written again over this connection, and those
    /// after it, so that they keep their order.
    pub(super) fn retransmit(&mut self, id: &str) -> Retransmission {
        match self.place(id) {
            Some(at) if at < self.written => {
                self.written = at;
                Retransmission::Started
            }
            _ => Retransmission::NotNeeded,
        }
    }

    /// Removes the line with that id, because the server has stored or refused it.
    /// None if there is no such line in flight.
    pub(super) fn acknowledge(&mut self, id: &str) -> Option<Line> {
        let at = self.place(id)?;
        let Sent { line, .. } = self.lines.remove(at)?;
        self.cost -= line.text.len() + LINE_COST;
        self.written -= usize::from(at < self.written);
        self.in_doubt -= usize::from(at < self.in_doubt);
        Some(line)
    }

    /// The longest line in flight, by `length`: its number and that.
    pub(super) fn longest(&self, length: impl Fn(&str) -> usize) -> Option<(u64, usize)> {
        let lines = self.lines.iter();
        let lengths = lines.map(|sent| (sent.number, length(&sent.line.text)));
        lengths.max_by_key(|(_, length)| *length)
    }

    /// A line with that text was written over an earlier connection, and may or may
    /// not have arrived.
    pub(super) fn is_in_doubt(&self, text: &str) -> bool {
        let mut in_doubt = self.lines.iter().take(self.in_doubt);
        in_doubt.any(|sent| sent.line.text == text)
    }

    /// Forgets everything in flight, because it will never be acknowledged.
    pub(super) fn forget(&mut self) {
        self.lines.clear();
        self.cost = 0;
        self.written = 0;
        self.in_doubt = 0;
    }
}

#[cfg(test)]
mod tests;
