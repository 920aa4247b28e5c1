//! Taking part with a server that doesn't know the extended protocol.

use super::{Register, Session, State};
use crate::event::Event;

impl Session {
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
