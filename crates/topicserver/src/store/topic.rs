//! A topic as the writer has it in memory: how far it reaches, and whether it holds
//! more than retention allows.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use wire::TopicName;

use super::error::StoreError;
use super::record::{self, TopicRecord};
use super::timeline::{MAX_SETBACKS, Span};
use super::types::Retention;
use crate::history::entry::Entry;

/// The largest record, in bytes. A read may get that much more than it wants, and a merge holds a
/// record in memory.
const MAX_RECORD: usize = 256 * 1024;

/// A topic may exceed its limits by this part before it is trimmed, so that many records are
/// deleted at once.
const SLACK: u64 = 8;

/// How long messages that are too old may stay on disk, unless there are very many. Deleting need
/// not be exact to the second.
pub(crate) const MAX_AGE_SLACK: u64 = 60 * 1000;

/// Where a topic begins and ends. Only the writer changes it.
pub(crate) struct Bounds {
    /// The oldest sequence number that is there.
    pub(crate) first: Arc<AtomicU64>,
    /// The first number that is not durable yet. Readers stop before it.
    pub(crate) next: AtomicU64,
    /// When the oldest record was published; `u64::MAX` if there is none.
    oldest: AtomicU64,
    /// The messages before which time went back. An entry for a message that wasn't stored does
    /// no harm.
    setbacks: Mutex<Vec<u64>>,
}

impl Bounds {
    pub(crate) fn new(span: Span) -> Self {
        Self {
            first: Arc::new(span.first.into()),
            next: span.next.into(),
            oldest: u64::MAX.into(),
            setbacks: Mutex::new(span.setbacks),
        }
    }

    /// The topic's bounds and its setbacks.
    pub(crate) fn span(&self) -> Span {
        Span {
            first: self.first(),
            next: self.next(),
            setbacks: self.setbacks.lock().clone(),
        }
    }

    /// Notes that time goes back before the message `seq`. Returns whether there was room for
    /// the note.
    pub(crate) fn add_setback(&self, seq: u64) -> bool {
        let mut setbacks = self.setbacks.lock();
        let first = self.first();
        setbacks.retain(|&setback| first < setback && setback < seq);
        let has_room = setbacks.len() < MAX_SETBACKS;
        if has_room {
            setbacks.push(seq);
        }
        has_room
    }

    /// When the oldest record was published; `None` if there is none.
    pub(crate) fn oldest(&self) -> Option<u64> {
        Some(self.oldest.load(Ordering::Acquire)).filter(|&time| time < u64::MAX)
    }

    /// Says which record is the oldest.
    pub(crate) fn set_oldest(&self, oldest: Option<Oldest>) {
        let time = oldest.map_or(u64::MAX, |oldest| oldest.time);
        self.oldest.store(time, Ordering::Release);
    }

    /// The oldest sequence number that is there.
    pub(crate) fn first(&self) -> u64 {
        self.first.load(Ordering::Acquire)
    }

    /// The sequence number after the newest durable one.
    pub(crate) fn next(&self) -> u64 {
        self.next.load(Ordering::Acquire)
    }

    /// Sets the oldest number, and the number after the newest durable one.
    pub(crate) fn set(&self, first: u64, next: u64) {
        self.next.store(next, Ordering::Release);
        self.first.store(first, Ordering::Release);
    }
}

/// A topic of the store as the writer has it in memory.
pub(crate) struct StoredTopic {
    pub(crate) name: TopicName,
    pub(crate) epoch: u64,
    pub(crate) bounds: Arc<Bounds>,
    /// The durable extent.
    pub(crate) durable: Extent,
    /// The extent after the group that is being written.
    pub(crate) pending: Extent,
    /// Whether it waits to be trimmed.
    pub(crate) is_trimmed: bool,
}

/// The extent of a topic: its next number, its bytes, its oldest record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    /// The next sequence number.
    pub(crate) next: u64,
    /// Bytes of all records that it ever had.
    pub(crate) total: u64,
    /// When the newest message was published; 0 if there is none.
    pub(crate) time: u64,
    /// The oldest record, if there is one.
    pub(crate) oldest: Option<Oldest>,
}

/// The facts about a topic's oldest record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Oldest {
    /// When its newest message was published.
    pub(crate) time: u64,
    /// The topic's total before it.
    pub(crate) before: u64,
}

impl StoredTopic {
    /// The record for the catalogue.
    pub(crate) fn record(&self) -> TopicRecord {
        TopicRecord {
            epoch: self.epoch,
            floor: self.durable.next,
            first: self.bounds.first(),
            setbacks: self.bounds.setbacks.lock().clone(),
            name: self.name.as_str().to_owned(),
        }
    }

    /// The topic holds enough messages or bytes to delete, without regard to age.
    pub(crate) fn wants_trim(&self, limits: &RetentionLimits) -> bool {
        let with_slack = |limit: u64| limit.saturating_add(limit / SLACK);
        let extent = &self.durable;
        let messages = extent.next - self.bounds.first();
        extent.oldest.is_some_and(|oldest| {
            messages > with_slack(limits.messages)
                || extent.total - oldest.before > with_slack(limits.bytes)
        })
    }
}

/// How much of each topic is kept, with times in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RetentionLimits {
    pub(crate) age: u64,
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
}

impl RetentionLimits {
    pub(crate) fn new(retention: Retention) -> Self {
        Self {
            age: milliseconds(retention.age),
            messages: retention.messages,
            bytes: retention.bytes,
        }
    }
}

pub(crate) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Checks that the entries continue a topic whose next message is `next`. Returns the number
/// after them.
pub(crate) fn check_order(entries: &[Entry], next: u64) -> Result<u64, StoreError> {
    let mut expected = next;
    for entry in entries {
        if entry.first != expected || entry.count == 0 {
            let got = entry.first;
            return Err(StoreError::OutOfOrder { expected, got });
        }
        expected += u64::from(entry.count);
    }
    Ok(expected)
}

/// Cuts entries into records of bounded size; one line stays whole.
pub(crate) fn cut(entries: &[Entry]) -> Vec<Cow<'_, [Entry]>> {
    if record::history_len(entries) <= MAX_RECORD {
        return vec![Cow::Borrowed(entries)];
    }
    let mut pieces = Vec::new();
    let mut piece: Vec<Entry> = Vec::new();
    for part in entries.iter().flat_map(cut_entry) {
        let len = record::history_len(&piece) + part.lines.len();
        if !piece.is_empty() && len > MAX_RECORD {
            pieces.push(Cow::Owned(std::mem::take(&mut piece)));
        }
        piece.push(part);
    }
    pieces.push(Cow::Owned(piece));
    pieces
}

fn cut_entry(entry: &Entry) -> Vec<Entry> {
    let mut parts = Vec::new();
    let mut rest = entry.clone();
    while rest.count > 1 && rest.lines.len() > MAX_RECORD / 2 {
        let (count, len) = lines_within(&rest.lines, MAX_RECORD / 2);
        if count >= rest.count || len == 0 {
            break;
        }
        let lines = rest.lines.split_to(len);
        let part = Entry {
            count,
            lines,
            ..rest.clone()
        };
        rest.first += u64::from(count);
        rest.count -= count;
        parts.push(part);
    }
    parts.push(rest);
    parts
}

/// The number of whole lines, and their bytes, that fit into `max` bytes; at least one line.
fn lines_within(lines: &[u8], max: usize) -> (u32, usize) {
    let mut count = 0;
    let mut len = 0;
    for line in lines.split_inclusive(|&byte| byte == b'\n') {
        if count > 0 && len + line.len() > max {
            break;
        }
        count += 1;
        len += line.len();
    }
    (count, len)
}
