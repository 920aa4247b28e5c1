//! Messages and ids of the history, in the form in which they are kept and sent.

use bytes::Bytes;

/// Consecutive messages of one publisher, as extended connections get them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Sequence number of the first message.
    pub(crate) first: u64,
    /// How many there are, at least one; each is one line.
    pub(crate) count: u32,
    /// When they were published, by the index clock.
    pub(crate) time: u64,
    /// The publisher's number. Its bits mean nothing here.
    pub(crate) publisher: u64,
    /// The lines, each with its envelope and its line feed.
    pub(crate) lines: Bytes,
}

impl Entry {
    /// The sequence number after the last message.
    pub(crate) fn end(&self) -> u64 {
        self.first + u64::from(self.count)
    }

    /// The lines from the message `seq` on; empty if `seq` comes after the last.
    pub(crate) fn lines_from(&self, seq: u64) -> Bytes {
        let skipped = seq.saturating_sub(self.first);
        if skipped == 0 {
            return self.lines.clone();
        }
        let mut ends = memchr::memchr_iter(b'\n', &self.lines);
        let last_skipped = usize::try_from(skipped - 1).unwrap_or(usize::MAX);
        let start = ends
            .nth(last_skipped)
            .map_or(self.lines.len(), |end| end + 1);
        self.lines.slice(start..)
    }
}

/// A message id that must not be delivered twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RememberedId {
    /// Hash of the publisher that the id belongs to.
    pub(crate) origin: u64,
    /// Hash of the id.
    pub(crate) id: u64,
    /// The sequence number that the message got.
    pub(crate) seq: u64,
    /// When the message came, by the monotonic clock.
    pub(crate) time: u64,
}

/// The place of a publication in its topic's order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stored {
    /// The sequence number of its first message.
    pub(crate) seq: u64,
    /// When it came, in milliseconds since the Unix epoch.
    pub(crate) time: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_read_from_any_of_its_messages() {
        let entry = Entry {
            first: 7,
            count: 3,
            time: 0,
            publisher: 0,
            lines: Bytes::from_static(b"a\nbb\nccc\n"),
        };
        assert_eq!(entry.end(), 10);
        assert_eq!(entry.lines_from(1), "a\nbb\nccc\n");
        assert_eq!(entry.lines_from(7), "a\nbb\nccc\n");
        assert_eq!(entry.lines_from(8), "bb\nccc\n");
        assert_eq!(entry.lines_from(9), "ccc\n");
        assert_eq!(entry.lines_from(10), "");
        assert_eq!(entry.lines_from(99), "");
    }
}
