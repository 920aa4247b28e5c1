//! How long a task may work before other tasks of its thread run.

use std::time::{Duration, Instant};

/// It is so long that the switch costs little, and so short that fifty busy tasks delay another
/// task by only a few milliseconds.
const TURN: Duration = Duration::from_micros(100);

/// The time since the first call of [`is_over`](Self::is_over).
#[derive(Default)]
pub(crate) struct Turn {
    began: Option<Instant>,
}

impl Turn {
    /// Whether the task should yield. After true, a new turn begins.
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
