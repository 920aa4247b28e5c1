//! Where a person speaks, and what each line they type does.
//!
//! Holds the list of their topics and which one is chosen. Sends and shows nothing
//! itself.

use std::sync::{MutexGuard, PoisonError};

use client::{Line, Request};
use wire::TopicName;

use super::commands::{self, Command, CommandError};
use super::helper::Topics;
use crate::input::action::{Action, CallAction};
use crate::input::lines::Typed;
use crate::output::people::People;
use crate::output::sanitize::{push_escaped, push_name};

/// Characters of a topic's name that a prompt shows.
const LONGEST_PROMPT: usize = 24;

/// See the module.
pub(super) struct CommandContext {
    /// Where one can speak. Empty when everything was left.
    topics: Topics,
    /// Where one speaks.
    chosen: Option<TopicName>,
    /// The name of the person on a direct call, if one speaks there.
    call: Option<String>,
    /// Whose topics they are.
    server: Server,
    people: People,
}

/// Whose topics a person can speak in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Server {
    /// A server's: they can be joined and left.
    Topics,
    /// Nobody's: there is one peer.
    None,
}

/// What to do with a line that was typed.
pub(super) enum Outcome {
    /// Send it, or do it elsewhere.
    Send(Typed),
    /// Tell the person something, in whole lines.
    Tell(String),
    /// Nothing.
    Nothing,
    /// End the program.
    Quit,
}

impl CommandContext {
    /// At least one topic.
    pub(super) fn new(topics: Topics, server: Server, people: People) -> Self {
        let chosen = lock(&topics).first().cloned();
        Self {
            topics,
            chosen,
            call: None,
            server,
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

    /// Reads a line and performs what can be performed here.
    pub(super) fn accept(&mut self, line: &str) -> Outcome {
        match commands::read(line) {
            Ok(command) => self.perform(command).unwrap_or_else(refuse),
            Err(error) => refuse(error.into()),
        }
    }

    /// A line that is sent as it is.
    pub(super) fn say(&self, text: String) -> Outcome {
        self.line(text).unwrap_or_else(refuse)
    }

    fn perform(&mut self, command: Command) -> Result<Outcome, Refusal> {
        let action = match command {
            Command::Say(text) => return self.line(text),
            Command::Me(what) => {
                let me = self.people.me();
                let me = me.ok_or(Refusal::NoName)?;
                return self.line(format!("* {me} {what}"));
            }
            Command::Quit => return Ok(Outcome::Quit),
            Command::Help => return Ok(Outcome::Tell(commands::help())),
            Command::Search(text) => Action::Search(text),
            Command::Topic(None) => return self.where_to_speak(),
            Command::Topic(Some(topic)) => return self.choose(topic),
            _ if self.server == Server::None => return Err(Refusal::NoTopics),
            Command::Join(topic) => self.join(topic),
            Command::Leave(topic) => self.leave(topic)?,
            Command::Who(topic) => Action::Request(Request::Who(self.here(topic)?)),
            Command::Topics => Action::Request(Request::Topics),
            Command::Lookup(user) => Action::Request(Request::Lookup(user)),
            Command::Call(user) => {
                self.people.has_call_ended();
                self.call = Some(user.to_string());
                Action::Call(user)
            }
            Command::Accept => {
                self.call = Some(self.people.caller().ok_or(Refusal::NoCaller)?);
                Action::CallAction(CallAction::Accept)
            }
            Command::Decline => Action::CallAction(CallAction::Decline),
            Command::HangUp => {
                self.call = None;
                Action::CallAction(CallAction::HangUp)
            }
            Command::Last(count) => Action::Request(Request::Last {
                topic: self.here(None)?,
                count,
            }),
        };
        Ok(Outcome::Send(Typed::Action(action)))
    }

    fn line(&self, text: String) -> Result<Outcome, Refusal> {
        if self.call.is_some() {
            let action = Action::CallAction(CallAction::Say(text));
            return Ok(Outcome::Send(Typed::Action(action)));
        }
        let topic = self.here(None)?;
        Ok(Outcome::Send(Typed::Addressed(Line { topic, text })))
    }

    /// That topic, or the one where one speaks.
    fn here(&self, topic: Option<TopicName>) -> Result<TopicName, Refusal> {
        let topic = topic.or_else(|| self.chosen.clone());
        topic.ok_or(Refusal::Nowhere)
    }

    fn join(&mut self, topic: TopicName) -> Action {
        let mut topics = lock(&self.topics);
        if !topics.contains(&topic) {
            topics.push(topic.clone());
        }
        self.chosen = Some(topic.clone());
        self.call = None;
        Action::Request(Request::Join(topic))
    }

    fn leave(&mut self, topic: Option<TopicName>) -> Result<Action, Refusal> {
        let topic = self.here(topic)?;
        let mut topics = lock(&self.topics);
        if !topics.contains(&topic) {
            return Err(Refusal::NotMember(topic));
        }
        topics.retain(|one| *one != topic);
        if self.chosen.as_ref() == Some(&topic) {
            self.chosen = topics.first().cloned();
        }
        Ok(Action::Request(Request::Leave(topic)))
    }

    fn choose(&mut self, topic: TopicName) -> Result<Outcome, Refusal> {
        if !lock(&self.topics).contains(&topic) {
            return Err(Refusal::NotJoined(topic));
        }
        self.chosen = Some(topic);
        self.call = None;
        Ok(Outcome::Nothing)
    }

    fn where_to_speak(&self) -> Result<Outcome, Refusal> {
        let topics = lock(&self.topics);
        let names: Vec<&str> = topics.iter().map(TopicName::as_str).collect();
        let chosen = self.chosen.as_ref().ok_or(Refusal::Nowhere)?;
        let names = names.join(", ");
        Ok(tell(format_args!(
            "you are in {names}, and speak in {chosen}"
        )))
    }
}

fn lock(topics: &Topics) -> MutexGuard<'_, Vec<TopicName>> {
    topics.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Why a line has no effect.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
enum Refusal {
    #[error(transparent)]
    Command(#[from] CommandError),
    #[error("you have no name yet, and /me needs one (--name)")]
    NoName,
    #[error("that is for topics: in direct mode there are only you and your peer")]
    NoTopics,
    #[error("nobody calls you")]
    NoCaller,
    #[error("you are in no topic: /join one first")]
    Nowhere,
    #[error("you aren't in {0}")]
    NotMember(TopicName),
    #[error("you aren't in {0}: /join {0} first")]
    NotJoined(TopicName),
}

/// Tells the person alone why their line has no effect.
#[expect(clippy::needless_pass_by_value, reason = "it maps an error")]
fn refuse(refusal: Refusal) -> Outcome {
    tell(format_args!("{refusal}"))
}

/// One line for the person alone.
fn tell(what: std::fmt::Arguments<'_>) -> Outcome {
    let mut line = String::from("-- ");
    push_escaped(&mut line, &what.to_string());
    line.push('\n');
    Outcome::Tell(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(topics: &[&str], server: Server) -> CommandContext {
        let topics = topics
            .iter()
            .map(|name| TopicName::new(name).expect("a name"));
        let topics = Topics::new(topics.collect::<Vec<_>>().into());
        CommandContext::new(topics, server, People::default())
    }

    /// Where a line goes that is said now.
    fn topic(context: &mut CommandContext) -> Option<String> {
        match context.accept("hi") {
            Outcome::Send(Typed::Addressed(line)) => Some(line.topic.to_string()),
            _ => None,
        }
    }

    fn told(outcome: Outcome) -> String {
        match outcome {
            Outcome::Tell(lines) => lines,
            _ => String::new(),
        }
    }

    #[test]
    fn one_speaks_in_the_first_topic_and_then_where_one_chooses() {
        let mut context = context(&["one", "two"], Server::Topics);
        assert_eq!(context.prompt(), "one> ");
        context.accept("/topic two");
        assert_eq!(topic(&mut context).as_deref(), Some("two"));
        context.accept("/join three");
        assert_eq!(context.prompt(), "three> ");
        context.accept("/leave");
        assert_eq!(topic(&mut context).as_deref(), Some("one"));
        context.accept("/leave one");
        context.accept("/leave two");
        assert_eq!(context.prompt(), "> ");
        assert_eq!(topic(&mut context), None);
        assert!(told(context.accept("hi")).contains("/join one first"));
    }

    #[test]
    fn without_a_server_there_are_no_topics_to_choose() {
        let mut context = context(&["direct"], Server::None);
        for line in ["/join lab", "/who", "/topics", "/last 3", "/call bob"] {
            assert!(
                told(context.accept(line)).contains("only you and your peer"),
                "{line}"
            );
        }
        assert!(matches!(context.accept("/quit"), Outcome::Quit));
    }

    #[test]
    fn a_long_topic_leaves_room_for_the_line() {
        let mut context = context(&["騒".repeat(80).as_str()], Server::Topics);
        assert_eq!(context.prompt().chars().count(), LONGEST_PROMPT + 3);
    }
}
