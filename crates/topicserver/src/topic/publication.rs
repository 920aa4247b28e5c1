//! What a publisher gives to a topic.

use std::net::IpAddr;
use std::sync::Arc;

use tokio::sync::oneshot;
use wire::ErrorCode;

use crate::history::entry::Stored;
use crate::identity::{Hashes, Identity};
use crate::outbox::SharedOutbox;
use crate::outbox::batch::Batch;

/// Frames and who sent it, to whom it doesn't go back.
pub(crate) struct Publication {
    pub(crate) from: SharedOutbox,
    /// Of an extended publisher.
    pub(crate) identity: Option<Arc<Identity>>,
    pub(crate) batch: Batch,
    /// Of a message that is to be acknowledged; its batch is this message alone.
    pub(crate) id: Option<Box<MessageId>>,
    /// Told what has become of it, in the place of an acknowledgement in a line.
    pub(crate) receipt: Option<Receipt>,
}

/// Where it is told what has become of a publication.
pub(crate) type Receipt = oneshot::Sender<Result<Stored, Unstored>>;

/// Why a publication wasn't stored.
#[derive(Clone, Debug)]
pub(crate) struct Unstored {
    pub(crate) code: ErrorCode,
    /// The same in words.
    pub(crate) text: String,
}

/// The id of a message.
#[derive(Debug)]
pub(crate) struct MessageId {
    /// As its sender wrote it.
    pub(crate) id: Box<str>,
    /// Whose it is: hash.
    pub(crate) origin: u64,
    /// The id: hash. Of a sender who has told the server neither a name nor a key,
    /// with what the message says: somebody else at the same address may use the same
    /// ids.
    pub(crate) hash: u64,
}

impl MessageId {
    /// The id of a message that says `text`, of whoever this is, or of somebody at an
    /// address.
    pub(crate) fn new<T: AsRef<str>>(
        hashes: &Hashes,
        id: &str,
        text: impl FnOnce() -> T,
        identity: Option<&Identity>,
        ip: IpAddr,
    ) -> Self {
        let mut hash = hashes.of("id", id.as_bytes());
        if identity.is_none_or(|identity| identity.is_shared) {
            hash ^= hashes.of("text", text().as_ref().as_bytes());
        }
        Self {
            id: id.into(),
            origin: match identity {
                Some(identity) => identity.origin,
                None => hashes.origin_of(ip),
            },
            hash,
        }
    }
}
