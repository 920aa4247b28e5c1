//! The newest sequence number of each topic, kept a second time.
//!
//! The database cuts what is damaged from the end of its journal without a word.
//! This file, with a slot of fixed size for each topic, tells what was there. It
//! is written after the database and not flushed: that it is behind is normal;
//! that it is ahead means that something acknowledged is gone.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::TopicId;

/// Bytes of a slot: a divisor of the page size, so that no slot crosses a page
/// and none is written by halves. The number, and its checksum with the topic's.
const SLOT: usize = 16;

/// The file, open.
pub(crate) struct Heads {
    file: File,
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

impl Heads {
    /// Opens the file, or makes it.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false);
        Ok(Self {
            file: file.open(path)?,
        })
    }

    /// What is known of a topic.
    pub(crate) fn read(&self, topic: TopicId) -> io::Result<Slot> {
        let mut slot = [0; SLOT];
        match self.file.read_exact_at(&mut slot, offset(topic)) {
            Ok(()) => Ok(decode(topic, slot)),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(Slot::Empty),
            Err(error) => Err(error),
        }
    }

    /// Notes a topic's newest sequence number.
    pub(crate) fn write(&self, topic: TopicId, seq: u64) -> io::Result<()> {
        self.file.write_all_at(&encode(topic, seq), offset(topic))
    }

    /// Removes the slots from `next` on, which are of topics that nobody knows,
    /// and says of how many topics there were messages.
    pub(crate) fn remove_from(&self, next: TopicId) -> io::Result<usize> {
        let begin = offset(next);
        let len = self.file.metadata()?.len().saturating_sub(begin);
        let mut slots = vec![0; usize::try_from(len).unwrap_or(0)];
        self.file.read_exact_at(&mut slots, begin)?;
        if !slots.is_empty() {
            self.file.set_len(begin)?;
        }
        let written = |slot: &&[u8]| slot.iter().any(|&byte| byte != 0);
        Ok(slots.chunks(SLOT).filter(written).count())
    }

    /// Makes everything durable that was written.
    pub(crate) fn flush(&self) -> io::Result<()> {
        self.file.sync_data()
    }
}

fn offset(topic: TopicId) -> u64 {
    u64::from(topic.0) * SLOT as u64
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
        let heads = Heads::open(&path).unwrap();
        let topic = TopicId(3);
        assert_eq!(heads.read(topic).unwrap(), Slot::Empty);
        heads.write(topic, 1).unwrap();
        heads.write(topic, 2).unwrap();
        assert_eq!(heads.read(topic).unwrap(), Slot::Head(2));
        assert_eq!(heads.read(TopicId(2)).unwrap(), Slot::Empty);
        assert_eq!(heads.read(TopicId(4)).unwrap(), Slot::Empty);

        let whole = std::fs::read(&path).unwrap();
        for at in 3 * SLOT..4 * SLOT {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            std::fs::write(&path, &damaged).unwrap();
            let heads = Heads::open(&path).unwrap();
            assert_eq!(heads.read(topic).unwrap(), Slot::Damaged, "byte {at}");
        }
        for len in 3 * SLOT..4 * SLOT {
            std::fs::write(&path, &whole[..len]).unwrap();
            let heads = Heads::open(&path).unwrap();
            assert_eq!(heads.read(topic).unwrap(), Slot::Empty, "{len} bytes");
        }
    }

    #[test]
    fn slots_of_topics_that_nobody_knows_are_counted_once() {
        let directory = Directory::new();
        let heads = Heads::open(&directory.path().join("heads")).unwrap();
        assert_eq!(heads.remove_from(TopicId(1)).unwrap(), 0);
        for topic in [1, 2, 5] {
            heads.write(TopicId(topic), 7).unwrap();
        }
        assert_eq!(heads.remove_from(TopicId(6)).unwrap(), 0);
        assert_eq!(heads.remove_from(TopicId(2)).unwrap(), 2);
        assert_eq!(heads.remove_from(TopicId(2)).unwrap(), 0);
        assert_eq!(heads.read(TopicId(1)).unwrap(), Slot::Head(7));
        assert_eq!(heads.read(TopicId(2)).unwrap(), Slot::Empty);
    }
}
