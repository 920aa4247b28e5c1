//! A time in which something should come.
//!
//! It passes in steps, and at each whatever has come is heard first: a machine
//! that stood still for a while is no peer that is silent, and no input that
//! pauses. Knows nothing of what is waited for.

use std::time::Duration;

use tokio::time::Instant;

/// See the module.
#[derive(Debug)]
pub(crate) struct Countdown {
    step: Duration,
    step_end: Instant,
    steps_left: u32,
}

/// How far a countdown is when it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Passed {
    /// The step goes on, or the next one has begun.
    NotYet,
    /// All of it.
    Over,
}

impl Countdown {
    const STEPS: u32 = 5;

    /// Counts `length` from now on.
    pub(crate) fn begin(length: Duration) -> Self {
        let step = length / Self::STEPS;
        Self {
            step,
            step_end: Instant::now() + step,
            steps_left: Self::STEPS - 1,
        }
    }

    /// When to [`check`](Self::check) it next.
    pub(crate) fn step_end(&self) -> Instant {
        self.step_end
    }

    /// Where a step is over, begins the next, if there is one.
    pub(crate) fn check(&mut self) -> Passed {
        let now = Instant::now();
        if now < self.step_end {
            return Passed::NotYet;
        }
        if self.steps_left == 0 {
            return Passed::Over;
        }
        self.steps_left -= 1;
        self.step_end = now + self.step;
        Passed::NotYet
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::{advance, sleep_until};

    #[tokio::test(start_paused = true)]
    async fn it_is_over_after_its_length_and_no_sooner() {
        let began = Instant::now();
        let mut countdown = Countdown::begin(Duration::from_secs(10));
        while countdown.check() == Passed::NotYet {
            sleep_until(countdown.step_end()).await;
        }
        let lasted = began.elapsed();
        assert!(lasted >= Duration::from_secs(10), "{lasted:?}");
        assert!(lasted < Duration::from_secs(11), "{lasted:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_machine_that_stood_still_has_counted_one_step() {
        let mut countdown = Countdown::begin(Duration::from_secs(10));
        advance(Duration::from_secs(3600)).await;
        assert_eq!(countdown.check(), Passed::NotYet);
        assert_eq!(countdown.check(), Passed::NotYet);
        assert!(countdown.step_end() > Instant::now());
    }

    #[tokio::test(start_paused = true)]
    async fn no_time_at_all_is_over_when_everything_has_been_heard_once_more() {
        let mut countdown = Countdown::begin(Duration::ZERO);
        let checks = std::iter::repeat_with(|| countdown.check());
        assert_eq!(
            checks
                .take_while(|passed| *passed == Passed::NotYet)
                .count(),
            4
        );
    }
}
