//! Reads the store, on threads that may block, a bounded number at a time.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::Semaphore;
use wire::TopicName;

use super::database::{Tables, record_of};
use super::error::StoreError;
use super::shared::Shared;
use super::types::TopicId;
use super::{catalogue, record};
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

    /// See [`Store::oldest_time`](super::Store::oldest_time).
    pub(crate) fn oldest_time(&self) -> u64 {
        self.shared.limits.oldest_time()
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
        let (first, next) = self.bounds(tables, topic)?;
        let from = from.max(first);
        // Messages that are too old are not sent, whether they are deleted or not.
        let oldest_time = self.shared.limits.oldest_time();
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
                if entry.end() <= from || entry.time < oldest_time {
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
        let (first, next) = self.bounds(tables, topic)?;
        let time = time.max(self.shared.limits.oldest_time());
        // The first record with a message at or after `time` begins in `low..=high`.
        let (mut low, mut high) = (first, next);
        let mut found = None;
        while low < high {
            let middle = low + (high - low) / 2;
            let Some((seq, bytes)) = Tables::last_at(&tables.history, topic, first, middle)? else {
                low = middle + 1;
                continue;
            };
            let header = record::read_header(&bytes)?;
            if header.time >= time {
                high = seq;
                found = Some((seq, bytes));
            } else {
                low = (seq + u64::from(header.messages)).max(middle + 1);
            }
        }
        let Some((seq, bytes)) = found else {
            return Ok(next);
        };
        let entries = record::read_history(seq, Bytes::from_owner(bytes))?;
        let entry = entries.iter().find(|entry| entry.time >= time);
        Ok(entry.map_or(seq, |entry| entry.first))
    }

    /// See [`Store::remembered_ids`](super::Store::remembered_ids).
    pub(crate) fn remembered_ids(
        &self,
        topic: TopicId,
        since: u64,
        limits: IdLimits,
    ) -> Result<DedupWindow, StoreError> {
        let tables = self.shared.tables.read();
        let tables = tables.as_ref().map_err(Clone::clone)?;
        let (first, _) = self.bounds(tables, topic)?;
        catalogue::remembered_ids(tables, topic, first, since, limits)
    }

    /// See [`Store::topics`](super::Store::topics).
    pub(crate) fn topics(&self, limit: usize) -> Result<Vec<(TopicName, u64)>, StoreError> {
        let tables = self.shared.tables.read();
        let tables = tables.as_ref().map_err(Clone::clone)?;
        let mut topics = Vec::new();
        for topic in tables.names.iter().take(limit) {
            let (name, id) = topic.into_inner()?;
            let (_, next) = self.bounds(tables, record::read_id(&id)?)?;
            let name = std::str::from_utf8(&name).ok();
            match name.and_then(|name| TopicName::new(name).ok()) {
                Some(name) => topics.push((name, next - 1)),
                None => tracing::warn!("left out a topic whose name is damaged"),
            }
        }
        Ok(topics)
    }

    /// Where a topic begins, and which message is the next one to come.
    fn bounds(&self, tables: &Tables, topic: TopicId) -> Result<(u64, u64), StoreError> {
        let loaded = self.shared.bounds.lock().get(&topic).cloned();
        match loaded {
            Some(bounds) => Ok((bounds.first(), bounds.next())),
            None => catalogue::peek(tables, topic),
        }
    }
}

/// Where the record begins that holds the message `from`, if there is one.
fn record_that_holds(
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
