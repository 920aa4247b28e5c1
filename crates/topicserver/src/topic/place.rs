//! Where a topic's messages are kept beneath the memory: on this server's disk, or in the log of
//! its cluster.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;
use wire::TopicName;

use crate::cluster::history;
use crate::cluster::log::LogError;
use crate::cluster::shared::Shared;
use crate::cluster::tail::{Counted, Tail};
use crate::history::entry::Entry;
use crate::store::{Store, StoreError, TopicId};
use crate::topic::recorded::entries;

/// The pause after a log that couldn't be read.
const PAUSE: Duration = Duration::from_secs(1);

/// Where a topic is kept.
#[derive(Clone)]
pub(crate) enum Place {
    Disk(Store, TopicId),
    Cluster(Arc<InLog>),
}

/// A topic in the log of a cluster.
pub(crate) struct InLog {
    shared: Arc<Shared>,
    name: TopicName,
    /// Where it ends, as far as this server has read.
    end: Mutex<Tail>,
    /// The number of the oldest message.
    first: Arc<AtomicU64>,
}

impl InLog {
    /// A topic that ends there, and whose oldest message has the number `first`.
    pub(crate) fn new(shared: Arc<Shared>, name: TopicName, end: Tail, first: u64) -> Self {
        Self {
            first: Arc::new(first.into()),
            end: Mutex::new(end),
            shared,
            name,
        }
    }

    /// The number of the oldest message, whenever it is known.
    pub(crate) fn first(&self) -> Arc<AtomicU64> {
        self.first.clone()
    }

    /// Whether this record was read. A log that has lost records goes back with its positions.
    pub(crate) fn has_read(&self, counted: &Counted) -> bool {
        let end = self.end.lock();
        counted.at <= end.at && counted.record.epoch == end.chain.epoch && !counted.is_anew
    }

    /// A record was read.
    pub(crate) fn read_to(&self, counted: &Counted) {
        self.end.lock().append(counted.at, &counted.record);
    }

    async fn read(&self, from: u64, bytes: usize) -> Result<Vec<Entry>, LogError> {
        let end = *self.end.lock();
        let records = history::records(&self.shared, &self.name, from, bytes, &end).await;
        if records.is_err() {
            // It is tried again at once.
            tokio::time::sleep(PAUSE).await;
        }
        let records = records?;
        // What the topic's task hasn't read yet it will deliver itself.
        let known = records.iter().filter(|record| record.first < end.next());
        let entries = known.flat_map(entries);
        Ok(entries.filter(|entry| entry.end() > from).collect())
    }

    /// Finds out what was deleted since that was looked up last.
    pub(crate) async fn look_for_first(&self, until: Instant) -> Result<(), LogError> {
        if let Some(first) = history::first(&self.shared, &self.name, until).await? {
            self.first.fetch_max(first, Relaxed);
        }
        Ok(())
    }
}

impl Place {
    /// The entries from the one that holds `from` on, or from the next that exists: about
    /// `bytes` of them, and at least one if there is one.
    pub(crate) async fn read(&self, from: u64, bytes: usize) -> Result<Vec<Entry>, StoreError> {
        match self {
            Self::Disk(store, id) => store.read(*id, from, bytes).await,
            Self::Cluster(log) => Ok(log.read(from, bytes).await?),
        }
    }

    /// The first message that came at this time or later; `u64::MAX` if there is none. A cluster's
    /// log was asked before, and has `found` it.
    pub(crate) async fn first_since(
        &self,
        time: u64,
        found: Option<u64>,
    ) -> Result<u64, StoreError> {
        match self {
            Self::Disk(store, id) => store.first_since(*id, time).await,
            Self::Cluster(_) => found.ok_or(StoreError::NoQuorum),
        }
    }

    /// Deletes what is too old. In a cluster the log does that, and was asked before.
    pub(crate) async fn delete_too_old(&self) -> Result<(), StoreError> {
        match self {
            Self::Disk(store, id) => store.delete_too_old(*id).await,
            Self::Cluster(_) => Ok(()),
        }
    }
}
