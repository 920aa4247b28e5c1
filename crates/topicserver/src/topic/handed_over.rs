//! What was handed over to a topic's owner, and how its publishers are answered.

use crate::cluster::forward::{Placed, Placement};
use crate::cluster::sender::NotKnown;
use crate::store::StoreError;
use crate::topic::acks::{Acknowledgement, acknowledge, refuse};
use crate::topic::publication::{Publication, Reply};

/// Publications that were handed over, and what became of them.
pub(crate) struct HandedOver {
    pub(crate) publications: Vec<Publication>,
    pub(crate) placed: Result<Placement, NotKnown>,
}

impl HandedOver {
    /// The row of numbers that the messages have; `None` if it isn't known.
    pub(crate) fn epoch(&self) -> Option<u64> {
        self.placed.as_ref().ok().map(|all| all.epoch)
    }

    fn placed(&self) -> &[Placed] {
        self.placed.as_ref().map_or(&[], |all| &all.placed)
    }

    /// The number after the last message.
    pub(crate) fn end(&self) -> u64 {
        let placed = self.placed().iter();
        let messages = self.publications.iter().zip(placed);
        messages
            .map(|(one, placed)| placed.stored.seq + u64::from(one.batch.count()))
            .max()
            .unwrap_or(0)
    }

    /// Tells publishers what became of their messages.
    pub(crate) fn answer(mut self, topic: &str) {
        let all = std::mem::replace(&mut self.placed, Err(NotKnown));
        let is_known = all.is_ok();
        let placed = all.map_or(Vec::new(), |all| all.placed);
        let mut placed = placed.iter();
        let mut replies = Vec::new();
        for publication in &mut self.publications {
            let reply = std::mem::take(&mut publication.reply);
            let unknown = Placed::new(0, 0);
            let placed = placed.next().unwrap_or(&unknown);
            if !matches!(reply, Reply::None) {
                replies.push(Acknowledgement {
                    origin: publication.origin.clone(),
                    reply,
                    stored: placed.stored,
                    has_other_text: placed.has_other_text,
                });
            }
        }
        match is_known {
            true => acknowledge(topic, replies),
            false => refuse(&self.publications, replies, &StoreError::NoQuorum),
        }
    }
}
