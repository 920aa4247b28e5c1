//! The newest sequence number of each topic, kept a second time.
//!
//! The database silently cuts a damaged end off its journal. This file shows what was
//! there: it has a slot of fixed size for each topic. It is written after the database
//! and not flushed. A mark behind the history is normal. A mark ahead of the history
//! means that acknowledged messages are lost.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::types::TopicId;

/// Bytes of a slot. The size divides the page size, so that no slot crosses a page and
/// none is half written. A slot holds the number, and a checksum of it and the topic.
const SLOT: usize = 16;

/// Maximum bytes between two slots that are written together. A system call costs as much
/// as copying some thousand bytes.
const MAX_GAP: usize = 4096;

/// The file, open.
pub(crate) struct HighWaterMarks {
    file: File,
    /// The content of the file: 16 bytes for each topic that ever existed.
    slots: Vec<u8>,
}

/// What was found in a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slot {
    /// Nothing was ever written there.
    Empty,
    /// The newest sequence number.
    Head(u64),
    /// Something that was never written there.
    Damaged,
}

impl HighWaterMarks {
    /// Opens the file, or makes it.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false);
        let mut file = file.open(path)?;
        let mut slots = Vec::new();
        file.read_to_end(&mut slots)?;
        Ok(Self { file, slots })
    }

    /// The slot of a topic.
    pub(crate) fn get(&self, topic: TopicId) -> Slot {
        let begin = offset(topic);
        let slot = self.slots.get(begin..begin + SLOT);
        match slot.and_then(|slot| slot.try_into().ok()) {
            Some(slot) => decode(topic, slot),
            None => Slot::Empty,
        }
    }

    /// Notes the newest sequence numbers of topics, whose order it changes.
    pub(crate) fn set(&mut self, marks: &mut [(TopicId, u64)]) -> io::Result<()> {
        marks.sort_unstable();
        let mut written = Ok(());
        for near in marks.chunk_by(|(a, _), (b, _)| offset(*b) - offset(*a) <= MAX_GAP) {
            let [(first, _), ..] = *near else { continue };
            for &(topic, seq) in near {
                self.put(offset(topic), encode(topic, seq));
            }
            let last = near.last().map_or(first, |(topic, _)| *topic);
            let begin = offset(first);
            let slots = &self.slots[begin..offset(last) + SLOT];
            written = written.and(self.file.write_all_at(slots, begin as u64));
        }
        written
    }

    fn put(&mut self, begin: usize, slot: [u8; SLOT]) {
        let end = begin + SLOT;
        if self.slots.len() < end {
            self.slots.resize(end, 0);
        }
        self.slots[begin..end].copy_from_slice(&slot);
    }

    /// Removes the slots from `next` on, whose topics no longer exist, and returns how many
    /// of them had messages.
    pub(crate) fn remove_from(&mut self, next: TopicId) -> io::Result<usize> {
        let Some(slots) = self.slots.get(offset(next)..) else {
            return Ok(0);
        };
        let is_written = |slot: &&[u8]| slot.iter().any(|&byte| byte != 0);
        let topics = slots.chunks(SLOT).filter(is_written).count();
        if !slots.is_empty() {
            self.slots.truncate(offset(next));
            self.file.set_len(offset(next) as u64)?;
        }
        Ok(topics)
    }

    /// Makes everything durable that was written.
    pub(crate) fn flush(&self) -> io::Result<()> {
        self.file.sync_data()
    }
}

fn offset(topic: TopicId) -> usize {
    topic.0 as usize * SLOT
}

fn encode(topic: TopicId, seq: u64) -> [u8; SLOT] {
    let number = seq.to_le_bytes();
    let checksum = xxh3_64_with_seed(&number, topic.0.into()).to_le_bytes();
    let mut slot = [0; SLOT];
    slot[..8].copy_from_slice(&number);
    slot[8..].copy_from_slice(&checksum);
    slot
}

fn decode(topic: TopicId, slot: [u8; SLOT]) -> Slot {
    let mut number = [0; 8];
    number.copy_from_slice(&slot[..8]);
    let seq = u64::from_le_bytes(number);
    if slot == [0; SLOT] {
        Slot::Empty
    } else if slot == encode(topic, seq) {
        Slot::Head(seq)
    } else {
        Slot::Damaged
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::Directory;

    #[test]
    fn a_slot_says_what_was_written_last_or_that_it_cant() {
        let directory = Directory::new();
        let path = directory.path().join("heads");
        let mut marks = HighWaterMarks::open(&path).unwrap();
        let topic = TopicId(3);
        assert_eq!(marks.get(topic), Slot::Empty);
        marks.set(&mut [(topic, 1)]).unwrap();
        marks.set(&mut [(topic, 2)]).unwrap();
        assert_eq!(marks.get(topic), Slot::Head(2));
        let marks = HighWaterMarks::open(&path).unwrap();
        assert_eq!(marks.get(topic), Slot::Head(2));
        assert_eq!(marks.get(TopicId(2)), Slot::Empty);
        assert_eq!(marks.get(TopicId(4)), Slot::Empty);

        let whole = std::fs::read(&path).unwrap();
        for at in 3 * SLOT..4 * SLOT {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            std::fs::write(&path, &damaged).unwrap();
            let marks = HighWaterMarks::open(&path).unwrap();
            assert_eq!(marks.get(topic), Slot::Damaged, "byte {at}");
        }
        for len in 3 * SLOT..4 * SLOT {
            std::fs::write(&path, &whole[..len]).unwrap();
            let marks = HighWaterMarks::open(&path).unwrap();
            assert_eq!(marks.get(topic), Slot::Empty, "{len} bytes");
        }
    }

    #[test]
    fn what_is_near_is_written_at_once_and_nothing_else_changes() {
        let directory = Directory::new();
        let path = directory.path().join("heads");
        let mut marks = HighWaterMarks::open(&path).unwrap();
        let topics = [1, 2, 9, 300, 5000, 5001];
        for (at, topic) in topics.into_iter().enumerate() {
            marks.set(&mut [(TopicId(topic), at as u64)]).unwrap();
        }
        marks
            .set(&mut [(TopicId(5000), 77), (TopicId(300), 78), (TopicId(2), 79)])
            .unwrap();
        let expected = [0, 79, 2, 78, 77, 5].map(Slot::Head);
        let found = |marks: &HighWaterMarks| topics.map(|topic| marks.get(TopicId(topic)));
        assert_eq!(found(&marks), expected);
        let marks = HighWaterMarks::open(&path).unwrap();
        assert_eq!(found(&marks), expected);
        assert_eq!(marks.get(TopicId(8)), Slot::Empty);
    }

    #[test]
    fn slots_of_topics_that_nobody_knows_are_counted_once() {
        let directory = Directory::new();
        let mut marks = HighWaterMarks::open(&directory.path().join("heads")).unwrap();
        assert_eq!(marks.remove_from(TopicId(1)).unwrap(), 0);
        marks
            .set(&mut [1, 2, 5].map(|topic| (TopicId(topic), 7)))
            .unwrap();
        assert_eq!(marks.remove_from(TopicId(6)).unwrap(), 0);
        assert_eq!(marks.remove_from(TopicId(2)).unwrap(), 2);
        assert_eq!(marks.remove_from(TopicId(2)).unwrap(), 0);
        assert_eq!(marks.get(TopicId(1)), Slot::Head(7));
        assert_eq!(marks.get(TopicId(2)), Slot::Empty);
    }
}
