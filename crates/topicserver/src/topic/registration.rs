//! A registration: from which message on it wants a topic, and its answer, which all
//! topics make together.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use wire::{Event, Position, Registered, RegistrationOptions, TopicName, TopicState, UserName};

use crate::outbox::SharedOutbox;
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

    /// The first message that is wanted and, for a resume, whether nothing is
    /// missing between it and what the client has.
    ///
    /// A resume says it best; with both a number and a time, both must hold. With
    /// nothing, what comes next is wanted.
    pub(crate) async fn resolve(&self, log: &TopicLog) -> (u64, Option<bool>) {
        if let Some(position) = &self.resume {
            return resume(position, log).await;
        }
        let last = self.last.map(|last| log.next().saturating_sub(last));
        let since = match self.since {
            Some(time) => Some(log.first_since(time).await),
            None => None,
        };
        let start = last.into_iter().chain(since).max();
        // What isn't there any more was not asked for by its number.
        let start = start.unwrap_or(log.next());
        (log.first_from(start).await, None)
    }
}

/// Of another life of the topic, or of a message that was never there, nothing is
/// known: everything there is follows.
async fn resume(position: &Position, log: &TopicLog) -> (u64, Option<bool>) {
    if position.epoch != log.epoch() || position.seq >= log.next() {
        return (log.first_from(0).await, Some(false));
    }
    let next = position.seq + 1;
    (next, Some(next == log.first_from(next).await))
}

/// What a topic does when the answer is on its way.
type OnAnswered = Box<dyn FnOnce(&Arc<RegistrationReply>) + Send>;

/// The answer to a registration: each topic says how far it is, and the last one that
/// does sends it off. Only then does any of them send messages.
pub(crate) struct RegistrationReply {
    outbox: SharedOutbox,
    user: Option<UserName>,
    /// Nothing of the past was asked for: an event stream that is cut off before its
    /// first message goes on from where the topic is now.
    is_from_now: bool,
    state: Mutex<State>,
}

struct State {
    topics: BTreeMap<String, TopicState>,
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
    /// For a connection whose user has this name; so many topics will report. It may be
    /// that nothing of the past was asked for.
    pub(crate) fn new(
        outbox: SharedOutbox,
        user: Option<UserName>,
        topics: usize,
        is_from_now: bool,
    ) -> Arc<Self> {
        Arc::new(Self {
            outbox,
            user,
            is_from_now,
            state: Mutex::new(State {
                topics: BTreeMap::new(),
                missing: topics,
                waiting: Vec::new(),
            }),
        })
    }

    /// Sends the answer if no topic has to report.
    pub(crate) fn finish_if_empty(&self) {
        if self.state.lock().missing == 0 {
            self.answer(BTreeMap::new());
        }
    }

    /// Of the connection that is answered.
    pub(crate) fn outbox(&self) -> &SharedOutbox {
        &self.outbox
    }

    /// A topic says how far it is.
    pub(crate) fn report(self: &Arc<Self>, topic: &TopicName, how: TopicState) {
        let _ = self.take(topic, how, None::<fn(&Arc<Self>)>);
    }

    /// The same for a topic that sends nothing before the reply is sent. If that has to
    /// wait for other topics, `on_answered` is called when it is sent.
    pub(crate) fn report_and_wait(
        self: &Arc<Self>,
        topic: &TopicName,
        how: TopicState,
        on_answered: impl FnOnce(&Arc<Self>) + Send + 'static,
    ) -> ReplyState {
        self.take(topic, how, Some(on_answered))
    }

    fn take(
        self: &Arc<Self>,
        topic: &TopicName,
        how: TopicState,
        on_answered: Option<impl FnOnce(&Arc<Self>) + Send + 'static>,
    ) -> ReplyState {
        let mut state = self.state.lock();
        state.topics.insert(topic.to_string(), how);
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
        self.answer(std::mem::take(&mut state.topics));
        ReplyState::Sent
    }

    /// Returns when the answer is in the outbox: those who were told to open may come
    /// a moment before it, and this is that moment.
    pub(crate) fn pass(&self) {
        drop(self.state.lock());
    }

    fn answer(&self, topics: BTreeMap<String, TopicState>) {
        let user = self.user.as_ref().map(|name| name.as_str().into());
        let place = |state: &TopicState| format!("{}:{}", state.epoch, state.seq);
        let id = match topics.len() {
            1 if self.is_from_now => topics.values().next().map(place),
            _ => None,
        };
        let line = Event::Registered(Registered { user, topics }).to_line();
        self.outbox.send_identified(line, id.as_deref());
    }
}
