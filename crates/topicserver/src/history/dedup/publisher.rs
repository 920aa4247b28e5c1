//! The ids of one publisher in one topic: a queue, and an index into it.

use std::collections::VecDeque;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry::{Occupied, Vacant};

use super::{IdLimits, Insertion};
use crate::history::entry::{RememberedId, Stored};
use crate::history::memory::allocated;

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
    /// What the numbers and times in `order` are counted from.
    base: Stored,
    /// The oldest first. Some may have been taken back, or come again, since.
    order: VecDeque<Known>,
    /// How many were forgotten, without the carry: the number of the first in `order`.
    forgotten: u32,
    /// The numbers of those in `order` that are known, by their ids; without room while
    /// there are few.
    index: HashTable<u32>,
}

/// An id, and where its message is, counted from the publisher's base.
struct Known {
    id: u64,
    seq: u32,
    time: u32,
}

impl Publisher {
    /// A publisher with this first id, and as much room for older ids as for newer ones.
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

    pub(super) fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// Bytes that it takes.
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
    ) -> Option<Stored> {
        let oldest_time = new.time.saturating_sub(limits.window);
        let number = self.next_number();
        let at = match self.is_indexed() {
            false => self.find_unindexed(new.id),
            true => {
                self.make_room_in_index();
                let (order, first) = (&self.order, self.forgotten);
                let is_same = |&known: &u32| id_of(order, first, known) == new.id;
                let hash = |&known: &u32| id_of(order, first, known);
                match self.index.entry(new.id, is_same, hash) {
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
        let known = known.map(|known| self.stored(known));
        if known.is_some_and(|known| known.time >= oldest_time) {
            return known;
        }
        self.push(new, limits, oldest_time);
        None
    }

    /// Where an id is in the order, the newest of its messages if it came again.
    fn find_unindexed(&self, id: u64) -> Option<usize> {
        self.order.iter().rposition(|known| known.is(id))
    }

    fn find(&self, id: u64) -> Option<usize> {
        if !self.is_indexed() {
            return self.find_unindexed(id);
        }
        let (order, first) = (&self.order, self.forgotten);
        let is_same = |&known: &u32| id_of(order, first, known) == id;
        let number = self.index.find(id, is_same)?;
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
            let is_same = |&known: &u32| id_of(order, first, known) == older.id;
            let hash = |&known: &u32| id_of(order, first, known);
            // What the id was given to later counts.
            if let Vacant(entry) = self.index.entry(older.id, is_same, hash) {
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

    /// Takes back an id, if it is known as this message's.
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

    /// Forgets what came before `time`.
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
            // Unless it was taken back, or given to a later message.
            let number = self.forgotten;
            self.forgotten = number.wrapping_add(1);
            self.remove_from_index(oldest.id, number);
        }
    }

    fn remove_from_index(&mut self, id: u64, number: u32) {
        if let Ok(entry) = self.index.find_entry(id, |&known| known == number) {
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

    /// Makes room for one more in the index. The table would do so itself, but in its
    /// own order: each id would be looked up in the queue, at a place like any other.
    fn make_room_in_index(&mut self) {
        let len = self.index.len();
        if len == self.index.capacity() {
            // What was removed may take room until now: if that is half of it, it
            // needn't grow. With less, it would have to be filled again too often.
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
            let is_same = |&other: &u32| id_of(order, first, other) == known.id;
            let hash = |&other: &u32| id_of(order, first, other);
            if known.seq != TAKEN_BACK {
                // The later one counts.
                match self.index.entry(known.id, is_same, hash) {
                    Occupied(mut entry) => *entry.get_mut() = number,
                    Vacant(entry) => drop(entry.insert(number)),
                }
            }
            number = number.wrapping_add(1);
        }
    }

    /// Makes room for more, and not for twice as many: the room that is kept free
    /// counts, and there may be millions of ids.
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
            let hash = |&known: &u32| id_of(order, first, known);
            self.index.shrink_to(len, hash);
        }
    }

    /// Counts from another base, because a message is too far from the old one.
    /// What is too far from that is forgotten.
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

    /// Whether a message can be counted from the base.
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
        self.id == id && self.seq != TAKEN_BACK
    }
}

/// Where a message is, from what is kept of that.
fn stored(base: Stored, known: &Known) -> Stored {
    Stored {
        seq: base.seq + u64::from(known.seq),
        time: base.time + u64::from(known.time),
    }
}

/// What a publisher counts from whose newest message this is.
fn base_before(seq: u64, time: u64) -> Stored {
    Stored {
        seq: seq.saturating_sub(MAX_SPAN),
        time: time.saturating_sub(MAX_SPAN),
    }
}

/// Where something with this number is, if the first one has the number `first`.
fn place(first: u32, number: u32) -> usize {
    number.wrapping_sub(first) as usize
}

/// The id with this number. What is in the index is in the order too.
fn id_of(order: &VecDeque<Known>, first: u32, number: u32) -> u64 {
    order.get(place(first, number)).map_or(0, |known| known.id)
}

/// Of numbers that are small enough, as long as nothing is wrong.
fn truncated(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(TAKEN_BACK - 1)
}

/// How many ids are kept at most.
fn most(limits: &IdLimits) -> usize {
    limits.per_publisher.min(u32::MAX as usize / 2)
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
