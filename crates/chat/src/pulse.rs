//! Is the server still there, and does it know the extended protocol?
//!
//! Owns the time since something was heard of it. Says when to ask and when to
//! give up; sends nothing and reads nothing itself.

use std::time::Duration;

use tokio::time::Instant;

use crate::countdown::{Countdown, Passed};

/// How long a server that is called for the first time has to answer the
/// registration before it is taken for one that doesn't know the extended
/// protocol: longer than the slowest networks take for an answer, and short enough
/// to wait for at the end of a pipe.
const ANSWER: Duration = Duration::from_secs(5);
/// After this long without a byte it is asked whether it is there, so that one
/// that vanished is noticed within a minute.
const QUIET: Duration = Duration::from_secs(20);
/// So long it has to say anything then: the same again, for a server that is
/// busy, or a network that sends again what was lost.
const LOST: Duration = Duration::from_secs(20);

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Pulse(Option<Waiting>);

#[derive(Debug)]
enum Waiting {
    Answer(Countdown),
    Sound(Countdown),
    Pong(Countdown),
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Beat {
    /// Nothing.
    Fine,
    /// Ask whether it is there.
    Ask,
    /// It doesn't answer the registration.
    Unanswered,
    /// It is gone.
    Lost,
}

impl Pulse {
    /// Waits for the answer to a registration of a server that may not know what
    /// it is.
    pub(crate) fn wait_for_answer(&mut self) {
        self.0 = Some(Waiting::Answer(Countdown::begin(ANSWER)));
    }

    /// Listens for anything at all.
    pub(crate) fn listen(&mut self) {
        self.0 = Some(Waiting::Sound(Countdown::begin(QUIET)));
    }

    /// Waits for nothing.
    pub(crate) fn stop(&mut self) {
        self.0 = None;
    }

    /// Bytes came, or we are the ones who don't read.
    pub(crate) fn heard(&mut self) {
        if let Some(Waiting::Sound(_) | Waiting::Pong(_)) = self.0 {
            self.listen();
        }
    }

    /// When to check it next.
    pub(crate) fn step_end(&self) -> Option<Instant> {
        let (Waiting::Answer(countdown) | Waiting::Sound(countdown) | Waiting::Pong(countdown)) =
            self.0.as_ref()?;
        Some(countdown.step_end())
    }

    /// Sees what time it is.
    pub(crate) fn check(&mut self) -> Beat {
        let Some(waiting) = &mut self.0 else {
            return Beat::Fine;
        };
        let (countdown, beat) = match waiting {
            Waiting::Answer(countdown) => (countdown, Beat::Unanswered),
            Waiting::Sound(countdown) => (countdown, Beat::Ask),
            Waiting::Pong(countdown) => (countdown, Beat::Lost),
        };
        if countdown.check() == Passed::NotYet {
            return Beat::Fine;
        }
        self.0 = match beat {
            Beat::Ask => Some(Waiting::Pong(Countdown::begin(LOST))),
            _ => None,
        };
        beat
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::sleep_until;

    /// Waits for what is to be done next, and how long that takes.
    async fn next(pulse: &mut Pulse) -> (Beat, u64) {
        let began = Instant::now();
        loop {
            match pulse.check() {
                Beat::Fine => sleep_until(pulse.step_end().expect("it waits")).await,
                beat => return (beat, began.elapsed().as_secs()),
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_vanished_is_asked_once_and_lost_within_a_minute() {
        let mut pulse = Pulse::default();
        pulse.listen();
        assert_eq!(next(&mut pulse).await, (Beat::Ask, 20));
        assert_eq!(next(&mut pulse).await, (Beat::Lost, 20));
        assert_eq!(pulse.step_end(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn whatever_is_heard_begins_the_time_anew() {
        let mut pulse = Pulse::default();
        pulse.listen();
        assert_eq!(next(&mut pulse).await, (Beat::Ask, 20));
        pulse.heard();
        assert_eq!(next(&mut pulse).await, (Beat::Ask, 20));
    }

    #[tokio::test(start_paused = true)]
    async fn only_the_answer_is_an_answer() {
        let mut pulse = Pulse::default();
        pulse.wait_for_answer();
        pulse.heard();
        assert_eq!(next(&mut pulse).await, (Beat::Unanswered, 5));
        pulse.heard();
        assert_eq!(pulse.step_end(), None);
    }
}
