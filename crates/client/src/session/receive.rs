//! The receiving side of a session: handles the frames that were read.

use std::time::Instant;

use wire::{Envelope, ErrorCode, Event as ServerEvent, Registered, TopicName, UserName};

use super::resume::Recovery;
use super::{Move, Name, Presence, Protocol, Register, Session, State};
use crate::error::{ClientError, Disconnect, Refusal, ServerError, SessionError};
use crate::event::{Arrival, Event, Incoming, Person};
use crate::frame::{Frame, MessageFrame};
use crate::queue::Retransmission;

/// The errors after which a server closes the connection.
const FINAL: [ErrorCode; 16] = [
    ErrorCode::NotJson,
    ErrorCode::NotUtf8,
    ErrorCode::TooDeep,
    ErrorCode::TooLong,
    ErrorCode::TooManyConnections,
    ErrorCode::RegistrationTimeout,
    ErrorCode::UnfinishedFrame,
    ErrorCode::SlowReader,
    ErrorCode::QueuesFull,
    ErrorCode::Replaced,
    ErrorCode::Protected,
    ErrorCode::Expired,
    ErrorCode::Revoked,
    ErrorCode::TooManyAttempts,
    ErrorCode::TryLater,
    ErrorCode::ShuttingDown,
];

/// A topic with messages that may be missing, and whether its numbers go on.
type Damaged = (TopicName, Recovery);

/// Whether the program sees a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Visibility {
    Shown,
    Hidden,
}

impl Session {
    /// Handles a frame. After an error the connection can't go on.
    pub fn handle_frame(&mut self, frame: &Frame<'_>, now: Instant) -> Result<(), SessionError> {
        match frame {
            Frame::Message(message) => self.on_message(message)?,
            // In the classic protocol a server sends nothing but messages.
            Frame::Event(_) if self.config.protocol == Protocol::Classic => {}
            Frame::Event(event) => self.on_event(event, now)?,
        }
        self.release();
        self.update_deadlines(now);
        Ok(())
    }

    fn on_message(&mut self, frame: &MessageFrame<'_>) -> Result<(), SessionError> {
        let topic = frame.message.topic.decode();
        let text = frame.message.text.decode();
        let (envelope, arrival) = match self.state {
            State::Classic => {
                self.check_classic_refusal(&topic, &text)?;
                // A classic server goes on sending what was left.
                let follows = self.config.presence == Presence::Follow;
                let is_left = follows && topic != ErrorCode::TOPIC;
                if is_left && self.membership(&topic).is_none() {
                    return Ok(());
                }
                (Envelope::default(), Arrival::Live)
            }
            State::Unanswered => {
                if self.on_early_message(&topic, &text)? == Visibility::Hidden {
                    return Ok(());
                }
                (Envelope::default(), Arrival::Live)
            }
            State::Extended => {
                let envelope = frame.envelope();
                match (envelope.seq, self.membership(&topic)) {
                    (Some(seq), Some(membership)) => {
                        let arrival = membership.record(seq);
                        match arrival.filter(|_| !self.is_own(frame, &text)) {
                            Some(arrival) => (envelope, arrival),
                            None => return Ok(()),
                        }
                    }
                    _ => (envelope, Arrival::Live),
                }
            }
        };
        self.emit(Event::Message(Incoming {
            topic: topic.into_owned(),
            text: text.into_owned(),
            envelope,
            arrival,
        }));
        Ok(())
    }

    /// Before its answer an extended server sends no messages, but may report an error
    /// in the form for classic clients.
    fn on_early_message(&mut self, topic: &str, text: &str) -> Result<Visibility, SessionError> {
        if topic != ErrorCode::TOPIC {
            self.go_on_classic();
            return Ok(Visibility::Shown);
        }
        let error = ServerError::read(text);
        self.check_refusal(&error)?;
        if error.is(ErrorCode::UnknownFrame) || error.is(ErrorCode::BadFrame) {
            self.begin_again_classic();
            return Ok(Visibility::Hidden);
        }
        let any_name = !matches!(self.config.name, Name::Required(_));
        // The client tries another name, and sends again the lines that were sent before.
        let is_about_name = is_about_name(&error);
        let is_handled = is_about_name || error.is(ErrorCode::NotRegistered);
        if is_about_name {
            self.on_error(error)?;
        }
        Ok(match any_name && is_handled {
            true => Visibility::Hidden,
            false => Visibility::Shown,
        })
    }

    /// The name to try after a taken one, if the name isn't required.
    fn next_name(&self) -> Option<UserName> {
        match &self.config.name {
            Name::Preferred(name) => next_name(name),
            _ => None,
        }
    }

    /// Registers again, with another name.
    fn register_as(&mut self, next: UserName, error: &ServerError) {
        if let Name::Preferred(name) = &self.config.name {
            let name = name.clone();
            if error.is(ErrorCode::NameReserved) {
                self.wish.give_up();
                self.emit(Event::NameReserved(name));
            } else {
                self.emit(Event::NameTaken(name));
            }
        }
        self.config.name = Name::Preferred(next);
        self.queue.restart();
        self.to_register = Some(Register::Extended);
    }

    /// The message is one of ours that was stored while its acknowledgement was lost,
    /// and that the server sends back.
    fn is_own(&self, frame: &MessageFrame<'_>, text: &str) -> bool {
        #[derive(serde::Deserialize)]
        struct Sent {
            source: serde_json::Value,
        }
        self.queue.is_in_doubt(text)
            && serde_json::from_slice(frame.bytes())
                .is_ok_and(|Sent { source }| self.sources.contains(&source))
    }

    fn on_event(&mut self, event: &ServerEvent<'_>, now: Instant) -> Result<(), SessionError> {
        self.heartbeat.on_extended(now);
        match event {
            ServerEvent::Registered(registered) => self.on_registered(registered, now)?,
            ServerEvent::Ack(ack) => {
                if let Some(line) = self.queue.acknowledge(&ack.id) {
                    self.ack_deadline = None;
                    if let Some(membership) = self.membership(line.topic.as_str()) {
                        membership.resume.record_own(ack.seq);
                    }
                    let seq = Some(ack.seq);
                    self.emit(Event::Delivered { line, seq });
                }
            }
            ServerEvent::Error(told) => {
                let error = ServerError {
                    code: told.code.as_ref().into(),
                    text: told.text.as_ref().into(),
                };
                match &told.id {
                    Some(id) => self.on_refused(error, id),
                    None => self.on_error(error)?,
                }
            }
            ServerEvent::Gap(gap) => {
                if let Some(membership) = self.membership(&gap.topic) {
                    membership.resume.record_gap(gap.to);
                    let count = gap.to.saturating_sub(gap.from).saturating_add(1);
                    let topic = gap.topic.to_string();
                    self.emit(Event::Gap { topic, count });
                }
            }
            ServerEvent::Authenticated(told) => self.on_authenticated(told),
            ServerEvent::Removed(removed) => self.on_removed(removed),
            ServerEvent::Reconnect(told) if !self.stays => {
                self.moving = Some(Move::asked(told, now));
            }
            ServerEvent::Ping(value) => self.to_pong = Some(ServerEvent::Pong(value).to_line()),
            _ => self.on_news(event),
        }
        Ok(())
    }

    /// Events that are only passed on: answers to requests, and presence.
    fn on_news(&mut self, event: &ServerEvent<'_>) {
        if let ServerEvent::Left(presence) = event {
            self.on_name_free(&presence.person.user);
        }
        let event = match event {
            ServerEvent::Members(members) => {
                let is_other = |topic: &TopicName| topic.as_str() != members.topic;
                self.unanswered_who.retain(is_other);
                let person = |person: &wire::Person<'_>| Person {
                    user: person.user.to_string(),
                    ip: person.ip.to_string(),
                    port: person.port.to_string(),
                };
                Event::Members {
                    topic: members.topic.to_string(),
                    count: members.count,
                    users: members.users.iter().map(person).collect(),
                    more: members.more,
                }
            }
            ServerEvent::Found(person) => Event::Found {
                user: person.user.to_string(),
                ip: person.ip.to_string(),
                port: person.port.to_string(),
            },
            ServerEvent::Notice(notice) => Event::Notice(notice.text.to_string()),
            ServerEvent::Topics(page) => return self.on_topics(page),
            ServerEvent::History(range) => return self.on_history(range),
            ServerEvent::Joined(_) | ServerEvent::Left(_)
                if self.config.presence == Presence::Ignore =>
            {
                return;
            }
            ServerEvent::Joined(presence) => Event::UserJoined {
                user: presence.person.user.to_string(),
                ip: presence.person.ip.to_string(),
                topic: presence.topic.to_string(),
            },
            ServerEvent::Left(presence) => Event::UserLeft {
                user: presence.person.user.to_string(),
                topic: presence.topic.to_string(),
            },
            _ => return,
        };
        self.emit(event);
    }

    fn on_registered(
        &mut self,
        registered: &Registered<'_>,
        now: Instant,
    ) -> Result<(), SessionError> {
        self.check_identity();
        self.on_named_servers(registered.servers.as_deref());
        let (joined, incomplete) = self.update_memberships(registered)?;
        self.is_extended = true;
        self.heartbeat.listen(now);
        let before = std::mem::replace(&mut self.state, State::Extended);
        if before != State::Extended {
            self.on_named(now);
        }
        match before {
            State::Classic => self.emit(Event::Recovered),
            _ if joined.is_empty() => {}
            _ => self.emit_joined(joined.clone()),
        }
        for (topic, recovery) in incomplete {
            if recovery == Recovery::Renumbered {
                self.emit(Event::Renumbered(topic.clone()));
            }
            self.emit(Event::Incomplete(topic));
        }
        let user = registered.user.as_ref().map(ToString::to_string);
        let durability = registered.durability;
        self.emit(Event::Registered { user, durability });
        if self.config.presence == Presence::Follow {
            joined.into_iter().for_each(|topic| self.ask_who(topic));
        }
        Ok(())
    }

    /// Updates the topics that we are in. Returns the new ones, and those with messages that may
    /// be missing.
    fn update_memberships(
        &mut self,
        registered: &Registered<'_>,
    ) -> Result<(Vec<TopicName>, Vec<Damaged>), SessionError> {
        let is_first = self.state != State::Extended;
        let (mut joined, mut incomplete) = (Vec::new(), Vec::new());
        for membership in &mut self.memberships {
            let topic = membership.topic.clone();
            match registered.topics.get(topic.as_str()) {
                None if is_first && membership.asked => {
                    let refusal = Refusal::NotRegistered(topic);
                    return Err(SessionError::Failed(ClientError::Refused(refusal)));
                }
                Some(now) if is_first || !membership.is_in => {
                    joined.push(topic.clone());
                    let recovery = membership.registered(now);
                    if recovery != Recovery::Complete {
                        incomplete.push((topic, recovery));
                    }
                }
                Some(_) | None => {}
            }
        }
        Ok((joined, incomplete))
    }

    /// The server won't deliver a line, or doesn't store it.
    fn on_refused(&mut self, error: ServerError, id: &str) {
        // Without a registration every line is refused, and sent again later.
        if self.state != State::Extended {
            return;
        }
        if passes(&error) {
            // The server has waited for its disk or its cluster, so this can't become a fast
            // loop.
            if self.queue.retransmit(id) == Retransmission::Started {
                self.emit(Event::ServerError(error));
            }
        } else if let Some(line) = self.queue.acknowledge(id) {
            self.ack_deadline = None;
            self.refused += 1;
            self.emit(Event::LineRefused { line, error });
        }
    }

    /// The server reports an error without saying which line has caused it.
    fn on_error(&mut self, error: ServerError) -> Result<(), SessionError> {
        if error.is(ErrorCode::TooLong)
            && let Some(line) = self.queue.remove_longest()
        {
            // The server takes shorter frames than we do. Sent again, that line would
            // end every connection.
            self.refused += 1;
            let error = error.clone();
            self.emit(Event::LineRefused { line, error });
        }
        if self.state == State::Unanswered {
            self.check_refusal(&error)?;
        }
        if FINAL.iter().any(|code| error.is(*code)) {
            self.closing_error = Some(error);
            return Ok(());
        }
        if self.state == State::Extended {
            if self.fails_history(&error) {
                return Ok(());
            }
            self.on_server_error(error);
            return Ok(());
        }
        if is_about_name(&error)
            && let Some(next) = self.next_name()
        {
            self.register_as(next, &error);
            return Ok(());
        }
        // The server may have registered us before: our old connection may still hold the name.
        if self.is_extended || passes(&error) {
            return Err(SessionError::Lost(Disconnect::Server(error)));
        }
        Err(SessionError::Failed(match self.config.name.get() {
            Some(name) if error.is(ErrorCode::NameTaken) => ClientError::NameTaken(name.clone()),
            Some(name) if error.is(ErrorCode::NameReserved) => {
                ClientError::NameReserved(name.clone())
            }
            _ => ClientError::Refused(error.into()),
        }))
    }
}

/// Whether the server can't do what it was asked for now, and may be able to when it is asked again:
/// it has waited for its disk or its cluster.
fn passes(error: &ServerError) -> bool {
    error.is(ErrorCode::StorageBusy) || error.is(ErrorCode::NoQuorum)
}

/// Whether the error is about the name in the registration.
fn is_about_name(error: &ServerError) -> bool {
    error.is(ErrorCode::NameTaken) || error.is(ErrorCode::NameReserved)
}

/// A name like that one: `alice`, `alice-2`, `alice-3` and so on.
fn next_name(name: &UserName) -> Option<UserName> {
    let (stem, number) = match name.as_str().rsplit_once('-') {
        Some((stem, digits)) => match digits.parse::<u32>() {
            Ok(number) if number > 1 => (stem, number.checked_add(1)?),
            _ => (name.as_str(), 2),
        },
        None => (name.as_str(), 2),
    };
    UserName::new(&format!("{stem}-{number}")).ok()
}
