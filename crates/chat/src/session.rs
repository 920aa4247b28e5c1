//! Taking part in topics by the extended protocol, over however many connections
//! that takes.
//!
//! Owns what is in flight, what has been seen and what the server is known to be;
//! decides what is written next and what comes of what was read. Never reads,
//! writes or waits itself: the conversation does. `--classic` and direct mode have
//! no session.

use std::collections::VecDeque;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;
use wire::{
    ClientKey, Endpoint, ErrorCode, Registration, RegistrationOptions, TopicName, UserName,
};

mod asking;
mod place;
mod reading;
mod writing;

pub(crate) use asking::question;
pub(crate) use place::Order;
use place::Place;
pub(crate) use reading::Mail;
use writing::Writing;

use crate::calls::Calls;
use crate::countdown::{Countdown, Passed};
use crate::delivery::{Delivery, LONGEST_ID};
use crate::failure::Failure;
use crate::input::{Input, Line};
use crate::left::Left;
use crate::link::LinkError;
use crate::notice::Notices;
use crate::people::People;
use crate::pulse::{Beat, Pulse};
use crate::seen::History;

/// The most bytes by which a server's envelope makes a frame longer than the one
/// that was sent: two numbers and a name, with all that is around them.
pub(crate) const ENVELOPE: usize = 512;
/// The most bytes by which asking for an acknowledgement makes a frame longer.
pub(crate) const ID_MEMBER: usize = r#""extended":{"id":""},"#.len() + LONGEST_ID;

/// Connections whose own end is remembered, to tell our own messages by.
const SOURCES: usize = 8;

/// What a session is begun with.
#[derive(Debug)]
pub(crate) struct Setup {
    /// The server, as it was typed.
    pub(crate) server: String,
    pub(crate) topics: Vec<TopicName>,
    pub(crate) name: Option<UserName>,
    /// Nobody chose the name: should it be taken, a similar one will do.
    pub(crate) any_name: bool,
    /// A person looks on, who wants to know who is there and who comes and goes.
    pub(crate) is_watched: bool,
    pub(crate) history: History,
    /// Where we can be called directly.
    pub(crate) port: Option<u16>,
    /// The line for direct calls.
    pub(crate) calls: Option<Calls>,
    /// Who is known to be here.
    pub(crate) people: People,
    /// How long acknowledgements are waited for when the input has ended.
    pub(crate) ack_timeout: Duration,
    /// How long a server may pause then that sends what it has of the past.
    pub(crate) drain_timeout: Duration,
    /// The run's secret, by which the server knows us again.
    pub(crate) client: ClientKey,
    /// What the ids of this run begin with.
    pub(crate) run: String,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Session {
    setup: Setup,
    notices: Notices,
    delivery: Delivery,
    /// The topics that we take part in.
    places: Vec<Place>,
    pulse: Pulse,
    /// What the server makes of this connection.
    state: State,
    /// It has answered a registration in this run.
    is_extended: bool,
    /// That it doesn't know the extended protocol has been said.
    said_classic: bool,
    /// What is being written, or was written last.
    writing: Writing,
    /// What is to be written before any line; each is written once.
    to_register_again: Option<As>,
    to_ping: bool,
    to_pong: Option<Vec<u8>>,
    /// What a person asked for.
    requests: VecDeque<asking::Request>,
    /// Whom to call when the server says where they are.
    to_call: Option<UserName>,
    /// How long acknowledgements, or a connection to wait for them, are still waited
    /// for.
    patience: Option<Countdown>,
    /// How long what the server has of the past is still waited for.
    arrears: Option<Countdown>,
    /// It isn't waited for any longer.
    gave_up_arrears: bool,
    /// Why the server ends the connection.
    farewell: Option<(String, String)>,
    /// Lines that the server refused.
    refused: u64,
    /// Our own ends of this run's connections, as frames have them.
    sources: VecDeque<Value>,
}

/// What the server makes of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// It hasn't answered the registration.
    Unanswered,
    /// It is an extended one.
    Extended,
    /// It doesn't know of such: nothing is acknowledged, nothing numbered.
    Classic,
}

/// How a registration is repeated on the same connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum As {
    /// With all that the extended protocol has.
    Extended,
    /// As the original specification has it.
    Classic,
}

/// Why a connection can't go on.
#[derive(Debug)]
pub(crate) enum Halt {
    /// It may be made again.
    Lost(LinkError),
    /// Nothing will come of it.
    Failed(Failure),
}

impl Session {
    pub(crate) fn new(setup: Setup, notices: Notices) -> Self {
        Self {
            delivery: Delivery::new(setup.run.clone()),
            places: setup
                .topics
                .iter()
                .map(|topic| Place::new(topic.clone(), setup.history))
                .collect(),
            setup,
            notices,
            pulse: Pulse::default(),
            state: State::Unanswered,
            is_extended: false,
            said_classic: false,
            writing: Writing::Other,
            to_register_again: None,
            to_ping: false,
            to_pong: None,
            requests: VecDeque::new(),
            to_call: None,
            patience: None,
            arrears: None,
            gave_up_arrears: false,
            farewell: None,
            refused: 0,
            sources: VecDeque::new(),
        }
    }

    /// A connection was made: its first frame.
    pub(crate) fn connected(&mut self, source: Endpoint) -> Vec<u8> {
        self.state = State::Unanswered;
        self.writing = Writing::Other;
        self.to_register_again = None;
        self.to_ping = false;
        self.to_pong = None;
        self.forget_requests();
        self.farewell = None;
        self.delivery.reconnected();
        if self.is_extended {
            self.pulse.listen();
        } else {
            self.pulse.wait_for_answer();
        }
        if self.sources.len() == SOURCES {
            self.sources.pop_front();
        }
        // An endpoint is two strings, which can be written.
        self.sources.extend(serde_json::to_value(source));
        self.places.iter_mut().for_each(Place::connected);
        self.whole_registration(source)
    }

    /// A registration for every topic, with what we have of each.
    fn whole_registration(&self, source: Endpoint) -> Vec<u8> {
        let mut options = RegistrationOptions {
            user: self.setup.name.clone(),
            port: self.setup.port,
            client: Some(self.setup.client.clone()),
            ..RegistrationOptions::default()
        };
        for place in &self.places {
            place.seen.ask(&mut options);
        }
        self.registration(source, Some(&options))
    }

    fn registration(&self, source: Endpoint, extended: Option<&RegistrationOptions>) -> Vec<u8> {
        let topics: Vec<_> = self
            .places
            .iter()
            .map(|place| place.topic.clone())
            .collect();
        let registration = Registration {
            source,
            topics: &topics,
            extended,
        };
        registration.to_line()
    }

    fn place(&mut self, topic: &str) -> Option<&mut Place> {
        let mut places = self.places.iter_mut();
        places.find(|place| place.topic.as_str() == topic)
    }

    /// The connection has ended: why, in the server's words if it said them.
    pub(crate) fn disconnected(&mut self, cause: LinkError) -> LinkError {
        self.pulse.stop();
        if self.state == State::Extended {
            self.state = State::Unanswered;
        }
        self.arrears = None;
        match &self.farewell {
            Some((code, text)) => LinkError::Told(format!("{code}: {text}")),
            None => cause,
        }
    }

    /// Another connection has taken our place, and would again.
    pub(crate) fn is_replaced(&self) -> bool {
        let code = ErrorCode::Replaced.as_str();
        self.farewell.as_ref().is_some_and(|(said, _)| said == code)
    }

    /// The server doesn't know the extended protocol, but takes part: what it was
    /// sent won't be acknowledged.
    fn go_on_classic(&mut self) {
        self.delivery.forget();
        self.writing = match self.writing {
            Writing::Fresh => Writing::FreshForGood,
            _ => Writing::Other,
        };
        self.fall_back();
    }

    /// The server has refused the registration, because it doesn't know the extended
    /// protocol, and with it all that was sent, what is being written included.
    fn begin_again_classic(&mut self) {
        self.delivery.reconnected();
        self.writing = Writing::Other;
        self.to_register_again = Some(As::Classic);
        self.fall_back();
    }

    fn fall_back(&mut self) {
        self.state = State::Classic;
        self.pulse.stop();
        for place in &mut self.places {
            place.seen.forget();
            place.is_in = true;
        }
        self.say_joined(&self.topics());
        if !std::mem::replace(&mut self.said_classic, true) {
            self.notices.say(format_args!(
                "{} doesn't know the extended protocol: there are no names and no history, \
                 and nothing is acknowledged or recovered (--classic doesn't ask for it)",
                self.setup.server
            ));
        }
    }

    fn topics(&self) -> Vec<TopicName> {
        self.places
            .iter()
            .map(|place| place.topic.clone())
            .collect()
    }

    fn say_joined(&mut self, topics: &[TopicName]) {
        let (mut names, mut again) = (Vec::new(), "");
        for topic in topics {
            names.push(topic.as_str());
            if let Some(place) = self.place(topic.as_str())
                && std::mem::replace(&mut place.joined, true)
            {
                again = " again";
            }
        }
        let (names, server) = (names.join(", "), &self.setup.server);
        self.notices
            .say(format_args!("joined {names} at {server}{again}"));
    }

    /// Nothing is in flight, neither to the server nor, of the past, from it.
    pub(crate) fn is_settled(&self) -> bool {
        self.delivery.len() == 0 && !self.is_behind()
    }

    /// What was asked for of the past hasn't come. A server may not send it to who
    /// has closed his side.
    fn is_behind(&self) -> bool {
        let is_behind = || self.places.iter().any(Place::is_behind);
        self.state != State::Classic && !self.gave_up_arrears && is_behind()
    }

    /// Nothing more needs to come for everything that was typed to have arrived.
    pub(crate) fn is_safe(&self) -> bool {
        self.is_settled() && self.is_extended && self.state != State::Classic
    }

    /// The lines that were sent and are not acknowledged.
    pub(crate) fn in_flight(&self) -> impl Iterator<Item = &Line> {
        self.delivery.in_flight()
    }

    /// Lines that the server refused, each of which has been named.
    pub(crate) fn refused_lines(&self) -> u64 {
        self.refused
    }

    /// What is left to be delivered.
    pub(crate) fn left(&self, input: &Input) -> Left {
        match self.state {
            State::Classic => Left::unsent(input),
            _ => Left::unconfirmed(&self.delivery, input),
        }
    }

    /// Bytes came.
    pub(crate) fn heard(&mut self) {
        self.pulse.heard();
        self.arrears = None;
    }

    /// Nobody reads our output, so we don't read the server.
    pub(crate) fn held_up(&mut self) {
        self.heard();
        self.patience = None;
    }

    /// With the end of the input begins the time in which something must be
    /// acknowledged; each acknowledgement begins it anew. When all is, what is still
    /// to come of the past has its time.
    pub(crate) fn watch(&mut self, input: &Input) {
        let is_sent = input.unsent() + self.delivery.len() == 0;
        let is_behind = self.is_behind();
        let waits_for_past = is_sent && is_behind && self.state == State::Extended;
        let waits = self.state != State::Classic && !waits_for_past && (!is_sent || is_behind);
        keep(&mut self.patience, waits, self.setup.ack_timeout);
        keep(&mut self.arrears, waits_for_past, self.setup.drain_timeout);
    }

    /// When to look at the time next.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let countdowns = self.patience.iter().chain(&self.arrears);
        let deadlines = countdowns.map(Countdown::step_end);
        deadlines.chain(self.pulse.step_end()).min()
    }

    /// Does what is due.
    pub(crate) fn look_at_the_time(&mut self, input: &Input) -> Result<(), Halt> {
        match self.pulse.check() {
            Beat::Fine => {}
            Beat::Ask => self.to_ping = true,
            Beat::Unanswered => self.go_on_classic(),
            Beat::Lost => return Err(Halt::Lost(LinkError::Silent)),
        }
        if is_over(&mut self.arrears) {
            self.gave_up_arrears = true;
        }
        if is_over(&mut self.patience) {
            return Err(Halt::Failed(self.out_of_patience(input)));
        }
        Ok(())
    }

    fn out_of_patience(&self, input: &Input) -> Failure {
        let server = self.setup.server.clone();
        let timeout = self.setup.ack_timeout;
        match self.left(input) {
            Left::Unconfirmed { count: 0, .. } => Failure::NoHistory { server, timeout },
            left => Failure::Unacknowledged {
                server,
                timeout,
                left,
            },
        }
    }
}

/// Begins a countdown, or ends it.
fn keep(countdown: &mut Option<Countdown>, runs: bool, length: Duration) {
    if runs {
        countdown.get_or_insert_with(|| Countdown::begin(length));
    } else {
        *countdown = None;
    }
}

fn is_over(countdown: &mut Option<Countdown>) -> bool {
    countdown.as_mut().map(Countdown::check) == Some(Passed::Over)
}

#[cfg(test)]
mod tests;
