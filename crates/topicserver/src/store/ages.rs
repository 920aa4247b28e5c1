//! When the oldest messages of each topic become too old. The queue has one entry for
//! each topic, so finding the topics to trim does not take a look through all of them.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::types::TopicId;

/// Topics in the order in which their oldest messages become too old.
#[derive(Default)]
pub(crate) struct Ages {
    /// The times are in milliseconds since the Unix epoch.
    queue: BinaryHeap<Reverse<(u64, TopicId)>>,
    /// Which topics are in the queue: a bit for each.
    queued: Vec<u64>,
}

impl Ages {
    /// Adds a topic whose oldest messages become too old at `time`. If it is in the queue
    /// already, its earlier entry stays.
    pub(crate) fn add(&mut self, topic: TopicId, time: u64) {
        let (word, bit) = place(topic);
        if self.queued.len() <= word {
            self.queued.resize(word + 1, 0);
        }
        if self.queued[word] & bit == 0 {
            self.queued[word] |= bit;
            self.queue.push(Reverse((time, topic)));
        }
    }

    /// Takes out a topic whose time has come.
    pub(crate) fn take(&mut self, now: u64) -> Option<TopicId> {
        let Reverse((time, topic)) = *self.queue.peek()?;
        if time > now {
            return None;
        }
        self.queue.pop();
        let (word, bit) = place(topic);
        self.queued[word] &= !bit;
        Some(topic)
    }

    /// The next time at which a topic can be taken out.
    pub(crate) fn next(&self) -> Option<u64> {
        self.queue.peek().map(|Reverse((time, _))| *time)
    }
}

/// The word of a topic, and its bit in the word.
fn place(topic: TopicId) -> (usize, u64) {
    (topic.0 as usize / 64, 1 << (topic.0 % 64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_come_out_in_the_order_of_their_times_and_once() {
        let mut ages = Ages::default();
        ages.add(TopicId(70), 30);
        ages.add(TopicId(1), 10);
        ages.add(TopicId(2), 20);
        ages.add(TopicId(1), 5);
        assert_eq!(ages.next(), Some(10));
        assert_eq!(ages.take(9), None);
        assert_eq!(ages.take(10), Some(TopicId(1)));
        assert_eq!(ages.take(15), None);
        ages.add(TopicId(1), 25);
        let rest: Vec<_> = std::iter::from_fn(|| ages.take(100)).collect();
        assert_eq!(rest, [TopicId(2), TopicId(1), TopicId(70)]);
        assert_eq!(ages.next(), None);
    }
}
