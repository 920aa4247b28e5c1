//! What was handed over to a topic's owner, and how its publishers are answered.

use crate::cluster::forward::Placed;
use crate::cluster::sender::NotKnown;
use crate::store::StoreError;
use crate::topic::acks::{Acknowledgement, acknowledge, refuse};
use crate::topic::publication::{Publication, Reply};

/// Publications that were handed over, and what became of them.
pub(crate) struct HandedOver {
    pub(crate) publications: Vec<Publication>,
    pub(crate) placed: Result<Vec<Placed>, NotKnown>,
}

impl HandedOver {
    /// The number after the last message.
    pub(crate) fn end(&self) -> u64 {
        let placed = self.placed.as_deref().unwrap_or_default().iter();
        let messages = self.publications.iter().zip(placed);
        messages
            .map(|(one, placed)| placed.stored.seq + u64::from(one.batch.count()))
            .max()
            .unwrap_or(0)
    }

    /// Tells publishers what became of their messages.
    pub(crate) fn answer(mut self, topic: &str) {
        let mut placed = self.placed.as_deref().unwrap_or_default().iter();
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
        match self.placed {
            Ok(_) => acknowledge(topic, replies),
            Err(NotKnown) => refuse(&self.publications, replies, &StoreError::NoQuorum),
        }
    }
}
