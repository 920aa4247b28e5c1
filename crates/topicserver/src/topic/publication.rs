//! What a publisher gives to a topic.

use std::net::IpAddr;
use std::sync::Arc;

use tokio::sync::oneshot;
use wire::{ErrorCode, UserName};

use crate::history::dedup;
use crate::history::entry::{RememberedId, Stored};
use crate::identity::{Hashes, Identity};
use crate::outbox::SharedOutbox;
use crate::outbox::batch::Batch;

/// Frames, and what the topic needs to know about their publisher.
pub(crate) struct Publication {
    /// The outbox of the connection that they came from, to which they aren't sent back; `None`
    /// if they came from no connection in the topic.
    pub(crate) origin: Option<SharedOutbox>,
    /// The identity of an extended publisher.
    pub(crate) identity: Option<Arc<Identity>>,
    pub(crate) batch: Batch,
    pub(crate) reply: Reply,
}

impl Publication {
    /// Bytes that it takes while it waits. Short messages with ids take many times their own.
    pub(crate) fn cost(&self) -> usize {
        let reply = match &self.reply {
            Reply::Acknowledge(id) => size_of::<MessageId>() + id.id.len(),
            Reply::None | Reply::Receipt(_) => 0,
        };
        self.batch.bytes().len() + size_of::<Self>() + reply
    }

    /// Whether it came from the connection that has this outbox.
    pub(crate) fn is_from(&self, outbox: &SharedOutbox) -> bool {
        self.origin.as_ref().is_some_and(|origin| origin.is(outbox))
    }
}

/// How a publisher is told that a publication succeeded or failed.
#[derive(Debug, Default)]
pub(crate) enum Reply {
    /// Not at all, unless it can't be stored.
    #[default]
    None,
    /// With an acknowledgement of the message with this id, to its connection. The batch is this
    /// message alone.
    Acknowledge(Box<MessageId>),
    /// With a receipt, which a task waits for.
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

/// A receipt that a task waits for.
#[derive(Debug)]
pub(crate) struct Receipt {
    /// The id of the message, if it has one. The batch is this message alone.
    pub(crate) id: Option<MessageId>,
    pub(crate) to: oneshot::Sender<Result<Stored, Unstored>>,
}

/// Why a publication wasn't stored.
#[derive(Clone, Debug)]
pub(crate) struct Unstored {
    pub(crate) code: ErrorCode,
    /// The reason as a sentence.
    pub(crate) text: String,
}

/// The id of a message.
#[derive(Debug)]
pub(crate) struct MessageId {
    /// As its sender wrote it.
    pub(crate) id: Box<str>,
    /// A hash of the publisher.
    pub(crate) origin: u64,
    /// A hash of the id, with a short hash of the text. Of a sender without a key one hash covers
    /// both, because another sender may use the same ids.
    pub(crate) hash: u64,
}

impl MessageId {
    /// The id as it is remembered, of a message that got this number at this time.
    pub(crate) fn remembered(&self, seq: u64, time: u64) -> RememberedId {
        RememberedId {
            origin: self.origin,
            id: self.hash,
            seq,
            time,
        }
    }

    /// The id of a message with this text, of an identity, or of a publisher known only by its
    /// address.
    pub(crate) fn new<T: AsRef<str>>(
        hashes: &Hashes,
        id: &str,
        text: impl FnOnce() -> T,
        identity: Option<&Identity>,
        ip: IpAddr,
    ) -> Self {
        let text = text();
        let text = text.as_ref().as_bytes();
        let mut hash = hashes.of("id", id.as_bytes());
        if identity.is_none_or(|identity| identity.is_shared) {
            hash ^= hashes.of("text", text);
        }
        Self {
            id: id.into(),
            origin: match identity {
                Some(identity) => identity.origin,
                None => hashes.origin_of(ip),
            },
            hash: dedup::with_text(hash, hashes.of_text(text)),
        }
    }

    /// The id of a message in an HTTP request, of a publisher known only by its address and the
    /// name that it gives.
    pub(crate) fn of_request(
        hashes: &Hashes,
        id: &str,
        text: &str,
        user: Option<&UserName>,
        ip: IpAddr,
    ) -> Self {
        let user = user.map_or("", UserName::as_str);
        let hash = hashes.of("id", id.as_bytes());
        Self {
            id: id.into(),
            origin: hashes.of("request", format!("{ip} {user}").as_bytes()),
            hash: dedup::with_text(hash, hashes.of_text(text.as_bytes())),
        }
    }
}
