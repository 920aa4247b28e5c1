//! A deadline that a machine which was suspended does not miss.
//!
//! The time passes in steps, and input is handled between two steps. So after a
//! suspension, what has arrived meanwhile is read before anything times out. The
//! caller hands the time in; the deadline doesn't know what it is for.

use std::time::{Duration, Instant};

/// See the module.
#[derive(Debug)]
pub struct Deadline {
    step: Duration,
    step_end: Instant,
    steps_left: u32,
}

/// How far a deadline is when it is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// There is time left.
    Running,
    /// The time is over.
    Expired,
}

impl Deadline {
    const STEPS: u32 = 5;

    /// Starts a deadline that expires `length` after `now`.
    pub fn start(length: Duration, now: Instant) -> Self {
        let step = length / Self::STEPS;
        Self {
            step,
            step_end: now + step,
            steps_left: Self::STEPS - 1,
        }
    }

    /// When to [`check`](Self::check) the deadline next.
    pub fn next_check(&self) -> Instant {
        self.step_end
    }

    /// Begins the next step if one is over; expires after the last one.
    pub fn check(&mut self, now: Instant) -> Progress {
        if now < self.step_end {
            return Progress::Running;
        }
        if self.steps_left == 0 {
            return Progress::Expired;
        }
        self.steps_left -= 1;
        self.step_end = now + self.step;
        Progress::Running
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn it_expires_after_its_length_and_no_sooner() {
        let began = Instant::now();
        let mut now = began;
        let mut deadline = Deadline::start(10 * SECOND, now);
        while deadline.check(now) == Progress::Running {
            now = deadline.next_check();
        }
        assert_eq!(now - began, 10 * SECOND);
    }

    #[test]
    fn a_machine_that_was_suspended_has_used_one_step() {
        let began = Instant::now();
        let mut deadline = Deadline::start(10 * SECOND, began);
        let now = began + 3600 * SECOND;
        assert_eq!(deadline.check(now), Progress::Running);
        assert_eq!(deadline.check(now), Progress::Running);
        assert!(deadline.next_check() > now);
    }

    #[test]
    fn a_deadline_of_no_length_expires_when_all_input_was_handled_once_more() {
        let now = Instant::now();
        let mut deadline = Deadline::start(Duration::ZERO, now);
        let checks = std::iter::repeat_with(|| deadline.check(now));
        let running = checks.take_while(|progress| *progress == Progress::Running);
        assert_eq!(running.count(), 4);
    }
}
