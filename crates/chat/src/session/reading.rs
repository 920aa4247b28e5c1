//! What comes of what was read: the part of a session that listens.

use wire::{Envelope, ErrorCode, Event, Registered, Told, UserName};

use super::place::Order;
use super::{As, Halt, Line, Session, State, Writing};
use crate::failure::Failure;
use crate::input::Input;
use crate::left::shortened;
use crate::link::{Letter, LinkError};

/// The errors after which a server closes the connection.
const ENDS: [ErrorCode; 10] = [
    ErrorCode::NotJson,
    ErrorCode::NotUtf8,
    ErrorCode::TooDeep,
    ErrorCode::TooLong,
    ErrorCode::TooManyConnections,
    ErrorCode::RegistrationTimeout,
    ErrorCode::UnfinishedFrame,
    ErrorCode::SlowReader,
    ErrorCode::Replaced,
    ErrorCode::ShuttingDown,
];

/// A message that is to be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mail {
    /// What the server has written on it.
    pub(crate) envelope: Envelope,
    /// Where it stands in its topic's order.
    pub(crate) order: Order,
}

impl Mail {
    /// Of a message that is shown as it came.
    pub(crate) fn live(envelope: Envelope) -> Self {
        let order = Order::Live;
        Self { envelope, order }
    }
}

impl Session {
    /// A message came: what is known of it, if it is to be shown.
    pub(crate) fn read(&mut self, letter: &Letter<'_>) -> Result<Option<Mail>, Halt> {
        match self.state {
            State::Classic => {
                let topic = letter.message.topic.decode();
                // What a person has left, such a server goes on sending.
                let is_left = self.setup.is_watched && topic != ErrorCode::TOPIC;
                let shown = !is_left || self.place(&topic).is_some();
                return Ok(shown.then(|| Mail::live(Envelope::default())));
            }
            State::Unanswered => {
                return self.read_unanswered(letter).map(|shown| {
                    let envelope = Envelope::default();
                    shown.then(|| Mail::live(envelope))
                });
            }
            State::Extended => {}
        }
        let envelope = letter.envelope();
        let topic = letter.message.topic.decode();
        let (Some(seq), Some(place)) = (envelope.seq, self.place(&topic)) else {
            return Ok(Some(Mail::live(envelope)));
        };
        let order = place.take(seq).filter(|_| !self.is_own(letter));
        Ok(order.map(|order| Mail { envelope, order }))
    }

    /// Before its answer an extended server sends no messages, but may say in the
    /// form for classic clients what is wrong. True if that is to be shown.
    fn read_unanswered(&mut self, letter: &Letter<'_>) -> Result<bool, Halt> {
        let topic = letter.message.topic.decode();
        let text = letter.message.text.decode();
        if topic != ErrorCode::TOPIC {
            self.go_on_classic();
            return Ok(true);
        }
        let (code, text) = text.split_once(": ").unwrap_or((&text, ""));
        let is = |error: ErrorCode| code == error.as_str();
        if is(ErrorCode::UnknownFrame) || is(ErrorCode::BadFrame) {
            self.begin_again_classic();
            return Ok(false);
        }
        if is(ErrorCode::NameTaken) {
            self.told(code, text)?;
            // Another name is tried, which has been said.
            return Ok(!self.setup.any_name);
        }
        // What was sent before we had a name is sent again.
        let is_too_early = self.setup.any_name && is(ErrorCode::NotRegistered);
        Ok(!is_too_early)
    }

    /// Nobody chose the name, and somebody else has it: the next one is asked for.
    fn takes_another_name(&mut self) -> bool {
        let Some(name) = self.setup.name.as_ref().filter(|_| self.setup.any_name) else {
            return false;
        };
        let Some(next) = next_name(name) else {
            return false;
        };
        self.notices
            .say(format_args!("somebody else is called {name} here"));
        self.setup.name = Some(next);
        self.delivery.reconnected();
        self.writing = Writing::Other;
        self.to_register_again = Some(As::Extended);
        true
    }

    /// A message of ours that was stored while its acknowledgement was lost, and
    /// that the server sends to us too.
    fn is_own(&self, letter: &Letter<'_>) -> bool {
        #[derive(serde::Deserialize)]
        struct Sent {
            source: serde_json::Value,
        }
        self.delivery.is_doubtful(&letter.message.text.decode())
            && serde_json::from_slice(letter.frame())
                .is_ok_and(|Sent { source }| self.sources.contains(&source))
    }

    /// The server said something beside messages: the line of ours, if it says
    /// that it has one.
    pub(crate) fn hear(
        &mut self,
        event: &Event<'_>,
        input: &mut Input,
    ) -> Result<Option<Line>, Halt> {
        match event {
            Event::Ack(ack) => {
                let line = self.delivery.settle(&ack.id);
                if let Some(line) = &line {
                    self.patience = None;
                    if let Some(place) = self.place(&line.topic) {
                        place.seen.own(ack.seq);
                    }
                }
                Ok(line)
            }
            _ => self.hear_news(event, input).map(|()| None),
        }
    }

    fn hear_news(&mut self, event: &Event<'_>, input: &mut Input) -> Result<(), Halt> {
        match event {
            Event::Registered(registered) => self.registered(registered),
            Event::Error(Told { code, text, id }) => match id {
                Some(id) => {
                    self.refused(code, text, id);
                    Ok(())
                }
                None => {
                    if code == ErrorCode::TooLong.as_str() {
                        self.give_up_longest(input, code, text);
                    }
                    self.told(code, text)
                }
            },
            Event::Gap(gap) => {
                if let Some(place) = self.place(&gap.topic) {
                    place.seen.missing_up_to(gap.to);
                    let count = gap.to.saturating_sub(gap.from).saturating_add(1);
                    let messages = if count == 1 { "message" } else { "messages" };
                    let topic = &gap.topic;
                    self.notices.warn(format_args!(
                        "{count} {messages} of {topic} can't be had any more"
                    ));
                }
                Ok(())
            }
            Event::Ping(value) => {
                self.to_pong = Some(Event::Pong(value).to_line());
                Ok(())
            }
            _ => {
                if self.setup.is_watched {
                    self.hear_of_people(event);
                }
                Ok(())
            }
        }
    }

    /// What only a person wants to know, and has asked for.
    fn hear_of_people(&mut self, event: &Event<'_>) {
        match event {
            Event::Members(members) => self.say_members(members),
            Event::Found(person) => self.say_found(person),
            Event::Topics(topics) => self.say_topics(topics),
            Event::Joined(presence) => {
                let (user, topic) = (&presence.person.user, &presence.topic);
                self.setup.people.know(&[user.as_ref()]);
                self.notices.say(format_args!("{user} has joined {topic}"));
            }
            Event::Left(presence) => {
                let (user, topic) = (&presence.person.user, &presence.topic);
                self.notices.say(format_args!("{user} has left {topic}"));
            }
            _ => {}
        }
    }

    fn registered(&mut self, registered: &Registered<'_>) -> Result<(), Halt> {
        let is_first = self.state != State::Extended;
        let (mut arrived, mut incomplete) = (Vec::new(), Vec::new());
        for place in &mut self.places {
            let topic = &place.topic;
            match registered.topics.get(topic.as_str()) {
                None if is_first && place.asked => {
                    let said = format!("it hasn't registered us for {topic}");
                    return Err(self.refusal(said));
                }
                Some(now) if is_first || !place.is_in => {
                    arrived.push(topic.clone());
                    if !place.arrive(now) {
                        incomplete.push(place.topic.clone());
                    }
                }
                Some(now) => place.answered(now),
                None => {}
            }
        }
        self.is_extended = true;
        self.pulse.listen();
        match std::mem::replace(&mut self.state, State::Extended) {
            State::Classic => self.notices.say(format_args!(
                "{} has answered after all: what is sent from now on is acknowledged",
                self.setup.server
            )),
            _ if arrived.is_empty() => {}
            _ => self.say_joined(&arrived),
        }
        for topic in incomplete {
            self.notices.warn(format_args!(
                "messages of {topic} that were sent meanwhile may be missing: \
                 not all could be recovered"
            ));
        }
        if self.setup.is_watched {
            self.greet(registered.user.as_deref(), arrived);
        }
        Ok(())
    }

    /// Says who we are, and asks who is here.
    fn greet(&mut self, user: Option<&str>, arrived: Vec<wire::TopicName>) {
        if let Some(user) = user
            && self.setup.people.call_me(user)
        {
            self.notices.say(format_args!("you are {user}"));
        }
        for topic in arrived {
            self.obey(crate::order::Order::Who(topic));
        }
    }

    /// A line won't be delivered, or isn't stored.
    fn refused(&mut self, code: &str, text: &str, id: &str) {
        if self.state != State::Extended {
            // What wasn't registered isn't refused for good.
            return;
        }
        if let Some(line) = self.delivery.settle(id) {
            self.patience = None;
            self.say_refused(code, text, &line.text);
        }
    }

    fn say_refused(&mut self, code: &str, text: &str, line: &str) {
        self.refused += 1;
        let line = shortened(line);
        let what = if code == ErrorCode::StorageFull.as_str() {
            "is not stored, so only those who were there got it"
        } else {
            "was not delivered"
        };
        self.notices
            .warn(format_args!("a line {what}: {line} ({code}: {text})"));
    }

    /// A frame was longer than the server takes, though not longer than we may
    /// send, and it doesn't say which: the longest. Sent again, it would end every
    /// connection.
    fn give_up_longest(&mut self, input: &mut Input, code: &str, text: &str) {
        let length = |line: &str| serde_json::to_string(line).map_or(0, |json| json.len());
        let fresh = match self.writing {
            Writing::Fresh => input.first().map(|line| length(&line.text)),
            _ => None,
        };
        let line = match self.delivery.longest(length) {
            Some((number, longest)) if fresh.is_none_or(|fresh| fresh < longest) => {
                self.delivery.settle(&self.delivery.id(number))
            }
            _ if fresh.is_some() => {
                self.writing = Writing::Other;
                input.sent()
            }
            _ => None,
        };
        if let Some(line) = line {
            self.say_refused(code, text, &line.text);
        }
    }

    /// Something is wrong that is no single line's fault.
    fn told(&mut self, code: &str, text: &str) -> Result<(), Halt> {
        let is = |error: &ErrorCode| code == error.as_str();
        if ENDS.iter().any(is) {
            self.farewell = Some((code.into(), text.into()));
            return Ok(());
        }
        if self.state == State::Extended {
            if is(&ErrorCode::UnknownUser) && self.to_call.take().is_some() {
                self.setup.people.end_call();
            }
            let server = &self.setup.server;
            self.notices
                .warn(format_args!("{server} says: {code}: {text}"));
            return Ok(());
        }
        let said = format!("{code}: {text}");
        if self.is_extended {
            // It had us before: our old connection may still hold the name.
            return Err(Halt::Lost(LinkError::Told(said)));
        }
        if is(&ErrorCode::NameTaken) && self.takes_another_name() {
            return Ok(());
        }
        match &self.setup.name {
            Some(name) if is(&ErrorCode::NameTaken) => Err(Halt::Failed(Failure::NameTaken {
                name: name.to_string(),
                server: self.setup.server.clone(),
            })),
            _ => Err(self.refusal(said)),
        }
    }

    fn refusal(&self, said: String) -> Halt {
        let server = self.setup.server.clone();
        Halt::Failed(Failure::Refused { server, said })
    }
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
