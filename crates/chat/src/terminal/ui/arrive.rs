//! What happens elsewhere: messages, people, the connection.

use client::{Arrival, HistoryPage, Incoming, Line};

use wire::TopicName;

use super::super::Notify;
use super::super::view::{Attention, Body, Entry, Message, Target, View};
use super::{Effect, Ui};
use crate::output::item::{Call, CallLine, Connection, Item, NoticeText, Severity};
use crate::output::mention::mentions;
use crate::output::sanitize::push_escaped;

impl Ui {
    /// Something has happened.
    pub(in crate::terminal) fn take_item(&mut self, item: Item) {
        match item {
            Item::Message(incoming) => self.on_message(&incoming),
            Item::Delivered { line, seq } => self.on_delivered(&line, seq),
            Item::Older(page) => self.on_older(&page),
            Item::OlderFailed(topic) => self.at(&topic, View::forget_fetch),
            Item::Renumbered(topic) => self.at(&topic, View::forget_numbers),
            Item::Refused(line) => {
                if let Some(at) = self.find(line.topic.as_str()) {
                    settle(&mut self.views[at], &line.text);
                }
            }
            Item::Notice(said) => self.on_notice(said),
            Item::CallLine(line) => self.on_call_line(line),
            Item::Call(Call::Ended) => self.on_call_ended(),
            Item::Call(Call::NotSaid(text)) => {
                if let Some(at) = self.find_call() {
                    settle(&mut self.views[at], &text);
                    self.put_back(at, text);
                }
            }
            Item::Joined(topics) => {
                for topic in topics {
                    if self.find(topic.as_str()).is_none() {
                        self.views.push(View::new(Target::Topic(topic)));
                    }
                }
            }
            Item::Left(topic) => {
                if let Some(at) = self.find(topic.as_str()) {
                    self.close(at);
                }
            }
            Item::Members {
                topic,
                count,
                users,
            } => self.on_members(&topic, count, users),
            Item::Came { topic, user } => self.on_came(&topic, &user),
            Item::Went { topic, user } => self.on_went(&topic, &user),
            Item::Connection(connection) => self.on_connection(connection),
            Item::Server(address) => self.place = address,
        }
    }

    fn on_connection(&mut self, connection: Connection) {
        self.connection = connection;
    }

    /// Does something with the view of a topic, if there is one.
    fn at(&mut self, topic: &TopicName, what: impl FnOnce(&mut View)) {
        if let Some(at) = self.find(topic.as_str()) {
            what(&mut self.views[at]);
        }
    }

    fn on_message(&mut self, incoming: &Incoming) {
        let at = self.find(&incoming.topic).unwrap_or(self.current);
        let attention = self.attention(incoming);
        let entry = self.entry(incoming, attention);
        let Some(view) = self.views.get_mut(at) else {
            return;
        };
        view.push(entry);
        if incoming.arrival != Arrival::Live {
            return;
        }
        self.count_news(at, attention);
        if attention == Attention::Mention {
            let user = incoming.envelope.user.as_deref();
            let from = user.unwrap_or("somebody");
            let mut text = String::new();
            push_escaped(
                &mut text,
                &format!("{from} in {}: {}", incoming.topic, incoming.text),
            );
            self.alert(text);
        }
    }

    /// Only somebody else can mention the person.
    fn attention(&self, incoming: &Incoming) -> Attention {
        let user = incoming.envelope.user.as_deref();
        let me = self.people.me();
        match me.is_some_and(|me| user != Some(&me) && mentions(&incoming.text, &me)) {
            true => Attention::Mention,
            false => Attention::None,
        }
    }

    fn entry(&self, incoming: &Incoming, attention: Attention) -> Entry {
        Entry {
            time: incoming.envelope.time.unwrap_or(self.now),
            is_past: incoming.arrival != Arrival::Live,
            body: Body::Message(Message {
                user: incoming.envelope.user.clone(),
                topic: incoming.topic.clone(),
                text: incoming.text.clone(),
                seq: incoming.envelope.seq,
                is_mention: attention == Attention::Mention,
            }),
        }
    }

    /// A page of older messages arrived.
    fn on_older(&mut self, page: &HistoryPage) {
        let Some(at) = self.find(page.topic.as_str()) else {
            return;
        };
        let entry = |message| self.entry(message, self.attention(message));
        let entries = page.messages.iter().map(entry).collect();
        let wanted = self.views[at].on_older(entries, page.has_older);
        if wanted > 0 {
            self.ask_older(at, wanted);
        }
    }

    /// Something new is in that view.
    fn count_news(&mut self, at: usize, attention: Attention) {
        let is_seen = at == self.current && self.has_focus;
        let Some(view) = self.views.get_mut(at).filter(|_| !is_seen) else {
            return;
        };
        view.unread += 1;
        view.mentions += usize::from(attention == Attention::Mention);
    }

    /// Something that the person should look at now.
    fn alert(&mut self, text: String) {
        if self.taste.rings {
            self.effects.push(Effect::Bell);
        }
        match self.taste.notify {
            Notify::Never => {}
            how => self.effects.push(Effect::Notify(how, text)),
        }
    }

    /// A line of ours has arrived.
    fn on_delivered(&mut self, line: &Line, seq: Option<u64>) {
        let Some(at) = self.find(line.topic.as_str()) else {
            return;
        };
        settle(&mut self.views[at], &line.text);
        // A page of older messages may have brought it.
        if !seq.is_some_and(|seq| self.views[at].has(seq)) {
            self.show_own(at, line.topic.as_str(), &line.text, seq);
        }
    }

    fn show_own(&mut self, at: usize, topic: &str, text: &str, seq: Option<u64>) {
        // Where nobody has a name, our own lines are marked all the same.
        let me = self.people.me().unwrap_or_else(|| "you".into());
        self.show_line(at, &me, topic, text, seq);
    }

    fn show_line(&mut self, at: usize, who: &str, topic: &str, text: &str, seq: Option<u64>) {
        let entry = Entry {
            time: self.now,
            is_past: false,
            body: Body::Message(Message {
                user: Some(who.into()),
                topic: topic.into(),
                text: text.into(),
                seq,
                is_mention: false,
            }),
        };
        self.views[at].push(entry);
    }

    fn on_notice(&mut self, said: NoticeText) {
        let about = said.about.as_deref().and_then(|topic| self.find(topic));
        let at = about.unwrap_or(self.current);
        if said.severity == Severity::Alert {
            self.alert(said.text.clone());
        }
        let entry = Entry {
            time: self.now,
            is_past: false,
            body: Body::Notice {
                text: said.text,
                severity: said.severity,
            },
        };
        match self.views.get_mut(at) {
            Some(view) => view.push(entry),
            None => {
                if let Body::Notice { text, .. } = entry.body {
                    self.hint = Some(text);
                }
            }
        }
    }

    fn on_call_line(&mut self, line: CallLine) {
        let Some(at) = self.find_call() else { return };
        match line.who {
            None => {
                settle(&mut self.views[at], &line.text);
                self.show_own(at, &line.topic, &line.text, None);
            }
            Some(who) => {
                self.show_line(at, &who, &line.topic, &line.text, None);
                self.count_news(at, Attention::None);
            }
        }
    }

    /// The call has ended: what was not sent goes back into the box.
    fn on_call_ended(&mut self) {
        let Some(at) = self.find_call() else { return };
        let view = &mut self.views[at];
        let unsent: Vec<String> = view.pending.drain(..).collect();
        if unsent.is_empty() {
            return;
        }
        self.put_back(at, unsent.join("\n"));
    }

    /// Puts what was not sent back to where it was typed.
    fn put_back(&mut self, at: usize, unsent: String) {
        let view = &mut self.views[at];
        let is_current = at == self.current;
        let typed = match is_current {
            true => self.editor.text().to_owned(),
            false => view.draft.text.clone(),
        };
        let text = match typed.is_empty() {
            true => unsent,
            false => format!("{unsent}\n{typed}"),
        };
        if is_current {
            self.editor.set(&text);
            self.is_pasted = text.contains('\n');
        } else {
            view.draft.cursor = text.len();
            view.draft.text = text;
        }
    }

    fn on_members(&mut self, topic: &str, count: u64, users: Vec<String>) {
        let Some(at) = self.find(topic) else { return };
        let view = &mut self.views[at];
        for user in &users {
            view.colors.of(user);
        }
        view.members = users.into_iter().collect();
        view.count = Some(count);
    }

    fn on_came(&mut self, topic: &str, user: &str) {
        let Some(at) = self.find(topic) else { return };
        let view = &mut self.views[at];
        view.colors.of(user);
        if view.members.insert(user.into()) {
            view.count = view.count.map(|count| count + 1);
        }
    }

    fn on_went(&mut self, topic: &str, user: &str) {
        let Some(at) = self.find(topic) else { return };
        let view = &mut self.views[at];
        if view.members.remove(user) {
            view.count = view.count.map(|count| count.saturating_sub(1));
        }
    }
}

/// A line of ours waits no longer.
fn settle(view: &mut View, text: &str) {
    if let Some(at) = view.pending.iter().position(|pending| pending == text) {
        view.pending.remove(at);
    }
}
