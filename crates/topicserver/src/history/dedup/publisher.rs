//! The ids of one publisher in one topic: a queue, and an index into it.

use std::collections::VecDeque;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry::{Occupied, Vacant};

use super::{Duplicate, IdLimits, Insertion, TEXT_BITS, without_text};
use crate::history::entry::{RememberedId, Stored};
use crate::history::memory::allocated;
use crate::metrics::{self, Count};

/// Up to this many ids are searched without an index: four lines of a processor's cache.
/// Most publishers have fewer.
const UNINDEXED: usize = 16;

/// How far apart a publisher's oldest and newest message may be, in numbers and in
/// milliseconds: more than a topic gets within a day, which is the longest window.
const MAX_SPAN: u64 = 1 << 31;

/// Stands for the number of a message that was taken back.
const TAKEN_BACK: u32 = u32::MAX;

/// The ids of one publisher.
pub(super) struct Publisher {
    origin: u64,
    /// The base from which the numbers and times in `order` are counted.
    base: Stored,
    /// The ids, oldest first. Some may have been taken back or used again since.
    order: VecDeque<Known>,
    /// How many were forgotten, modulo 2³²: the number of the first in `order`.
    forgotten: u32,
    /// The numbers in `order` by id. Empty, without capacity, while there are few ids.
    index: HashTable<u32>,
}

/// An id, and where its message is, counted from the publisher's base.
struct Known {
    id: u64,
    seq: u32,
    time: u32,
}

impl Publisher {
    /// A publisher with this first id, and as much range for older ids as for newer ones.
    pub(super) fn new(first: &RememberedId) -> Self {
        Self {
            origin: first.origin,
            base: base_before(first.seq, first.time),
            order: VecDeque::new(),
            forgotten: 0,
            index: HashTable::new(),
        }
    }

    pub(super) fn origin(&self) -> u64 {
        self.origin
    }

    /// Ids that are remembered, those that were taken back included.
    pub(super) fn len(&self) -> usize {
        self.order.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// Bytes that the publisher takes.
    pub(super) fn bytes(&self) -> usize {
        size_of::<Self>()
            + allocated(self.order.capacity() * size_of::<Known>())
            + allocated(self.index.allocation_size())
    }

    pub(super) fn bytes_unless_empty(&self) -> usize {
        if self.is_empty() { 0 } else { self.bytes() }
    }

    /// Finds the message that has this id, if it is within the window. Otherwise remembers
    /// the id.
    pub(super) fn find_or_insert(
        &mut self,
        new: &RememberedId,
        limits: &IdLimits,
    ) -> Option<Duplicate> {
        let oldest_time = new.time.saturating_sub(limits.window);
        let number = self.next_number();
        let at = match self.is_indexed() {
            false => self.find_unindexed(new.id),
            true => {
                self.make_room_in_index();
                let (order, first) = (&self.order, self.forgotten);
                let is_same = |&known: &u32| is_same(id_of(order, first, known), new.id);
                let hash = |&known: &u32| hash_of(id_of(order, first, known));
                match self.index.entry(hash_of(new.id), is_same, hash) {
                    Vacant(entry) => {
                        entry.insert(number);
                        None
                    }
                    Occupied(mut entry) => {
                        let at = place(first, *entry.get());
                        let known = order.get(at).map(|known| stored(self.base, known));
                        if known.is_none_or(|known| known.time < oldest_time) {
                            *entry.get_mut() = number;
                        }
                        Some(at)
                    }
                }
            }
        };
        let known = at.and_then(|at| self.order.get(at));
        let known = known.map(|known| Duplicate {
            stored: self.stored(known),
            has_other_text: has_other_text(known.id, new.id),
        });
        if known.is_some_and(|known| known.stored.time >= oldest_time) {
            return known;
        }
        self.push(new, limits, oldest_time);
        None
    }

    /// The index of an id in the order; of its newest message if it was used again.
    fn find_unindexed(&self, id: u64) -> Option<usize> {
        self.order.iter().rposition(|known| known.is(id))
    }

    fn find(&self, id: u64) -> Option<usize> {
        if !self.is_indexed() {
            return self.find_unindexed(id);
        }
        let (order, first) = (&self.order, self.forgotten);
        let is_same = |&known: &u32| is_same(id_of(order, first, known), id);
        let number = self.index.find(hash_of(id), is_same)?;
        Some(place(first, *number))
    }

    /// Adds an id to the queue, which is in the index already if there is one.
    fn push(&mut self, new: &RememberedId, limits: &IdLimits, oldest_time: u64) {
        if !self.is_near(new) {
            self.rebase(new);
        }
        let known = self.known(new);
        self.make_room(limits);
        self.order.push_back(known);
        let most = most(limits);
        while let Some(oldest) = self.order.front() {
            let is_young = self.stored(oldest).time >= oldest_time;
            if is_young && self.order.len() <= most {
                break;
            }
            self.forget_oldest();
        }
        if self.order.len() > UNINDEXED && !self.is_indexed() {
            self.make_index();
        }
    }

    /// Remembers an id that is older than all others.
    pub(super) fn insert_older(&mut self, older: &RememberedId, limits: &IdLimits) -> Insertion {
        if self.order.len() >= most(limits) || !self.is_near(older) {
            return Insertion::NoRoom;
        }
        let number = self.forgotten.wrapping_sub(1);
        if self.is_indexed() {
            self.make_room_in_index();
            let (order, first) = (&self.order, self.forgotten);
            let is_same = |&known: &u32| is_same(id_of(order, first, known), older.id);
            let hash = |&known: &u32| hash_of(id_of(order, first, known));
            // A later use of the id counts.
            if let Vacant(entry) = self.index.entry(hash_of(older.id), is_same, hash) {
                entry.insert(number);
            }
        }
        let known = self.known(older);
        self.make_room(limits);
        self.order.push_front(known);
        self.forgotten = number;
        if self.order.len() > UNINDEXED && !self.is_indexed() {
            self.make_index();
        }
        Insertion::Remembered
    }

    /// Takes back an id, if it is remembered for this message.
    pub(super) fn take_back(&mut self, id: &RememberedId) {
        let Some(at) = self.find(id.id) else {
            return;
        };
        let number = self.forgotten.wrapping_add(truncated(at as u64));
        match self.order.get_mut(at) {
            Some(known) if self.base.seq + u64::from(known.seq) == id.seq => {
                known.seq = TAKEN_BACK;
            }
            _ => return,
        }
        self.remove_from_index(id.id, number);
        while self.order.back().is_some_and(|last| last.seq == TAKEN_BACK) {
            self.order.pop_back();
        }
    }

    /// Forgets ids of messages before `time`.
    pub(super) fn forget_before(&mut self, time: u64) {
        while let Some(oldest) = self.order.front() {
            if self.stored(oldest).time >= time {
                break;
            }
            self.forget_oldest();
        }
        if self.order.len() < self.order.capacity() / 4 {
            self.shrink_to(2 * self.order.len());
        }
    }

    /// Keeps `part` of `whole` of its ids, the newest.
    pub(super) fn keep_part(&mut self, part: usize, whole: usize) {
        let kept = self.order.len() as u128 * part as u128 / whole.max(1) as u128;
        while self.order.len() as u128 > kept {
            self.forget_oldest();
        }
        self.shrink_to(0);
    }

    fn forget_oldest(&mut self) {
        if let Some(oldest) = self.order.pop_front() {
            // Unless the id was taken back, or used again later.
            let number = self.forgotten;
            self.forgotten = number.wrapping_add(1);
            self.remove_from_index(oldest.id, number);
        }
    }

    fn remove_from_index(&mut self, id: u64, number: u32) {
        if let Ok(entry) = self.index.find_entry(hash_of(id), |&known| known == number) {
            entry.remove();
        }
    }

    fn is_indexed(&self) -> bool {
        self.index.capacity() > 0
    }

    /// The number that the next id gets.
    fn next_number(&self) -> u32 {
        self.forgotten
            .wrapping_add(truncated(self.order.len() as u64))
    }

    /// Makes room for one more in the index. The table could do so itself, but in its own order:
    /// it would look up each id at a random place of the queue.
    fn make_room_in_index(&mut self) {
        let len = self.index.len();
        if len == self.index.capacity() {
            // Removed entries may still take room. If they are half of the index, it needn't
            // grow. With fewer, it would be filled again too often.
            let most = self.index.num_buckets() / 8 * 7;
            self.index.clear();
            if len > most / 2 {
                self.index = HashTable::with_capacity(most + 1);
            }
            self.make_index();
        }
    }

    /// Fills the index, which is empty.
    fn make_index(&mut self) {
        let (order, first) = (&self.order, self.forgotten);
        if self.index.capacity() <= order.len() {
            self.index = HashTable::with_capacity(order.len() + 1);
        }
        let mut number = first;
        for known in order {
            let is_same = |&other: &u32| is_same(id_of(order, first, other), known.id);
            let hash = |&other: &u32| hash_of(id_of(order, first, other));
            if known.seq != TAKEN_BACK {
                // A later use of the id counts.
                match self.index.entry(hash_of(known.id), is_same, hash) {
                    Occupied(mut entry) => *entry.get_mut() = number,
                    Vacant(entry) => drop(entry.insert(number)),
                }
            }
            number = number.wrapping_add(1);
        }
    }

    /// Makes room for more ids, but not for twice as many, because there may be millions and
    /// reserved room counts too.
    fn make_room(&mut self, limits: &IdLimits) {
        let len = self.order.len();
        if len == self.order.capacity() {
            let left = most(limits).saturating_sub(len).saturating_add(1);
            self.order.reserve_exact((len / 2).max(4).min(left));
        }
    }

    fn shrink_to(&mut self, len: usize) {
        self.order.shrink_to(len);
        let (order, first) = (&self.order, self.forgotten);
        if self.order.len() <= UNINDEXED {
            self.index = HashTable::new();
        } else if self.is_indexed() {
            let hash = |&known: &u32| hash_of(id_of(order, first, known));
            self.index.shrink_to(len, hash);
        }
    }

    /// Counts from another base, because a message is too far from the old one. Ids too far from
    /// the new base are forgotten.
    fn rebase(&mut self, newest: &RememberedId) {
        let base = base_before(newest.seq, newest.time);
        while let Some(oldest) = self.order.front() {
            let Stored { seq, time } = self.stored(oldest);
            if oldest.seq != TAKEN_BACK && seq >= base.seq && time >= base.time {
                break;
            }
            self.forget_oldest();
        }
        let old = self.base;
        for known in &mut self.order {
            let Stored { seq, time } = stored(old, known);
            known.time = truncated(time.saturating_sub(base.time));
            if known.seq != TAKEN_BACK {
                known.seq = truncated(seq.saturating_sub(base.seq));
            }
        }
        self.base = base;
    }

    /// Whether the distance of a message from the base fits.
    fn is_near(&self, id: &RememberedId) -> bool {
        let is_near = |from: u64, to: u64| {
            to.checked_sub(from)
                .is_some_and(|span| span < 2 * MAX_SPAN - 1)
        };
        is_near(self.base.seq, id.seq) && is_near(self.base.time, id.time)
    }

    fn known(&self, id: &RememberedId) -> Known {
        Known {
            id: id.id,
            seq: truncated(id.seq.saturating_sub(self.base.seq)),
            time: truncated(id.time.saturating_sub(self.base.time)),
        }
    }

    fn stored(&self, known: &Known) -> Stored {
        stored(self.base, known)
    }
}

impl Known {
    fn is(&self, id: u64) -> bool {
        is_same(self.id, id) && self.seq != TAKEN_BACK
    }
}

/// Whether two ids are the same, whatever the texts of their messages.
fn is_same(one: u64, other: u64) -> bool {
    without_text(one) == without_text(other)
}

fn has_other_text(one: u64, other: u64) -> bool {
    let (one, other) = (one & TEXT_BITS, other & TEXT_BITS);
    one != 0 && other != 0 && one != other
}

/// An id's hash in the index, which uses its first and its last bits.
fn hash_of(id: u64) -> u64 {
    without_text(id).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

/// The number and time of a message, from its distances to the base.
fn stored(base: Stored, known: &Known) -> Stored {
    Stored {
        seq: base.seq + u64::from(known.seq),
        time: base.time + u64::from(known.time),
    }
}

/// The base of a publisher whose newest message this is.
fn base_before(seq: u64, time: u64) -> Stored {
    Stored {
        seq: seq.saturating_sub(MAX_SPAN),
        time: time.saturating_sub(MAX_SPAN),
    }
}

/// The index of the number, if the first one is `first`.
fn place(first: u32, number: u32) -> usize {
    number.wrapping_sub(first) as usize
}

/// The id with this number. Every number in the index is in the order too.
fn id_of(order: &VecDeque<Known>, first: u32, number: u32) -> u64 {
    order.get(place(first, number)).map_or(0, |known| known.id)
}

/// Shortens a number that always fits, unless there is a bug.
fn truncated(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(TAKEN_BACK - 1)
}

/// The most ids that are kept.
fn most(limits: &IdLimits) -> usize {
    limits.per_publisher.min(u32::MAX as usize / 2)
}

impl Drop for Publisher {
    fn drop(&mut self) {
        metrics::change(Count::Ids, self.len(), 0);
    }
}

#[cfg(test)]
impl Publisher {
    pub(super) fn list(&self) -> Vec<RememberedId> {
        let known = self.order.iter().filter(|known| known.seq != TAKEN_BACK);
        let remembered = |known: &Known| {
            let Stored { seq, time } = self.stored(known);
            let (origin, id) = (self.origin, known.id);
            RememberedId {
                origin,
                id,
                seq,
                time,
            }
        };
        known.map(remembered).collect()
    }
}
