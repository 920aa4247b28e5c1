//! What all topics of a server have in common.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use parking_lot::Mutex;
use wire::{Durability, TopicName};

use crate::clock::Clock;
use crate::cluster::sender::Sender;
use crate::config::{ClusterDurability, Config};
use crate::history::budget::MemoryBudget;
use crate::history::dedup::IdLimits;
use crate::history::memory::HistoryLimits;
use crate::identity::{Hashes, NoRandomness};
use crate::log_limit::LogLimiter;
use crate::queues::QueueLimits;
use crate::store::Store;

/// The settings that all topics share.
pub(crate) struct TopicSettings {
    /// The limit of each mailbox, above which publishers are slowed.
    pub(crate) queues: Arc<QueueLimits>,
    /// What a reload may change.
    limits: Mutex<TopicLimits>,
    /// Counts how often a topic that is only kept in memory was forgotten.
    pub(crate) epoch_counter: AtomicU64,
    /// The key for the epochs of topics that are only kept in memory.
    hashes: Hashes,
    /// The memory budget of all histories.
    pub(crate) budget: Arc<MemoryBudget>,
    /// The store, with `--data`.
    pub(crate) store: Option<Store>,
    /// Its cluster, with `--cluster`.
    pub(crate) cluster: Option<Arc<Sender>>,
    /// What its acknowledgements promise.
    promise: ClusterDurability,
    pub(crate) clock: Clock,
    /// Limits the log lines about the store, which may come with every message.
    pub(crate) troubles: LogLimiter,
}

/// The limits of each topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TopicLimits {
    /// With more members than this, nobody is told who joins and leaves.
    pub(crate) max_presence: usize,
    pub(crate) history: HistoryLimits,
    pub(crate) ids: IdLimits,
}

impl TopicLimits {
    fn new(config: &Config) -> Self {
        let window = u64::try_from(config.id_window.as_millis()).unwrap_or(u64::MAX);
        Self {
            max_presence: config.max_presence,
            history: HistoryLimits {
                messages: config.history_messages,
                bytes: config.history_bytes,
            },
            ids: IdLimits {
                window,
                per_publisher: config.max_ids,
            },
        }
    }
}

impl TopicSettings {
    pub(crate) fn new(
        config: &Config,
        queues: Arc<QueueLimits>,
        store: Option<Store>,
        clock: Clock,
    ) -> Result<Self, NoRandomness> {
        Ok(Self {
            queues,
            limits: Mutex::new(TopicLimits::new(config)),
            epoch_counter: AtomicU64::new(0),
            hashes: Hashes::random()?,
            budget: MemoryBudget::new(config.history_memory),
            store,
            cluster: None,
            promise: match &config.cluster {
                Some(cluster) => cluster.durability,
                None => ClusterDurability::Flushed,
            },
            clock,
            troubles: LogLimiter::default(),
        })
    }

    /// The same for topics of a cluster, if there is one.
    pub(crate) fn in_cluster(self, cluster: Option<Arc<Sender>>) -> Self {
        Self { cluster, ..self }
    }

    /// Where a message is when it is acknowledged.
    pub(crate) fn durability(&self) -> Durability {
        match (&self.cluster, &self.store, self.promise) {
            (Some(_), _, ClusterDurability::Replicated) => Durability::Replicated,
            (Some(_), _, ClusterDurability::Flushed) | (None, Some(_), _) => Durability::Flushed,
            (None, None, _) => Durability::Memory,
        }
    }

    /// The limits in force. A topic reads them when it begins, when it is told that they have
    /// changed, and when somebody joins; never for a message.
    pub(crate) fn limits(&self) -> TopicLimits {
        *self.limits.lock()
    }

    /// Puts the limits of a configuration in force. Returns whether topics must be told.
    pub(crate) fn follow(&self, config: &Config) -> bool {
        self.budget.set_limit(config.history_memory);
        let new = TopicLimits::new(config);
        std::mem::replace(&mut *self.limits.lock(), new) != new
    }

    /// The epoch of a topic of this name that is made in memory. It stays the same until a topic
    /// with messages was forgotten, because a client that comes back to a topic without messages
    /// has missed nothing.
    pub(crate) fn epoch_of(&self, name: &TopicName) -> u64 {
        let life = self.epoch_counter.load(Relaxed).to_string();
        self.hashes.of(&life, name.as_str().as_bytes())
    }
}
