//! What a receiver may receive: every message of every publisher of its
//! topic, once and in that publisher's order. Anything else is an error that
//! names receiver, publisher and sequence numbers, and fails the run.

use anyhow::{Result, bail};

/// One receiver's account of what has arrived.
#[derive(Clone, Debug)]
pub(crate) struct Ledger {
    /// The lane of the topic's first publisher; the topic's others follow it.
    first_lane: usize,
    /// The sequence number that each publisher of the topic comes to next.
    next: Vec<u64>,
}

impl Ledger {
    /// A receiver of the publishers `first_lane..first_lane + lanes`.
    pub(crate) fn new(first_lane: usize, lanes: usize) -> Self {
        Self {
            first_lane,
            next: vec![0; lanes],
        }
    }

    /// Whether `lane` publishes on this receiver's topic.
    pub(crate) fn hears(&self, lane: usize) -> bool {
        (self.first_lane..self.first_lane + self.next.len()).contains(&lane)
    }

    /// Enters an arrival, which must be the next of its publisher.
    pub(crate) fn enter(&mut self, lane: usize, sequence: u64) -> Result<()> {
        let expected = lane
            .checked_sub(self.first_lane)
            .and_then(|index| self.next.get_mut(index));
        match expected {
            Some(next) if *next == sequence => {
                *next += 1;
                Ok(())
            }
            Some(next) if sequence < *next => bail!(
                "message {sequence} of publisher {lane} arrived twice or out of order: \
                 {next} should be next"
            ),
            Some(next) => bail!(
                "messages {next} to {} of publisher {lane} are missing: {sequence} has arrived",
                sequence - 1
            ),
            None => bail!("message {sequence} of publisher {lane} arrived on another topic"),
        }
    }

    /// Checks at the end that every message of `lane` has arrived.
    pub(crate) fn settle(&self, lane: usize, sent: u64) -> Result<()> {
        let arrived = lane
            .checked_sub(self.first_lane)
            .and_then(|index| self.next.get(index));
        match arrived {
            Some(&arrived) if arrived == sent => Ok(()),
            Some(&arrived) => {
                bail!("publisher {lane} sent {sent} messages, and {arrived} have arrived")
            }
            None => bail!("publisher {lane} belongs to another topic"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(arrivals: &[(usize, u64)]) -> Result<Ledger> {
        let mut ledger = Ledger::new(2, 2);
        for &(lane, sequence) in arrivals {
            ledger.enter(lane, sequence)?;
        }
        Ok(ledger)
    }

    fn complaint(arrivals: &[(usize, u64)]) -> String {
        after(arrivals).unwrap_err().to_string()
    }

    #[test]
    fn publishers_may_interleave_as_long_as_each_keeps_its_order() {
        let ledger = after(&[(2, 0), (3, 0), (3, 1), (2, 1)]).unwrap();
        ledger.settle(2, 2).unwrap();
        ledger.settle(3, 2).unwrap();
    }

    #[test]
    fn a_missing_message_fails() {
        assert!(
            complaint(&[(2, 0), (2, 2)]).contains("messages 1 to 1 of publisher 2 are missing")
        );
    }

    #[test]
    fn a_doubled_message_fails() {
        assert!(complaint(&[(2, 0), (2, 0)]).contains("arrived twice"));
    }

    #[test]
    fn a_reordered_message_fails() {
        assert!(complaint(&[(2, 1), (2, 0)]).contains("missing"));
    }

    #[test]
    fn a_message_of_another_topic_fails() {
        assert!(complaint(&[(1, 0)]).contains("another topic"));
        assert!(complaint(&[(4, 0)]).contains("another topic"));
    }

    #[test]
    fn a_message_missing_at_the_end_fails() {
        let ledger = after(&[(2, 0)]).unwrap();
        let error = ledger.settle(2, 2).unwrap_err().to_string();
        assert!(error.contains("sent 2 messages, and 1 have arrived"));
    }
}
