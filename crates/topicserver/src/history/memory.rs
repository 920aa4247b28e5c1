//! One topic's newest messages, in memory: bounded in messages and in bytes.
//!
//! Entries have memory of their own: a small message never keeps a read buffer.

use std::collections::VecDeque;

use crate::clock::{Correction, corrected};
use crate::history::entry::Entry;

/// Bytes that an entry's lines take besides themselves: the reference count.
const SHARED_COST: usize = 4 * size_of::<usize>();

/// This part of the size is added for the holes that growing histories leave in the allocator's
/// pages. 20 % were measured, with 5,000 and with 50,000 topics of 20 messages.
const HOLES_PART: usize = 5;

/// How much a topic keeps in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HistoryLimits {
    /// Messages; 0 keeps none.
    pub(crate) messages: usize,
    /// Bytes, with what entries take beside their lines.
    pub(crate) bytes: usize,
}

/// The newest messages of a topic.
pub(crate) struct History {
    limits: HistoryLimits,
    /// Without a hole, the oldest first.
    entries: VecDeque<Entry>,
    /// The sequence number that the next message gets.
    next: u64,
    bytes: usize,
}

impl History {
    /// An empty history, before the message `next`.
    pub(crate) fn new(limits: HistoryLimits, next: u64) -> Self {
        Self {
            limits,
            entries: VecDeque::new(),
            next,
            bytes: 0,
        }
    }

    /// Changes what is kept, and forgets what is too much.
    pub(crate) fn set_limits(&mut self, limits: HistoryLimits) {
        self.limits = limits;
        match self.is_enabled() {
            true => self.trim(),
            false => self.forget(),
        }
    }

    /// Whether anything is ever kept.
    pub(crate) fn is_enabled(&self) -> bool {
        self.limits.messages > 0 && self.limits.bytes > 0
    }

    /// Bytes that the history takes, including reserved room.
    pub(crate) fn bytes(&self) -> usize {
        let free = self.entries.capacity() - self.entries.len();
        let bytes = self.bytes + free * size_of::<Entry>();
        bytes + bytes / HOLES_PART
    }

    /// The sequence number that the next message gets.
    pub(crate) fn next(&self) -> u64 {
        self.next
    }

    /// The number of the oldest message that is kept; the next number if none is.
    pub(crate) fn first(&self) -> u64 {
        let kept = self.limits.messages as u64;
        match self.entries.front() {
            // Some messages of the oldest entry may be beyond the limit.
            Some(entry) => entry.first.max(self.next.saturating_sub(kept)),
            None => self.next,
        }
    }

    /// Adds the messages that come next.
    pub(crate) fn append(&mut self, entry: Entry) {
        debug_assert_eq!(entry.first, self.next, "a hole in the history");
        self.next = entry.end();
        if !self.is_enabled() {
            return;
        }
        self.bytes += cost(&entry);
        self.entries.push_back(entry);
        self.trim();
    }

    /// Skips the numbers of messages that aren't kept.
    pub(crate) fn skip(&mut self, count: u64) {
        self.forget();
        self.next += count;
    }

    /// Forgets all messages, but keeps the next number.
    pub(crate) fn forget(&mut self) {
        self.entries = VecDeque::new();
        self.bytes = 0;
    }

    /// Forgets the entries that end before the message `seq`. Returns their number.
    pub(crate) fn forget_before(&mut self, seq: u64) -> usize {
        let count = self.entries.len();
        while let Some(oldest) = self.entries.front()
            && oldest.end() <= seq
        {
            self.bytes -= cost(oldest);
            self.entries.pop_front();
        }
        count - self.entries.len()
    }

    fn trim(&mut self) {
        let kept = self.limits.messages as u64;
        while let Some(oldest) = self.entries.front() {
            if self.bytes <= self.limits.bytes && oldest.end() + kept > self.next {
                return;
            }
            self.bytes -= cost(oldest);
            self.entries.pop_front();
        }
        // A topic that keeps nothing should take no memory.
        self.entries = VecDeque::new();
    }

    /// The entries from the one with the message `seq` on.
    pub(crate) fn entries_from(&self, seq: u64) -> impl Iterator<Item = &Entry> + Clone {
        let start = self.entries.partition_point(|entry| entry.end() <= seq);
        self.entries.range(start..)
    }

    /// The first message after all that came before `time`, in milliseconds since the Unix
    /// epoch; the next one if there is none. Times may go back, when a clock has been set.
    pub(crate) fn first_since(&self, time: u64, corrections: &[Correction]) -> u64 {
        let came_before = |entry: &Entry| corrected(entry.time, corrections) < time;
        let before = self.entries.iter().rposition(came_before);
        match self.entries.get(before.map_or(0, |before| before + 1)) {
            Some(entry) => entry.first.max(self.first()),
            None => self.next,
        }
    }
}

/// Bytes that an entry takes.
fn cost(entry: &Entry) -> usize {
    size_of::<Entry>() + allocated(entry.lines.len()) + SHARED_COST
}

/// Bytes that an allocation of this size takes: the allocator has four sizes between two
/// powers of two, and multiples of 16 bytes below 128.
pub(crate) fn allocated(bytes: usize) -> usize {
    match bytes {
        0 => 0,
        1..=128 => bytes.next_multiple_of(16),
        _ => bytes.next_multiple_of(1 << ((bytes - 1).ilog2() - 2)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(messages: usize, bytes: usize) -> History {
        History::new(HistoryLimits { messages, bytes }, 1)
    }

    fn append(history: &mut History, count: u32, time: u64) {
        let first = history.next();
        let lines: String = (first..)
            .take(count as usize)
            .map(|n| format!("{n}\n"))
            .collect();
        history.append(Entry {
            first,
            count,
            time,
            publisher: 0,
            lines: lines.into(),
        });
    }

    fn read(history: &History, seq: u64) -> String {
        let lines = history.entries_from(seq).map(|entry| entry.lines_from(seq));
        lines
            .map(|lines| String::from_utf8(lines.to_vec()).unwrap())
            .collect()
    }

    #[test]
    fn exactly_so_many_messages_are_kept() {
        let mut history = history(5, 1 << 20);
        assert_eq!((history.first(), history.next()), (1, 1));
        for count in [3, 1, 3] {
            append(&mut history, count, 0);
        }
        assert_eq!((history.first(), history.next()), (3, 8));
        assert_eq!(read(&history, 3), "3\n4\n5\n6\n7\n");
        assert_eq!(read(&history, 6), "6\n7\n");
        assert_eq!(read(&history, 8), "");
        append(&mut history, 1, 0);
        assert_eq!(
            (history.first(), read(&history, 4)),
            (4, "4\n5\n6\n7\n8\n".into())
        );
    }

    #[test]
    fn no_more_bytes_are_kept_than_allowed() {
        let mut history = history(1000, 10 * (size_of::<Entry>() + SHARED_COST + 16));
        for _ in 0..50 {
            append(&mut history, 1, 0);
        }
        assert!(history.bytes <= history.limits.bytes);
        assert!(history.bytes() >= history.bytes);
        assert_eq!(history.next() - history.first(), 10);
        history.forget();
        assert_eq!(
            (history.bytes(), history.first(), history.next()),
            (0, 51, 51)
        );
    }

    #[test]
    fn allocations_are_rounded_as_the_allocator_does() {
        let sizes = [0, 1, 16, 17, 128, 129, 161, 257, 1025, 100_000];
        let taken = [0, 16, 16, 32, 128, 160, 192, 320, 1280, 114_688];
        assert_eq!(sizes.map(allocated), taken);
    }

    #[test]
    fn with_no_room_nothing_is_kept_and_counting_goes_on() {
        for mut history in [history(0, 1 << 20), history(10, 0)] {
            assert!(!history.is_enabled());
            history.skip(3);
            append(&mut history, 2, 0);
            assert_eq!(
                (history.first(), history.next(), history.bytes()),
                (6, 6, 0)
            );
        }
    }

    #[test]
    fn a_time_finds_its_first_message() {
        let mut history = history(3, 1 << 20);
        assert_eq!(history.first_since(0, &[]), 1);
        for (count, time) in [(2, 100), (1, 200), (1, 300)] {
            append(&mut history, count, time);
        }
        let found = [0, 100, 101, 200, 300, 301].map(|time| history.first_since(time, &[]));
        assert_eq!(found, [2, 2, 3, 3, 4, 5]);
        // The clock was ahead for a while.
        append(&mut history, 1, 150);
        let found = [100, 150, 151, 200].map(|time| history.first_since(time, &[]));
        assert_eq!(found, [3, 3, 6, 6]);
    }
}
