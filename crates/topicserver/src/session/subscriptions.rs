//! The topics that one connection is registered for.
//!
//! Dropping this is the one way in which a connection leaves its topics, however
//! its session ends.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::sync::oneshot;
use wire::{RegistrationOptions, TopicName, UserName};

use crate::identity::Identity;
use crate::outbox::SharedOutbox;
use crate::outbox::batch::Batch;
use crate::topic::handle::{Registration, Topic};
use crate::topic::mailbox::Backpressure;
use crate::topic::publication::{MessageId, Publication, Reply};
use crate::topic::registration::{RegistrationReply, StartPosition};
use crate::topic::registry::Registry;

/// A connection's memberships, sorted by name.
pub(crate) struct Subscriptions {
    outbox: SharedOutbox,
    topics: Vec<Arc<Topic>>,
    /// The place of the one that was looked up last: most publishers stay with
    /// one topic. In 32 bits, so that it and the flag take one word.
    last: u32,
    /// The connection has registered, be it for no topic at all.
    is_registered: bool,
    /// A topic that was published to has enough to do for now.
    is_slowed: bool,
}

impl Subscriptions {
    pub(crate) fn new(outbox: SharedOutbox) -> Self {
        Self {
            outbox,
            topics: Vec::new(),
            last: 0,
            is_registered: false,
            is_slowed: false,
        }
    }

    /// What is to be written to the connection.
    pub(crate) fn outbox(&self) -> &SharedOutbox {
        &self.outbox
    }

    pub(crate) fn is_registered(&self) -> bool {
        self.is_registered
    }

    pub(crate) fn set_registered(&mut self) {
        self.is_registered = true;
    }

    pub(crate) fn len(&self) -> usize {
        self.topics.len()
    }

    /// How many of `names` would be new.
    pub(crate) fn count_new(&self, names: &[TopicName]) -> usize {
        let is_new = |name: &&TopicName| self.place(name.as_str()).is_err();
        names.iter().filter(is_new).count()
    }

    /// Joins a topic as a classic connection, unless it is in it already.
    pub(crate) fn join(&mut self, name: &TopicName, registry: &Arc<Registry>) {
        if let Err(place) = self.place(name.as_str()) {
            let topic = registry.join(name, self.outbox.clone());
            self.insert(place, topic);
        }
    }

    /// Joins topics as an extended connection; these are answered. What the connection
    /// was registered for as a classic one, it is now registered for as an extended one,
    /// and is told so.
    pub(crate) fn register(
        &mut self,
        names: &[TopicName],
        options: &RegistrationOptions,
        identity: &Arc<Identity>,
        registry: &Arc<Registry>,
        was_classic: bool,
    ) {
        let others = match was_classic {
            true => self.except(names),
            false => Vec::new(),
        };
        let named = names.iter().chain(others.iter().map(|topic| topic.name()));
        let (outbox, user) = (self.outbox.clone(), identity.user.clone());
        let answer = RegistrationReply::new(outbox, user, named);
        let outbox = self.outbox.clone();
        let registration = |start| Registration {
            outbox: outbox.clone(),
            identity: identity.clone(),
            start,
            answer: answer.clone(),
        };
        for topic in &others {
            let backpressure = topic.register(registration(StartPosition::default()));
            self.is_slowed |= backpressure == Backpressure::Wait;
        }
        for name in names {
            let start = StartPosition::of(options, name.as_str());
            let (topic, backpressure) = registry.register(name, registration(start));
            self.note(backpressure);
            if let Err(place) = self.place(name.as_str()) {
                self.insert(place, topic);
            }
        }
    }

    /// The topics that aren't among these.
    fn except(&self, names: &[TopicName]) -> Vec<Arc<Topic>> {
        let names: BTreeSet<&TopicName> = names.iter().collect();
        let others = self.topics.iter();
        others
            .filter(|topic| !names.contains(topic.name()))
            .cloned()
            .collect()
    }

    /// Leaves topics; those that the connection isn't in count as left. What was left is
    /// answered.
    pub(crate) fn leave(&mut self, names: &[TopicName], user: Option<UserName>) {
        let mut left = Vec::new();
        for name in names {
            if let Ok(place) = self.place(name.as_str()) {
                left.push(self.topics.remove(place));
            }
        }
        let named = left.iter().map(|topic| topic.name());
        let answer = RegistrationReply::new(self.outbox.clone(), user, named);
        for topic in &left {
            let backpressure = topic.leave_answered(self.outbox.clone(), answer.clone());
            self.is_slowed |= backpressure == Backpressure::Wait;
        }
    }

    /// Whether a topic has enough to do for now.
    pub(crate) fn is_slowed(&self) -> bool {
        self.is_slowed
    }

    /// Tells all topics that the outbox has room.
    pub(crate) fn notify_drained(&self) {
        for topic in &self.topics {
            topic.has_room_for(self.outbox.clone());
        }
    }

    fn insert(&mut self, place: usize, topic: Arc<Topic>) {
        // Nearly every connection has one topic: no room for four is taken.
        if self.topics.is_empty() {
            self.topics.reserve_exact(1);
        }
        self.topics.insert(place, topic);
    }

    /// The place of a topic; `None` if the connection isn't registered for it.
    pub(crate) fn find(&mut self, name: &str) -> Option<usize> {
        let is_last = |topic: &Arc<Topic>| topic.name().as_str() == name;
        let last = self.last as usize;
        if self.topics.get(last).is_some_and(is_last) {
            return Some(last);
        }
        let place = self.place(name).ok()?;
        self.last = u32::try_from(place).unwrap_or(0);
        Some(place)
    }

    /// Sends messages to everyone else in the topic at a place that `find` gave.
    pub(crate) fn publish(
        &mut self,
        place: usize,
        frames: Batch,
        id: Option<Box<MessageId>>,
        identity: Option<Arc<Identity>>,
    ) {
        if let Some(topic) = self.topics.get(place) {
            let backpressure = topic.publish(Publication {
                origin: Some(self.outbox.clone()),
                identity,
                batch: frames,
                reply: id.map_or(Reply::None, Reply::Acknowledge),
            });
            self.note(backpressure);
        }
    }

    fn note(&mut self, backpressure: Backpressure) {
        self.is_slowed |= backpressure == Backpressure::Wait;
    }

    /// Waits until all topics can take more, if one of them had enough to do.
    pub(crate) fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.is_slowed {
            for topic in &self.topics {
                ready!(topic.poll_room(cx));
            }
            self.is_slowed = false;
        }
        Poll::Ready(())
    }

    /// Leaves each topic when all that was published there before has been handed
    /// on, and resolves then.
    pub(crate) fn finish(&self) -> Vec<oneshot::Receiver<()>> {
        let finish = |topic: &Arc<Topic>| topic.finish(self.outbox.clone());
        self.topics.iter().map(finish).collect()
    }

    fn place(&self, name: &str) -> Result<usize, usize> {
        self.topics
            .binary_search_by(|topic| topic.name().as_str().cmp(name))
    }
}

impl Drop for Subscriptions {
    fn drop(&mut self) {
        for topic in self.topics.drain(..) {
            topic.leave(self.outbox.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use bytes::Bytes;

    use super::*;
    use crate::clock::Clock;
    use crate::config::Config;
    use crate::outbox::tests::endless_outbox;
    use crate::queues::QueueLimits;

    #[tokio::test]
    async fn a_publisher_waits_for_every_topic_that_has_enough_to_do() {
        let (config, queues) = (Config::default(), QueueLimits::of_one(10));
        let registry = Registry::new(&config, queues, None, Clock::for_tests()).unwrap();
        let registry = Arc::new(registry);
        let mut subscriptions = Subscriptions::new(endless_outbox());
        for name in ["A", "B"] {
            subscriptions.join(&TopicName::new(name).unwrap(), &registry);
        }
        let mut cx = Context::from_waker(Waker::noop());
        assert!(subscriptions.poll_room(&mut cx).is_ready());
        for place in 0..2 {
            let frames = Batch::new(Bytes::from_static(b"more than ten bytes\n"), 1);
            subscriptions.publish(place, frames, None, None);
        }
        assert!(subscriptions.poll_room(&mut cx).is_pending());
        // Each of the two has room when its task has run.
        let room = std::future::poll_fn(|cx| subscriptions.poll_room(cx));
        tokio::time::timeout(std::time::Duration::from_secs(10), room)
            .await
            .unwrap();
    }
}
