//! What a publisher may be told: that each of its messages is kept, once, in the
//! order in which it sent them, each further on in its topic than the one before.
//! Anything else is an error that fails the run.

use crate::protocols::journal::Position;
use anyhow::{Context, Result, bail, ensure};
use std::collections::VecDeque;

/// One publisher's account of what was acknowledged.
#[derive(Debug, Default)]
pub(crate) struct Receipts {
    /// When each message was sent that is not acknowledged, the oldest first.
    sent: VecDeque<u64>,
    /// The number of the oldest of them.
    next: u64,
    /// Where the message stands that was acknowledged last.
    last: Option<Position>,
}

impl Receipts {
    /// Enters a message that is sent at `time`, and returns its number.
    pub(crate) fn expect(&mut self, time: u64) -> u64 {
        self.sent.push_back(time);
        self.next + self.sent.len() as u64 - 1
    }

    /// Enters an acknowledgement, of message `number` where it says so, and
    /// returns when the message was sent.
    pub(crate) fn enter(&mut self, number: Option<u64>, position: Position) -> Result<u64> {
        let next = self.next;
        match number {
            Some(number) if number < next => {
                bail!("message {number} was acknowledged twice: {next} should be next")
            }
            Some(number) if number > next => bail!(
                "messages {next} to {} were not acknowledged: {number} is",
                number - 1
            ),
            _ => {}
        }
        let sent = self
            .sent
            .pop_front()
            .with_context(|| format!("message {next} was acknowledged before it was sent"))?;
        ensure_after(position, self.last)?;
        self.last = Some(position);
        self.next += 1;
        Ok(sent)
    }
}

/// Refuses a position that isn't further on than the one before.
pub(crate) fn ensure_after(position: Position, last: Option<Position>) -> Result<()> {
    ensure!(
        last.is_none_or(|last| last < position),
        "a message has the position {position:?}, and the one before it {last:?}"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three messages sent at 10, 11 and 12.
    fn receipts() -> Receipts {
        let mut receipts = Receipts::default();
        let numbers = [10, 11, 12].map(|time| receipts.expect(time));
        assert_eq!(numbers, [0, 1, 2]);
        receipts
    }

    fn complaint(result: Result<u64>) -> String {
        result.unwrap_err().to_string()
    }

    #[test]
    fn each_acknowledgement_gives_the_time_of_its_message() {
        let mut receipts = receipts();
        assert_eq!(receipts.enter(Some(0), (1, 0)).unwrap(), 10);
        assert_eq!(receipts.enter(None, (1, 1)).unwrap(), 11);
        assert_eq!(receipts.enter(Some(2), (7, 0)).unwrap(), 12);
        assert_eq!(receipts.expect(20), 3);
    }

    #[test]
    fn doubled_missing_and_invented_acknowledgements_fail() {
        let mut receipts = receipts();
        receipts.enter(Some(0), (1, 0)).unwrap();
        assert!(complaint(receipts.enter(Some(0), (1, 0))).contains("acknowledged twice"));
        let missing = complaint(receipts.enter(Some(2), (3, 0)));
        assert!(missing.contains("messages 1 to 1 were not acknowledged"));
        let invented = complaint(Receipts::default().enter(None, (1, 0)));
        assert!(invented.contains("before it was sent"));
    }

    #[test]
    fn a_position_that_does_not_increase_fails() {
        let mut receipts = receipts();
        receipts.enter(Some(0), (5, 1)).unwrap();
        assert!(complaint(receipts.enter(Some(1), (5, 1))).contains("position"));
    }
}
