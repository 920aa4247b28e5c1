//! Finds out whether the server still responds, and whether it knows the extended protocol.
//!
//! Holds the deadline by which something must arrive. Says when to ping and when to
//! give up; sends and reads nothing itself.

use std::time::{Duration, Instant};

use crate::deadline::{Deadline, Progress};

/// How long an unknown server has to answer the registration before the client takes
/// it for one without the extended protocol: longer than the slowest networks take,
/// and short enough to wait for at the end of a pipe.
const ANSWER: Duration = Duration::from_secs(5);
/// How long a server has to answer the registration if there is another one to go to: as long as
/// several servers need to agree after one of them has died.
const ELSEWHERE: Duration = Duration::from_secs(10);
/// After this long without a byte the client pings, so that a server that vanished is
/// noticed within a minute.
const QUIET: Duration = Duration::from_secs(20);
/// How long the server then has to send anything: the same again, for a server that
/// is busy, or a network that retransmits.
const LOST: Duration = Duration::from_secs(20);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Heartbeat(Option<Waiting>);

#[derive(Debug)]
enum Waiting {
    Answer(Deadline),
    Registration(Deadline),
    Bytes(Deadline),
    Pong(Deadline),
}

/// What the session should do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HeartbeatAction {
    /// Nothing.
    None,
    /// Ping the server.
    Ping,
    /// Go on without the extended protocol.
    FallBack,
    /// Give the connection up.
    GiveUp,
}

impl Heartbeat {
    /// Waits for an unknown server's answer to a registration.
    pub(super) fn wait_for_answer(&mut self, now: Instant) {
        self.0 = Some(Waiting::Answer(Deadline::start(ANSWER, now)));
    }

    /// Waits for the answer to a registration, in the place of which another server is tried.
    pub(super) fn wait_for_registration(&mut self, now: Instant) {
        self.0 = Some(Waiting::Registration(Deadline::start(ELSEWHERE, now)));
    }

    /// Waits for anything at all.
    pub(super) fn listen(&mut self, now: Instant) {
        self.0 = Some(Waiting::Bytes(Deadline::start(QUIET, now)));
    }

    /// Waits for nothing.
    pub(super) fn stop(&mut self) {
        self.0 = None;
    }

    /// Notes that bytes arrived, or that this side isn't reading.
    pub(super) fn on_activity(&mut self, now: Instant) {
        if let Some(Waiting::Bytes(_) | Waiting::Pong(_)) = self.0 {
            self.listen(now);
        }
    }

    /// Notes that the server knows the extended protocol: it may take its time to answer the
    /// registration, as one of a cluster does while others fail.
    pub(super) fn on_extended(&mut self, now: Instant) {
        if let Some(Waiting::Answer(_)) = self.0 {
            self.listen(now);
        }
    }

    /// When to check it next.
    pub(super) fn next_check(&self) -> Option<Instant> {
        let (Waiting::Answer(deadline)
        | Waiting::Registration(deadline)
        | Waiting::Bytes(deadline)
        | Waiting::Pong(deadline)) = self.0.as_ref()?;
        Some(deadline.next_check())
    }

    /// Returns what is due.
    pub(super) fn check(&mut self, now: Instant) -> HeartbeatAction {
        let Some(waiting) = &mut self.0 else {
            return HeartbeatAction::None;
        };
        let (deadline, action) = match waiting {
            Waiting::Answer(deadline) => (deadline, HeartbeatAction::FallBack),
            Waiting::Bytes(deadline) => (deadline, HeartbeatAction::Ping),
            Waiting::Registration(deadline) | Waiting::Pong(deadline) => {
                (deadline, HeartbeatAction::GiveUp)
            }
        };
        if deadline.check(now) == Progress::Running {
            return HeartbeatAction::None;
        }
        self.0 = match action {
            HeartbeatAction::Ping => Some(Waiting::Pong(Deadline::start(LOST, now))),
            _ => None,
        };
        action
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Waits for the next action, and for how many seconds.
    fn next(heartbeat: &mut Heartbeat, now: &mut Instant) -> (HeartbeatAction, u64) {
        let began = *now;
        loop {
            match heartbeat.check(*now) {
                HeartbeatAction::None => *now = heartbeat.next_check().expect("it waits"),
                action => return (action, (*now - began).as_secs()),
            }
        }
    }

    #[test]
    fn a_server_that_vanished_is_pinged_once_and_given_up_within_a_minute() {
        let mut now = Instant::now();
        let mut heartbeat = Heartbeat::default();
        heartbeat.listen(now);
        assert_eq!(next(&mut heartbeat, &mut now), (HeartbeatAction::Ping, 20));
        assert_eq!(
            next(&mut heartbeat, &mut now),
            (HeartbeatAction::GiveUp, 20)
        );
        assert_eq!(heartbeat.next_check(), None);
    }

    #[test]
    fn any_bytes_restart_the_deadline() {
        let mut now = Instant::now();
        let mut heartbeat = Heartbeat::default();
        heartbeat.listen(now);
        assert_eq!(next(&mut heartbeat, &mut now), (HeartbeatAction::Ping, 20));
        heartbeat.on_activity(now);
        assert_eq!(next(&mut heartbeat, &mut now), (HeartbeatAction::Ping, 20));
    }

    #[test]
    fn who_shows_that_it_knows_the_protocol_has_as_long_as_a_known_server() {
        let mut now = Instant::now();
        let mut heartbeat = Heartbeat::default();
        heartbeat.wait_for_answer(now);
        heartbeat.on_extended(now);
        assert_eq!(next(&mut heartbeat, &mut now), (HeartbeatAction::Ping, 20));
        // But not as long if there is another server to go to.
        heartbeat.wait_for_registration(now);
        heartbeat.on_extended(now);
        assert_eq!(
            next(&mut heartbeat, &mut now),
            (HeartbeatAction::GiveUp, 10)
        );
    }

    #[test]
    fn only_the_answer_to_the_registration_is_one() {
        let mut now = Instant::now();
        let mut heartbeat = Heartbeat::default();
        heartbeat.wait_for_answer(now);
        heartbeat.on_activity(now);
        assert_eq!(
            next(&mut heartbeat, &mut now),
            (HeartbeatAction::FallBack, 5)
        );
        heartbeat.on_activity(now);
        assert_eq!(heartbeat.next_check(), None);
    }
}
