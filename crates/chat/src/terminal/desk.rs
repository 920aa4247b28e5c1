//! Where a person speaks, and what each thing they type comes to.
//!
//! Owns the list of their topics and which one is chosen. Sends and shows nothing
//! itself.

use std::sync::{MutexGuard, PoisonError};

use wire::TopicName;

use super::commands::{self, Command};
use super::helper::Topics;
use crate::calls::Step;
use crate::input::Line;
use crate::lines::Typed;
use crate::order::Order;
use crate::people::People;
use crate::sanitize::push_name;

/// Characters of a topic's name that a prompt shows.
const LONGEST_PROMPT: usize = 24;

/// See the module.
pub(super) struct Desk {
    /// Where one can speak. Empty when everything was left.
    topics: Topics,
    /// Where one speaks.
    chosen: Option<TopicName>,
    /// Or rather on the line, with somebody who is called so.
    call: Option<String>,
    /// They are a server's, and can be joined and left.
    has_server: bool,
    people: People,
}

/// What comes of something that was typed.
pub(super) enum Outcome {
    /// To be sent or done elsewhere.
    Send(Typed),
    /// To be told at once, in whole lines.
    Tell(String),
    /// Nothing.
    Nothing,
    /// The end.
    Quit,
}

impl Desk {
    /// At least one topic.
    pub(super) fn new(topics: Topics, has_server: bool, people: People) -> Self {
        let chosen = lock(&topics).first().cloned();
        Self {
            topics,
            chosen,
            call: None,
            has_server,
            people,
        }
    }

    /// What stands before the line that is typed.
    pub(super) fn prompt(&mut self) -> String {
        if self.people.has_call_ended() {
            self.call = None;
        }
        let mut prompt = String::new();
        if let Some(name) = &self.call {
            prompt.push('@');
            push_name(&mut prompt, name);
        } else if let Some(topic) = &self.chosen {
            push_name(&mut prompt, topic.as_str());
        }
        if let Some((end, _)) = prompt.char_indices().nth(LONGEST_PROMPT) {
            prompt.truncate(end);
            prompt.push('…');
        }
        prompt + "> "
    }

    /// Reads a line and does what is to be done here.
    pub(super) fn take(&mut self, line: &str) -> Outcome {
        match commands::read(line) {
            Ok(command) => self.obey(command).unwrap_or_else(tell),
            Err(refusal) => tell(refusal),
        }
    }

    /// A line that is sent as it is.
    pub(super) fn say(&self, text: String) -> Outcome {
        self.line(text).unwrap_or_else(tell)
    }

    fn obey(&mut self, command: Command) -> Result<Outcome, String> {
        let order = match command {
            Command::Say(text) => return self.line(text),
            Command::Me(what) => {
                let me = self.people.me();
                let me = me.ok_or("you have no name yet, and /me needs one (--name)")?;
                return self.line(format!("* {me} {what}"));
            }
            Command::Quit => return Ok(Outcome::Quit),
            Command::Help => return Ok(Outcome::Tell(commands::help())),
            Command::Search(text) => Order::Search(text),
            Command::Topic(None) => return Ok(tell(self.where_to_speak())),
            Command::Topic(Some(topic)) => return self.choose(topic),
            _ if !self.has_server => {
                return Err("that is for topics: here are only you and another one".into());
            }
            Command::Join(topic) => self.join(topic),
            Command::Leave(topic) => self.leave(topic)?,
            Command::Who(topic) => Order::Who(self.here(topic)?),
            Command::Topics => Order::Topics,
            Command::Lookup(user) => Order::Lookup(user),
            Command::Call(user) => {
                self.people.has_call_ended();
                self.call = Some(user.to_string());
                Order::Call(user)
            }
            Command::Accept => {
                self.call = Some(self.people.caller().ok_or("nobody calls you")?);
                Order::Line(Step::Accept)
            }
            Command::Decline => Order::Line(Step::Decline),
            Command::HangUp => {
                self.call = None;
                Order::Line(Step::HangUp)
            }
            Command::Last(count) => Order::Last {
                topic: self.here(None)?,
                count,
            },
        };
        Ok(Outcome::Send(Typed::Order(order)))
    }

    fn line(&self, text: String) -> Result<Outcome, String> {
        if self.call.is_some() {
            let order = Order::Line(Step::Say(text));
            return Ok(Outcome::Send(Typed::Order(order)));
        }
        let topic = self.here(None)?.as_str().into();
        Ok(Outcome::Send(Typed::Addressed(Line { topic, text })))
    }

    /// That topic, or the one where one speaks.
    fn here(&self, topic: Option<TopicName>) -> Result<TopicName, String> {
        let topic = topic.or_else(|| self.chosen.clone());
        topic.ok_or_else(|| "you are in no topic: /join one first".into())
    }

    fn join(&mut self, topic: TopicName) -> Order {
        let mut topics = lock(&self.topics);
        if !topics.contains(&topic) {
            topics.push(topic.clone());
        }
        self.chosen = Some(topic.clone());
        self.call = None;
        Order::Join(topic)
    }

    fn leave(&mut self, topic: Option<TopicName>) -> Result<Order, String> {
        let topic = self.here(topic)?;
        let mut topics = lock(&self.topics);
        if !topics.contains(&topic) {
            return Err(format!("you aren't in {topic}"));
        }
        topics.retain(|one| *one != topic);
        if self.chosen.as_ref() == Some(&topic) {
            self.chosen = topics.first().cloned();
        }
        Ok(Order::Leave(topic))
    }

    fn choose(&mut self, topic: TopicName) -> Result<Outcome, String> {
        if !lock(&self.topics).contains(&topic) {
            return Err(format!("you aren't in {topic}: /join {topic} first"));
        }
        self.chosen = Some(topic);
        self.call = None;
        Ok(Outcome::Nothing)
    }

    fn where_to_speak(&self) -> String {
        let topics = lock(&self.topics);
        let names: Vec<&str> = topics.iter().map(TopicName::as_str).collect();
        match &self.chosen {
            Some(chosen) => format!("you are in {}, and speak in {chosen}", names.join(", ")),
            None => "you are in no topic: /join one".into(),
        }
    }
}

fn lock(topics: &Topics) -> MutexGuard<'_, Vec<TopicName>> {
    topics.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One line for the person alone.
fn tell(what: impl AsRef<str>) -> Outcome {
    let mut line = String::from("-- ");
    crate::sanitize::push_escaped(&mut line, what.as_ref());
    line.push('\n');
    Outcome::Tell(line)
}
