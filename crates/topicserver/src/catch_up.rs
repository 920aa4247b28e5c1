//! Where an extended connection is in a topic's order of messages, and how one that
//! is behind gets what it missed: from the history, at its own pace.
//!
//! Every connection begins so: it is behind from the first message that it asked
//! for, even if that is the next one. So nothing can fall between what is replayed
//! and what is live, and nothing can come twice.

use std::sync::Arc;

use wire::{Event, Gap};

use crate::gathering::Gathering;
use crate::history::memory::lines_from;
use crate::members::Subscriber;
use crate::run::Run;
use crate::topic_log::TopicLog;

/// Bytes that a reader is given in one step: as much as a socket takes at once, and
/// little enough that others hardly wait for it.
const STEP: usize = 128 * 1024;

/// A connection's place in a topic's order.
pub(crate) enum Position {
    /// It has got, or been given the chance to get, everything so far.
    Live,
    /// It gets the message `next` next.
    Behind {
        next: u64,
        /// Until then it is sent nothing; `None` if it may be sent something now.
        until: Option<Until>,
    },
}

/// What a connection that is behind waits for.
pub(crate) enum Until {
    /// The answer to its registration, which comes before all messages.
    Answer(Arc<Gathering>),
    /// Room in its outbox.
    Room,
}

/// How far a step has brought a connection.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// It gets what is published at once now.
    CaughtUp,
    /// There is more for it, now or when it has room.
    Behind,
}

impl Position {
    /// Of a connection whose outbox has no room for the message `next`.
    pub(crate) fn behind(next: u64) -> Self {
        let until = Some(Until::Room);
        Self::Behind { next, until }
    }

    /// Of a connection that waits for the answer to its registration.
    pub(crate) fn unanswered(next: u64, answer: Arc<Gathering>) -> Self {
        let until = Some(Until::Answer(answer));
        Self::Behind { next, until }
    }

    pub(crate) fn is_behind(&self) -> bool {
        matches!(self, Self::Behind { .. })
    }

    pub(crate) fn is_ready(&self) -> bool {
        matches!(self, Self::Behind { until: None, .. })
    }

    /// Its outbox has room.
    pub(crate) fn has_room(&mut self) {
        if let Self::Behind { until, .. } = self
            && matches!(until, Some(Until::Room))
        {
            *until = None;
        }
    }

    /// An answer to a registration was sent. It may not be the last one.
    pub(crate) fn open(&mut self, answer: &Arc<Gathering>) {
        if let Self::Behind { until, .. } = self
            && matches!(until, Some(Until::Answer(awaited)) if Arc::ptr_eq(awaited, answer))
        {
            *until = None;
        }
    }
}

impl Subscriber {
    /// Sends some of what the connection has missed, as much as its outbox takes.
    pub(crate) fn step(&mut self, topic: &str, log: &TopicLog) -> Step {
        let Position::Behind { mut next, .. } = self.position else {
            return Step::CaughtUp;
        };
        if next < log.first() {
            self.tell_gap(topic, next, log.first() - 1);
            next = log.first();
        }
        let (end, runs) = self.missed(next, log);
        let accepted = self.outbox.offer(runs.iter().map(|(_, run)| run));
        let (next, until) = match runs.get(accepted) {
            Some((first, _)) => ((*first).max(next), Some(Until::Room)),
            None => (end, None),
        };
        if until.is_none() && next >= log.next() {
            self.position = Position::Live;
            return Step::CaughtUp;
        }
        self.position = Position::Behind { next, until };
        Step::Behind
    }

    /// What comes next, without what this connection published itself, each part
    /// with the number of its first message; and up to which message that is.
    fn missed(&self, next: u64, log: &TopicLog) -> (u64, Vec<(u64, Run)>) {
        let (mut end, mut bytes) = (next, 0);
        let mut runs = Vec::new();
        for entry in log.history().from_seq(next) {
            if bytes >= STEP {
                break;
            }
            end = entry.end();
            if entry.publisher == self.identity.publisher {
                continue;
            }
            if let Some(lines) = lines_from(entry, next) {
                bytes += lines.len();
                let first = entry.first.max(next);
                let count = u32::try_from(end - first).unwrap_or(u32::MAX);
                runs.push((first, Run::owned(lines, count)));
            }
        }
        (end, runs)
    }

    /// Says that messages can't be had any more.
    fn tell_gap(&self, topic: &str, from: u64, to: u64) {
        let topic = topic.into();
        let gap = Event::Gap(Gap { topic, from, to });
        self.outbox.answer(gap.to_line());
    }
}
