//! What is known of a topic, read without changing anything.

use std::ops::RangeInclusive;

use bytes::Bytes;

use crate::store::catalogue;
use crate::store::database::{Tables, record_of};
use crate::store::error::StoreError;
use crate::store::high_water_marks::{HighWaterMarks, Slot};
use crate::store::record::{self, Header};
use crate::store::shared::Shared;
use crate::store::types::TopicId;

/// A topic as it is now.
pub(super) struct Facts {
    pub(super) id: TopicId,
    pub(super) name: String,
    /// A new one if messages are lost, as a server would give it.
    pub(super) epoch: u64,
    /// The oldest message that is kept.
    pub(super) first: u64,
    /// The one after the newest.
    pub(super) next: u64,
    /// Acknowledged messages that aren't there any more.
    pub(super) lost: Option<RangeInclusive<u64>>,
    /// Whether it can't be told if messages are lost.
    pub(super) is_mark_damaged: bool,
}

/// How much a topic holds.
#[derive(Default)]
pub(super) struct Size {
    pub(super) bytes: u64,
    /// When the newest message was published; 0 if there is none.
    pub(super) time: u64,
}

impl Facts {
    /// Reads them. A server's writer may be at work.
    pub(super) fn read(
        tables: &Tables,
        shared: &Shared,
        marks: &HighWaterMarks,
        id: TopicId,
    ) -> Result<Self, StoreError> {
        let loaded = shared.bounds.lock().get(&id).cloned();
        let known = catalogue::find_record(tables, id)?;
        let mut facts = Self {
            id,
            name: known.name,
            epoch: known.epoch,
            first: known.first,
            next: known.floor,
            lost: None,
            is_mark_damaged: false,
        };
        if let Some(bounds) = loaded {
            // A loss was noted when the topic was loaded.
            (facts.first, facts.next) = (bounds.first(), bounds.next());
            return Ok(facts);
        }
        let (found, damaged) = newest(tables, id, known.first)?;
        if let Some((seq, header)) = found {
            facts.next = facts.next.max(seq + u64::from(header.messages));
        }
        let missing = match marks.get(id) {
            Slot::Head(seq) if seq >= facts.next => Some(facts.next..=seq),
            Slot::Head(_) | Slot::Empty => None,
            Slot::Damaged => {
                facts.is_mark_damaged = true;
                None
            }
        };
        facts.lost = missing.or(damaged);
        if let Some(lost) = &facts.lost {
            facts.next = facts.next.max(lost.end() + 1);
            facts.epoch = catalogue::new_epoch()?;
            if found.is_none() {
                facts.first = facts.next;
            }
        }
        Ok(facts)
    }

    /// How much the topic holds.
    pub(super) fn size(&self, tables: &Tables) -> Result<Size, StoreError> {
        let (Some((_, newest)), _) = newest(tables, self.id, self.first)? else {
            return Ok(Size::default());
        };
        let oldest = Tables::records(&tables.history, self.id, self.first).next();
        let oldest = oldest.map(record_of).transpose()?;
        let before = oldest.map_or(newest.total, |(_, bytes)| {
            catalogue::oldest_of(&bytes).before
        });
        Ok(Size {
            bytes: newest.total.saturating_sub(before),
            time: newest.time,
        })
    }

    /// The epoch as clients get it.
    pub(super) fn epoch(&self) -> String {
        format!("{:016x}", self.epoch)
    }
}

/// A record's first number, and its header.
type Newest = Option<(u64, Header)>;

/// The newest readable record of a topic, and which messages are damaged behind it.
fn newest(
    tables: &Tables,
    id: TopicId,
    first: u64,
) -> Result<(Newest, Option<RangeInclusive<u64>>), StoreError> {
    let mut damaged: Option<RangeInclusive<u64>> = None;
    let mut high = u64::MAX;
    while let Some((seq, bytes)) = Tables::last_at(&tables.history, id, first, high)? {
        let header = record::read_header(&bytes);
        if let Ok(header) = header
            && record::read_history(seq, Bytes::from_owner(bytes)).is_ok()
        {
            return Ok((Some((seq, header)), damaged));
        }
        let last = damaged.map_or(seq, |damaged| *damaged.end());
        damaged = Some(seq..=last);
        match seq.checked_sub(1) {
            Some(before) if seq > first => high = before,
            _ => break,
        }
    }
    Ok((None, damaged))
}
