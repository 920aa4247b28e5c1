//! What a person, or whoever runs a pipe, is told of the client's events: notices, facts for the
//! screen, who is here, and what needn't be told.

use std::time::Duration;

use client::Event;
use wire::TopicName;

use super::{Audience, Chat, Connection};
use crate::output::item::{self, Item, NoticeText, Severity};
use crate::words::{self, Words};

impl Chat {
    /// What a person needn't be told. A change of our name is made over a new connection: that
    /// we have joined our topics once more, and who is there, is no news then. Nor is another
    /// attempt to connect that fails as the last one did; the status line has it.
    pub(super) fn expects(&mut self, event: &Event) -> bool {
        match event {
            Event::Disconnected { .. } => {
                self.is_away = true;
                self.is_said(event)
            }
            // That of the first attempts comes once anyway.
            Event::Unreachable(_) if self.is_away => self.is_said(event),
            Event::Retrying { error, .. } => {
                self.is_away = true;
                let (pause, error) = (Duration::ZERO, error.clone());
                self.is_said(&Event::Retrying { pause, error })
            }
            Event::Joined { topics, again } => {
                self.said.clear();
                let was_away = std::mem::replace(&mut self.is_away, false);
                let is_expected = *again && !was_away;
                for topic in topics.iter().map(TopicName::as_str) {
                    match is_expected {
                        true => self.expected.insert(topic.into()),
                        false => self.expected.remove(topic),
                    };
                }
                is_expected
            }
            Event::Members { topic, .. } => self.expected.remove(topic),
            _ => false,
        }
    }

    /// A person has been told the same since the connection was lost.
    fn is_said(&mut self, event: &Event) -> bool {
        let words = words::event(event, &self.all.servers.current);
        let is_said = self.said.contains(&words);
        if !is_said {
            self.said.push(words);
        }
        is_said && self.all.audience == Audience::Person
    }

    /// Shows a notice, once for each lost connection, that typed lines are kept.
    pub(super) fn say_kept(&mut self) {
        if std::mem::replace(&mut self.connection, Connection::Usual) == Connection::Lost {
            self.all.notices.say(words::KEPT);
        }
    }

    /// Shows events that only a person wants to see.
    pub(super) fn on_news(&mut self, event: &Event) {
        match event {
            Event::Registered {
                user: Some(user), ..
            } if self.all.people.set_me(user) => {
                self.all.notices.say(format_args!("you are {user}"));
            }
            Event::Found { user, ip, port } if self.call_found(user, ip, port) => return,
            _ => {}
        }
        let about = words::about(event);
        for words in words::news(event, &self.all.servers.current) {
            self.say(words, &about);
        }
    }

    /// Remembers who is here, and where.
    pub(super) fn remember_people(&self, event: &Event) {
        let people = &self.all.people;
        match event {
            Event::Joined { topics, .. } => {
                topics.iter().for_each(|topic| people.join(topic.as_str()));
            }
            Event::Left(topic) | Event::Removed { topic, .. } => people.leave(topic.as_str()),
            Event::Members { topic, users, .. } => {
                let members = users.iter();
                let members = members.map(|person| (person.user.as_str(), person.ip.as_str()));
                people.set_members(topic, members);
            }
            Event::UserJoined { topic, user, ip } => people.add_member(topic, user, ip),
            Event::UserLeft { topic, user } => people.remove_member(topic, user),
            Event::Found { user, .. } => people.add_names(&[user]),
            _ => {}
        }
    }

    /// Shows a notice, about some topics or in general.
    pub(super) fn say(&mut self, words: Words, about: &[&str]) {
        let (text, severity) = match words {
            Words::Info(text) => (text, Severity::Info),
            Words::Warning(text) => (text, Severity::Warning),
        };
        if self.all.screen.is_persons() {
            let topics = about.iter().map(|topic| Some(*topic));
            let nowhere = about.is_empty().then_some(None);
            for about in topics.chain(nowhere) {
                let said = NoticeText::new(&text, severity, about);
                self.all.screen.happened(|| Item::Notice(said));
            }
            return;
        }
        match severity {
            Severity::Info => self.all.notices.say(text),
            Severity::Warning | Severity::Alert => self.all.notices.warn(text),
        }
    }

    /// Shows a person changes of topics, people and the connection.
    pub(super) fn show_facts(&mut self, event: &Event) {
        let item = match event {
            Event::LineRefused { line, .. } => Item::Refused(line.clone()),
            Event::HistoryFailed { topic, .. } => Item::OlderFailed(topic.clone()),
            Event::Renumbered(topic) => Item::Renumbered(topic.clone()),
            Event::Joined { topics, .. } => Item::Joined(topics.clone()),
            Event::Left(topic) | Event::JoinRefused { topic, .. } => Item::Left(topic.clone()),
            Event::Members {
                topic,
                count,
                users,
                ..
            } => Item::Members {
                topic: topic.clone(),
                count: *count,
                users: users.iter().map(|person| person.user.clone()).collect(),
            },
            Event::UserJoined { topic, user, .. } => Item::Came {
                topic: topic.clone(),
                user: user.clone(),
            },
            Event::UserLeft { topic, user } => Item::Went {
                topic: topic.clone(),
                user: user.clone(),
            },
            Event::Connected { server } => Item::Server(server.to_string()),
            Event::Disconnected { .. } => Item::Connection(item::Connection::Connecting),
            Event::Retrying { pause, .. } => Item::Connection(item::Connection::Down {
                seconds: pause.as_secs_f64().ceil() as u64,
            }),
            _ => return,
        };
        let is_up = matches!(event, Event::Joined { .. });
        self.all.screen.happened(|| item);
        if is_up {
            let up = || Item::Connection(item::Connection::Up);
            self.all.screen.happened(up);
        }
    }
}
