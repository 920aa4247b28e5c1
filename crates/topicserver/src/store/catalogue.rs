//! Topics in the catalogue: finds one, makes one, and detects that acknowledged messages are
//! missing from the history.

use std::ops::RangeInclusive;
use std::sync::Arc;

use bytes::Bytes;
use wire::TopicName;

use super::database::{CommitError, Tables, record_of};
use super::error::StoreError;
use super::high_water_marks::{HighWaterMarks, Slot};
use super::record::{self, Header, TopicRecord};
use super::timeline::Span;
use super::topic::{Bounds, Extent, Oldest, StoredTopic};
use super::types::TopicId;
use crate::clock::Reading;
use crate::history::dedup::{DedupWindow, IdLimits};

/// The key of the next topic's number in the table `meta`.
pub(crate) const NEXT_ID: &str = "next topic";

/// Maximum records to read for ids when a topic is loaded: about a tenth of a second.
/// The first member after a restart waits for that. Recent records are enough, because a
/// publisher soon sends again what was not acknowledged.
const READ_RECORDS: usize = 250_000;

/// See [`READ_RECORDS`].
const READ_BYTES: usize = 128 * 1024 * 1024;

/// A topic that was read from the catalogue.
pub(crate) struct Found {
    pub(crate) state: StoredTopic,
    /// The acknowledged messages that are lost. If there are any, the topic has a new epoch,
    /// which isn't in the catalogue yet.
    pub(crate) lost: Option<RangeInclusive<u64>>,
}

/// The number of the topic of that name.
pub(crate) fn find_id(tables: &Tables, name: &TopicName) -> Result<Option<TopicId>, StoreError> {
    let id = tables.names.get(name.as_str())?;
    Ok(id.map(|id| record::read_id(&id)).transpose()?)
}

/// The number for the next topic, as it was noted.
pub(crate) fn noted_next_id(tables: &Tables) -> Result<u32, StoreError> {
    match tables.meta.get(NEXT_ID)? {
        Some(id) => Ok(record::read_id(&id)?.0),
        None => Ok(1),
    }
}

/// The number for the next topic. No table uses it, even if the catalogue has lost its
/// end. Otherwise a new topic could show the messages of an old one.
pub(crate) fn next_id(tables: &Tables) -> Result<u32, StoreError> {
    let mut next = noted_next_id(tables)?;
    for table in [&tables.topics, &tables.history] {
        if let Some(last) = table.last_key_value() {
            let key = last.key()?;
            let id = record::read_id(key.get(..4).unwrap_or_default())?;
            next = next.max(id.0.saturating_add(1));
        }
    }
    Ok(next)
}

/// The catalogue's record of a topic.
pub(crate) fn find_record(tables: &Tables, id: TopicId) -> Result<TopicRecord, StoreError> {
    match tables.topics.get(id.0.to_be_bytes())? {
        Some(record) => Ok(TopicRecord::read(&record)?),
        None => Err(StoreError::NoTopic(id.0)),
    }
}

/// The messages that a topic may still have. Reads no more than that takes.
pub(crate) fn peek(tables: &Tables, id: TopicId) -> Result<Span, StoreError> {
    let record = find_record(tables, id)?;
    let last = Tables::last_at(&tables.history, id, record.first, u64::MAX)?;
    let end = match last {
        Some((seq, bytes)) => seq + u64::from(record::read_header(&bytes)?.messages),
        None => 0,
    };
    Ok(Span {
        first: record.first,
        next: end.max(record.floor),
        setbacks: record.setbacks,
    })
}

/// A new topic.
pub(crate) fn make(name: TopicName, epoch: u64) -> StoredTopic {
    let extent = Extent {
        next: 1,
        total: 0,
        time: 0,
        oldest: None,
    };
    StoredTopic {
        name,
        epoch,
        bounds: Arc::new(Bounds::new(Span {
            first: 1,
            next: 1,
            setbacks: Vec::new(),
        })),
        durable: extent,
        pending: extent,
        is_trimmed: false,
    }
}

/// Reads a topic from the catalogue and the ends of its history.
pub(crate) fn read(
    tables: &Tables,
    marks: &HighWaterMarks,
    id: TopicId,
) -> Result<Found, StoreError> {
    let known = find_record(tables, id)?;
    let name = TopicName::new(&known.name)?;
    let (end, damaged) = newest(tables, id, &known)?;
    let mut extent = Extent {
        next: end.next.max(known.floor),
        oldest: None,
        ..end
    };
    let mut first = extent.next;
    if let Some(record) = Tables::records(&tables.history, id, known.first).next() {
        let (seq, bytes) = record_of(record)?;
        first = seq;
        extent.oldest = Some(oldest_of(&bytes));
    }
    let lost = lost(marks, id, &known, extent.next).or(damaged);
    let mut epoch = known.epoch;
    if let Some(lost) = &lost {
        extent.next = extent.next.max(lost.end() + 1);
        epoch = new_epoch()?;
        if extent.oldest.is_none() {
            first = extent.next;
        }
    }
    let bounds = Bounds::new(Span {
        first,
        next: extent.next,
        setbacks: known.setbacks,
    });
    bounds.set_oldest(extent.oldest);
    let state = StoredTopic {
        name,
        epoch,
        bounds: Arc::new(bounds),
        durable: extent,
        pending: extent,
        is_trimmed: false,
    };
    Ok(Found { state, lost })
}

/// Where the history ends, and which messages are damaged there. Damaged records are
/// dropped, and a warning is logged.
fn newest(
    tables: &Tables,
    id: TopicId,
    known: &TopicRecord,
) -> Result<(Extent, Option<RangeInclusive<u64>>), StoreError> {
    let mut damaged: Option<RangeInclusive<u64>> = None;
    let extent = |next, total, time| Extent {
        next,
        total,
        time,
        oldest: None,
    };
    while let Some((seq, bytes)) = Tables::last_at(&tables.history, id, known.first, u64::MAX)? {
        let header = record::read_header(&bytes);
        let entries = record::read_history(seq, Bytes::from_owner(bytes));
        let error = match (header, entries) {
            (Ok(header), Ok(_)) => {
                let next = seq + u64::from(header.messages);
                return Ok((extent(next, header.total, header.time), damaged));
            }
            (Err(error), _) | (_, Err(error)) => error,
        };
        let name = &known.name;
        tracing::warn!("dropped the record of topic {name:?} from message {seq} on: {error}");
        let mut batch = tables.batch();
        batch.remove(&tables.history, record::key(id, seq));
        tables.commit(batch).map_err(CommitError::into_error)?;
        let last = damaged.map_or(seq, |damaged| *damaged.end());
        damaged = Some(seq..=last);
    }
    Ok((extent(0, 0, 0), damaged))
}

/// The facts about a record that the oldest record of a topic needs.
pub(crate) fn oldest_of(record: &[u8]) -> Oldest {
    match record::read_header(record) {
        Ok(header) => Oldest {
            time: header.time,
            before: header.total.saturating_sub(record.len() as u64),
        },
        // It counts as old and large, so that retention looks at it.
        Err(_) => Oldest { time: 0, before: 0 },
    }
}

/// The acknowledged messages that aren't in the history.
fn lost(
    marks: &HighWaterMarks,
    id: TopicId,
    known: &TopicRecord,
    next: u64,
) -> Option<RangeInclusive<u64>> {
    let name = &known.name;
    match marks.get(id) {
        Slot::Head(seq) if seq >= next => Some(next..=seq),
        // After a loss of power the mark is normally behind.
        Slot::Head(_) | Slot::Empty => None,
        Slot::Damaged => {
            tracing::warn!("can't tell whether topic {name:?} lost messages: its head is damaged");
            None
        }
    }
}

/// The ids of a topic's messages from `first` on that aren't older than the window. Records are
/// read from the newest on, up to the first that is too old, and at most [`READ_RECORDS`] and
/// [`READ_BYTES`].
pub(crate) fn remembered_ids(
    tables: &Tables,
    id: TopicId,
    first: u64,
    now: &Reading,
    limits: IdLimits,
) -> Result<DedupWindow, StoreError> {
    let mut ids = DedupWindow::new(limits);
    let since = now.index.saturating_sub(limits.window);
    let mut bytes_read = 0;
    for record in Tables::records(&tables.history, id, first)
        .rev()
        .take(READ_RECORDS)
    {
        let (seq, bytes) = record_of(record)?;
        bytes_read += bytes.len();
        match record::read_header(&bytes) {
            Ok(header) if header.time < since => break,
            // Reading the messages reports the damage.
            Err(_) => continue,
            Ok(_) => {}
        }
        match record::read_ids(seq, &bytes) {
            Ok(read) => {
                for mut id in read.into_iter().rev() {
                    id.time = now.elapsed_at(id.time);
                    // Older ids of a publisher that is at its limit aren't needed.
                    let _ = ids.insert_older(id);
                }
            }
            Err(error) => tracing::warn!("dropped the ids of the messages from {seq} on: {error}"),
        }
        if bytes_read >= READ_BYTES {
            break;
        }
    }
    Ok(ids)
}

/// A random number that isn't 0.
pub(crate) fn new_epoch() -> Result<u64, StoreError> {
    Ok(getrandom::u64()?.max(1))
}

/// The newest readable record of a topic that begins in `low..=high`: its first number, its
/// header and its length.
pub(crate) fn readable_at(
    tables: &Tables,
    id: TopicId,
    low: u64,
    mut high: u64,
) -> Result<Option<(u64, Header, u64)>, StoreError> {
    while let Some((seq, bytes)) = Tables::last_at(&tables.history, id, low, high)? {
        match record::read_header(&bytes) {
            Ok(header) => return Ok(Some((seq, header, bytes.len() as u64))),
            Err(error) => tracing::warn!("passed over the messages from {seq} on: {error}"),
        }
        if seq <= low {
            break;
        }
        high = seq - 1;
    }
    Ok(None)
}
