//! Limits the rate of log lines that peers cause, so that no peer can fill a disk by sending
//! nonsense.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Lines in one [`PERIOD`] that are written; a person reads no more.
const LINES_PER_PERIOD: u32 = 20;

/// The period over which lines are counted.
const PERIOD: Duration = Duration::from_secs(1);

/// Decides which lines are written, and counts the others.
#[derive(Default)]
pub(crate) struct LogLimiter {
    window: Mutex<Window>,
}

#[derive(Default)]
struct Window {
    began: Option<Instant>,
    lines: u32,
    left_out: u64,
}

impl LogLimiter {
    /// Calls `write` with the number of lines that were left out before this
    /// one, unless this one is left out too.
    pub(crate) fn log(&self, write: impl FnOnce(u64)) {
        if let Some(left_out) = self.admit(Instant::now()) {
            write(left_out);
        }
    }

    fn admit(&self, now: Instant) -> Option<u64> {
        let mut window = self.window.lock();
        if window.began.is_none_or(|began| now - began >= PERIOD) {
            window.began = Some(now);
            window.lines = 0;
        }
        if window.lines == LINES_PER_PERIOD {
            window.left_out += 1;
            return None;
        }
        window.lines += 1;
        Some(std::mem::take(&mut window.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_beyond_the_rate_are_counted_and_said_with_the_next() {
        let limiter = LogLimiter::default();
        let start = Instant::now();
        for _ in 0..LINES_PER_PERIOD {
            assert_eq!(limiter.admit(start), Some(0));
        }
        assert_eq!(limiter.admit(start), None);
        assert_eq!(limiter.admit(start), None);
        assert_eq!(limiter.admit(start + PERIOD), Some(2));
        assert_eq!(limiter.admit(start + PERIOD), Some(0));
    }
}
