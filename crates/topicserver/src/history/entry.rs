//! What a topic's history is made of.

use bytes::Bytes;

/// Consecutive messages of one publisher, as extended connections get them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Sequence number of the first message.
    pub(crate) first: u64,
    /// How many there are, at least one; each is one line.
    pub(crate) count: u32,
    /// When they were published, in milliseconds since the Unix epoch.
    pub(crate) time: u64,
    /// Who published them: opaque.
    pub(crate) publisher: u64,
    /// The lines, each with its envelope and its line feed.
    pub(crate) lines: Bytes,
}

/// A message id that must not be delivered twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RememberedId {
    /// Whose id it is: hash.
    pub(crate) origin: u64,
    /// The id: hash.
    pub(crate) id: u64,
    /// What the message said: hash.
    pub(crate) text: u64,
    /// Sequence number of the message.
    pub(crate) seq: u64,
    /// Milliseconds since the Unix epoch.
    pub(crate) time: u64,
}
