//! The ids of messages that were published lately, so that one that is sent again
//! is acknowledged again and not delivered again.

use std::collections::{HashMap, VecDeque};

use crate::history::entry::RememberedId;

/// What an id takes: its place in the order and in the table.
const ID_COST: usize = 2 * size_of::<RememberedId>() + 16;

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
    publishers: HashMap<u64, Publisher>,
    count: usize,
    /// When all publishers' ids were last looked through.
    expired: u64,
}

/// Into so many parts is the window divided: after each of them, what has become too
/// old is forgotten, also of publishers who have gone.
const PARTS_OF_WINDOW: u64 = 10;

/// The ids of one publisher.
#[derive(Default)]
struct Publisher {
    /// The oldest first. Some may have been taken back, or come again, since.
    order: VecDeque<RememberedId>,
    /// Id → the message that it was last given to.
    known: HashMap<u64, RememberedId>,
}

impl Ids {
    pub(crate) fn new(limits: IdLimits) -> Self {
        Self {
            limits,
            publishers: HashMap::new(),
            count: 0,
            expired: 0,
        }
    }

    /// Bytes that they take.
    pub(crate) fn bytes(&self) -> usize {
        self.count * ID_COST
    }

    /// The message that an id of a publisher's was given to, if that isn't too long
    /// ago.
    pub(crate) fn find(&self, origin: u64, id: u64, now: u64) -> Option<&RememberedId> {
        let known = self.publishers.get(&origin)?.known.get(&id)?;
        (known.time + self.limits.window >= now).then_some(known)
    }

    /// Remembers an id; the publisher's oldest ones are forgotten for it.
    pub(crate) fn insert(&mut self, new: RememberedId) {
        let publisher = self.publishers.entry(new.origin).or_default();
        publisher.order.push_back(new);
        publisher.known.insert(new.id, new);
        self.count += 1;
        let oldest_time = new.time.saturating_sub(self.limits.window);
        while let Some(oldest) = publisher.order.front() {
            if oldest.time >= oldest_time && publisher.order.len() <= self.limits.per_publisher {
                break;
            }
            self.count -= publisher.forget_oldest();
        }
    }

    /// Takes back an id whose message wasn't stored.
    pub(crate) fn take_back(&mut self, id: &RememberedId) {
        if let Some(publisher) = self.publishers.get_mut(&id.origin)
            && publisher.known.get(&id.id) == Some(id)
        {
            publisher.known.remove(&id.id);
        }
    }

    /// Forgets what is too old, of all publishers, from time to time.
    pub(crate) fn expire(&mut self, now: u64) {
        if self.count == 0 || now - self.expired.min(now) <= self.limits.window / PARTS_OF_WINDOW {
            return;
        }
        self.expired = now;
        let oldest_time = now.saturating_sub(self.limits.window);
        self.publishers.retain(|_, publisher| {
            while publisher
                .order
                .front()
                .is_some_and(|id| id.time < oldest_time)
            {
                self.count -= publisher.forget_oldest();
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
    /// How many were forgotten: one, or none if there is none.
    fn forget_oldest(&mut self) -> usize {
        let Some(oldest) = self.order.pop_front() else {
            return 0;
        };
        if self.known.get(&oldest.id) == Some(&oldest) {
            self.known.remove(&oldest.id);
        }
        1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(origin: u64, id: u64, seq: u64, time: u64) -> RememberedId {
        RememberedId {
            origin,
            id,
            text: 0,
            seq,
            time,
        }
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
        ids.insert(id(1, 7, 50, 1000));
        assert_eq!(ids.find(1, 7, 1100).map(|id| id.seq), Some(50));
        assert_eq!(ids.find(1, 7, 1101), None);
        assert_eq!(ids.find(2, 7, 1000), None);
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
        ids.insert(id(2, 1, 1, 0));
        for n in 1..=5 {
            ids.insert(id(1, n, n, 0));
        }
        let known: Vec<_> = (1..=5).filter(|n| ids.find(1, *n, 0).is_some()).collect();
        assert_eq!(known, [3, 4, 5]);
        assert!(ids.find(2, 1, 0).is_some());
        assert_eq!(ids.bytes(), 4 * ID_COST);
    }

    #[test]
    fn what_is_taken_back_is_not_known_and_may_come_again() {
        let mut ids = ids();
        ids.insert(id(1, 7, 50, 0));
        ids.take_back(&id(1, 7, 50, 0));
        assert_eq!(ids.find(1, 7, 0), None);
        ids.insert(id(1, 7, 51, 0));
        ids.take_back(&id(1, 7, 50, 0));
        assert_eq!(ids.find(1, 7, 0).map(|id| id.seq), Some(51));
        ids.forget();
        assert_eq!(ids.bytes(), 0);
    }
}
