//! What comes of what was read: the part of a session that listens.

use wire::{Envelope, ErrorCode, Event, Registered, Told};

use super::{Halt, Session, State, Writing};
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

impl Session {
    /// A message came: what the server has written on it, if it is to be shown.
    pub(crate) fn read(&mut self, letter: &Letter<'_>) -> Result<Option<Envelope>, Halt> {
        match self.state {
            State::Classic => return Ok(Some(Envelope::default())),
            State::Unanswered => {
                return self.read_unanswered(letter).map(|shown| {
                    let envelope = Envelope::default();
                    shown.then_some(envelope)
                });
            }
            State::Extended => {}
        }
        let envelope = letter.envelope();
        let Some(seq) = envelope.seq else {
            return Ok(Some(envelope));
        };
        let shown = self.seen.take(seq) && !self.is_own(letter);
        Ok(shown.then_some(envelope))
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
        }
        Ok(true)
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

    /// The server said something beside messages.
    pub(crate) fn hear(&mut self, event: &Event<'_>, input: &mut Input) -> Result<(), Halt> {
        match event {
            Event::Registered(registered) => self.registered(registered),
            Event::Ack(ack) => {
                if self.delivery.settle(&ack.id).is_some() {
                    self.seen.own(ack.seq);
                    self.patience = None;
                }
                Ok(())
            }
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
            Event::Gap(gap) if gap.topic == self.setup.topic.as_str() => {
                self.seen.missing_up_to(gap.to);
                let count = gap.to.saturating_sub(gap.from).saturating_add(1);
                let messages = if count == 1 { "message" } else { "messages" };
                self.notices.say(format_args!(
                    "{count} {messages} of {} can't be had any more",
                    self.setup.topic
                ));
                Ok(())
            }
            Event::Ping(value) => {
                self.to_pong = Some(Event::Pong(value).to_line());
                Ok(())
            }
            // Who comes and goes is no message, and the rest nobody asked for.
            _ => Ok(()),
        }
    }

    fn registered(&mut self, registered: &Registered<'_>) -> Result<(), Halt> {
        let topic = self.setup.topic.as_str();
        let Some(now) = registered.topics.get(topic) else {
            return Err(self.refusal(format!("it hasn't registered us for {topic}")));
        };
        if self.state == State::Extended {
            return Ok(());
        }
        let complete = self.seen.registered(now);
        self.newest = now.seq;
        self.is_extended = true;
        self.pulse.listen();
        match std::mem::replace(&mut self.state, State::Extended) {
            State::Classic => self.notices.say(format_args!(
                "{} has answered after all: what is sent from now on is acknowledged",
                self.setup.server
            )),
            _ => self.say_joined(),
        }
        if !complete {
            self.notices.say(format_args!(
                "messages of {} that were sent meanwhile may be missing: not all could be recovered",
                self.setup.topic
            ));
        }
        Ok(())
    }

    /// A line won't be delivered, or isn't stored.
    fn refused(&mut self, code: &str, text: &str, id: &str) {
        if self.state != State::Extended {
            // What wasn't registered isn't refused for good.
            return;
        }
        if let Some(line) = self.delivery.settle(id) {
            self.patience = None;
            self.say_refused(code, text, &line);
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
            .say(format_args!("a line {what}: {line} ({code}: {text})"));
    }

    /// A frame was longer than the server takes, though not longer than we may
    /// send, and it doesn't say which: the longest. Sent again, it would end every
    /// connection.
    fn give_up_longest(&mut self, input: &mut Input, code: &str, text: &str) {
        let length = |line: &str| serde_json::to_string(line).map_or(0, |json| json.len());
        let fresh = match self.writing {
            Writing::Fresh => input.first().map(length),
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
            self.say_refused(code, text, &line);
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
            let server = &self.setup.server;
            self.notices
                .say(format_args!("{server} says: {code}: {text}"));
            return Ok(());
        }
        let said = format!("{code}: {text}");
        if self.is_extended {
            // It had us before: our old connection may still hold the name.
            return Err(Halt::Lost(LinkError::Told(said)));
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
