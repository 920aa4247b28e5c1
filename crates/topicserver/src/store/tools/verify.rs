//! Checks that a history is what its server wrote: every record can be read, every number is
//! there once, and the catalogue names what there is. The database checks its checksums whenever
//! something is read.

use bytes::Bytes;

use super::facts::Size;
use super::lines::{End, Parts, lines_of};
use super::walk::{Passing, Visitor, Whole};
use crate::history::entry::Entry;
use crate::store::catalogue;
use crate::store::database::Tables;
use crate::store::error::{Damaged, StoreError};
use crate::store::record::{self, Header};
use crate::store::types::TopicId;

/// Topics of the catalogue that are checked in one step.
const CHECKED: usize = 256;

/// Checks everything, and writes a line for each thing that is wrong.
#[derive(Default)]
pub(super) struct Verify {
    end: End,
    /// The number that comes next, and the bytes of the topic before it.
    next: u64,
    total: Option<u64>,
}

impl Verify {
    /// A record whose first message is `seq`. Returns its header if it can be read.
    fn check(&mut self, seq: u64, record: &Bytes) -> Result<Header, Damaged> {
        let header = record::read_header(record)?;
        let ids = record::read_ids(seq, record)?;
        if !ids.is_sorted_by(|one, other| one.seq < other.seq) {
            return Err(Damaged("ids out of order"));
        }
        for entry in record::read_history(seq, record.clone())? {
            check_lines(&entry)?;
            self.end.messages += u64::from(entry.count);
        }
        Ok(header)
    }
}

/// Checks that each line has its number.
fn check_lines(entry: &Entry) -> Result<(), Damaged> {
    let lines = lines_of(&entry.lines, entry.count)?;
    (entry.first..)
        .zip(lines)
        .try_for_each(|(seq, line)| Parts::of(seq, line).map(drop))
}

impl Visitor for Verify {
    fn begin(&mut self, whole: &Whole, out: &mut Vec<u8>) {
        if whole.secret.is_none() {
            self.problem(None, None, &"the secret of the ids is missing", out);
        }
    }

    fn topic(&mut self, topic: &Passing, _: &Size, out: &mut Vec<u8>) {
        let facts = &topic.facts;
        (self.next, self.total) = (facts.first, None);
        let name = Some(&*facts.name);
        if let Some(lost) = &facts.lost {
            let what = format!("the messages {} to {} are lost", lost.start(), lost.end());
            self.problem(name, Some(*lost.start()), &what, out);
        }
        if facts.is_mark_damaged {
            let what = "its high-water mark is damaged: a loss could not be told";
            self.problem(name, None, &what, out);
        }
    }

    fn record(&mut self, topic: &Passing, seq: u64, record: Bytes, out: &mut Vec<u8>) {
        let name = Some(&*topic.facts.name);
        // Retention may have deleted messages since the last record.
        let expected = self.next.max(topic.facts.first);
        if seq > expected {
            let what = format!("the messages {expected} to {} are missing", seq - 1);
            self.problem(name, Some(expected), &what, out);
        } else if seq < expected {
            self.problem(name, Some(seq), &"these numbers were given twice", out);
        }
        let is_next = seq == self.next;
        match self.check(seq, &record) {
            Ok(header) => {
                let before = header.total.saturating_sub(record.len() as u64);
                if is_next && self.total.is_some_and(|total| total != before) {
                    self.problem(name, Some(seq), &"it counts other bytes before it", out);
                }
                self.total = Some(header.total);
                self.next = seq + u64::from(header.messages);
            }
            Err(error) => {
                self.problem(name, Some(seq), &error, out);
                let header = record::read_header(&record);
                self.next = seq + header.map_or(1, |header| u64::from(header.messages));
                self.total = None;
            }
        }
    }

    fn leave(&mut self, topic: &Passing, out: &mut Vec<u8>) {
        self.end.topics += 1;
        let facts = &topic.facts;
        let end = facts.lost.as_ref().map_or(facts.next, |lost| *lost.start());
        let next = self.next.max(facts.first);
        if next < end {
            let what = format!("the messages {next} to {} are missing", end - 1);
            self.problem(Some(&facts.name), Some(next), &what, out);
        }
    }

    fn counts(&mut self) -> &mut End {
        &mut self.end
    }

    fn check_catalogue(
        &mut self,
        tables: &Tables,
        from: u32,
        out: &mut Vec<u8>,
    ) -> Result<Option<u32>, StoreError> {
        let mut next = Some(from);
        for _ in 0..CHECKED {
            let Some(from) = next else { break };
            let Some(id) = first_topic(tables, from)? else {
                return Ok(None);
            };
            self.check_topic(tables, id, out)?;
            next = id.0.checked_add(1);
        }
        Ok(next)
    }
}

impl Verify {
    /// Checks that a topic's number and its name belong together.
    fn check_topic(
        &mut self,
        tables: &Tables,
        id: TopicId,
        out: &mut Vec<u8>,
    ) -> Result<(), StoreError> {
        let known = match catalogue::find_record(tables, id) {
            Ok(known) => known,
            Err(error @ (StoreError::Damaged(_) | StoreError::NoTopic(_))) => {
                let what = format!("topic number {}: {error}", id.0);
                self.problem(None, None, &what, out);
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let named = tables.names.get(&known.name)?;
        if named.as_deref() != Some(&id.0.to_be_bytes()[..]) {
            let what = format!("its name doesn't lead to its number, which is {}", id.0);
            self.problem(Some(&known.name), None, &what, out);
        }
        if id.0 >= catalogue::noted_next_id(tables)? {
            let what = format!("its number {} may be given again", id.0);
            self.problem(Some(&known.name), None, &what, out);
        }
        Ok(())
    }
}

/// The first topic from this number on that is in the catalogue or has messages.
fn first_topic(tables: &Tables, from: u32) -> Result<Option<TopicId>, StoreError> {
    let listed = tables.topics.range(from.to_be_bytes()..).next();
    let stored = tables.history.range(from.to_be_bytes()..).next();
    let mut first: Option<TopicId> = None;
    for found in [listed, stored].into_iter().flatten() {
        let key = found.key()?;
        let id = record::read_id(key.get(..4).unwrap_or_default())?;
        first = Some(first.map_or(id, |first| first.min(id)));
    }
    Ok(first)
}
