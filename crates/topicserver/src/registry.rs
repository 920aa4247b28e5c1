//! Topic name → topic. A topic is there as long as somebody is registered for it.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use wire::TopicName;

use crate::outbox::SharedOutbox;
use crate::topic::Topic;

/// All topics. Its lock is held for a look into a table, never across an await.
pub(crate) struct Registry {
    /// Bytes that may wait for a topic's task before its publishers are slowed.
    max_mailbox: usize,
    topics: Mutex<HashMap<TopicName, Arc<Topic>>>,
}

impl Registry {
    pub(crate) fn new(max_mailbox: usize) -> Self {
        Self {
            max_mailbox,
            topics: Mutex::default(),
        }
    }

    /// Adds a subscriber to the topic of that name, which is made if need be.
    ///
    /// The joining is put in under the lock, so that the topic's task can't find
    /// itself without subscribers and go away in between.
    pub(crate) fn join(self: &Arc<Self>, name: &TopicName, subscriber: SharedOutbox) -> Arc<Topic> {
        let mut topics = self.topics.lock();
        let topic = topics.entry(name.clone()).or_insert_with(|| {
            let topic = Arc::new(Topic::new(name.clone(), self.max_mailbox));
            tokio::spawn(topic.clone().run(self.clone()));
            topic
        });
        topic.join(subscriber);
        topic.clone()
    }

    /// Forgets a topic that has no subscribers, unless somebody is just coming.
    pub(crate) fn remove_if_idle(&self, topic: &Topic) -> bool {
        let mut topics = self.topics.lock();
        let idle = topic.is_idle();
        if idle {
            topics.remove(topic.name());
        }
        if topics.is_empty() {
            topics.shrink_to_fit();
        }
        idle
    }

    /// Resolves when all topics have handed on what they have.
    pub(crate) async fn settle(&self) {
        let settling: Vec<_> = self
            .topics
            .lock()
            .values()
            .map(|topic| topic.settle())
            .collect();
        for topic in settling {
            // A topic that has gone has nothing left to hand on.
            let _ = topic.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outbox::tests::endless_outbox;
    use crate::subscriptions::Subscriptions;

    fn name(name: &str) -> TopicName {
        TopicName::new(name).unwrap()
    }

    #[tokio::test]
    async fn a_topic_that_everyone_has_left_is_gone() {
        let registry = Arc::new(Registry::new(1000));
        let mut first = Subscriptions::new(endless_outbox());
        let mut second = Subscriptions::new(endless_outbox());
        for n in 0..100 {
            first.join(&name(&format!("topic {n}")), &registry);
        }
        second.join(&name("topic 7"), &registry);
        registry.settle().await;
        assert_eq!(registry.topics.lock().len(), 100);
        drop(first);
        registry.settle().await;
        while registry.topics.lock().len() > 1 {
            tokio::task::yield_now().await;
        }
        assert!(registry.topics.lock().contains_key("topic 7"));
        drop(second);
        while !registry.topics.lock().is_empty() {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn a_topic_survives_when_one_comes_as_the_last_one_leaves() {
        let registry = Arc::new(Registry::new(1000));
        for _ in 0..1000 {
            let mut leaving = Subscriptions::new(endless_outbox());
            leaving.join(&name("T"), &registry);
            tokio::task::yield_now().await;
            drop(leaving);
            let mut coming = Subscriptions::new(endless_outbox());
            coming.join(&name("T"), &registry);
            registry.settle().await;
            assert!(registry.topics.lock().contains_key("T"));
        }
    }
}
