//! The ids of recent messages: a message that is sent again is acknowledged again and
//! not delivered again.
//!
//! There may be millions of them, so they are kept small: 16 bytes each in the order
//! in which they came, and about 6 in an index.

mod publisher;

use hashbrown::HashTable;

use crate::history::entry::{RememberedId, Stored};
use crate::history::memory::allocated;
use publisher::Publisher;

/// Parts of the window. After each part, ids that are too old are dropped, also those of
/// publishers that have left.
pub(crate) const PARTS_OF_WINDOW: u64 = 10;

/// For how long ids are remembered, and how many.
#[derive(Clone, Copy, Debug)]
pub(crate) struct IdLimits {
    /// Milliseconds.
    pub(crate) window: u64,
    /// Of one publisher in one topic.
    pub(crate) per_publisher: usize,
}

/// The ids of one topic. Without any, no memory is allocated.
pub(crate) struct DedupWindow {
    limits: IdLimits,
    publishers: HashTable<Box<Publisher>>,
    /// Bytes that the publishers take, without the table.
    bytes: usize,
    /// When all publishers' ids were last looked through.
    expired: u64,
}

/// Whether there was room for an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Insertion {
    /// The id is remembered.
    Remembered,
    /// There is no room for it, and for no older one of its publisher.
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

    /// Bytes that they take, with what is kept free for more.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes + allocated(self.publishers.allocation_size())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.publishers.is_empty()
    }

    /// Finds the message that has this id, if it is within the window. Otherwise remembers
    /// the id, and drops the publisher's oldest ids for it.
    pub(crate) fn find_or_insert(&mut self, new: RememberedId) -> Option<Stored> {
        let limits = self.limits;
        let publisher = self.publisher(&new);
        let before = publisher.bytes();
        let known = publisher.find_or_insert(&new, &limits);
        let after = publisher.bytes();
        self.bytes = self.bytes - before + after;
        known
    }

    /// Remembers an id whose message came before all that are known.
    pub(crate) fn insert_older(&mut self, older: RememberedId) -> Insertion {
        let limits = self.limits;
        let publisher = self.publisher(&older);
        let before = publisher.bytes();
        let insertion = publisher.insert_older(&older, &limits);
        let after = publisher.bytes();
        self.bytes = self.bytes - before + after;
        insertion
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

    /// Forgets what is too old, of all publishers, from time to time.
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

    /// Has each publisher forget something, and gives back what isn't needed then.
    fn shrink(&mut self, mut forget: impl FnMut(&mut Publisher)) {
        let mut bytes = 0;
        self.publishers.retain(|publisher| {
            forget(publisher);
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
