//! Finds the first message after a time. Times mostly rise from record to record. Where they went
//! back, because a clock that was ahead has been set, the catalogue notes a setback. Between two
//! setbacks times rise, so a binary search finds the message.

use bytes::Bytes;

use super::database::Tables;
use super::error::StoreError;
use super::record;
use super::types::TopicId;
use crate::clock::{Correction, corrected};
use crate::history::entry::Entry;

/// How many setbacks of a topic are noted. Beyond that, times stay where they are until the
/// clock has reached them. A topic gets one at a start after a clock was ahead.
pub(crate) const MAX_SETBACKS: usize = 64;

/// The messages that a topic has.
#[derive(Clone, Debug)]
pub(crate) struct Span {
    /// The oldest message.
    pub(crate) first: u64,
    /// The one after the newest.
    pub(crate) next: u64,
    /// The messages before which time went back.
    pub(crate) setbacks: Vec<u64>,
}

impl Span {
    /// The parts in which times rise, each as its first message and the one after its last.
    pub(crate) fn rises(&self) -> Vec<(u64, u64)> {
        let is_inside = |&seq: &u64| self.first < seq && seq < self.next;
        let inside = self.setbacks.iter().copied().filter(is_inside);
        let mut begin = self.first;
        let mut rises = Vec::with_capacity(1);
        for end in inside.chain([self.next]) {
            rises.push((begin, end));
            begin = end;
        }
        rises
    }
}

/// The first message after all that came before `time`; the next one if there is none.
pub(crate) fn first_since(
    tables: &Tables,
    topic: TopicId,
    span: &Span,
    time: u64,
    corrections: &[Correction],
) -> Result<u64, StoreError> {
    let mut first = span.next;
    for (begin, end) in span.rises().into_iter().rev() {
        match since_within(tables, topic, (begin, end), time, corrections)? {
            // Everything in this part came before.
            None => return Ok(first),
            Some(found) => first = found,
        }
        if first > begin {
            return Ok(first);
        }
    }
    Ok(first)
}

/// The first message that came at `time` or later, in a part in which times rise.
fn since_within(
    tables: &Tables,
    topic: TopicId,
    (begin, end): (u64, u64),
    time: u64,
    corrections: &[Correction],
) -> Result<Option<u64>, StoreError> {
    // The first record with such a message begins in `low..=high`.
    let (mut low, mut high) = (begin, end);
    let mut found = None;
    while low < high {
        let middle = low + (high - low) / 2;
        let Some((seq, bytes)) = Tables::last_at(&tables.history, topic, low, middle)? else {
            low = middle + 1;
            continue;
        };
        let header = record::read_header(&bytes)?;
        if corrected(header.time, corrections) >= time {
            high = seq;
            found = Some((seq, bytes));
        } else {
            low = (seq + u64::from(header.messages)).max(middle + 1);
        }
    }
    let Some((seq, bytes)) = found else {
        return Ok(None);
    };
    let entries = record::read_history(seq, Bytes::from_owner(bytes))?;
    let is_young = |entry: &&Entry| corrected(entry.time, corrections) >= time;
    let entry = entries.iter().find(is_young);
    Ok(Some(entry.map_or(seq, |entry| entry.first)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_falls_apart_at_its_setbacks() {
        let span = |setbacks: &[u64]| Span {
            first: 10,
            next: 20,
            setbacks: setbacks.to_vec(),
        };
        assert_eq!(span(&[]).rises(), [(10, 20)]);
        assert_eq!(span(&[3, 10, 20, 30]).rises(), [(10, 20)]);
        assert_eq!(span(&[12, 19]).rises(), [(10, 12), (12, 19), (19, 20)]);
    }
}
