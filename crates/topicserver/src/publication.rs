//! What a publisher gives to a topic.

use std::sync::Arc;

use bytes::Bytes;

use crate::identity::Identity;
use crate::outbox::SharedOutbox;
use crate::run::Run;

/// A run and who sent it, to whom it doesn't go back.
pub(crate) struct Publication {
    pub(crate) from: SharedOutbox,
    /// Of an extended publisher.
    pub(crate) identity: Option<Arc<Identity>>,
    pub(crate) run: Run,
    /// Of a message that is to be acknowledged; its run is this message alone.
    pub(crate) tag: Option<Box<Tag>>,
}

/// The id of a message.
#[derive(Debug)]
pub(crate) struct Tag {
    /// As its sender wrote it.
    pub(crate) id: Box<str>,
    /// Whose it is: hash.
    pub(crate) origin: u64,
    /// The id: hash.
    pub(crate) id_hash: u64,
    /// What the message says: hash.
    pub(crate) text_hash: u64,
    /// Its sender has told the server neither a name nor a key: somebody else at
    /// the same address may use the same ids.
    pub(crate) is_shared: bool,
}

/// Frames as they come out of the input.
#[derive(Debug)]
pub(crate) struct Frames {
    /// Whole frames, one a line.
    pub(crate) bytes: Bytes,
    /// How many.
    pub(crate) count: u32,
    /// Of a message that is to be acknowledged.
    pub(crate) tag: Option<Box<Tag>>,
}
