//! The records of the log: what a sound log does, without a fault.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use crate::cluster::log::{Appended, Located};

/// How long a record is known by its id.
const DUPLICATE_WINDOW: Duration = Duration::from_secs(30);

/// All records. Their positions grow over all topics.
#[derive(Default)]
pub(super) struct Records {
    topics: BTreeMap<String, Vec<Record>>,
    /// The position of the record that was appended last.
    newest: u64,
}

struct Record {
    at: u64,
    id: String,
    /// When it was appended, by the log's clock, in milliseconds.
    stamp: u64,
    appended: Instant,
    record: Bytes,
}

/// When something is appended.
#[derive(Clone, Copy)]
pub(super) struct Moment {
    pub(super) now: Instant,
    pub(super) stamp: u64,
}

impl Record {
    fn located(&self) -> Located {
        Located {
            at: self.at,
            record: self.record.clone(),
        }
    }
}

impl Records {
    pub(super) fn newest(&self) -> u64 {
        self.newest
    }

    /// Appends a record if the newest is at `prev`, or tells where it is already. `skipped`
    /// positions are left out. If the log forks, one behind the same record doesn't matter.
    pub(super) fn append(
        &mut self,
        moment: Moment,
        topic: &str,
        prev: u64,
        id: &str,
        record: Bytes,
        (skipped, is_forked): (u64, bool),
    ) -> Appended {
        let known = self.of(topic);
        let is_recent = |known: &&Record| moment.now - known.appended < DUPLICATE_WINDOW;
        let mut recent = known.iter().rev().take_while(is_recent);
        if let Some(same) = recent.find(|known| known.id == id) {
            return Appended::At(same.at);
        }
        let is_behind = |known: &[Record]| known.last().map_or(0, |newest| newest.at) == prev;
        let is_rival = is_forked && known.split_last().is_some_and(|(_, rest)| is_behind(rest));
        if !is_behind(known) && !is_rival {
            return Appended::Behind;
        }
        Appended::At(self.force(moment, topic, id, record, skipped))
    }

    /// Appends a record whatever the newest one is.
    pub(super) fn force(
        &mut self,
        moment: Moment,
        topic: &str,
        id: &str,
        record: Bytes,
        skipped: u64,
    ) -> u64 {
        self.newest += 1 + skipped;
        let record = Record {
            at: self.newest,
            id: id.to_owned(),
            stamp: moment.stamp,
            appended: moment.now,
            record,
        };
        let topic = self.topics.entry(topic.to_owned()).or_default();
        topic.push(record);
        self.newest
    }

    fn of(&self, topic: &str) -> &[Record] {
        self.topics.get(topic).map_or(&[], Vec::as_slice)
    }

    /// The records of a topic from this position on, of those that were there when the position
    /// `until` was the newest.
    fn from(&self, topic: &str, from: u64, until: u64) -> impl Iterator<Item = &Record> {
        let known = self.of(topic).iter();
        known.filter(move |record| (from..=until).contains(&record.at))
    }

    pub(super) fn head(&self, topic: &str, until: u64) -> Option<Located> {
        self.from(topic, 0, until).last().map(Record::located)
    }

    pub(super) fn next(&self, topic: &str, from: u64, until: u64) -> Option<Located> {
        self.from(topic, from, until).next().map(Record::located)
    }

    /// At least one, if there is one.
    pub(super) fn read(&self, topic: &str, from: u64, bytes: usize, until: u64) -> Vec<Located> {
        let mut taken = 0;
        let fit = |record: &&Record| {
            let has_room = taken < bytes.max(1);
            taken += record.record.len();
            has_room
        };
        let records = self.from(topic, from, until).take_while(fit);
        records.map(Record::located).collect()
    }

    pub(super) fn since(&self, topic: &str, stamp: u64, until: u64) -> Option<Located> {
        let mut records = self.from(topic, 0, until);
        let first = records.find(|record| record.stamp >= stamp);
        first.map(Record::located)
    }

    pub(super) fn trim(&mut self, topic: &str, before: u64) {
        if let Some(records) = self.topics.get_mut(topic) {
            records.retain(|record| record.at >= before);
            if records.is_empty() {
                self.topics.remove(topic);
            }
        }
    }

    /// Loses the newest records of a topic, as a log does whose disks lie.
    pub(super) fn lose(&mut self, topic: &str, count: usize) {
        if let Some(records) = self.topics.get_mut(topic) {
            records.truncate(records.len().saturating_sub(count));
            if records.is_empty() {
                self.topics.remove(topic);
            }
        }
    }

    pub(super) fn topics(&self, after: Option<&str>, limit: usize) -> Vec<&str> {
        let names = self.topics.keys().map(String::as_str);
        let names = names.skip_while(|name| after.is_some_and(|after| *name <= after));
        names.take(limit).collect()
    }
}
