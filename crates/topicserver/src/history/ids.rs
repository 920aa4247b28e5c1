//! The ids of messages that were published lately, so that one that is sent again
//! is acknowledged again and not delivered again.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};

use crate::history::entry::RememberedId;
use crate::publication::Stored;

/// What an id takes: its place in the order and in the table.
const ID_COST: usize = size_of::<RememberedId>() + 2 * size_of::<(u64, u64)>();

/// Into so many parts is the window divided: after each of them, what has become too
/// old is forgotten, also of publishers who have gone.
const PARTS_OF_WINDOW: u64 = 10;

/// For how long ids are remembered, and how many.
#[derive(Clone, Copy, Debug)]
pub(crate) struct IdLimits {
    /// Milliseconds.
    pub(crate) window: u64,
    /// Of one publisher in one topic.
    pub(crate) per_publisher: usize,
}

/// The ids of one topic.
pub(crate) struct Ids {
    limits: IdLimits,
    publishers: HashMap<u64, Publisher, Hashed>,
    count: usize,
    /// When all publishers' ids were last looked through.
    expired: u64,
}

/// The ids of one publisher.
#[derive(Default)]
struct Publisher {
    /// The oldest first. Some may have been taken back, or come again, since.
    order: VecDeque<RememberedId>,
    /// How many have been forgotten: the first one's number.
    forgotten: u64,
    /// Id → the number, in the order, of the message that it was last given to.
    known: HashMap<u64, u64, Hashed>,
}

/// Keys that are hashes already, with a secret.
type Hashed = BuildHasherDefault<AsItIs>;

/// Takes a number for its own hash.
#[derive(Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }
}

impl Ids {
    pub(crate) fn new(limits: IdLimits) -> Self {
        Self {
            limits,
            publishers: HashMap::default(),
            count: 0,
            expired: 0,
        }
    }

    /// Bytes that they take.
    pub(crate) fn bytes(&self) -> usize {
        self.count * ID_COST
    }

    /// Where the message is that has the id already, if that isn't too
    /// long ago. Otherwise the id is remembered, and the publisher's oldest ones are
    /// forgotten for it.
    pub(crate) fn find_or_insert(&mut self, new: RememberedId) -> Option<Stored> {
        let oldest_time = new.time.saturating_sub(self.limits.window);
        let publisher = self.publishers.entry(new.origin).or_default();
        if let Some(known) = publisher.find(new.id)
            && known.time >= oldest_time
        {
            let (seq, time) = (known.seq, known.time);
            return Some(Stored { seq, time });
        }
        self.count += 1;
        self.count -= publisher.insert(new, &self.limits);
        None
    }

    /// Remembers an id, whatever it was before; the publisher's oldest ones are
    /// forgotten for it.
    pub(crate) fn insert(&mut self, new: RememberedId) {
        let publisher = self.publishers.entry(new.origin).or_default();
        self.count += 1;
        self.count -= publisher.insert(new, &self.limits);
    }

    /// Takes back an id whose message wasn't stored.
    pub(crate) fn take_back(&mut self, id: &RememberedId) {
        if let Some(publisher) = self.publishers.get_mut(&id.origin)
            && publisher.find(id.id) == Some(id)
        {
            publisher.known.remove(&id.id);
        }
    }

    /// Forgets what is too old, of all publishers, from time to time.
    pub(crate) fn expire(&mut self, now: u64) {
        let part = self.limits.window / PARTS_OF_WINDOW;
        if self.count == 0 || now.saturating_sub(self.expired) <= part {
            return;
        }
        self.expired = now;
        let oldest_time = now.saturating_sub(self.limits.window);
        self.publishers.retain(|_, publisher| {
            let is_old = |id: &RememberedId| id.time < oldest_time;
            while publisher.order.front().is_some_and(is_old) {
                publisher.forget_oldest();
                self.count -= 1;
            }
            !publisher.order.is_empty()
        });
    }

    /// Forgets everything.
    pub(crate) fn forget(&mut self) {
        *self = Self::new(self.limits);
    }
}

impl Publisher {
    fn find(&self, id: u64) -> Option<&RememberedId> {
        let number = *self.known.get(&id)?;
        let place = usize::try_from(number.checked_sub(self.forgotten)?).ok()?;
        self.order.get(place)
    }

    /// Remembers an id, and tells how many were forgotten for it.
    fn insert(&mut self, new: RememberedId, limits: &IdLimits) -> usize {
        let oldest_time = new.time.saturating_sub(limits.window);
        let number = self.forgotten + self.order.len() as u64;
        self.order.push_back(new);
        self.known.insert(new.id, number);
        let mut forgotten = 0;
        while let Some(oldest) = self.order.front() {
            if oldest.time >= oldest_time && self.order.len() <= limits.per_publisher {
                break;
            }
            self.forget_oldest();
            forgotten += 1;
        }
        forgotten
    }

    fn forget_oldest(&mut self) {
        if let Some(oldest) = self.order.pop_front() {
            // Unless it was taken back, or given to a later message.
            if self.known.get(&oldest.id) == Some(&self.forgotten) {
                self.known.remove(&oldest.id);
            }
            self.forgotten += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(origin: u64, id: u64, seq: u64, time: u64) -> RememberedId {
        RememberedId {
            origin,
            id,
            seq,
            time,
        }
    }

    /// The number of the message that has the id already.
    fn seq_of(ids: &mut Ids, id: RememberedId) -> Option<u64> {
        ids.find_or_insert(id).map(|known| known.seq)
    }

    fn ids() -> Ids {
        Ids::new(IdLimits {
            window: 100,
            per_publisher: 3,
        })
    }

    #[test]
    fn an_id_is_known_for_the_window_and_of_its_publisher_alone() {
        let mut ids = ids();
        assert_eq!(seq_of(&mut ids, id(1, 7, 50, 1000)), None);
        assert_eq!(seq_of(&mut ids, id(1, 7, 51, 1100)), Some(50));
        assert_eq!(seq_of(&mut ids, id(2, 7, 51, 1100)), None);
        assert_eq!(seq_of(&mut ids, id(1, 7, 52, 1101)), None);
        assert_eq!(seq_of(&mut ids, id(1, 7, 53, 1101)), Some(52));
    }

    #[test]
    fn what_is_too_old_is_forgotten_from_time_to_time() {
        let mut ids = ids();
        ids.find_or_insert(id(1, 7, 50, 1000));
        ids.expire(1100);
        assert!(ids.bytes() > 0);
        ids.expire(1110);
        assert!(ids.bytes() > 0, "it isn't looked at each time");
        ids.expire(1111);
        assert_eq!(ids.bytes(), 0);
        assert!(ids.publishers.is_empty());
    }

    #[test]
    fn a_publisher_that_sends_many_forgets_its_own_oldest() {
        let mut ids = ids();
        ids.find_or_insert(id(2, 1, 1, 0));
        for n in 1..=5 {
            ids.find_or_insert(id(1, n, n, 0));
        }
        let known = |ids: &mut Ids, n| ids.find_or_insert(id(1, n, 99, 0)).is_some();
        assert!(known(&mut ids, 3) && known(&mut ids, 4) && known(&mut ids, 5));
        assert_eq!(ids.bytes(), 4 * ID_COST);
        assert!(!known(&mut ids, 2));
        assert!(ids.find_or_insert(id(2, 1, 9, 0)).is_some());
    }

    #[test]
    fn what_is_taken_back_is_not_known_and_may_come_again() {
        let mut ids = ids();
        ids.find_or_insert(id(1, 7, 50, 0));
        ids.take_back(&id(1, 7, 50, 0));
        assert_eq!(seq_of(&mut ids, id(1, 7, 51, 0)), None);
        ids.take_back(&id(1, 7, 50, 0));
        assert_eq!(seq_of(&mut ids, id(1, 7, 52, 0)), Some(51));
        ids.forget();
        assert_eq!(ids.bytes(), 0);
    }
}
