//! A topic whose messages come from the log of a cluster.

use std::sync::Arc;

use super::{StoredTopic, TopicLog};
use crate::cluster::tail::{Counted, Tail};
use crate::history::memory::History;
use crate::topic::place::{InLog, Place};
use crate::topic::publication::Publication;
use crate::topic::render::{EncodedBatch, render};

/// What a record brings.
#[derive(Default)]
pub(crate) struct Applied {
    /// Its messages, encoded.
    pub(crate) pieces: Vec<EncodedBatch>,
    /// Messages before it that this server didn't get, from this number on.
    pub(crate) missed_from: Option<u64>,
    /// The topic's numbers have begun anew.
    pub(crate) is_anew: bool,
}

impl TopicLog {
    /// The topic is followed from here on.
    pub(crate) fn enter(&mut self, log: Arc<InLog>, from: &Tail) {
        if let Some(epoch) = from.epoch() {
            self.epoch = epoch;
        }
        self.history = History::new(self.settings.limits().history, from.next());
        self.time = from.time;
        self.stored = Some(Box::new(StoredTopic {
            first: log.first(),
            place: Place::Cluster(log),
        }));
        self.count_bytes();
    }

    /// Remembers the messages of the record that comes next.
    pub(crate) fn apply(&mut self, counted: &Counted, publications: &[Publication]) -> Applied {
        let record = &counted.record;
        let next = self.history.next();
        // A log that has lost messages may go on where it was.
        let is_anew = counted.is_anew || record.epoch != self.epoch || record.first < next;
        let mut missed_from = None;
        if is_anew {
            // Without messages there was nothing that could be lost.
            self.history = History::new(self.settings.limits().history, record.first);
            self.epoch = record.epoch;
        } else if record.first > next {
            self.history.skip(record.first - next);
            missed_from = Some(next);
        }
        self.time = record.time;
        let pieces = render(publications, record.stamp, Some(record.first), record.epoch);
        for piece in &pieces {
            let entry = self.entry(publications, piece);
            self.history.append(entry);
        }
        if let Some(Place::Cluster(log)) = self.place() {
            log.read_to(counted);
        }
        self.count_bytes();
        Applied {
            pieces,
            missed_from,
            is_anew: is_anew && next > 1,
        }
    }
}
