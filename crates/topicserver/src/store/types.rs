//! The types of the store's requests and answers.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use crate::history::entry::{Entry, RememberedId};

/// A topic's number in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct TopicId(pub(crate) u32);

/// The facts that a topic's task needs when it starts.
#[derive(Clone, Debug)]
pub(crate) struct Loaded {
    /// The topic's number.
    pub(crate) id: TopicId,
    /// The epoch of the history; a new one after a loss.
    pub(crate) epoch: u64,
    /// The sequence number that the next message gets; the first ever is 1.
    pub(crate) next: u64,
    /// The oldest sequence number that is still there, or the next one to come when there is
    /// none. Retention changes it. As long as this is held, the store keeps the topic in memory.
    pub(crate) first: Arc<AtomicU64>,
    /// When the newest message was published, in milliseconds since the Unix
    /// epoch; 0 if there is none.
    pub(crate) time: u64,
}

/// Messages and ids that are stored together.
#[derive(Clone, Debug, Default)]
pub(crate) struct RecordBatch {
    /// What was published. A topic's times shouldn't go back.
    pub(crate) entries: Vec<Entry>,
    /// The ids of these messages.
    pub(crate) ids: Vec<RememberedId>,
}

/// How much of a topic is kept. Whole records are deleted, and a little late, so that deleting
/// costs little.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Retention {
    /// Older messages are deleted.
    pub(crate) age: Duration,
    /// The oldest messages are deleted when there are more than these.
    pub(crate) messages: u64,
    /// The oldest messages are deleted when the records have more bytes than this.
    pub(crate) bytes: u64,
}
