//! A registration: from which message on it wants a topic, and its reply, to which every topic
//! contributes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;
use wire::{
    Durability, Event, Position, Registered, RegistrationOptions, TopicName, TopicState, UserName,
};

use crate::outbox::SharedOutbox;
use crate::outbox::positions::StreamPosition;
use crate::outbox::reply::PendingReply;
use crate::topic::log::TopicLog;

/// From where on a registration wants one topic.
#[derive(Clone, Debug, Default)]
pub(crate) struct StartPosition {
    /// This many of the newest messages.
    last: Option<u64>,
    /// Messages that came at this time or later, in milliseconds since the Unix epoch.
    since: Option<u64>,
    /// Which one is the first of them, if the log of a cluster was asked; `u64::MAX`: none.
    found: Option<u64>,
    /// Messages after this position.
    resume: Option<Position>,
    /// The log of a cluster has shown that it has nothing that this server hasn't read.
    is_checked: bool,
}

impl StartPosition {
    /// What `options` ask of a topic.
    pub(crate) fn of(options: &RegistrationOptions, topic: &str) -> Self {
        Self {
            last: options.last,
            since: options.since,
            found: None,
            resume: options.resume.get(topic).cloned(),
            is_checked: false,
        }
    }

    /// Whether older messages are asked for.
    pub(crate) fn is_given(&self) -> bool {
        self.last.is_some() || self.since.is_some() || self.resume.is_some()
    }

    /// Whether the client says what it has already.
    pub(crate) fn is_resume(&self) -> bool {
        self.resume.is_some()
    }

    /// Whether the client says that it has more of the present epoch than there is here, and the
    /// log of a cluster must show whether it has that.
    pub(crate) fn must_be_checked(&self, log: &TopicLog) -> bool {
        let is_ahead = |position: &Position| {
            position.epoch == log.epoch() && position.seq >= log.next() && !self.is_checked
        };
        self.resume.as_ref().is_some_and(is_ahead)
    }

    /// This server has read what the log has, as its leader has confirmed.
    pub(crate) fn set_checked(&mut self) {
        self.is_checked = true;
    }

    /// The time from which on messages are wanted, if that matters.
    pub(crate) fn since(&self) -> Option<u64> {
        self.since.filter(|_| self.resume.is_none())
    }

    /// The log of a cluster has this message as the first one since then.
    pub(crate) fn set_found(&mut self, first: u64) {
        self.found = Some(first);
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
            Some(time) => Some(log.first_since(time, self.found).await),
            None => None,
        };
        let start = last.into_iter().chain(since).max();
        // Deleted messages were not asked for by their numbers, so there is no gap to report.
        let start = start.unwrap_or(log.next());
        StartPoint::without_resume(log.first_from(start))
    }
}

/// The first message that a connection gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StartPoint {
    pub(crate) next: u64,
    /// With a resume: whether no message is missing between those that the client has and this
    /// one.
    pub(crate) recovered: Option<bool>,
}

impl StartPoint {
    /// The start of a registration that isn't a resume.
    pub(crate) fn without_resume(next: u64) -> Self {
        Self {
            next,
            recovered: None,
        }
    }
}

/// Where a resume continues. A position in another epoch, or after the newest message, means
/// nothing here, so everything that is kept follows.
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

/// What a topic does when the reply was sent.
type OnAnswered = Box<dyn FnOnce(&Arc<RegistrationReply>) + Send>;

/// What a topic takes in the reply beside its name, in bytes.
const STATE_COST: usize = 100;

/// The reply to a registration, or to leaving topics. Each topic that was named reports its
/// state, or that it was left. The last report sends the reply. Only then does any of the topics
/// send messages.
pub(crate) struct RegistrationReply {
    outbox: SharedOutbox,
    user: Option<UserName>,
    durability: Option<Durability>,
    state: Mutex<State>,
}

/// What a topic reports for the reply.
pub(crate) struct Report {
    pub(crate) state: TopicState,
    /// The position after which the connection gets messages. An event stream that is cut off
    /// before its first message goes on from here.
    pub(crate) start: StreamPosition,
}

impl Report {
    /// The report of a topic to which the connection only publishes: it tells nothing about the
    /// topic.
    pub(crate) fn of_publisher() -> Self {
        let state = TopicState {
            epoch: String::new(),
            seq: 0,
            recovered: None,
        };
        let start = StreamPosition { epoch: 0, seq: 0 };
        Self { state, start }
    }
}

struct State {
    /// The reply, until it is sent.
    reply: Option<PendingReply>,
    topics: BTreeMap<String, Report>,
    left: Vec<String>,
    /// How many topics have not reported yet.
    missing: usize,
    /// Called when the reply is sent.
    waiting: Vec<OnAnswered>,
    /// Woken then.
    session: Option<Waker>,
}

/// The state of a reply after a topic has reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum ReplyState {
    /// The reply is sent, so the topic may send messages.
    Sent,
    /// The reply waits for the reports of other topics.
    Waiting,
}

impl RegistrationReply {
    /// A reply to a connection whose user has this name; these topics will report. If there are
    /// none, the reply is sent at once. It says what acknowledgements promise, if that is given.
    pub(crate) fn new<'a>(
        outbox: SharedOutbox,
        user: Option<UserName>,
        durability: Option<Durability>,
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
            session: None,
        };
        if missing == 0 {
            state.answer(user.as_ref(), durability);
        }
        Arc::new(Self {
            outbox,
            user,
            durability,
            state: Mutex::new(state),
        })
    }

    /// The outbox of the connection that gets the reply.
    pub(crate) fn outbox(&self) -> &SharedOutbox {
        &self.outbox
    }

    /// A topic reports its state.
    pub(crate) fn report(self: &Arc<Self>, topic: &TopicName, how: Report) {
        let _ = self.take(topic, Some(how), None::<fn(&Arc<Self>)>);
    }

    /// A topic reports that the connection has left it.
    pub(crate) fn report_left(self: &Arc<Self>, topic: &TopicName) {
        let _ = self.take(topic, None, None::<fn(&Arc<Self>)>);
    }

    /// A topic reports its state, and sends nothing before the reply is sent. If the reply waits
    /// for other topics, `on_answered` is called when it is sent.
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
        // The topics are told before the reply is sent. So a message from a client that has seen
        // the reply can't push the requested messages out of the history.
        for on_answered in std::mem::take(&mut state.waiting) {
            on_answered(self);
        }
        state.answer(self.user.as_ref(), self.durability);
        ReplyState::Sent
    }

    /// Waits until the reply is in the outbox, for one session. If a topic refuses the connection,
    /// there is none, and the outbox is closed.
    pub(crate) fn poll_sent(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.state.lock();
        if state.reply.is_none() {
            return Poll::Ready(());
        }
        state.session = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Returns when the reply is in the outbox. A topic that was told to open may run a moment
    /// before the reply is queued, and waits here.
    pub(crate) fn pass(&self) {
        drop(self.state.lock());
    }
}

impl State {
    fn answer(&mut self, user: Option<&UserName>, durability: Option<Durability>) {
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
            servers: None,
            durability,
        };
        reply.send_identified(Event::Registered(answer).to_line(), id.as_deref());
        if let Some(session) = self.session.take() {
            session.wake();
        }
    }
}
