//! The answer to a registration: each topic says how far it is, and the last one
//! that does sends it off. Only then does any of them send messages.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use wire::{Event, Registered, TopicState, UserName};

use crate::outbox::SharedOutbox;
use crate::topic::Topic;

/// An answer that isn't complete yet.
pub(crate) struct Gathering {
    outbox: SharedOutbox,
    user: Option<UserName>,
    state: Mutex<State>,
}

struct State {
    topics: BTreeMap<String, TopicState>,
    /// Those that haven't said anything.
    missing: usize,
    /// Those that wait for the answer to be sent.
    waiting: Vec<Arc<Topic>>,
}

impl Gathering {
    /// For a connection whose user has this name; so many topics will report.
    pub(crate) fn new(outbox: SharedOutbox, user: Option<UserName>, topics: usize) -> Arc<Self> {
        Arc::new(Self {
            outbox,
            user,
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

    /// A topic says how far it is, and whether it waits for the answer to be sent
    /// before it sends anything. True: the answer has been sent, and the topic needn't
    /// wait. It isn't told again.
    pub(crate) fn report(
        self: &Arc<Self>,
        topic: &Arc<Topic>,
        how: TopicState,
        waits: bool,
    ) -> bool {
        let mut state = self.state.lock();
        state.topics.insert(topic.name().to_string(), how);
        state.missing -= 1;
        if state.missing > 0 {
            state.waiting.extend(waits.then(|| topic.clone()));
            return false;
        }
        // They are told first: what is published by whoever has seen the answer comes
        // after what was asked for, and can't push it out of the history.
        for topic in std::mem::take(&mut state.waiting) {
            topic.open(self.outbox.clone(), self.clone());
        }
        self.answer(std::mem::take(&mut state.topics));
        true
    }

    /// Returns when the answer is in the outbox: those who were told to open may come
    /// a moment before it, and this is that moment.
    pub(crate) fn pass(&self) {
        drop(self.state.lock());
    }

    fn answer(&self, topics: BTreeMap<String, TopicState>) {
        let user = self.user.as_ref().map(|name| name.as_str().into());
        let line = Event::Registered(Registered { user, topics }).to_line();
        self.outbox.answer(line);
    }
}
