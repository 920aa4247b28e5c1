//! Acknowledgements and refusals, sent when messages are delivered.

use wire::{ErrorCode, Event};

use crate::history::entry::Stored;
use crate::metrics::{self, Count};
use crate::outbox::SharedOutbox;
use crate::store::StoreError;
use crate::topic::publication::{Publication, Reply, Unstored};

/// The acknowledgement of a message, or its refusal.
pub(crate) struct Acknowledgement {
    /// Where the message came from.
    pub(crate) origin: Option<SharedOutbox>,
    pub(crate) reply: Reply,
    pub(crate) stored: Stored,
    /// The message isn't published, because an earlier one has the same id and another text.
    pub(crate) has_other_text: bool,
}

impl Acknowledgement {
    fn is_to(&self, outbox: &SharedOutbox) -> bool {
        self.origin.as_ref().is_some_and(|origin| origin.is(outbox))
    }
}

/// Tells publishers that their messages couldn't be stored. Messages with an id are refused one
/// by one; for the others one error is sent.
pub(crate) fn refuse(
    publications: &[Publication],
    mut refused: Vec<Acknowledgement>,
    error: &StoreError,
) {
    let Unstored { code, text } = unstored(error);
    let messages = publications.iter().map(|one| u64::from(one.batch.count()));
    metrics::count(Count::NotStored, messages.sum());
    for Acknowledgement { origin, reply, .. } in &mut refused {
        match (std::mem::take(reply), origin) {
            // The publisher may have gone.
            (Reply::Receipt(receipt), _) => drop(receipt.to.send(Err(unstored(error)))),
            (Reply::Acknowledge(id), Some(origin)) => {
                origin.send_error(code, &text, Some(&id.id));
            }
            (Reply::Acknowledge(_) | Reply::None, _) => {}
        }
    }
    let mut told: Option<&SharedOutbox> = None;
    for origin in publications.iter().filter_map(|one| one.origin.as_ref()) {
        let has_id = refused.iter().any(|refused| refused.is_to(origin));
        if !has_id && !told.is_some_and(|told| told.is(origin)) {
            origin.send_error(code, &text, None);
            told = Some(origin);
        }
    }
}

/// The error for a message that wasn't stored.
fn unstored(error: &StoreError) -> Unstored {
    const DELIVERED: &str =
        "your message was delivered to those who are here now, but isn't stored";
    let text = match error {
        StoreError::Full => format!("the server's disk took no more: {DELIVERED}"),
        StoreError::NoQuorum => {
            "the servers that keep the messages can't be reached: whether yours is stored isn't \
             known; send it again with the same id"
                .to_owned()
        }
        error if error.is_delay() => {
            "the server's disk is too slow: your message may be stored, or not; send it again, \
             with the same id if it has one"
                .to_owned()
        }
        _ => format!("the server can't use its history: {DELIVERED}"),
    };
    let code = error.code();
    Unstored { code, text }
}

/// The error for a message with an id that its publisher has used for another message.
fn duplicate() -> Unstored {
    Unstored {
        code: ErrorCode::DuplicateId,
        text: "you have used this id for another message, so this one was discarded; each \
               message needs its own id"
            .to_owned(),
    }
}

/// Bytes that an acknowledgement takes beside the names in it.
const ACK_COST: usize =
    r#"{"extended":{"type":"ack","id":"","topic":"","seq":1000000000}}"#.len() + 1;

/// Acknowledges messages that are stored, or in memory without `--data`. Consecutive
/// acknowledgements for one publisher are one write.
pub(crate) fn acknowledge(topic: &str, acknowledgements: Vec<Acknowledgement>) {
    let mut lines = Vec::new();
    let mut all = acknowledgements.into_iter().peekable();
    while let Some(Acknowledgement {
        origin,
        reply,
        stored,
        has_other_text,
    }) = all.next()
    {
        let (id, origin) = match (reply, origin) {
            (Reply::Receipt(receipt), _) if has_other_text => {
                let _ = receipt.to.send(Err(duplicate()));
                continue;
            }
            (Reply::Acknowledge(id), Some(origin)) if has_other_text => {
                // Earlier lines go first.
                if !lines.is_empty() {
                    origin.send_reply(std::mem::take(&mut lines));
                }
                let Unstored { code, text } = duplicate();
                origin.send_error(code, &text, Some(&id.id));
                continue;
            }
            (Reply::Receipt(receipt), _) => {
                metrics::count(Count::Acknowledgements, 1);
                // The publisher may have gone.
                let _ = receipt.to.send(Ok(stored));
                continue;
            }
            (Reply::Acknowledge(id), Some(origin)) => (id.id, origin),
            (Reply::Acknowledge(_) | Reply::None, _) => continue,
        };
        metrics::count(Count::Acknowledgements, 1);
        lines.reserve(ACK_COST + id.len() + topic.len());
        let (id, topic, seq) = ((&*id).into(), topic.into(), stored.seq);
        Event::Ack(wire::Ack { id, topic, seq }).write_line(&mut lines);
        if all.peek().is_none_or(|next| !next.is_to(&origin)) {
            origin.send_reply(std::mem::take(&mut lines));
        }
    }
}
