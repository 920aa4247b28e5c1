//! The topics that one connection is registered for.
//!
//! Dropping this is the one way in which a connection leaves its topics, however
//! its session ends.

use std::sync::Arc;

use wire::TopicName;

use crate::outbox::SharedOutbox;
use crate::registry::Registry;
use crate::topic::Topic;

/// A connection's memberships, sorted by name.
pub(crate) struct Subscriptions {
    outbox: SharedOutbox,
    topics: Vec<Arc<Topic>>,
    /// The one that was looked up last: most publishers stay with one topic.
    last: usize,
}

impl Subscriptions {
    pub(crate) fn new(outbox: SharedOutbox) -> Self {
        Self {
            outbox,
            topics: Vec::new(),
            last: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.topics.len()
    }

    /// How many of `names` would be new.
    pub(crate) fn count_new(&self, names: &[TopicName]) -> usize {
        let is_new = |name: &&TopicName| self.place(name.as_str()).is_err();
        names.iter().filter(is_new).count()
    }

    /// Joins a topic, unless the connection is in it already.
    pub(crate) fn join(&mut self, name: &TopicName, registry: &Arc<Registry>) {
        if let Err(place) = self.place(name.as_str()) {
            let topic = registry.join(name, self.outbox.clone());
            // Nearly every connection has one topic: no room for four is taken.
            if self.topics.is_empty() {
                self.topics.reserve_exact(1);
            }
            self.topics.insert(place, topic);
        }
    }

    /// The place of a topic; `None` if the connection isn't registered for it.
    pub(crate) fn find(&mut self, name: &str) -> Option<usize> {
        let is_last = |topic: &Arc<Topic>| topic.name().as_str() == name;
        if !self.topics.get(self.last).is_some_and(is_last) {
            self.last = self.place(name).ok()?;
        }
        Some(self.last)
    }

    /// The topic at a place that `find` gave.
    pub(crate) fn get(&self, place: usize) -> Option<&Arc<Topic>> {
        self.topics.get(place)
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
