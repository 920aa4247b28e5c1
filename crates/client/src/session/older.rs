//! Older messages, which come in pages.
//!
//! One page is asked for at a time, because an answer is large, and an error doesn't say which
//! request it belongs to. A request on a lost connection is sent again on the next one.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use wire::{ErrorCode, HistoryRange, Request as Frame, TopicName};

use super::{Membership, Session, State};
use crate::deadline::{Deadline, Progress};
use crate::error::{HistoryError, ServerError};
use crate::event::{Arrival, Event, HistoryPage, Incoming};
use crate::frame::read_message;

/// The errors with which a server may answer a request for history.
const ANSWERS: [ErrorCode; 7] = [
    ErrorCode::StorageBusy,
    ErrorCode::NoQuorum,
    ErrorCode::Forbidden,
    ErrorCode::Unauthenticated,
    ErrorCode::BadTopic,
    ErrorCode::BadFrame,
    ErrorCode::UnknownFrame,
];

/// On how many connections one page is asked for. If the answer itself ends the connection,
/// because this client can't read it, the page isn't asked for for ever.
const MOST_TRIES: u32 = 3;

/// A page that is wanted.
#[derive(Clone, Debug)]
pub(super) struct Question {
    pub(super) topic: TopicName,
    /// The messages with lower numbers; without it, the newest ones.
    pub(super) before: Option<u64>,
    pub(super) limit: u64,
    /// The epoch in which the number was given, if it is known.
    pub(super) epoch: Option<String>,
    /// On how many connections it was asked for.
    pub(super) tries: u32,
}

/// The pages that are wanted.
#[derive(Debug, Default)]
pub(super) struct Older {
    waiting: VecDeque<Question>,
    /// The page that was asked for, and the deadline of its answer.
    asked: Option<(Question, Deadline)>,
}

impl Older {
    pub(super) fn push(&mut self, question: Question) {
        self.waiting.push_back(question);
    }

    /// A new connection was made. Returns the request that is given up, if it was tried too
    /// often.
    fn restart(&mut self) -> Option<Question> {
        let question = self.take_asked()?;
        if question.tries >= MOST_TRIES {
            return Some(question);
        }
        self.waiting.push_front(question);
        None
    }

    /// Begins the next request, unless one is open.
    pub(super) fn begin(&mut self, timeout: Duration, now: Instant) -> Option<Vec<u8>> {
        if self.asked.is_some() {
            return None;
        }
        let mut question = self.waiting.pop_front()?;
        question.tries += 1;
        let frame = Frame::History {
            topic: question.topic.clone(),
            before: question.before,
            limit: Some(question.limit),
        };
        self.asked = Some((question, Deadline::start(timeout, now)));
        Some(frame.to_line())
    }

    /// Takes the request to which this is the answer.
    fn answered_by(&mut self, range: &HistoryRange<'_>, newest: Option<u64>) -> Option<Question> {
        let answers = |(question, _): &mut (Question, Deadline)| {
            let is_before = |before| newest.is_none_or(|newest| newest < before);
            question.topic.as_str() == range.topic && question.before.is_none_or(is_before)
        };
        self.asked.take_if(answers).map(|(question, _)| question)
    }

    /// Takes the open request, which has failed.
    fn take_asked(&mut self) -> Option<Question> {
        self.asked.take().map(|(question, _)| question)
    }

    fn drain(&mut self) -> Vec<Question> {
        let asked = self.take_asked();
        asked.into_iter().chain(self.waiting.drain(..)).collect()
    }

    pub(super) fn next_check(&self) -> Option<Instant> {
        self.asked
            .as_ref()
            .map(|(_, deadline)| deadline.next_check())
    }

    fn is_overdue(&mut self, now: Instant) -> bool {
        let asked = self.asked.as_mut();
        asked.is_some_and(|(_, deadline)| deadline.check(now) == Progress::Expired)
    }
}

impl Session {
    /// A program wants older messages of a topic.
    pub(super) fn want_older(&mut self, topic: TopicName, before: Option<u64>, limit: u64) {
        if self.state == State::Classic {
            return self.older_failed(topic, HistoryError::Unsupported);
        }
        let epoch = match self.membership(topic.as_str()) {
            Some(membership) => membership.resume.epoch().map(Into::into),
            None => None,
        };
        self.older.push(Question {
            topic,
            before,
            limit,
            epoch,
            tries: 0,
        });
    }

    /// A page of older messages arrived.
    pub(super) fn on_history(&mut self, range: &HistoryRange<'_>) {
        let mut messages: Vec<Incoming> = range
            .messages
            .iter()
            .filter_map(|raw| incoming(raw.get()))
            .collect();
        let newest = messages.last().and_then(|message| message.envelope.seq);
        let Some(question) = self.older.answered_by(range, newest) else {
            return;
        };
        if question.epoch.is_some_and(|epoch| epoch != range.epoch) {
            return self.older_failed(question.topic, HistoryError::Renumbered);
        }
        let oldest = messages.first().and_then(|message| message.envelope.seq);
        let has_older = oldest.is_some_and(|oldest| oldest > range.first);
        // Messages that have not been seen yet come in the normal order.
        if let Some(seen) = self.seen(question.topic.as_str()) {
            messages.retain(|message| message.envelope.seq.is_none_or(|seq| seq <= seen));
        }
        if let Some(last) = messages.last_mut() {
            last.arrival = Arrival::Replayed { is_last: true };
        }
        self.emit(Event::History(HistoryPage {
            topic: question.topic,
            messages,
            has_older,
        }));
    }

    fn seen(&mut self, topic: &str) -> Option<u64> {
        self.membership(topic).map(|membership| membership.seen())
    }

    /// Handles an error of the server. True if it was the answer to a request for history.
    pub(super) fn fails_history(&mut self, error: &ServerError) -> bool {
        // A denial is more likely about joining.
        let is_joining = self.memberships.iter().any(Membership::is_pending);
        if is_joining || !ANSWERS.iter().any(|code| error.is(*code)) {
            return false;
        }
        let asked = self.older.take_asked();
        let is_answer = asked.is_some();
        if let Some(question) = asked {
            self.older_failed(question.topic, HistoryError::Refused(error.clone()));
        }
        is_answer
    }

    /// Handles a new connection.
    pub(super) fn restart_older(&mut self) {
        if let Some(question) = self.older.restart() {
            self.older_failed(question.topic, HistoryError::Lost);
        }
    }

    /// Fails all requests, because the server can't answer them.
    pub(super) fn forget_older(&mut self) {
        for question in self.older.drain() {
            self.older_failed(question.topic, HistoryError::Unsupported);
        }
    }

    /// Fails the open request if the server hasn't answered it in time.
    pub(super) fn check_older(&mut self, now: Instant) {
        if self.older.is_overdue(now)
            && let Some(question) = self.older.take_asked()
        {
            let timeout = self.config.answer_timeout;
            self.older_failed(question.topic, HistoryError::Unanswered { timeout });
        }
    }

    fn older_failed(&mut self, topic: TopicName, error: HistoryError) {
        self.emit(Event::HistoryFailed { topic, error });
    }
}

/// A message of a page; `None` for anything else.
fn incoming(frame: &str) -> Option<Incoming> {
    let frame = read_message(frame.as_bytes())?;
    Some(Incoming {
        topic: frame.message.topic.decode().into_owned(),
        text: frame.message.text.decode().into_owned(),
        envelope: frame.envelope(),
        arrival: Arrival::Replayed { is_last: false },
    })
}

#[cfg(test)]
mod tests;
