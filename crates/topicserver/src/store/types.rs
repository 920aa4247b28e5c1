//! What the store is asked and what it answers.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use crate::history::entry::{Entry, RememberedId};

/// A topic's number in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct TopicId(pub(crate) u32);

/// What a topic's task needs when it begins.
#[derive(Clone, Debug)]
pub(crate) struct Loaded {
    /// The topic's number.
    pub(crate) id: TopicId,
    /// The unbroken life of the history that goes on; a new one after a loss.
    pub(crate) epoch: u64,
    /// The sequence number that the next message gets; the first ever is 1.
    pub(crate) next: u64,
    /// The oldest sequence number that is still there, or the next one to come
    /// when there is none. Retention moves it on. As long as this is kept, the
    /// store keeps what it knows of the topic in memory.
    pub(crate) first: Arc<AtomicU64>,
    /// When the newest message was published, in milliseconds since the Unix
    /// epoch; 0 if there is none.
    pub(crate) time: u64,
}

/// What is stored together.
#[derive(Clone, Debug, Default)]
pub(crate) struct RecordBatch {
    /// What was published. A topic's times shouldn't go back.
    pub(crate) entries: Vec<Entry>,
    /// The ids of these messages.
    pub(crate) ids: Vec<RememberedId>,
}

/// How much of a topic is kept. Whole records are deleted, and somewhat later
/// than they might be, so that it costs little.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Retention {
    /// Older messages are deleted.
    pub(crate) age: Duration,
    /// The oldest messages are deleted when there are more than these.
    pub(crate) messages: u64,
    /// The same for the bytes of the records that hold them.
    pub(crate) bytes: u64,
}

/// Why the store can't be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    /// There is a file where the directory should be.
    #[error("{} is no directory: name one, or a path where one can be made", .0.display())]
    NoDirectory(PathBuf),
    /// The system says no.
    #[error(
        "can't keep the history in {}: {source}; the server must be able to write there",
        path.display()
    )]
    Unusable {
        /// What was tried.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Another server has it.
    #[error(
        "the history in {} is in use by another topicserver: stop that one, or give this one \
         a directory of its own",
        .0.display()
    )]
    InUse(PathBuf),
    /// It was made by another release, or isn't a history.
    #[error(
        "{} holds no history that this topicserver can read ({found}): use the release that \
         made it, or another directory",
        path.display()
    )]
    OtherFormat {
        /// The directory.
        path: PathBuf,
        /// What it says of itself.
        found: String,
    },
    /// The database doesn't open.
    #[error(
        "the history in {} can't be opened: {source}; restore it from a backup, or move it away \
         to begin anew",
        path.display()
    )]
    Database {
        /// The database's directory.
        path: PathBuf,
        /// What is wrong with it.
        source: DatabaseError,
    },
}

/// Why a database can't be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DatabaseError {
    /// What an interrupted beginning left can't be removed.
    #[error(transparent)]
    Unfinished(#[from] std::io::Error),
    /// The database refuses.
    #[error(transparent)]
    Refused(#[from] StoreError),
    /// It refuses, and what may be damaged can't be repaired.
    #[error("{refused}, {cause}")]
    Damaged {
        /// What the database said.
        refused: StoreError,
        /// What the system said.
        cause: std::io::Error,
    },
}

/// Why the store didn't do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum StoreError {
    /// There is no room; there may be later.
    #[error("the disk that holds the history is full")]
    Full,
    /// The disk didn't get on with what was written before. Nothing of this was written.
    #[error("the disk that holds the history is too slow")]
    Busy,
    /// There was no answer in time: this may be written, or not.
    #[error("the disk that holds the history doesn't answer")]
    InDoubt,
    /// Something else is wrong with the disk, or with what is on it.
    #[error("the history can't be used: {0}")]
    Io(String),
    /// The entries don't continue the topic.
    #[error("message {got} can't be stored where {expected} is the next")]
    OutOfOrder {
        /// The sequence number that would have been right.
        expected: u64,
        /// The one that was given.
        got: u64,
    },
    /// The store has been closed.
    #[error("the history is closed")]
    Closed,
}

impl StoreError {
    /// Whether it may only take longer, so that whoever sends it again may have more luck.
    pub(crate) fn is_delay(&self) -> bool {
        matches!(self, Self::Busy | Self::InDoubt)
    }

    pub(super) fn panicked() -> Self {
        Self::Io("the database failed unexpectedly".to_owned())
    }
}
