//! The ids of recent messages: a message that is sent again is acknowledged again and
//! not delivered again.
//!
//! There may be millions of them, so they are kept small: 16 bytes each in the order
//! in which they came, and about 6 in an index.

mod publisher;

use hashbrown::HashTable;

use crate::history::entry::{RememberedId, Stored};
use crate::history::memory::allocated;
use crate::metrics::{self, Count};
use publisher::Publisher;

/// Parts of the window. After each part, ids that are too old are dropped, also those of
/// publishers that have left.
pub(crate) const PARTS_OF_WINDOW: u64 = 10;

/// The upper bits of an id in this module: a hash of its message's text; 0 if the text is
/// unknown. With 48 bits for the id itself, two of a publisher's 100,000 are the same once in
/// about 3,000,000,000 messages, and that message is refused. Another text isn't noticed once in
/// 65,000 times.
const TEXT_BITS: u64 = 0xFFFF << 48;

/// An id with a hash of its message's text.
pub(crate) fn with_text(id: u64, text: u64) -> u64 {
    without_text(id) | (text & TEXT_BITS).max(1 << 48)
}

/// An id whose text is unknown.
pub(crate) fn without_text(id: u64) -> u64 {
    id & !TEXT_BITS
}

/// An earlier message that has the id of a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Duplicate {
    pub(crate) stored: Stored,
    /// It is known to have another text.
    pub(crate) has_other_text: bool,
}

/// For how long ids are remembered, and how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct IdLimits {
    /// Milliseconds.
    pub(crate) window: u64,
    /// The most ids of one publisher in one topic.
    pub(crate) per_publisher: usize,
}

/// The ids of one topic. Without any, no memory is allocated.
pub(crate) struct DedupWindow {
    limits: IdLimits,
    publishers: HashTable<Box<Publisher>>,
    /// Bytes that the publishers take, without the table.
    bytes: usize,
    /// When the ids of all publishers were last checked for age.
    expired: u64,
}

/// Whether there was room for an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Insertion {
    /// The id is remembered.
    Remembered,
    /// There is no room for it, nor for older ids of its publisher.
    NoRoom,
}

impl DedupWindow {
    pub(crate) fn new(limits: IdLimits) -> Self {
        Self {
            limits,
            publishers: HashTable::new(),
            bytes: 0,
            expired: 0,
        }
    }

    /// Changes how many ids are remembered. A publisher that has more loses the oldest with its
    /// next message.
    pub(crate) fn set_limits(&mut self, limits: IdLimits) {
        self.limits = limits;
    }

    /// Bytes that the ids take, with the capacity that is reserved for more.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes + allocated(self.publishers.allocation_size())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.publishers.is_empty()
    }

    /// Finds the message that has this id, if it is within the window. Otherwise remembers
    /// the id, and drops the publisher's oldest ids for it.
    pub(crate) fn find_or_insert(&mut self, new: RememberedId) -> Option<Duplicate> {
        let limits = self.limits;
        let publisher = self.publisher(&new);
        let before = (publisher.bytes(), publisher.len());
        let known = publisher.find_or_insert(&new, &limits);
        let after = (publisher.bytes(), publisher.len());
        self.changed(before, after);
        known
    }

    /// Remembers an id whose message is older than all others known.
    pub(crate) fn insert_older(&mut self, older: RememberedId) -> Insertion {
        let limits = self.limits;
        let publisher = self.publisher(&older);
        let before = (publisher.bytes(), publisher.len());
        let insertion = publisher.insert_older(&older, &limits);
        let after = (publisher.bytes(), publisher.len());
        self.changed(before, after);
        insertion
    }

    /// A publisher took these bytes for so many ids, and takes those.
    fn changed(&mut self, before: (usize, usize), after: (usize, usize)) {
        self.bytes = self.bytes - before.0 + after.0;
        metrics::change(Count::Ids, before.1, after.1);
    }

    /// The publisher of an id, added if it is new.
    fn publisher(&mut self, id: &RememberedId) -> &mut Publisher {
        let entry = self.publishers.entry(
            id.origin,
            |publisher| publisher.origin() == id.origin,
            |publisher| publisher.origin(),
        );
        let bytes = &mut self.bytes;
        let new = || {
            let publisher = Box::new(Publisher::new(id));
            *bytes += publisher.bytes();
            publisher
        };
        entry.or_insert_with(new).into_mut()
    }

    /// Takes back an id whose message wasn't stored.
    pub(crate) fn take_back(&mut self, id: &RememberedId) {
        let known = self
            .publishers
            .find_mut(id.origin, |publisher| publisher.origin() == id.origin);
        if let Some(publisher) = known {
            publisher.take_back(id);
        }
    }

    /// Forgets ids that are too old, of all publishers, once in each part of the window.
    pub(crate) fn expire(&mut self, now: u64) {
        let part = self.limits.window / PARTS_OF_WINDOW;
        if self.is_empty() || now.saturating_sub(self.expired) <= part {
            return;
        }
        self.expired = now;
        let oldest_time = now.saturating_sub(self.limits.window);
        self.shrink(|publisher| publisher.forget_before(oldest_time));
    }

    /// Returns this many bytes, or all, by dropping each publisher's oldest ids.
    pub(crate) fn give_back(&mut self, wanted: usize) {
        let target = self.bytes().saturating_sub(wanted);
        // An index is halved or stays, so this may take several rounds. Each of them drops ids
        // of every publisher.
        while self.bytes() > target && target > 0 {
            let bytes = self.bytes();
            self.shrink(|publisher| publisher.keep_part(target, bytes));
        }
        if target == 0 {
            self.forget();
        }
    }

    /// Has each publisher forget some ids, and frees the memory that is no longer needed.
    fn shrink(&mut self, mut forget: impl FnMut(&mut Publisher)) {
        let mut bytes = 0;
        self.publishers.retain(|publisher| {
            let before = publisher.len();
            forget(publisher);
            metrics::change(Count::Ids, before, publisher.len());
            bytes += publisher.bytes_unless_empty();
            !publisher.is_empty()
        });
        self.bytes = bytes;
        if self.publishers.len() < self.publishers.capacity() / 4 || self.is_empty() {
            let count = 2 * self.publishers.len();
            self.publishers.shrink_to(count, |one| one.origin());
        }
    }

    /// Forgets everything.
    pub(crate) fn forget(&mut self) {
        *self = Self::new(self.limits);
    }
}

#[cfg(test)]
mod tests;
