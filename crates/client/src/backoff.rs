//! How long to wait before the next attempt to connect.
//!
//! Holds the state of the back-off and nothing else: it neither sleeps nor dials.

use std::time::Duration;

use crate::secret;

/// Short, so that a restart of the server is hardly noticed.
const FIRST: Duration = Duration::from_millis(500);
/// Long, so that a server that is gone for hours costs next to nothing.
const LONGEST: Duration = Duration::from_secs(30);
/// A connection that lasted this long resets the back-off. So a server that accepts
/// and closes at once is not dialled every 0.5 s.
const GOOD: Duration = Duration::from_secs(10);

/// Pauses that double from 0.5 s to 30 s, each with jitter.
#[derive(Debug)]
pub(crate) struct BackOff {
    next: Duration,
    /// How long the last connection stood.
    stood: Stood,
}

/// How long a connection stood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stood {
    /// Not long enough to take the server for a good one.
    Briefly,
    /// Long enough.
    Long,
}

impl BackOff {
    /// The first pause is the shortest.
    pub(crate) fn new() -> Self {
        Self {
            next: FIRST,
            stood: Stood::Long,
        }
    }

    /// The pause before the next attempt.
    pub(crate) fn pause(&mut self) -> Duration {
        self.pause_with(secret::fraction())
    }

    /// The pause before the first attempt at another server. Only clients that have lost theirs in
    /// one moment make it necessary, so it stays as short as it is.
    pub(crate) fn spread(&self) -> Duration {
        FIRST.mul_f64(0.5 + secret::fraction() / 2.0)
    }

    /// Resets the pauses if the connection that ended has `lasted` long enough.
    pub(crate) fn connection_ended(&mut self, lasted: Duration) -> Stood {
        self.stood = match lasted < GOOD {
            true => Stood::Briefly,
            false => Stood::Long,
        };
        if self.stood == Stood::Long {
            self.next = FIRST;
        }
        self.stood
    }

    /// The shortest pause before we go where the last server has sent us. Servers that each send
    /// us on at once are not dialled every moment.
    pub(crate) fn before_moving(&mut self) -> Duration {
        match self.stood {
            Stood::Long => Duration::ZERO,
            Stood::Briefly => self.pause(),
        }
    }

    /// Between half the pause and the whole, so that the clients that a server
    /// lost in one moment don't come back in one moment.
    fn pause_with(&mut self, random: f64) -> Duration {
        let pause = self.next.mul_f64(0.5 + random.clamp(0.0, 1.0) / 2.0);
        self.next = (self.next * 2).min(LONGEST);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_from_half_a_second_to_thirty() {
        let mut back_off = BackOff::new();
        let pauses: Vec<_> = (0..8)
            .map(|_| back_off.pause_with(1.0).as_millis())
            .collect();
        assert_eq!(pauses, [500, 1000, 2000, 4000, 8000, 16000, 30000, 30000]);
    }

    #[test]
    fn jitter_takes_up_to_half_of_a_pause() {
        assert_eq!(BackOff::new().pause_with(0.0), Duration::from_millis(250));
        for _ in 0..100 {
            let pause = BackOff::new().pause();
            assert!(pause >= FIRST / 2 && pause <= FIRST, "{pause:?}");
        }
    }

    #[test]
    fn only_a_connection_that_stood_for_a_while_begins_the_pauses_anew() {
        let mut back_off = BackOff::new();
        back_off.pause();
        let brief = Duration::from_secs(1);
        assert_eq!(back_off.connection_ended(brief), Stood::Briefly);
        assert_eq!(back_off.pause_with(1.0), Duration::from_secs(1));
        assert_eq!(back_off.connection_ended(GOOD), Stood::Long);
        assert_eq!(back_off.pause_with(1.0), FIRST);
    }
}
