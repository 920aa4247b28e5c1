//! The sending side of a session: decides what is written next.

use std::time::Instant;

use wire::{Endpoint, Registration, RegistrationOptions, Request as Frame};

use super::{Register, Session, State};
use crate::event::Event;
use crate::queue::Acknowledgements;

impl Session {
    /// The next frame to write, if there is one. The caller writes it completely and
    /// then calls [`handle_transmitted`](Self::handle_transmitted).
    pub fn poll_transmit(&mut self, now: Instant) -> Option<Vec<u8>> {
        let (source, destination) = self.ends?;
        self.queue.begin_other();
        match self.to_register.take() {
            Some(Register::Classic) => return Some(self.registration(source, None)),
            Some(Register::Extended) => return Some(self.extended_registration(source)),
            None => {}
        }
        if let Some(pong) = self.to_pong.take() {
            return Some(pong);
        }
        if std::mem::take(&mut self.to_ping) {
            return Some(Frame::ping(1).to_line());
        }
        if let Some(request) = self.next_request(source) {
            return Some(request);
        }
        if self.state == State::Extended
            && let Some(question) = self.older.begin(self.config.answer_timeout, now)
        {
            return Some(question);
        }
        if self.hold.is_some() {
            return None;
        }
        let acknowledgements = match self.state {
            State::Classic => Acknowledgements::None,
            State::Unanswered | State::Extended => Acknowledgements::Expected,
        };
        let Some(outgoing) = self.queue.begin(acknowledgements) else {
            return self.goodbye();
        };
        let message = outgoing.line.message(source, destination);
        Some(match &outgoing.id {
            Some(id) => message.to_line_with_id(id),
            None => message.to_line(),
        })
    }

    /// The last frame of all, which leaves all topics. So the server releases the name, which it
    /// would keep for a lost connection.
    fn goodbye(&mut self) -> Option<Vec<u8>> {
        let is_due = self.is_finished() && self.state == State::Extended;
        if !is_due || self.has_left || self.config.name.get().is_none() {
            return None;
        }
        self.has_left = true;
        Some(Frame::Leave(self.topics()).to_line())
    }

    /// Notes that the frame polled last was written completely.
    pub fn handle_transmitted(&mut self, now: Instant) {
        if let Some(line) = self.queue.written() {
            self.emit(Event::Delivered { line, seq: None });
        }
        self.update_deadlines(now);
    }

    /// A registration for every topic, with the position in each.
    fn extended_registration(&self, source: Endpoint) -> Vec<u8> {
        let mut options = RegistrationOptions {
            auth: self.config.credential.clone(),
            user: self.config.name.get().cloned(),
            port: self.config.port,
            client: Some(self.config.key.clone()),
            ..RegistrationOptions::default()
        };
        for membership in &self.memberships {
            membership.resume.add_to(&mut options);
        }
        self.registration(source, Some(&options))
    }

    fn registration(&self, source: Endpoint, extended: Option<&RegistrationOptions>) -> Vec<u8> {
        let topics = &self.topics();
        let registration = Registration {
            source,
            topics,
            extended,
        };
        registration.to_line()
    }
}
