//! What each line that a person enters does.

use client::{Line, Request};
use wire::TopicName;

use super::super::Server;
use super::super::commands::{self, Command};
use super::super::view::{Body, Entry, MOST_ENTRIES, NoPage, Page, Target, View};
use super::Ui;
use crate::input::action::{Action, CallAction};
use crate::input::lines::Typed;
use crate::output::item::Severity;
use crate::output::sanitize::push_escaped;

/// Why a line has no effect.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
enum Refusal {
    #[error("you have no name yet, and /me needs one (--name, /nick)")]
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

impl Ui {
    /// Performs a command; `typed` is how it was typed.
    pub(super) fn perform(&mut self, command: Command, typed: &str) {
        if let Err(refusal) = self.try_perform(command) {
            self.refuse(&refusal, typed);
        }
    }

    /// Tells why a line has no effect, and leaves it to be changed.
    pub(super) fn refuse(&mut self, why: &dyn std::fmt::Display, typed: &str) {
        self.show_notice(&why.to_string());
        self.editor.set(typed);
    }

    /// A line for the person alone.
    pub(super) fn show_notice(&mut self, what: &str) {
        let mut text = String::new();
        push_escaped(&mut text, what);
        let entry = Entry {
            time: self.now,
            is_past: false,
            body: Body::Notice {
                text,
                severity: Severity::Info,
            },
        };
        match self.view_mut() {
            Some(view) => {
                view.push(entry);
                view.go_to_end();
            }
            None => self.hint = Some(what.into()),
        }
    }

    fn try_perform(&mut self, command: Command) -> Result<(), Refusal> {
        match command {
            Command::Say(text) => self.say(text),
            Command::Me(what) => {
                let me = self.people.me().ok_or(Refusal::NoName)?;
                self.say(format!("* {me} {what}"));
            }
            Command::Quit => self.quit(),
            Command::Help => commands::help()
                .lines()
                .for_each(|line| self.show_notice(line)),
            Command::Search(text) => self.search(text),
            Command::Topic(topic) => return self.choose(topic),
            _ if self.server == Server::None => return Err(Refusal::NoTopics),
            Command::Join(topic) => self.join(topic),
            Command::Leave(topic) => return self.leave(topic),
            Command::Who(topic) => {
                let topic = self.here(topic)?;
                self.request(Request::Who(topic));
            }
            Command::Topics => self.request(Request::Topics),
            Command::Lookup(user) => self.request(Request::Lookup(user)),
            Command::Nick(name) => self.request(Request::Rename(name)),
            Command::Last(count) => {
                self.here(None)?;
                self.ask_older(self.current, count);
            }
            Command::Call(user) => {
                self.open_call(user.as_str());
                self.act(Action::Call(user));
            }
            Command::Accept => {
                let caller = self.people.caller().ok_or(Refusal::NoCaller)?;
                self.open_call(&caller);
                self.act(Action::CallAction(CallAction::Accept));
            }
            Command::Decline => self.act(Action::CallAction(CallAction::Decline)),
            Command::HangUp => self.act(Action::CallAction(CallAction::HangUp)),
        }
        Ok(())
    }

    fn act(&mut self, action: Action) {
        self.outgoing.push_back(Typed::Action(action));
    }

    fn request(&mut self, request: Request) {
        self.act(Action::Request(request));
    }

    /// Sends a line where the person is.
    pub(super) fn say(&mut self, text: String) {
        let Some(view) = self.views.get_mut(self.current) else {
            return self.refuse(&Refusal::Nowhere, &text);
        };
        let typed = match &view.target {
            Target::Topic(topic) => {
                let line = Line {
                    topic: topic.clone(),
                    text: text.clone(),
                };
                if !line.fits(self.max_line_frame) {
                    let why = format!(
                        "that is too long to be sent: {} bytes, and a frame has {}",
                        text.len(),
                        self.max_line_frame
                    );
                    return self.refuse(&why, &text);
                }
                Typed::Addressed(line)
            }
            Target::Call(_) => Typed::Action(Action::CallAction(CallAction::Say(text.clone()))),
        };
        view.pending.push_back(text);
        view.go_to_end();
        view.marker = None;
        self.outgoing.push_back(typed);
    }

    /// That topic, or the one where the person is.
    fn here(&self, topic: Option<TopicName>) -> Result<TopicName, Refusal> {
        let current = || match &self.view()?.target {
            Target::Topic(topic) => Some(topic.clone()),
            Target::Call(_) => None,
        };
        topic.or_else(current).ok_or(Refusal::Nowhere)
    }

    fn join(&mut self, topic: TopicName) {
        match self.find(topic.as_str()) {
            Some(at) => self.switch(at),
            None => {
                self.views.push(View::new(Target::Topic(topic.clone())));
                let last = self.views.len() - 1;
                if last == 0 {
                    self.show(0);
                } else {
                    self.switch(last);
                }
            }
        }
        self.request(Request::Join(topic));
    }

    fn leave(&mut self, topic: Option<TopicName>) -> Result<(), Refusal> {
        if topic.is_none()
            && let Some(Target::Call(_)) = self.view().map(|view| view.target.clone())
        {
            self.act(Action::CallAction(CallAction::HangUp));
            self.close(self.current);
            return Ok(());
        }
        let topic = self.here(topic)?;
        let at = self.find(topic.as_str());
        let at = at.ok_or_else(|| Refusal::NotMember(topic.clone()))?;
        self.close(at);
        self.request(Request::Leave(topic));
        Ok(())
    }

    /// Takes a view away.
    pub(super) fn close(&mut self, at: usize) {
        let is_current = at == self.current;
        let draft = self.editor.take();
        if let Some(view) = self.view_mut() {
            view.draft = draft;
        }
        self.views.remove(at);
        if at < self.current || is_current {
            self.current = self.current.saturating_sub(1);
        }
        if is_current {
            self.current = self.current.min(self.views.len().saturating_sub(1));
        }
        self.show(self.current);
    }

    fn choose(&mut self, topic: Option<TopicName>) -> Result<(), Refusal> {
        let Some(topic) = topic else {
            let names: Vec<String> = self.views.iter().map(|view| view.target.label()).collect();
            let here = self.view().ok_or(Refusal::Nowhere)?.target.label();
            self.show_notice(&format!(
                "you are in {}, and speak in {here}",
                names.join(", ")
            ));
            return Ok(());
        };
        let at = self.find(topic.as_str()).ok_or(Refusal::NotJoined(topic))?;
        self.switch(at);
        Ok(())
    }

    /// Shows the view of a call with that person; there is one call at a time.
    pub(super) fn open_call(&mut self, name: &str) {
        let target = Target::Call(name.into());
        match self.find_call() {
            Some(at) => {
                self.views[at].target = target;
                self.switch(at);
            }
            None => {
                self.views.push(View::new(target));
                self.switch(self.views.len() - 1);
            }
        }
    }

    /// Asks for what is older than everything in that view.
    pub(super) fn ask_older(&mut self, at: usize, at_least: u64) {
        let Some(view) = self.views.get_mut(at) else {
            return;
        };
        let Target::Topic(topic) = view.target.clone() else {
            return;
        };
        match view.ask_older(at_least) {
            Ok(Page { before, limit }) => self.request(Request::History {
                topic,
                before,
                limit,
            }),
            Err(NoPage::Unneeded) => {}
            Err(NoPage::Full) => {
                self.hint = Some(format!(
                    "no more than {MOST_ENTRIES} messages are kept here: --plain --since prints all"
                ));
            }
        }
    }
}
