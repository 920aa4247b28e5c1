//! What a person asks the server for: the part of a session that carries out orders.
//!
//! The answers come with the rest of what the server says, and are shown as notices.

use wire::{Endpoint, Members, Person, Registration, RegistrationOptions, TopicName, TopicSummary};

use super::{Place, Session, State};
use crate::calls::Step;
use crate::input::Input;
use crate::order::Order;
use crate::seen::History;

/// Lines that an answer takes at most; what is more is counted.
const LONGEST_ANSWER: usize = 20;

/// A frame to be made when its turn comes.
#[derive(Debug)]
pub(super) enum Request {
    /// A registration for one more topic.
    Join(TopicName),
    /// A registration that asks for the last messages again.
    Last(TopicName, u64),
    /// Written when everything that was typed before is.
    Leave(TopicName),
    /// Anything else, as it goes over the wire.
    Frame(Vec<u8>),
}

impl Session {
    /// Carries out what a person asked for, as soon as the server can hear it.
    pub(crate) fn obey(&mut self, order: Order) {
        match order {
            Order::Join(topic) => self.join(topic),
            Order::Leave(topic) => self.requests.push_back(Request::Leave(topic)),
            Order::Last { topic, count } => self.ask(Request::Last(topic, count)),
            Order::Who(topic) => self.ask(frame("who", topic.as_str())),
            Order::Topics => self.ask(Request::Frame(b"{\"extended\":{\"topics\":{}}}\n".to_vec())),
            Order::Lookup(user) => self.ask(frame("lookup", user.as_str())),
            Order::Call(user) => {
                self.ask(frame("lookup", user.as_str()));
                self.to_call = Some(user);
            }
            // That isn't the server's to know.
            Order::Search(_) | Order::Line(_) => {}
        }
    }

    fn ask(&mut self, request: Request) {
        match self.state {
            State::Extended => self.requests.push_back(request),
            State::Unanswered => self
                .notices
                .warn(format_args!("not connected: ask again when you are")),
            State::Classic => self.notices.warn(format_args!(
                "{} doesn't know the extended protocol, and can't answer",
                self.setup.server
            )),
        }
    }

    fn join(&mut self, topic: TopicName) {
        if self.place(topic.as_str()).is_none() {
            self.places.push(Place::new(topic.clone(), History::None));
        }
        self.requests.push_back(Request::Join(topic));
    }

    /// A new connection registers for everything anyway, and can't answer what was
    /// asked of another one. What was to be left still is.
    pub(super) fn forget_requests(&mut self) {
        self.requests
            .retain(|request| matches!(request, Request::Leave(_)));
    }

    /// The next frame that was asked for, if it is time for it.
    pub(super) fn next_request(&mut self, input: &Input, source: Endpoint) -> Option<Vec<u8>> {
        let can_leave = self.delivery.is_written() && input.unsent() == 0;
        if matches!(self.requests.front()?, Request::Leave(_)) && !can_leave {
            return None;
        }
        match self.requests.pop_front()? {
            Request::Frame(frame) => Some(frame),
            Request::Join(topic) => {
                self.place(topic.as_str())?.asked = true;
                let is_extended = self.state != State::Classic;
                let options = is_extended.then(RegistrationOptions::default);
                if !is_extended {
                    self.place(topic.as_str())?.is_in = true;
                    self.say_joined(std::slice::from_ref(&topic));
                }
                Some(registration(source, &topic, options.as_ref()))
            }
            Request::Last(topic, count) => {
                self.place(topic.as_str())?.ask_again();
                let options = RegistrationOptions {
                    last: Some(count),
                    ..RegistrationOptions::default()
                };
                Some(registration(source, &topic, Some(&options)))
            }
            Request::Leave(topic) => self.leave(&topic),
        }
    }

    fn leave(&mut self, topic: &TopicName) -> Option<Vec<u8>> {
        self.places.retain(|place| place.topic != *topic);
        self.notices.say(format_args!("left {topic}"));
        if self.state == State::Classic {
            // It knows no leaving: what comes is passed over.
            return None;
        }
        match frame("leave", [topic.as_str()]) {
            Request::Frame(frame) => Some(frame),
            _ => None,
        }
    }

    /// Who is in a topic.
    pub(super) fn say_members(&mut self, members: &Members<'_>) {
        let Members {
            topic,
            count,
            users,
        } = members;
        let names: Vec<&str> = users.iter().map(|person| person.user.as_ref()).collect();
        self.setup.people.know(&names);
        let nameless = count.saturating_sub(names.len() as u64);
        let mut who = names.join(", ");
        if nameless > 0 {
            let and = if who.is_empty() { "" } else { ", and " };
            who += &format!("{and}{nameless} without a name");
        }
        let is_alone = *count <= 1;
        self.notices.say(format_args!("in {topic}: {who}"));
        if is_alone {
            self.notices.say(format_args!(
                "nobody else is here yet; others come with: chat -topic {} {topic}",
                self.setup.server
            ));
        }
    }

    /// Where somebody is.
    pub(super) fn say_found(&mut self, person: &Person<'_>) {
        let Person { user, ip, port } = person;
        self.setup.people.know(&[user.as_ref()]);
        let ip = match ip.contains(':') {
            true => format!("[{ip}]"),
            false => ip.to_string(),
        };
        let address = format!("{ip}:{port}");
        let is_wanted = self
            .to_call
            .as_ref()
            .is_some_and(|name| name.as_str() == user);
        if let (true, Some(calls), Ok(address)) = (is_wanted, &self.setup.calls, address.parse()) {
            self.to_call = None;
            let name = user.to_string();
            calls.take(Step::Dial { name, address });
        } else {
            self.notices.say(format_args!("{user} is at {address}"));
        }
    }

    /// What topics there are.
    pub(super) fn say_topics(&mut self, topics: &[TopicSummary<'_>]) {
        if topics.is_empty() {
            self.notices.say("there are no topics");
        }
        for TopicSummary {
            topic,
            members,
            seq,
        } in topics.iter().take(LONGEST_ANSWER)
        {
            let s = if *members == 1 { "" } else { "s" };
            self.notices.say(format_args!(
                "{topic}: {members} member{s}, {seq} messages so far"
            ));
        }
        if let more @ 1.. = topics.len().saturating_sub(LONGEST_ANSWER) {
            self.notices.say(format_args!("and {more} more"));
        }
    }
}

fn registration(
    source: Endpoint,
    topic: &TopicName,
    extended: Option<&RegistrationOptions>,
) -> Vec<u8> {
    let topics = std::slice::from_ref(topic);
    Registration {
        source,
        topics,
        extended,
    }
    .to_line()
}

fn frame(name: &str, value: impl serde::Serialize) -> Request {
    Request::Frame(question(name, value))
}

/// A frame with nothing but `extended`, and that one member.
pub(crate) fn question(name: &str, value: impl serde::Serialize) -> Vec<u8> {
    #[derive(serde::Serialize)]
    struct Frame<'a, T> {
        extended: std::collections::BTreeMap<&'a str, T>,
    }
    let extended = [(name, value)].into();
    // Writing strings into memory can't fail.
    let mut line = serde_json::to_vec(&Frame { extended }).unwrap_or_default();
    line.push(b'\n');
    line
}
