//! How long a task may work before others of its thread get their turn.

use std::time::{Duration, Instant};

/// Long enough that the switch costs little beside the work, and so short that fifty
/// tasks that always have work hold up another one for a few milliseconds.
const TURN: Duration = Duration::from_micros(100);

/// The time from the first question whether it is over.
#[derive(Default)]
pub(crate) struct Turn {
    began: Option<Instant>,
}

impl Turn {
    /// Whether the task should let others go on; once it has, a new turn begins.
    pub(crate) fn is_over(&mut self) -> bool {
        self.began.get_or_insert_with(Instant::now).elapsed() >= TURN
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_is_over_after_its_time() {
        let mut turn = Turn::default();
        assert!(!turn.is_over());
        while !turn.is_over() {}
        assert!(turn.began.is_some_and(|began| began.elapsed() >= TURN));
        assert!(turn.is_over());
    }
}
