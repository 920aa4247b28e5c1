//! Reads the store, on threads that may block, a bounded number at a time.

use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::Semaphore;
use wire::{ErrorCode, TopicName};

use super::database::{Tables, record_of};
use super::error::StoreError;
use super::shared::Shared;
use super::timeline::{self, Span};
use super::topic::RetentionLimits;
use super::types::{Retention, TopicId};
use super::{catalogue, record};
use crate::clock::{Reading, corrected, is_plausible};
use crate::history::dedup::{DedupWindow, IdLimits};
use crate::history::entry::Entry;

/// Maximum reads at a time. Several keep the disk busy; a bound keeps the runtime's other
/// blocking threads free.
const READS: usize = 4;

/// Reads for all topics. Clones share it.
#[derive(Clone)]
pub(crate) struct Reader {
    shared: Arc<Shared>,
    reads: Arc<Semaphore>,
}

impl Reader {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        let reads = Arc::new(Semaphore::new(READS));
        Self { shared, reads }
    }

    /// Why nothing can be written now; `None` if it can.
    pub(crate) fn trouble(&self) -> Option<ErrorCode> {
        *self.shared.trouble.lock()
    }

    /// Bytes of the history's files; `None` while the database is opened, or can't be.
    pub(crate) fn space(&self) -> Option<u64> {
        let tables = self.shared.tables.try_read()?;
        let tables = tables.as_ref().ok()?;
        Some(tables.history_space())
    }

    /// Changes how much of each topic is kept.
    pub(crate) fn set_limits(&self, retention: Retention) {
        *self.shared.limits.write() = RetentionLimits::new(retention);
    }

    /// Whether a topic in memory holds messages that are too old.
    pub(crate) fn has_too_old(&self, topic: TopicId) -> bool {
        let oldest = self
            .shared
            .bounds
            .lock()
            .get(&topic)
            .map(|one| one.oldest());
        let Some(Some(oldest)) = oldest else {
            return false;
        };
        let oldest = corrected(oldest, &self.shared.clock.corrections()).max(oldest);
        let due = oldest.saturating_add(self.shared.limits.read().age);
        is_plausible(oldest) && self.shared.clock.trusted().is_some_and(|now| due < now)
    }

    /// The database and where topics begin and end, for a walk through all of it.
    pub(super) fn shared(&self) -> Arc<Shared> {
        self.shared.clone()
    }

    /// Runs `read` on a thread that may block.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Self) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let turn = self.reads.clone().acquire_owned().await;
        let turn = turn.map_err(|_| StoreError::Closed)?;
        let reader = self.clone();
        let read = tokio::task::spawn_blocking(move || {
            // The permit is returned when the read ends, even if the caller has stopped waiting.
            let _turn = turn;
            read(&reader)
        });
        read.await.map_err(|_| StoreError::Panicked)?
    }

    /// See [`Store::read`](super::Store::read).
    pub(crate) fn read(
        &self,
        topic: TopicId,
        from: u64,
        max_bytes: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        let tables = self.shared.tables.read();
        let tables = tables.as_ref().map_err(Clone::clone)?;
        let Span { first, next, .. } = self.span(tables, topic)?;
        let from = from.max(first);
        let mut entries: Vec<Entry> = Vec::new();
        let mut bytes = 0;
        let begin = record_that_holds(tables, topic, first, from)?.unwrap_or(from);
        for record in Tables::records(&tables.history, topic, begin) {
            let (seq, record) = record_of(record)?;
            if seq >= next {
                break;
            }
            let read =
                record::read_history(seq, Bytes::from_owner(record)).unwrap_or_else(|error| {
                    tracing::warn!("left out the messages from {seq} on: {error}");
                    Vec::new()
                });
            for entry in read {
                if entry.end() <= from {
                    continue;
                }
                if bytes >= max_bytes && !entries.is_empty() {
                    return Ok(entries);
                }
                bytes += entry.lines.len();
                entries.push(entry);
            }
        }
        Ok(entries)
    }

    /// See [`Store::first_since`](super::Store::first_since).
    pub(crate) fn first_since(&self, topic: TopicId, time: u64) -> Result<u64, StoreError> {
        let tables = self.shared.tables.read();
        let tables = tables.as_ref().map_err(Clone::clone)?;
        let span = self.span(tables, topic)?;
        let corrections = self.shared.clock.corrections();
        timeline::first_since(tables, topic, &span, time, &corrections)
    }

    /// See [`Store::remembered_ids`](super::Store::remembered_ids).
    pub(crate) fn remembered_ids(
        &self,
        topic: TopicId,
        now: &Reading,
        limits: IdLimits,
    ) -> Result<DedupWindow, StoreError> {
        let tables = self.shared.tables.read();
        let tables = tables.as_ref().map_err(Clone::clone)?;
        let Span { first, .. } = self.span(tables, topic)?;
        catalogue::remembered_ids(tables, topic, first, now, limits)
    }

    /// See [`Store::topics`](super::Store::topics).
    pub(crate) fn topics(
        &self,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(TopicName, u64)>, StoreError> {
        let tables = self.shared.tables.read();
        let tables = tables.as_ref().map_err(Clone::clone)?;
        let mut topics = Vec::new();
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let following = tables.names.range::<&str, _>((start, Bound::Unbounded));
        for topic in following.take(limit) {
            let (name, id) = topic.into_inner()?;
            let Span { next, .. } = self.span(tables, record::read_id(&id)?)?;
            let name = std::str::from_utf8(&name).ok();
            match name.and_then(|name| TopicName::new(name).ok()) {
                Some(name) => topics.push((name, next - 1)),
                None => tracing::warn!("left out a topic whose name is damaged"),
            }
        }
        Ok(topics)
    }

    /// The messages that a topic has.
    fn span(&self, tables: &Tables, topic: TopicId) -> Result<Span, StoreError> {
        let loaded = self.shared.bounds.lock().get(&topic).cloned();
        match loaded {
            Some(bounds) => Ok(bounds.span()),
            None => catalogue::peek(tables, topic),
        }
    }
}

/// Where the record begins that holds the message `from`, if there is one.
pub(super) fn record_that_holds(
    tables: &Tables,
    topic: TopicId,
    first: u64,
    from: u64,
) -> Result<Option<u64>, StoreError> {
    let record = Tables::last_at(&tables.history, topic, first, from)?;
    Ok(record.and_then(|(seq, bytes)| {
        let header = record::read_header(&bytes).ok()?;
        (seq + u64::from(header.messages) > from).then_some(seq)
    }))
}
