//! Taking part in topics, over any number of connections, without a socket.
//!
//! A session decides what is written next and what follows from what was read. It holds the queue
//! of lines, the point at which each topic resumes, and what it knows about the server. Its shape
//! is quinn's: the caller hands in frames and the time ([`handle_frame`](Session::handle_frame),
//! [`handle_timeout`](Session::handle_timeout)), and takes out frames, a deadline and events
//! ([`poll_transmit`](Session::poll_transmit), [`poll_timeout`](Session::poll_timeout),
//! [`poll_event`](Session::poll_event)). So every order of events can be tested without a
//! connection.

mod classic;
mod config;
mod heartbeat;
mod identity;
mod membership;
mod moving;
mod naming;
mod older;
mod pages;
mod receive;
mod requests;
mod resume;
mod transmit;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use serde_json::Value;
use wire::{Endpoint, TopicName};

pub use config::{FirstLines, Name, Presence, Protocol, SessionConfig};
pub(crate) use identity::is_hopeless;
pub(crate) use moving::Move;
pub use requests::Request;
pub use resume::History;

use crate::address::ServerAddress;
use crate::deadline::{Deadline, Progress};
use crate::error::{ClientError, Disconnect, ServerError, SessionError, Undelivered};
use crate::event::Event;
use crate::line::Line;
use crate::queue::Queue;
use heartbeat::{Heartbeat, HeartbeatAction};
use identity::Identity;
use membership::Membership;

/// The most bytes by which a server's envelope makes a frame longer than the one that
/// was sent.
pub const ENVELOPE: usize = wire::Envelope::MAX_BYTES;
/// Bytes of messages in a page of older messages. A server sends one longer message alone.
pub const HISTORY_BYTES: usize = 256 * 1024;
/// The most bytes that a page has beside the messages: its topic, its epoch, and the commas
/// between a thousand messages.
pub const HISTORY_HEAD: usize = 4 * 1024;
/// How long the first lines wait for the server's answer if the server may refuse plain text:
/// longer than a round trip on nearly every network. An old server, which never answers, gets
/// them a second later.
const HOLD: Duration = Duration::from_secs(1);
/// How many of our connections' addresses are remembered, to recognise our own messages.
const SOURCES: usize = 8;

/// See the module.
#[derive(Debug)]
pub struct Session {
    config: SessionConfig,
    queue: Queue,
    events: VecDeque<Event>,
    /// The topics that we take part in.
    memberships: Vec<Membership>,
    heartbeat: Heartbeat,
    /// Which protocol the server uses on this connection.
    state: State,
    /// The server has answered a registration in this run.
    is_extended: bool,
    /// [`Event::FellBack`] was emitted.
    said_fell_back: bool,
    /// What the server has found about our credential on this connection.
    identity: Identity,
    /// Both addresses of the connection.
    ends: Option<(Endpoint, Endpoint)>,
    /// The registration that is written before any line.
    to_register: Option<Register>,
    to_ping: bool,
    to_pong: Option<Vec<u8>>,
    requests: VecDeque<requests::Pending>,
    /// The topics whose members we have asked for by ourselves.
    unanswered_who: VecDeque<TopicName>,
    /// The list of topics that is being read.
    pages: pages::Pages,
    /// The older messages that the program wants.
    older: older::Older,
    wish: naming::Wish,
    /// The server has asked us to come back.
    moving: Option<Move>,
    /// The other servers that it has named.
    named: Option<Vec<ServerAddress>>,
    /// There is another server to go to when this one doesn't answer.
    has_alternative: bool,
    /// There is no other connection after this one, so it isn't left.
    stays: bool,
    /// Nothing more will be pushed.
    is_finishing: bool,
    /// All topics were left, so that the server doesn't keep the name.
    has_left: bool,
    /// When acknowledgements, or a connection to wait for them, are overdue.
    ack_deadline: Option<Deadline>,
    /// When the replay is overdue.
    replay_deadline: Option<Deadline>,
    /// No line is sent before this has expired, or the server has answered.
    hold: Option<Deadline>,
    /// The session has stopped waiting for the replay.
    gave_up_replay: bool,
    /// Why the server ends the connection.
    closing_error: Option<ServerError>,
    /// The number of lines that the server refused.
    refused: u64,
    /// Our own addresses of this run's connections, as frames have them.
    sources: VecDeque<Value>,
}

/// Which protocol the server uses on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The server has not answered the registration.
    Unanswered,
    /// The extended protocol.
    Extended,
    /// The classic protocol: nothing is acknowledged, nothing numbered.
    Classic,
}

/// How to register for all topics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Register {
    /// By the extended protocol.
    Extended,
    /// By the original specification.
    Classic,
}

impl Session {
    /// A session without a connection.
    pub fn new(config: SessionConfig) -> Self {
        let state = match config.protocol {
            Protocol::Extended => State::Unanswered,
            Protocol::Classic => State::Classic,
        };
        let membership = |topic: &TopicName| Membership::new(topic.clone(), config.history);
        Self {
            wish: naming::Wish::new(&config.name),
            memberships: config.topics.iter().map(membership).collect(),
            queue: Queue::new(config.run.clone()),
            config,
            events: VecDeque::new(),
            heartbeat: Heartbeat::default(),
            state,
            is_extended: false,
            said_fell_back: false,
            identity: Identity::NEW,
            ends: None,
            to_register: None,
            to_ping: false,
            to_pong: None,
            requests: VecDeque::new(),
            unanswered_who: VecDeque::new(),
            pages: pages::Pages::default(),
            older: older::Older::default(),
            moving: None,
            named: None,
            has_alternative: false,
            stays: false,
            is_finishing: false,
            has_left: false,
            ack_deadline: None,
            replay_deadline: None,
            hold: None,
            gave_up_replay: false,
            closing_error: None,
            refused: 0,
            sources: VecDeque::new(),
        }
    }

    /// A connection was made. The next frame to transmit is its registration.
    pub fn connected(&mut self, source: Endpoint, destination: Endpoint, now: Instant) {
        self.ends = Some((source, destination));
        self.to_ping = false;
        self.to_pong = None;
        self.identity.connected();
        self.forget_requests();
        self.wish_again();
        self.closing_error = None;
        self.moving = None;
        self.queue.restart();
        self.memberships.iter_mut().for_each(Membership::connected);
        if self.config.protocol == Protocol::Classic {
            self.to_register = Some(Register::Classic);
            self.connected_classic(now);
            return;
        }
        self.to_register = Some(Register::Extended);
        self.state = State::Unanswered;
        if self.has_alternative {
            self.heartbeat.wait_for_registration(now);
        } else if self.is_extended {
            self.heartbeat.listen(now);
        } else {
            self.heartbeat.wait_for_answer(now);
        }
        if !self.is_extended {
            let holds = self.config.first_lines == FirstLines::AfterAnswer;
            self.hold = holds.then(|| Deadline::start(HOLD, now));
        }
        if self.sources.len() == SOURCES {
            self.sources.pop_front();
        }
        // An endpoint is two strings, so this can't fail.
        self.sources.extend(serde_json::to_value(source));
        self.update_deadlines(now);
    }

    /// The connection has ended. Returns why, in the server's words if it said so.
    pub fn disconnected(&mut self, cause: Disconnect, now: Instant) -> Disconnect {
        self.heartbeat.stop();
        if self.state == State::Extended {
            self.state = State::Unanswered;
        }
        self.replay_deadline = None;
        self.update_deadlines(now);
        match &self.closing_error {
            Some(error) => Disconnect::Server(error.clone()),
            None => cause,
        }
    }

    /// Whether the client has taken part in a topic.
    pub(crate) fn has_joined(&self) -> bool {
        self.memberships.iter().any(|membership| membership.joined)
    }

    /// Accepts a line. It is sent when its turn comes.
    pub fn push(&mut self, line: Line, now: Instant) {
        self.queue.push(line);
        self.update_deadlines(now);
    }

    /// Whether there is room for more lines. If not, the producer waits.
    pub fn has_room(&self) -> bool {
        self.queue.has_room()
    }

    /// Nothing more will be pushed. From now on acknowledgements are overdue after
    /// [`SessionConfig::ack_timeout`].
    pub fn finish(&mut self, now: Instant) {
        self.is_finishing = true;
        self.update_deadlines(now);
    }

    /// Whether [`finish`](Self::finish) was called.
    pub fn is_finishing(&self) -> bool {
        self.is_finishing
    }

    /// Whether everything is sent, acknowledged if the server does that, and the replay has
    /// arrived.
    pub fn is_finished(&self) -> bool {
        self.is_finishing && self.queue.is_empty() && !self.is_behind()
    }

    /// Whether everything that was pushed is known to have arrived.
    pub fn is_safe(&self) -> bool {
        let is_settled = self.queue.unacknowledged() == 0 && !self.is_behind();
        is_settled && self.is_extended && self.state != State::Classic
    }

    /// The lines on their way.
    pub fn queue(&self) -> &Queue {
        &self.queue
    }

    /// The number of lines that the server refused.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// What would be lost if the session ended now.
    pub fn undelivered(&self) -> Undelivered {
        match self.state {
            State::Classic => Undelivered::unsent(&self.queue),
            _ => Undelivered::unacknowledged(&self.queue),
        }
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Whether there are events that were not polled yet.
    pub fn has_events(&self) -> bool {
        !self.events.is_empty()
    }

    /// All events that were not polled yet.
    pub fn take_events(&mut self) -> Vec<Event> {
        self.events.drain(..).collect()
    }

    /// Adds an event of the connection's to those of the session.
    pub(crate) fn emit(&mut self, event: Event) {
        self.events.push_back(event);
    }

    /// Bytes arrived.
    pub fn handle_activity(&mut self, now: Instant) {
        self.heartbeat.on_activity(now);
        self.replay_deadline = None;
        self.update_deadlines(now);
    }

    /// Notes that the caller isn't reading, so silence isn't the server's.
    pub fn handle_stall(&mut self, now: Instant) {
        self.ack_deadline = None;
        self.handle_activity(now);
    }

    /// When to call [`handle_timeout`](Self::handle_timeout).
    pub fn poll_timeout(&self) -> Option<Instant> {
        let deadlines = self.ack_deadline.iter().chain(&self.replay_deadline);
        let deadlines = deadlines.chain(&self.hold);
        let deadlines = deadlines.map(Deadline::next_check);
        let others = self.heartbeat.next_check().into_iter();
        let others = others.chain(self.wish.next_attempt());
        deadlines.chain(others).chain(self.older.next_check()).min()
    }

    /// Handles the deadlines that have passed.
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), SessionError> {
        match self.heartbeat.check(now) {
            HeartbeatAction::None => {}
            HeartbeatAction::Ping => self.to_ping = true,
            HeartbeatAction::FallBack => self.go_on_classic(),
            HeartbeatAction::GiveUp => return Err(SessionError::Lost(Disconnect::Silent)),
        }
        self.check_wish(now);
        self.check_older(now);
        if has_expired(&mut self.replay_deadline, now) {
            self.gave_up_replay = true;
        }
        if has_expired(&mut self.hold, now) {
            self.release();
        }
        if has_expired(&mut self.ack_deadline, now) {
            return Err(SessionError::Failed(self.ack_overdue()));
        }
        self.update_deadlines(now);
        Ok(())
    }

    fn ack_overdue(&self) -> ClientError {
        let timeout = self.config.ack_timeout;
        match self.undelivered() {
            Undelivered::Unacknowledged { count: 0, .. } => ClientError::NoHistory { timeout },
            undelivered => ClientError::Unacknowledged {
                timeout,
                undelivered,
            },
        }
    }

    /// Once the caller is finishing, each acknowledgement must come within the timeout after the
    /// one before. When all lines are acknowledged, the replay has a timeout.
    fn update_deadlines(&mut self, now: Instant) {
        // Before the first connection the dialer has its own deadline.
        if !self.is_finishing || self.ends.is_none() {
            return;
        }
        let is_sent = self.queue.is_empty();
        let is_behind = self.is_behind();
        let awaits_replay = is_sent && is_behind && self.state == State::Extended;
        let awaits_ack = self.state != State::Classic && !awaits_replay && (!is_sent || is_behind);
        keep(
            &mut self.ack_deadline,
            awaits_ack,
            self.config.ack_timeout,
            now,
        );
        let replay_timeout = self.config.replay_timeout;
        keep(
            &mut self.replay_deadline,
            awaits_replay,
            replay_timeout,
            now,
        );
    }

    /// Whether requested history has not arrived yet. A server may not send it to a client that
    /// has closed its side.
    fn is_behind(&self) -> bool {
        let is_behind = || self.memberships.iter().any(Membership::is_behind);
        self.state != State::Classic && !self.gave_up_replay && is_behind()
    }

    fn membership(&mut self, topic: &str) -> Option<&mut Membership> {
        let mut memberships = self.memberships.iter_mut();
        memberships.find(|membership| membership.topic.as_str() == topic)
    }

    fn topics(&self) -> Vec<TopicName> {
        let memberships = self.memberships.iter();
        memberships.map(|one| one.topic.clone()).collect()
    }

    fn emit_joined(&mut self, topics: Vec<TopicName>) {
        let mut again = false;
        for topic in &topics {
            if let Some(membership) = self.membership(topic.as_str()) {
                again |= std::mem::replace(&mut membership.joined, true);
            }
        }
        self.emit(Event::Joined { topics, again });
    }
}

/// Starts a deadline, or ends it.
fn keep(deadline: &mut Option<Deadline>, runs: bool, length: Duration, now: Instant) {
    if runs {
        deadline.get_or_insert_with(|| Deadline::start(length, now));
    } else {
        *deadline = None;
    }
}

fn has_expired(deadline: &mut Option<Deadline>, now: Instant) -> bool {
    let progress = deadline.as_mut().map(|deadline| deadline.check(now));
    progress == Some(Progress::Expired)
}

#[cfg(test)]
mod tests;
