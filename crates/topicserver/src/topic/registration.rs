//! A registration: from which message on it wants a topic, and its answer, which all
//! topics make together.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use wire::{Event, Position, Registered, RegistrationOptions, TopicName, TopicState, UserName};

use crate::outbox::SharedOutbox;
use crate::outbox::positions::Position;
use crate::outbox::reply::PendingReply;
use crate::topic::log::TopicLog;

/// What a registration says of one topic.
#[derive(Clone, Debug, Default)]
pub(crate) struct StartPosition {
    /// So many of the newest messages.
    last: Option<u64>,
    /// Those that came at this time or later: milliseconds since the Unix epoch.
    since: Option<u64>,
    /// Those after this one.
    resume: Option<Position>,
}

impl StartPosition {
    /// What `options` say of a topic.
    pub(crate) fn of(options: &RegistrationOptions, topic: &str) -> Self {
        Self {
            last: options.last,
            since: options.since,
            resume: options.resume.get(topic).cloned(),
        }
    }

    /// Whether it says anything.
    pub(crate) fn is_given(&self) -> bool {
        self.last.is_some() || self.since.is_some() || self.resume.is_some()
    }

    /// Whether it says what the client has already.
    pub(crate) fn is_resume(&self) -> bool {
        self.resume.is_some()
    }

    /// The first message that is wanted.
    ///
    /// A resume is the most exact; with both a number and a time, both must hold. With
    /// neither, the next message is wanted.
    pub(crate) async fn resolve(&self, log: &TopicLog) -> StartPoint {
        if let Some(position) = &self.resume {
            return resume(position, log);
        }
        let last = self.last.map(|last| log.next().saturating_sub(last));
        let since = match self.since {
            Some(time) => Some(log.first_since(time).await),
            None => None,
        };
        let start = last.into_iter().chain(since).max();
        // What isn't there any more was not asked for by its number.
        let start = start.unwrap_or(log.next());
        StartPoint::without_resume(log.first_from(start))
    }
}

/// The first message that a connection gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StartPoint {
    pub(crate) next: u64,
    /// Of a resume: whether nothing is missing between this message and those that the
    /// client has.
    pub(crate) recovered: Option<bool>,
}

impl StartPoint {
    /// Of a registration that isn't a resume.
    pub(crate) fn without_resume(next: u64) -> Self {
        Self {
            next,
            recovered: None,
        }
    }
}

/// A position in another epoch, or after the newest message, says nothing: everything that
/// is kept follows.
fn resume(position: &Position, log: &TopicLog) -> StartPoint {
    let is_known = position.epoch == log.epoch() && position.seq < log.next();
    let next = match is_known {
        true => position.seq + 1,
        false => log.first_from(0),
    };
    let is_complete = is_known && next == log.first_from(next);
    StartPoint {
        next,
        recovered: Some(is_complete),
    }
}

/// What a topic does when the answer is on its way.
type OnAnswered = Box<dyn FnOnce(&Arc<RegistrationReply>) + Send>;

/// What the answer says of a topic, beside its name, in bytes.
const STATE_COST: usize = 100;

/// The answer to a registration, or to leaving: each topic that was named says how far it
/// is, or that it was left, and the last one that does sends the answer off. Only then
/// does any of them send messages.
pub(crate) struct RegistrationReply {
    outbox: SharedOutbox,
    user: Option<UserName>,
    state: Mutex<State>,
}

/// What a topic says for the answer.
pub(crate) struct Report {
    pub(crate) state: TopicState,
    /// The place after which the connection gets messages: an event stream that is cut off
    /// before its first one goes on from here.
    pub(crate) start: Position,
}

impl Report {
    /// Of a topic to which the connection only publishes: it learns nothing of it.
    pub(crate) fn of_publisher() -> Self {
        let state = TopicState {
            epoch: String::new(),
            seq: 0,
            recovered: None,
        };
        let start = Position { epoch: 0, seq: 0 };
        Self { state, start }
    }
}

struct State {
    /// Where the answer goes, until it is sent.
    reply: Option<PendingReply>,
    topics: BTreeMap<String, Report>,
    left: Vec<String>,
    /// Those that haven't said anything.
    missing: usize,
    /// Those that wait for the answer to be sent.
    waiting: Vec<OnAnswered>,
}

/// What has become of a reply when a topic has reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum ReplyState {
    /// It is sent: the topic may send messages.
    Sent,
    /// It waits for the reports of other topics.
    Waiting,
}

impl RegistrationReply {
    /// For a connection whose user has this name; these topics will report. If there are
    /// none, the answer is sent at once.
    pub(crate) fn new<'a>(
        outbox: SharedOutbox,
        user: Option<UserName>,
        topics: impl Iterator<Item = &'a TopicName>,
    ) -> Arc<Self> {
        let (mut missing, mut bytes) = (0, 0);
        for name in topics {
            missing += 1;
            bytes += STATE_COST + name.as_str().len();
        }
        let mut state = State {
            reply: Some(PendingReply::new(outbox.clone(), bytes)),
            topics: BTreeMap::new(),
            left: Vec::new(),
            missing,
            waiting: Vec::new(),
        };
        if missing == 0 {
            state.answer(user.as_ref());
        }
        Arc::new(Self {
            outbox,
            user,
            state: Mutex::new(state),
        })
    }

    /// Of the connection that is answered.
    pub(crate) fn outbox(&self) -> &SharedOutbox {
        &self.outbox
    }

    /// A topic says how far it is.
    pub(crate) fn report(self: &Arc<Self>, topic: &TopicName, how: Report) {
        let _ = self.take(topic, Some(how), None::<fn(&Arc<Self>)>);
    }

    /// A topic says that the connection has left it.
    pub(crate) fn report_left(self: &Arc<Self>, topic: &TopicName) {
        let _ = self.take(topic, None, None::<fn(&Arc<Self>)>);
    }

    /// The same for a topic that sends nothing before the reply is sent. If that has to
    /// wait for other topics, `on_answered` is called when it is sent.
    pub(crate) fn report_and_wait(
        self: &Arc<Self>,
        topic: &TopicName,
        how: Report,
        on_answered: impl FnOnce(&Arc<Self>) + Send + 'static,
    ) -> ReplyState {
        self.take(topic, Some(how), Some(on_answered))
    }

    fn take(
        self: &Arc<Self>,
        topic: &TopicName,
        how: Option<Report>,
        on_answered: Option<impl FnOnce(&Arc<Self>) + Send + 'static>,
    ) -> ReplyState {
        let mut state = self.state.lock();
        match how {
            Some(how) => drop(state.topics.insert(topic.to_string(), how)),
            None => state.left.push(topic.to_string()),
        }
        state.missing -= 1;
        if state.missing > 0 {
            let waiting = on_answered.map(|call| Box::new(call) as OnAnswered);
            state.waiting.extend(waiting);
            return ReplyState::Waiting;
        }
        // They are told first: what is published by whoever has seen the answer comes
        // after what was asked for, and can't push it out of the history.
        for on_answered in std::mem::take(&mut state.waiting) {
            on_answered(self);
        }
        state.answer(self.user.as_ref());
        ReplyState::Sent
    }

    /// Returns when the answer is in the outbox: those who were told to open may come
    /// a moment before it, and this is that moment.
    pub(crate) fn pass(&self) {
        drop(self.state.lock());
    }
}

impl State {
    fn answer(&mut self, user: Option<&UserName>) {
        let Some(reply) = self.reply.take() else {
            return;
        };
        let starts = self.topics.iter();
        let starts = starts.map(|(topic, report)| (topic.as_str(), report.start));
        let id = reply.outbox().set_positions(starts);
        let user = user.map(|name| name.as_str().into());
        let topics = std::mem::take(&mut self.topics).into_iter();
        let topics = topics.map(|(topic, report)| (topic, report.state));
        let answer = Registered {
            user,
            topics: topics.collect(),
            left: std::mem::take(&mut self.left),
        };
        reply.send_identified(Event::Registered(answer).to_line(), id.as_deref());
    }
}
