//! One of the topics that a session takes part in.
//!
//! Owns what has been seen of it and how far its replay is. Says nothing and sends
//! nothing.

use wire::{TopicName, TopicState};

use crate::seen::{History, Seen};

/// See the module.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) topic: TopicName,
    pub(super) seen: Seen,
    /// The number of the newest message when we registered.
    newest: u64,
    /// The server has registered us for it on this connection.
    pub(super) is_in: bool,
    /// We have been registered for it before.
    pub(super) joined: bool,
    /// It was in a registration on this connection.
    pub(super) asked: bool,
    /// The last messages were asked for once more.
    again: Again,
}

/// How far it is with messages that were asked for once more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Again {
    /// Nothing was asked for.
    No,
    /// The server hasn't answered.
    Asked,
    /// They come; this is the newest of them.
    UpTo(u64),
}

/// A message as it stands in its topic's order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// It was sent before we came, or while we were away.
    Replayed {
        /// Nothing more of that follows.
        is_last: bool,
    },
    /// It was sent just now.
    Live,
}

impl Place {
    pub(super) fn new(topic: TopicName, history: History) -> Self {
        Self {
            seen: Seen::new(topic.as_str(), history),
            topic,
            newest: 0,
            is_in: false,
            joined: false,
            asked: false,
            again: Again::No,
        }
    }

    /// A connection was made, and we register for it.
    pub(super) fn connected(&mut self) {
        self.is_in = false;
        self.asked = true;
        self.again = Again::No;
    }

    /// The server has registered us: false if something that was missed can't be
    /// had any more.
    pub(super) fn arrive(&mut self, now: &TopicState) -> bool {
        self.is_in = true;
        self.newest = now.seq;
        self.seen.registered(now)
    }

    /// The last messages are asked for once more.
    pub(super) fn ask_again(&mut self) {
        self.again = Again::Asked;
    }

    /// The server has answered another registration.
    pub(super) fn answered(&mut self, now: &TopicState) {
        if self.again == Again::Asked {
            self.again = Again::UpTo(now.seq);
        }
    }

    /// What was asked for of the past hasn't come.
    pub(super) fn is_behind(&self) -> bool {
        self.seen.is_behind(self.newest)
    }

    /// A message with that number came: where it stands, if it is to be shown.
    pub(super) fn take(&mut self, seq: u64) -> Option<Order> {
        if let Again::UpTo(last) = self.again {
            if seq >= last {
                self.again = Again::No;
            }
            if seq <= last {
                self.seen.take(seq);
                let is_last = seq == last;
                return Some(Order::Replayed { is_last });
            }
        }
        let is_replayed = seq <= self.newest;
        let is_last = seq == self.newest;
        self.seen.take(seq).then_some(match is_replayed {
            true => Order::Replayed { is_last },
            false => Order::Live,
        })
    }
}
