//! Topic name → topic. A topic is there as long as somebody is registered for it, or
//! something of it is remembered.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use wire::{Event, TopicName, TopicSummary};

use crate::config::Config;
use crate::identity::NoRandomness;
use crate::outbox::SharedOutbox;
use crate::store::Store;
use crate::topic::expiring::Expiring;
use crate::topic::handle::{Registration, Topic};
use crate::topic::mailbox::Backpressure;
use crate::topic::publication::Publication;
use crate::topic::settings::TopicSettings;
use crate::topic::task;

/// Bytes of the names in a list of the topics: it should fit into a frame of the
/// default size, whatever JSON makes of the names.
const NAMES_BYTES: usize = 40 * 1024;

/// Topics on disk that are looked at for a list: more than fit into one.
const STORED_TOPICS: usize = 1_000;

/// How long topics have to give back memory before others are asked.
const GIVING: Duration = Duration::from_secs(1);

/// How long nobody is asked after that: all topics are looked at each time.
const PAUSE: Duration = Duration::from_millis(10);

/// All topics. Its lock is held for a look into a table, never across an await.
pub(crate) struct Registry {
    settings: Arc<TopicSettings>,
    /// Those that have ids.
    expiring: Arc<Expiring>,
    topics: Mutex<HashMap<TopicName, Arc<Topic>>>,
}

impl Registry {
    pub(crate) fn new(config: &Config, store: Option<Store>) -> Result<Self, NoRandomness> {
        Ok(Self {
            expiring: Arc::new(Expiring::new(config.id_window)),
            settings: Arc::new(TopicSettings::new(config, store)?),
            topics: Mutex::default(),
        })
    }

    /// Adds a classic subscriber to the topic of that name, which is made if need be.
    pub(crate) fn join(self: &Arc<Self>, name: &TopicName, subscriber: SharedOutbox) -> Arc<Topic> {
        self.with(name, |topic| topic.join(subscriber)).0
    }

    /// The same for an extended subscriber.
    pub(crate) fn register(
        self: &Arc<Self>,
        name: &TopicName,
        registration: Registration,
    ) -> (Arc<Topic>, Backpressure) {
        self.with(name, |topic| topic.register(registration))
    }

    /// Publishes to the topic of that name, without being registered for it.
    pub(crate) fn publish(
        self: &Arc<Self>,
        name: &TopicName,
        publication: Publication,
    ) -> (Arc<Topic>, Backpressure) {
        self.with(name, |topic| topic.publish(publication))
    }

    /// Puts something into the topic of that name under the lock, so that the topic's
    /// task can't find itself without anything to do and go away in between.
    fn with<T>(
        self: &Arc<Self>,
        name: &TopicName,
        put: impl FnOnce(&Topic) -> T,
    ) -> (Arc<Topic>, T) {
        let mut topics = self.topics.lock();
        let topic = topics.entry(name.clone()).or_insert_with(|| {
            let topic = Arc::new(Topic::new(name.clone(), self.settings.max_mailbox));
            self.start(topic.clone());
            topic
        });
        let result = put(topic);
        (topic.clone(), result)
    }

    /// Starts a topic's task, which asks whether it may end when it has nothing to do.
    fn start(self: &Arc<Self>, topic: Arc<Topic>) {
        let (settings, expiring) = (self.settings.clone(), self.expiring.clone());
        let registry = self.clone();
        let retire = move |topic: &Topic| registry.remove_if_idle(topic);
        tokio::spawn(task::run(topic, settings, expiring, retire));
    }

    /// Asks the topic of that name who is there; `None` if there is no such topic.
    pub(crate) fn who(
        &self,
        name: &TopicName,
        asker: SharedOutbox,
    ) -> Option<(Arc<Topic>, Backpressure)> {
        let topics = self.topics.lock();
        let topic = topics.get(name)?;
        let backpressure = topic.who(asker);
        Some((topic.clone(), backpressure))
    }

    /// Answers which topics there are, those with most members first; with very many
    /// of them, not all. What is only on disk takes a moment to find.
    pub(crate) fn list(self: &Arc<Self>, asker: SharedOutbox) {
        let Some(store) = self.settings.store.clone() else {
            return asker.send_reply(self.list_with(Vec::new()));
        };
        let registry = self.clone();
        tokio::spawn(async move {
            let stored = store.topics(STORED_TOPICS).await;
            if let Err(error) = &stored {
                tracing::warn!(%error, "can't list the topics on disk");
            }
            asker.send_reply(registry.list_with(stored.unwrap_or_default()));
        });
    }

    fn list_with(&self, stored: Vec<(TopicName, u64)>) -> Vec<u8> {
        let mut summaries: BTreeMap<_, _> = stored
            .into_iter()
            .map(|(name, seq)| (name, (0, seq)))
            .collect();
        let topics: Vec<_> = self.topics.lock().values().cloned().collect();
        for topic in topics {
            let (members, seq) = topic.summary();
            summaries.insert(topic.name().clone(), (members as u64, seq));
        }
        let mut summaries: Vec<_> = summaries.into_iter().collect();
        summaries.sort_by_key(|(_, (members, _))| std::cmp::Reverse(*members));
        let mut bytes = 0;
        let listed = summaries.iter().take_while(|(name, _)| {
            bytes += 64 + name.as_str().len();
            bytes <= NAMES_BYTES
        });
        let listed = listed.map(|(name, (members, seq))| TopicSummary {
            topic: name.as_str().into(),
            members: *members,
            seq: *seq,
        });
        Event::Topics(listed.collect()).to_line()
    }

    /// Has topics forget ids that are too old, also where nothing is published.
    pub(crate) async fn expire_ids(&self) {
        self.expiring.run().await;
    }

    /// Has the topics that were not used for longest forget what they remember,
    /// whenever all together take more memory than they may.
    pub(crate) async fn keep_to_budget(&self) {
        loop {
            self.settings.budget.exceeded().await;
            let mut topics: Vec<_> = self.topics.lock().values().cloned().collect();
            topics.retain(|topic| topic.remembered() > 0);
            topics.sort_by_cached_key(|topic| topic.used());
            let mut missing = self.settings.budget.to_give_back();
            let mut giving = Vec::new();
            for topic in topics {
                if missing == 0 {
                    break;
                }
                let bytes = topic.remembered();
                giving.extend(topic.give_back(missing));
                missing = missing.saturating_sub(bytes);
            }
            let pause = if giving.is_empty() { GIVING } else { PAUSE };
            let given = async {
                for topic in giving {
                    // A topic that has gone has nothing left to give.
                    let _ = topic.await;
                }
            };
            // A topic may wait for the disk: others are asked meanwhile.
            let _ = tokio::time::timeout(GIVING, given).await;
            tokio::time::sleep(pause).await;
        }
    }

    /// Forgets a topic that has no subscribers, unless somebody is just coming.
    fn remove_if_idle(&self, topic: &Topic) -> bool {
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
    use crate::session::subscriptions::Subscriptions;

    fn registry() -> Arc<Registry> {
        Arc::new(Registry::new(&Config::default(), None).unwrap())
    }

    fn name(name: &str) -> TopicName {
        TopicName::new(name).unwrap()
    }

    #[tokio::test]
    async fn a_topic_that_everyone_has_left_is_gone() {
        let registry = registry();
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
        let registry = registry();
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
