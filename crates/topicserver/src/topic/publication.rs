//! What a publisher gives to a topic.

use std::net::IpAddr;
use std::sync::Arc;

use tokio::sync::oneshot;
use wire::ErrorCode;

use crate::history::entry::{RememberedId, Stored};
use crate::identity::{Hashes, Identity};
use crate::outbox::SharedOutbox;
use crate::outbox::batch::Batch;

/// Frames, and what the topic has to know of their publisher.
pub(crate) struct Publication {
    /// The outbox of the connection that they came from, to which they don't go back;
    /// `None` if no connection in the topic is theirs.
    pub(crate) origin: Option<SharedOutbox>,
    /// Of an extended publisher.
    pub(crate) identity: Option<Arc<Identity>>,
    pub(crate) batch: Batch,
    pub(crate) reply: Reply,
}

impl Publication {
    /// Whether it came from the connection that has this outbox.
    pub(crate) fn is_from(&self, outbox: &SharedOutbox) -> bool {
        self.origin.as_ref().is_some_and(|origin| origin.is(outbox))
    }
}

/// How a publisher is told what has become of a publication.
#[derive(Debug, Default)]
pub(crate) enum Reply {
    /// Not at all, unless it can't be stored.
    #[default]
    None,
    /// By an acknowledgement of the message with this id, to where it came from. The
    /// batch is this message alone.
    Acknowledge(Box<MessageId>),
    /// By a receipt.
    Receipt(Box<Receipt>),
}

impl Reply {
    /// The id under which the message is published only once.
    pub(crate) fn id(&self) -> Option<&MessageId> {
        match self {
            Self::None => None,
            Self::Acknowledge(id) => Some(id),
            Self::Receipt(receipt) => receipt.id.as_ref(),
        }
    }
}

/// A receipt that somebody waits for.
#[derive(Debug)]
pub(crate) struct Receipt {
    /// Of the message, if it has one; the batch is this message alone.
    pub(crate) id: Option<MessageId>,
    pub(crate) to: oneshot::Sender<Result<Stored, Unstored>>,
}

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
    /// As it is remembered of a message that got this number at this time.
    pub(crate) fn remembered(&self, seq: u64, time: u64) -> RememberedId {
        RememberedId {
            origin: self.origin,
            id: self.hash,
            seq,
            time,
        }
    }

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
