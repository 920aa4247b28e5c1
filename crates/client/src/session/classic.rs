//! Taking part with a server that doesn't know the extended protocol.

use std::time::Instant;

use super::config::{FirstLines, Protocol};
use super::{HOLD, Register, Session, State};
use crate::deadline::Deadline;
use crate::event::Event;

impl Session {
    /// A connection was made on which the classic protocol is spoken. There is no answer to a
    /// registration, so a server that takes it is told from one that wants TLS by its silence.
    pub(super) fn connected_classic(&mut self, now: Instant) {
        self.state = State::Classic;
        let holds = self.config.first_lines == FirstLines::AfterAnswer && !self.has_joined();
        self.hold = holds.then(|| Deadline::start(HOLD, now));
        if !holds {
            self.join_classic();
        }
        self.update_deadlines(now);
    }

    /// The server takes what is sent in plain text: the first lines may go.
    pub(super) fn release(&mut self) {
        if self.hold.take().is_some() && self.config.protocol == Protocol::Classic {
            self.join_classic();
        }
    }

    /// The connection is such that the first lines wait for nothing from now on.
    pub fn send_at_once(&mut self) {
        self.config.first_lines = FirstLines::AtOnce;
    }

    /// Goes on without the extended protocol with a server that relays messages and acknowledges
    /// nothing.
    pub(super) fn go_on_classic(&mut self) {
        self.queue.stop_waiting();
        self.fall_back();
    }

    /// Registers again as a classic client. The server doesn't know the extended protocol, so it
    /// has refused the registration and every line sent after it.
    pub(super) fn begin_again_classic(&mut self) {
        self.queue.restart();
        self.to_register = Some(Register::Classic);
        self.fall_back();
    }

    fn fall_back(&mut self) {
        self.join_classic();
        if !std::mem::replace(&mut self.said_fell_back, true) {
            self.emit(Event::FellBack);
        }
    }

    pub(super) fn join_classic(&mut self) {
        self.state = State::Classic;
        self.heartbeat.stop();
        self.forget_older();
        for membership in &mut self.memberships {
            membership.resume.forget();
            membership.is_in = true;
        }
        self.emit_joined(self.topics());
    }
}
