//! The numbers of connections that have published to a topic of a cluster.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use crate::cluster::sender::Sender;
use crate::outbox::transport::Transport;
use crate::outbox::{Outbox, SharedOutbox};

/// The numbers of connections that have published to the topic, to which their messages aren't
/// sent back. A number stands for one connection as long as the server runs.
#[derive(Default)]
pub(super) struct Connections {
    /// By the address of the outbox, whose memory is kept, so that no other one has it.
    numbers: HashMap<usize, u64>,
    outboxes: HashMap<u64, Weak<Outbox<dyn Transport>>>,
    /// With so many the connections that have ended are forgotten: one that only publishes isn't
    /// in the topic, and leaves without a word.
    most: usize,
}

/// How many connections are remembered at least, whether they are still there or not.
const FEW: usize = 16;

impl Connections {
    /// The number of a connection.
    pub(super) fn number_of(&mut self, outbox: &SharedOutbox, sender: &Sender) -> u64 {
        if let Some(known) = self.numbers.get(&address(outbox)) {
            return *known;
        }
        let number = sender.next_number();
        self.add(outbox, number);
        number
    }

    fn add(&mut self, outbox: &SharedOutbox, number: u64) {
        self.forget_ended();
        self.numbers.insert(address(outbox), number);
        self.outboxes.insert(number, Arc::downgrade(outbox));
    }

    pub(super) fn get(&self, number: u64) -> Option<SharedOutbox> {
        self.outboxes.get(&number)?.upgrade()
    }

    /// Forgets connections that have ended, whenever there are twice as many as were left.
    fn forget_ended(&mut self) {
        if self.outboxes.len() < self.most.max(FEW) {
            return;
        }
        self.outboxes.retain(|_, outbox| outbox.strong_count() > 0);
        let outboxes = &self.outboxes;
        self.numbers
            .retain(|_, number| outboxes.contains_key(number));
        self.most = 2 * self.outboxes.len();
    }

    pub(super) fn remove(&mut self, outbox: &SharedOutbox) {
        if let Some(number) = self.numbers.remove(&address(outbox)) {
            self.outboxes.remove(&number);
        }
    }
}

fn address(outbox: &SharedOutbox) -> usize {
    Arc::as_ptr(outbox).cast::<()>().addr()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outbox::tests::endless_outbox;

    #[test]
    fn connections_that_have_ended_are_forgotten() {
        let mut known = Connections::default();
        let stays = endless_outbox();
        known.add(&stays, 1);
        for number in 2..1000 {
            known.add(&endless_outbox(), number);
            assert!(known.outboxes.len() <= FEW && known.numbers.len() <= FEW);
        }
        assert!(known.get(1).is_some_and(|outbox| outbox.is(&stays)));
        assert!(known.get(999).is_none());
    }
}
