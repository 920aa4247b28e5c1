//! The lines that were sent and are not acknowledged, and what is to be written
//! next over the connection that there is.
//!
//! A plain state machine, without a socket, a clock or a word to anybody. A line
//! gets its id when it is first written and keeps it until it is acknowledged,
//! over however many connections: that is how a server knows it again.

use std::collections::VecDeque;

use crate::input::Line;

/// What lines in flight may cost, in bytes, before no further ones are sent: some
/// thousand lines, more than a server leaves unacknowledged for long, and far
/// fewer than it remembers the ids of.
const ROOM: usize = 256 * 1024;
/// What a line costs beside its text, so that empty ones are bounded too.
const LINE_COST: usize = size_of::<Sent>();

/// The most bytes that an id takes: the run, a hyphen, the longest number.
pub(crate) const LONGEST_ID: usize = RUN_DIGITS + 1 + 20;
/// The hexadecimal digits that tell the ids of one run from those of another.
pub(crate) const RUN_DIGITS: usize = 8;

/// See the module.
#[derive(Debug)]
pub(crate) struct Delivery {
    /// What all ids of this run begin with.
    run: String,
    /// The number of the next line that is written for the first time.
    next: u64,
    /// What is in flight, oldest first, by ascending numbers.
    lines: VecDeque<Sent>,
    /// What `lines` costs, in bytes.
    cost: usize,
    /// So many of `lines`, the oldest, were written over this connection.
    written: usize,
    /// So many of `lines`, the oldest, were written over an earlier one.
    doubtful: usize,
}

#[derive(Debug)]
struct Sent {
    number: u64,
    line: Line,
}

/// What is to be written next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next<'a> {
    /// A line that was written before, over a connection that was lost.
    Again {
        /// Its number, to be given to [`Delivery::wrote_again`].
        number: u64,
        /// The line.
        line: &'a Line,
    },
    /// A line that was never written, under this number.
    Fresh(u64),
    /// Nothing, until something is acknowledged.
    Full,
}

impl Delivery {
    /// Nothing in flight; `run` are the [`RUN_DIGITS`] of this run.
    pub(crate) fn new(run: String) -> Self {
        Self {
            run,
            next: 1,
            lines: VecDeque::new(),
            cost: 0,
            written: 0,
            doubtful: 0,
        }
    }

    /// The id of the line with that number.
    pub(crate) fn id(&self, number: u64) -> String {
        format!("{}-{number}", self.run)
    }

    /// The number of lines in flight.
    pub(crate) fn len(&self) -> usize {
        self.lines.len()
    }

    /// The oldest line in flight.
    pub(crate) fn first(&self) -> Option<&str> {
        self.lines.front().map(|sent| sent.line.text.as_str())
    }

    /// All of them, oldest first.
    pub(crate) fn in_flight(&self) -> impl Iterator<Item = &Line> {
        self.lines.iter().map(|sent| &sent.line)
    }

    /// Nothing in flight is to be written again.
    pub(crate) fn is_written(&self) -> bool {
        self.written == self.lines.len()
    }

    /// A new connection was made: everything in flight is to be written again.
    pub(crate) fn reconnected(&mut self) {
        self.written = 0;
        self.doubtful = self.lines.len();
    }

    /// What is to be written next.
    pub(crate) fn next(&self) -> Next<'_> {
        match self.lines.get(self.written) {
            Some(Sent { number, line }) => Next::Again {
                number: *number,
                line,
            },
            None if self.cost < ROOM => Next::Fresh(self.next),
            None => Next::Full,
        }
    }

    /// That line was written again, whole.
    pub(crate) fn wrote_again(&mut self, number: u64) {
        // Who acknowledges it before it has it all takes it away meanwhile.
        let sent = self.lines.get(self.written);
        if sent.is_some_and(|sent| sent.number == number) {
            self.written += 1;
        }
    }

    /// A line was written for the first time, whole.
    pub(crate) fn wrote_fresh(&mut self, line: Line) {
        let number = self.next;
        self.next += 1;
        self.cost += line.text.len() + LINE_COST;
        self.lines.push_back(Sent { number, line });
        self.written = self.lines.len();
    }

    /// The line with that id is where it can't be lost, or is refused for good.
    /// None if there is no such line in flight.
    pub(crate) fn settle(&mut self, id: &str) -> Option<Line> {
        let number = id.strip_prefix(&self.run)?.strip_prefix('-')?;
        let number: u64 = number.parse().ok()?;
        let at = self.lines.binary_search_by_key(&number, |sent| sent.number);
        let at = at.ok()?;
        let Sent { line, .. } = self.lines.remove(at)?;
        self.cost -= line.text.len() + LINE_COST;
        self.written -= usize::from(at < self.written);
        self.doubtful -= usize::from(at < self.doubtful);
        Some(line)
    }

    /// The longest line in flight, by `length`: its number and that.
    pub(crate) fn longest(&self, length: impl Fn(&str) -> usize) -> Option<(u64, usize)> {
        let lines = self.lines.iter();
        let lengths = lines.map(|sent| (sent.number, length(&sent.line.text)));
        lengths.max_by_key(|(_, length)| *length)
    }

    /// A line with that text was written over an earlier connection, and nobody
    /// knows whether it arrived.
    pub(crate) fn is_doubtful(&self, text: &str) -> bool {
        let mut doubtful = self.lines.iter().take(self.doubtful);
        doubtful.any(|sent| sent.line.text == text)
    }

    /// What is in flight won't ever be acknowledged.
    pub(crate) fn forget(&mut self) {
        self.lines.clear();
        self.cost = 0;
        self.written = 0;
        self.doubtful = 0;
    }
}

#[cfg(test)]
mod tests;
