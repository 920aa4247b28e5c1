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

use xxhash_rust::xxh3::xxh3_64;

use super::TopicId;

/// Bytes of a slot: a divisor of the page size, so that no slot crosses a page
/// and none is written by halves.
const SLOT: usize = 32;

/// Bytes of a slot before its checksum.
const CHECKED: usize = SLOT - 8;

/// The file, open.
pub(crate) struct Heads {
    file: File,
}

/// What a slot says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// The epoch in which it was written.
    pub(crate) epoch: u64,
    /// The newest sequence number.
    pub(crate) seq: u64,
}

/// What was found in a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slot {
    /// Nothing was ever written there.
    Empty,
    /// What was written last.
    Head(Head),
    /// Something else.
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
            Ok(()) => Ok(decode(topic, &slot)),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(Slot::Empty),
            Err(error) => Err(error),
        }
    }

    /// Notes a topic's newest sequence number.
    pub(crate) fn write(&self, topic: TopicId, head: Head) -> io::Result<()> {
        self.file.write_all_at(&encode(topic, head), offset(topic))
    }

    /// Makes everything that was written durable.
    pub(crate) fn flush(&self) -> io::Result<()> {
        self.file.sync_data()
    }
}

fn offset(topic: TopicId) -> u64 {
    u64::from(topic.0) * SLOT as u64
}

fn encode(topic: TopicId, head: Head) -> [u8; SLOT] {
    let mut slot = [0; SLOT];
    slot[..8].copy_from_slice(&head.epoch.to_le_bytes());
    slot[8..16].copy_from_slice(&head.seq.to_le_bytes());
    slot[16..20].copy_from_slice(&topic.0.to_le_bytes());
    let checksum = xxh3_64(&slot[..CHECKED]);
    slot[CHECKED..].copy_from_slice(&checksum.to_le_bytes());
    slot
}

fn decode(topic: TopicId, slot: &[u8; SLOT]) -> Slot {
    if *slot == [0; SLOT] {
        return Slot::Empty;
    }
    let number = |from: usize| {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&slot[from..from + 8]);
        u64::from_le_bytes(bytes)
    };
    let head = Head {
        epoch: number(0),
        seq: number(8),
    };
    match *slot == encode(topic, head) {
        true => Slot::Head(head),
        false => Slot::Damaged,
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
        let head = |seq| Head { epoch: 7, seq };
        heads.write(topic, head(1)).unwrap();
        heads.write(topic, head(2)).unwrap();
        assert_eq!(heads.read(topic).unwrap(), Slot::Head(head(2)));
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
}
