//! The lines on their way to a peer: unsent, being written, or unacknowledged.
//!
//! One queue holds a line from the moment it is accepted until it is done, so no line is ever
//! between two places. It is bounded in bytes: [`Queue::has_room`] says when the producer must
//! wait. It knows no socket.

mod in_flight;

use std::collections::VecDeque;

use crate::line::Line;
pub(crate) use in_flight::Retransmission;
use in_flight::{InFlight, Next};

/// Bytes of unsent text before the producer has to wait: some thousand lines.
const ROOM: usize = 256 * 1024;
/// The cost of a line beside its text, so that empty lines are bounded too.
const LINE_COST: usize = size_of::<Line>();
/// The hexadecimal digits that distinguish the ids of one run from those of another.
pub(crate) const RUN_DIGITS: usize = 8;
/// The most bytes of an id: the run, a hyphen, the longest number.
const LONGEST_ID: usize = RUN_DIGITS + 1 + 20;
/// The most bytes by which asking for an acknowledgement makes a frame longer.
pub const ID_MEMBER: usize = r#""extended":{"id":""},"#.len() + LONGEST_ID;

/// Whether the peer acknowledges lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acknowledgements {
    /// Each line is kept until the peer acknowledges it.
    Expected,
    /// A line is done as soon as it is written.
    None,
}

/// See the module.
#[derive(Debug)]
pub struct Queue {
    /// Lines that were not completely written yet, oldest first.
    unsent: VecDeque<Line>,
    /// What `unsent` costs, in bytes.
    cost: usize,
    in_flight: InFlight,
    writing: Writing,
}

/// The kind of the frame that is being written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Writing {
    /// No line.
    Other,
    /// A line in flight.
    Retransmit(u64),
    /// The first unsent line.
    New,
    /// A line in flight that won't be acknowledged.
    LastRetransmit(u64),
    /// The first unsent line, which won't be acknowledged.
    Unacknowledged,
}

/// A line to be written now.
#[derive(Debug)]
pub struct Outgoing<'a> {
    /// The line.
    pub line: &'a Line,
    /// The id under which the peer acknowledges it.
    pub id: Option<String>,
}

impl Queue {
    /// An empty queue. `run` is the prefix of its lines' ids; for a peer that acknowledges
    /// nothing it may be empty.
    pub fn new(run: String) -> Self {
        Self {
            unsent: VecDeque::new(),
            cost: 0,
            in_flight: InFlight::new(run),
            writing: Writing::Other,
        }
    }

    /// Whether there is room for more. If not, the producer waits.
    pub fn has_room(&self) -> bool {
        self.cost < ROOM
    }

    /// Adds a line. A line that is added while there is no room is kept too.
    pub fn push(&mut self, line: Line) {
        self.cost += line.text.len() + LINE_COST;
        self.unsent.push_back(line);
    }

    /// The number of lines that were not completely written yet.
    pub fn unsent(&self) -> usize {
        self.unsent.len()
    }

    /// The newest unsent lines, `count` of them.
    pub fn newest(&self, count: usize) -> impl Iterator<Item = &Line> {
        self.unsent.range(self.unsent.len().saturating_sub(count)..)
    }

    /// The lines that were written and are not acknowledged, oldest first.
    pub fn in_flight(&self) -> impl Iterator<Item = &Line> {
        self.in_flight.iter()
    }

    /// The number of lines that were written and are not acknowledged.
    pub fn unacknowledged(&self) -> usize {
        self.in_flight.len()
    }

    /// Whether no line is left, neither unsent nor unacknowledged.
    pub fn is_empty(&self) -> bool {
        self.unsent.is_empty() && self.in_flight.len() == 0
    }

    /// The text of the oldest line that is left.
    pub fn first(&self) -> Option<&str> {
        let unsent = || self.unsent.front().map(|line| line.text.as_str());
        self.in_flight.first().or_else(unsent)
    }

    /// Whether everything in flight was written over this connection, so that later lines come
    /// after it.
    pub(crate) fn is_written(&self) -> bool {
        self.unsent.is_empty() && self.in_flight.is_written()
    }

    /// The next line to write, if there is one and the peer may have it now. It stays
    /// in the queue until it is [`written`](Self::written).
    pub fn begin(&mut self, acknowledgements: Acknowledgements) -> Option<Outgoing<'_>> {
        self.writing = Writing::Other;
        let is_acknowledged = acknowledgements == Acknowledgements::Expected;
        let (number, line, writing) = match self.in_flight.next() {
            Next::Full => return None,
            Next::Retransmit { number, line } => {
                let writing = match is_acknowledged {
                    true => Writing::Retransmit(number),
                    false => Writing::LastRetransmit(number),
                };
                (number, line, writing)
            }
            Next::New(number) => {
                let writing = match is_acknowledged {
                    true => Writing::New,
                    false => Writing::Unacknowledged,
                };
                (number, self.unsent.front()?, writing)
            }
        };
        self.writing = writing;
        let id = is_acknowledged.then(|| self.in_flight.id(number));
        Some(Outgoing { line, id })
    }

    /// Notes that a frame other than a line is being written.
    pub(crate) fn begin_other(&mut self) {
        self.writing = Writing::Other;
    }

    /// Notes that the frame begun last is written completely. Returns the line if it is done.
    pub fn written(&mut self) -> Option<Line> {
        match std::mem::replace(&mut self.writing, Writing::Other) {
            Writing::Other => None,
            Writing::Retransmit(number) => {
                self.in_flight.retransmitted(number);
                None
            }
            Writing::New => {
                if let Some(line) = self.take_first() {
                    self.in_flight.sent(line);
                }
                None
            }
            Writing::LastRetransmit(number) => self.acknowledge(&self.in_flight.id(number)),
            Writing::Unacknowledged => self.take_first(),
        }
    }

    fn take_first(&mut self) -> Option<Line> {
        let line = self.unsent.pop_front()?;
        self.cost -= line.text.len() + LINE_COST;
        Some(line)
    }

    /// Removes the line with that id, because the peer has stored or refused it.
    pub(crate) fn acknowledge(&mut self, id: &str) -> Option<Line> {
        self.in_flight.acknowledge(id)
    }

    /// The line with that id must be written again, and those after it, because the peer
    /// does not know whether it has stored it.
    pub(crate) fn retransmit(&mut self, id: &str) -> Retransmission {
        self.in_flight.retransmit(id)
    }

    /// Starts to write everything in flight again: there is a new connection, or the peer has
    /// refused all of it.
    pub(crate) fn restart(&mut self) {
        self.in_flight.restart();
        self.writing = Writing::Other;
    }

    /// The peer acknowledges nothing after all: what is in flight is done.
    pub(crate) fn stop_waiting(&mut self) {
        self.in_flight.forget();
        self.writing = match self.writing {
            Writing::New => Writing::Unacknowledged,
            _ => Writing::Other,
        };
    }

    /// Removes the longest line that the peer may have got, among those in flight and the one
    /// being written.
    pub(crate) fn remove_longest(&mut self) -> Option<Line> {
        let length = |line: &str| serde_json::to_string(line).map_or(0, |json| json.len());
        let new = match self.writing {
            Writing::New => self.unsent.front().map(|line| length(&line.text)),
            _ => None,
        };
        match self.in_flight.longest(length) {
            Some((number, longest)) if new.is_none_or(|new| new < longest) => {
                self.acknowledge(&self.in_flight.id(number))
            }
            _ if new.is_some() => {
                self.writing = Writing::Other;
                self.take_first()
            }
            _ => None,
        }
    }

    /// A line with that text was written over an earlier connection, and may or may
    /// not have arrived.
    pub(crate) fn is_in_doubt(&self, text: &str) -> bool {
        self.in_flight.is_in_doubt(text)
    }
}

#[cfg(test)]
mod tests;
