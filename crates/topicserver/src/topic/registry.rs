//! Topic name → topic. A topic exists as long as a connection is registered for it, or something
//! of it is remembered.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Semaphore, oneshot};
use wire::{Durability, Event, Page, TopicName};

use crate::clock::Clock;
use crate::cluster::presence::{Summary, TopicList};
use crate::cluster::sender::Sender;
use crate::config::Config;
use crate::identity::NoRandomness;
use crate::outbox::SharedOutbox;
use crate::outbox::reply::PendingReply;
use crate::queues::QueueLimits;
use crate::store::Store;
use crate::topic::expiring::Expiring;
use crate::topic::handle::{Registration, Topic};
use crate::topic::listing;
use crate::topic::mailbox::Backpressure;

use crate::topic::publication::Publication;
use crate::topic::range::RangeQuestion;
use crate::topic::settings::TopicSettings;
use crate::topic::task;

/// How many pages of topics are read at a time that aren't in memory. Many requests for lists wait
/// for each other, and reads of messages don't wait for them.
const LISTS: usize = 1;

/// How many topics are told of new limits before other tasks run.
const TOLD_AT_ONCE: usize = 64;

/// How long topics may take to give back memory before others are asked.
const GIVING: Duration = Duration::from_secs(1);

/// The pause after that, because each round looks at all topics.
const PAUSE: Duration = Duration::from_millis(10);

/// All topics. Its lock is held for a look-up, never across an await.
pub(crate) struct Registry {
    pub(super) settings: Arc<TopicSettings>,
    /// The topics that have ids.
    expiring: Arc<Expiring>,
    /// Sorted by name, because they are listed in that order.
    topics: Mutex<BTreeMap<TopicName, Arc<Topic>>>,
    /// Limits how many list topics on disk at a time.
    pub(super) lists: Semaphore,
}

impl Registry {
    pub(crate) fn new(
        config: &Config,
        queues: Arc<QueueLimits>,
        store: Option<Store>,
        clock: Clock,
        cluster: Option<Arc<Sender>>,
    ) -> Result<Self, NoRandomness> {
        let settings = TopicSettings::new(config, queues, store, clock)?;
        Ok(Self {
            expiring: Arc::new(Expiring::new(config.id_window)),
            settings: Arc::new(settings.in_cluster(cluster)),
            topics: Mutex::default(),
            lists: Semaphore::new(LISTS),
        })
    }

    /// Where a message is when it is acknowledged.
    pub(crate) fn durability(&self) -> Durability {
        self.settings.durability()
    }

    /// Whether topics take a moment to answer, because their messages are in the log of a cluster.
    pub(crate) fn is_clustered(&self) -> bool {
        self.settings.cluster.is_some()
    }

    /// Whether there is such a topic in memory.
    pub(crate) fn has(&self, name: &TopicName) -> bool {
        self.topics.lock().contains_key(name)
    }

    /// Adds a classic subscriber to the topic of that name, which is made if there is none.
    pub(crate) fn join(
        self: &Arc<Self>,
        name: &TopicName,
        subscriber: SharedOutbox,
    ) -> (Arc<Topic>, Backpressure) {
        self.with(name, |topic| topic.join(subscriber))
    }

    /// Adds an extended subscriber to the topic of that name, which is made if there is none.
    pub(crate) fn register(
        self: &Arc<Self>,
        name: &TopicName,
        registration: Registration,
    ) -> (Arc<Topic>, Backpressure) {
        self.with(name, |topic| topic.register(registration))
    }

    /// The topic of that name, for a connection that only publishes there. It ends again if it
    /// has no subscribers. The receiver resolves when everything published there before has been
    /// delivered.
    pub(crate) fn visit(self: &Arc<Self>, name: &TopicName) -> (Arc<Topic>, oneshot::Receiver<()>) {
        // Without a command the topic's task would not notice that it may end.
        self.with(name, Topic::barrier)
    }

    /// Publishes to the topic of that name, without being registered for it.
    pub(crate) fn publish(
        self: &Arc<Self>,
        name: &TopicName,
        publication: Publication,
    ) -> (Arc<Topic>, Backpressure) {
        self.with(name, |topic| topic.publish(publication))
    }

    /// Puts a command into the topic of that name under the lock, so that the topic's task can't
    /// end in between.
    fn with<T>(
        self: &Arc<Self>,
        name: &TopicName,
        put: impl FnOnce(&Topic) -> T,
    ) -> (Arc<Topic>, T) {
        let mut topics = self.topics.lock();
        let topic = topics.entry(name.clone()).or_insert_with(|| {
            let now = self.settings.clock.read().elapsed;
            let topic = Topic::new(name.clone(), self.settings.queues.clone(), now);
            let topic = Arc::new(match self.settings.cluster {
                Some(_) => topic.in_cluster(),
                None => topic,
            });
            self.start(topic.clone());
            topic
        });
        let result = put(topic);
        (topic.clone(), result)
    }

    /// Starts a topic's task. When it is idle it asks whether it may end.
    fn start(self: &Arc<Self>, topic: Arc<Topic>) {
        let (settings, expiring) = (self.settings.clone(), self.expiring.clone());
        let registry = self.clone();
        let retire = move |topic: &Topic| registry.remove_if_idle(topic);
        tokio::spawn(task::run(topic, settings, expiring, retire));
    }

    /// Asks the topic of that name for its members. `None` if there is no such topic; then the
    /// reply is sent at once.
    pub(crate) fn who(
        &self,
        name: &TopicName,
        page: &Page,
        reply: PendingReply,
    ) -> Option<(Arc<Topic>, Backpressure)> {
        let topics = self.topics.lock();
        let Some(topic) = topics.get(name) else {
            drop(topics);
            if let Some(cluster) = &self.settings.cluster {
                let presence = cluster.shared().presence.clone();
                listing::send_who_elsewhere(presence, name.clone(), page.clone(), reply);
                return None;
            }
            let nobody = wire::Members {
                topic: name.as_str().into(),
                count: 0,
                users: Vec::new(),
                more: false,
            };
            reply.send(Event::Members(nobody).to_line());
            return None;
        };
        let backpressure = topic.who(reply, page);
        Some((topic.clone(), backpressure))
    }

    /// Asks the topic of that name, which may only be on disk, for a range of its messages.
    /// Resolves when the answer is in the outbox.
    pub(crate) fn range(
        self: &Arc<Self>,
        name: &TopicName,
        asker: SharedOutbox,
        before: Option<u64>,
        limit: Option<u64>,
    ) -> oneshot::Receiver<()> {
        let (done, answered) = oneshot::channel();
        let question = RangeQuestion {
            asker,
            before,
            limit,
            done,
        };
        self.with(name, |topic| topic.range(question));
        answered
    }

    /// The topics after this name, at most `count`.
    pub(super) fn following(&self, after: Option<&str>, count: usize) -> Vec<Arc<Topic>> {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let topics = self.topics.lock();
        let following = topics.range::<str, _>((start, Bound::Unbounded));
        let some = following.take(count);
        some.map(|(_, topic)| topic.clone()).collect()
    }

    /// How many topics are in memory.
    pub(crate) fn count(&self) -> usize {
        self.topics.lock().len()
    }

    /// Bytes of messages and ids that all topics keep in memory.
    pub(crate) fn kept_bytes(&self) -> usize {
        self.settings.budget.kept()
    }

    /// Puts the limits of a configuration in force, in all topics.
    pub(crate) async fn follow(&self, config: &Config) {
        if !self.settings.follow(config) {
            return;
        }
        // Topics that are made from now on begin with them.
        let topics: Vec<_> = self.topics.lock().values().cloned().collect();
        for some in topics.chunks(TOLD_AT_ONCE) {
            some.iter().for_each(|topic| topic.follow_limits());
            tokio::task::yield_now().await;
        }
    }

    /// Has topics forget ids that are too old, also topics where nothing is published.
    pub(crate) async fn expire_ids(&self) {
        self.expiring.run().await;
    }

    /// Whenever all topics together exceed the memory budget, has the topics that were not used
    /// for longest forget what they remember.
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
                    // A topic that has ended has nothing left to give back.
                    let _ = topic.await;
                }
            };
            // A topic may wait for the disk: others are asked meanwhile.
            let _ = tokio::time::timeout(GIVING, given).await;
            tokio::time::sleep(pause).await;
        }
    }

    /// Removes a topic that has no subscribers, unless a command for it has just arrived.
    fn remove_if_idle(&self, topic: &Topic) -> bool {
        let mut topics = self.topics.lock();
        let idle = topic.is_idle();
        if idle {
            topics.remove(topic.name());
        }
        idle
    }

    /// Resolves when all topics have delivered everything published before.
    pub(crate) async fn barrier(&self) {
        let barriers: Vec<_> = self
            .topics
            .lock()
            .values()
            .map(|topic| topic.barrier())
            .collect();
        for topic in barriers {
            // A topic that has ended has nothing left to deliver.
            let _ = topic.await;
        }
    }
}

impl TopicList for Registry {
    fn after(&self, name: Option<&str>, limit: usize) -> Vec<Summary> {
        let topics = self.following(name, limit);
        let summary = |topic: &Arc<Topic>| {
            let (members, seq) = topic.summary();
            Summary {
                topic: topic.name().clone(),
                members: members as u64,
                seq,
            }
        };
        topics.iter().map(summary).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::Admitted;
    use crate::outbox::tests::endless_outbox;
    use crate::session::subscriptions::Subscriptions;

    fn registry() -> Arc<Registry> {
        let (config, queues) = (Config::default(), QueueLimits::of_one(1 << 20));
        let registry = Registry::new(&config, queues, None, Clock::for_tests(), None);
        Arc::new(registry.unwrap())
    }

    #[tokio::test]
    async fn a_topic_that_everyone_has_left_is_gone() {
        let registry = registry();
        let mut first = Subscriptions::new(endless_outbox());
        let mut second = Subscriptions::new(endless_outbox());
        for n in 0..100 {
            first.join(&Admitted::for_tests(&format!("topic {n}")), &registry);
        }
        second.join(&Admitted::for_tests("topic 7"), &registry);
        registry.barrier().await;
        assert_eq!(registry.topics.lock().len(), 100);
        drop(first);
        registry.barrier().await;
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
    async fn a_topic_survives_when_a_member_joins_as_the_last_one_leaves() {
        let registry = registry();
        for _ in 0..1000 {
            let mut leaving = Subscriptions::new(endless_outbox());
            leaving.join(&Admitted::for_tests("T"), &registry);
            tokio::task::yield_now().await;
            drop(leaving);
            let mut coming = Subscriptions::new(endless_outbox());
            coming.join(&Admitted::for_tests("T"), &registry);
            registry.barrier().await;
            assert!(registry.topics.lock().contains_key("T"));
        }
    }
}
