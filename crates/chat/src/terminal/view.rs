//! One conversation as a person sees it: its messages, where they have scrolled to, what
//! they haven't read, what they were typing.
//!
//! Holds facts; [`super::layout`] makes rows of them. Knows no terminal and no clock.

use std::collections::{BTreeSet, VecDeque};

use client::{Arrival, Incoming};
use wire::TopicName;

use super::colors::NameColors;
use super::editor::State as Draft;
use super::text::columns;
use crate::output::item::Severity;

/// Messages that are kept of a conversation, and their bytes: more than a long day's talk.
/// Older ones are asked for again.
const MOST_ENTRIES: usize = 20_000;
const MOST_BYTES: usize = 8 * 1024 * 1024;
/// Columns that names take at most before the texts.
const WIDEST_NAME: usize = 12;
/// Messages that are asked for when somebody scrolls past the oldest one.
const MORE: u64 = 200;

/// What a view is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// A topic.
    Topic(TopicName),
    /// A direct call with that person.
    Call(String),
}

impl Target {
    /// What it is called in lists.
    pub(super) fn label(&self) -> String {
        match self {
            Self::Topic(topic) => topic.to_string(),
            Self::Call(name) => format!("@{name}"),
        }
    }
}

/// Something that is shown.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// Milliseconds since 1970.
    pub(super) time: u64,
    /// It was said before we came.
    pub(super) is_past: bool,
    pub(super) body: Body,
}

#[derive(Clone, Debug)]
pub(super) enum Body {
    Message(Message),
    Notice { text: String, severity: Severity },
}

/// Somebody's message.
#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) user: Option<String>,
    pub(super) topic: String,
    pub(super) text: String,
    /// Its number in the topic's order, if it is known and still means something.
    pub(super) seq: Option<u64>,
    pub(super) is_mention: bool,
}

/// Where a person is in a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Position {
    /// At the end, and follows it.
    End,
    /// That row of that entry is the first one to be seen.
    At { id: i64, row: usize },
}

/// Older messages that were asked for.
#[derive(Debug)]
enum Fetch {
    /// None were.
    Idle,
    /// These have come.
    Coming(Vec<Entry>),
    /// There are none.
    Exhausted,
}

/// See the module.
#[derive(Debug)]
pub(super) struct View {
    pub(super) target: Target,
    entries: VecDeque<Entry>,
    /// The id of the first entry; ids go up by one.
    first: i64,
    bytes: usize,
    pub(super) position: Position,
    /// What came while the person had scrolled up.
    pub(super) below: usize,
    pub(super) unread: usize,
    pub(super) mentions: usize,
    /// The first entry that the person hasn't seen when they looked away.
    pub(super) marker: Option<i64>,
    pub(super) draft: Draft,
    /// Lines of ours that have not arrived.
    pub(super) pending: VecDeque<String>,
    /// The names of those who are there.
    pub(super) members: BTreeSet<String>,
    /// All who are there, if that is known.
    pub(super) count: Option<u64>,
    pub(super) colors: NameColors,
    /// Columns of the longest name so far, up to a limit.
    pub(super) name_width: usize,
    fetch: Fetch,
    /// Older messages were asked for over this connection: what is known comes again, too.
    has_asked: bool,
}

/// Whether something that arrived wants the person's attention.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attention {
    None,
    /// It mentions the person.
    Mention,
}

impl View {
    pub(super) fn new(target: Target) -> Self {
        Self {
            target,
            entries: VecDeque::new(),
            first: 0,
            bytes: 0,
            position: Position::End,
            below: 0,
            unread: 0,
            mentions: 0,
            marker: None,
            draft: Draft::default(),
            pending: VecDeque::new(),
            members: BTreeSet::new(),
            count: None,
            colors: NameColors::default(),
            name_width: 3,
            fetch: Fetch::Idle,
            has_asked: false,
        }
    }

    /// The ids of all entries: from the first to behind the last.
    pub(super) fn ids(&self) -> std::ops::Range<i64> {
        self.first..self.first + i64::try_from(self.entries.len()).unwrap_or(i64::MAX)
    }

    pub(super) fn get(&self, id: i64) -> Option<&Entry> {
        let at = usize::try_from(id.checked_sub(self.first)?).ok()?;
        self.entries.get(at)
    }

    /// Adds what has just happened.
    pub(super) fn push(&mut self, entry: Entry) {
        self.learn(&entry);
        self.entries.push_back(entry);
        if self.position != Position::End {
            self.below += 1;
        }
        while self.entries.len() > MOST_ENTRIES || self.bytes > MOST_BYTES {
            let Some(oldest) = self.entries.pop_front() else {
                break;
            };
            self.first += 1;
            self.bytes -= cost(&oldest);
            // What was dropped can be asked for again.
            if !matches!(self.fetch, Fetch::Coming(_)) {
                self.fetch = Fetch::Idle;
            }
        }
        if let Position::At { id, .. } = self.position
            && id < self.first
        {
            let id = self.first;
            self.position = Position::At { id, row: 0 };
        }
    }

    fn learn(&mut self, entry: &Entry) {
        self.bytes += cost(entry);
        if let Body::Message(Message {
            user: Some(user), ..
        }) = &entry.body
        {
            self.colors.of(user);
            self.name_width = self.name_width.max(columns(user).min(WIDEST_NAME));
        }
    }

    /// Adds a message: to the end, or before everything if it was asked for.
    pub(super) fn on_message(
        &mut self,
        incoming: &Incoming,
        now: u64,
        attention: Attention,
    ) -> Insertion {
        let is_past = incoming.arrival != Arrival::Live;
        let seq = incoming.envelope.seq;
        let entry = Entry {
            time: incoming.envelope.time.unwrap_or(now),
            is_past,
            body: Body::Message(Message {
                user: incoming.envelope.user.clone(),
                topic: incoming.topic.clone(),
                text: incoming.text.clone(),
                seq,
                is_mention: attention == Attention::Mention,
            }),
        };
        let oldest = self.oldest();
        if let Fetch::Coming(coming) = &mut self.fetch {
            let is_older = seq.is_some_and(|seq| oldest.is_none_or(|oldest| seq < oldest));
            if is_past && is_older {
                coming.push(entry);
                if incoming.arrival == (Arrival::Replayed { is_last: true }) {
                    self.end_fetch();
                }
                return Insertion::Before;
            }
            self.end_fetch();
        }
        let is_known = || seq.is_some_and(|seq| self.newest().is_some_and(|newest| seq <= newest));
        if self.has_asked && is_past && is_known() {
            return Insertion::Known;
        }
        if let (Some(seq), Some(newest)) = (seq, self.newest())
            && seq <= newest
        {
            self.forget_numbers();
        }
        self.push(entry);
        Insertion::End
    }

    fn numbers(&self) -> impl DoubleEndedIterator<Item = u64> + '_ {
        self.entries.iter().filter_map(|entry| match &entry.body {
            Body::Message(message) => message.seq,
            Body::Notice { .. } => None,
        })
    }

    fn oldest(&self) -> Option<u64> {
        self.numbers().next()
    }

    fn newest(&self) -> Option<u64> {
        self.numbers().next_back()
    }

    /// The topic's history has begun anew: earlier numbers mean nothing any more.
    fn forget_numbers(&mut self) {
        for entry in &mut self.entries {
            if let Body::Message(message) = &mut entry.body {
                message.seq = None;
            }
        }
        self.fetch = Fetch::Exhausted;
    }

    /// Older messages are wanted: how many of the newest to ask for. `None` if that has been
    /// done, or if there are none.
    pub(super) fn ask_older(&mut self, at_least: u64) -> Option<u64> {
        if !matches!(self.fetch, Fetch::Idle) || !matches!(self.target, Target::Topic(_)) {
            return None;
        }
        self.fetch = Fetch::Coming(Vec::new());
        self.has_asked = true;
        let known = match (self.oldest(), self.newest()) {
            (Some(oldest), Some(newest)) => newest - oldest + 1,
            _ => 0,
        };
        Some(known.saturating_add(MORE.max(at_least)))
    }

    /// Older messages were asked for, and not all have come.
    pub(super) fn is_fetching(&self) -> bool {
        matches!(self.fetch, Fetch::Coming(_))
    }

    /// There is nothing older.
    pub(super) fn is_exhausted(&self) -> bool {
        matches!(self.fetch, Fetch::Exhausted)
    }

    /// What was asked for has come, or won't come any more.
    pub(super) fn end_fetch(&mut self) {
        let Fetch::Coming(coming) = std::mem::replace(&mut self.fetch, Fetch::Idle) else {
            return;
        };
        if coming.is_empty() {
            self.fetch = Fetch::Exhausted;
        }
        for entry in coming.into_iter().rev() {
            self.learn(&entry);
            self.entries.push_front(entry);
            self.first -= 1;
        }
    }

    /// The connection is lost: what was asked for over it may be asked for again.
    pub(super) fn forget_fetch(&mut self) {
        self.end_fetch();
        self.fetch = Fetch::Idle;
        self.has_asked = false;
    }

    /// The person looks away: what comes from now on is new.
    pub(super) fn look_away(&mut self) {
        self.marker = None;
        if self.position == Position::End {
            self.marker = Some(self.ids().end);
        }
    }

    /// The person looks at it.
    pub(super) fn look_at(&mut self) {
        self.unread = 0;
        self.mentions = 0;
    }

    /// Goes to the end.
    pub(super) fn go_to_end(&mut self) {
        self.position = Position::End;
        self.below = 0;
    }

    /// The next entry from `from` on, in a direction, that holds a text in whatever case.
    pub(super) fn find(&self, text: &str, from: i64, step: i64) -> Option<i64> {
        let wanted = text.to_lowercase();
        let mut id = from;
        loop {
            let entry = self.get(id)?;
            if entry.plain().to_lowercase().contains(&wanted) {
                return Some(id);
            }
            id += step;
        }
    }

    /// How many entries hold a text, and which of them that one is, counted from the newest.
    pub(super) fn count_found(&self, text: &str, at: i64) -> (usize, usize) {
        let wanted = text.to_lowercase();
        let holds = |id: &i64| {
            let entry = self.get(*id);
            entry.is_some_and(|entry| entry.plain().to_lowercase().contains(&wanted))
        };
        let after = (at..self.ids().end).filter(holds).count();
        (after, self.ids().filter(holds).count())
    }
}

/// Where a message was put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Insertion {
    /// It is the newest.
    End,
    /// It is older than all others.
    Before,
    /// It is there already.
    Known,
}

impl Entry {
    /// What can be searched.
    pub(super) fn plain(&self) -> String {
        match &self.body {
            Body::Notice { text, .. } => text.clone(),
            Body::Message(message) => {
                let user = message.user.as_deref().unwrap_or_default();
                format!("{user}  {}:{}", message.topic, message.text)
            }
        }
    }
}

fn cost(entry: &Entry) -> usize {
    let text = match &entry.body {
        Body::Message(message) => {
            message.text.len() + message.topic.len() + message.user.as_ref().map_or(0, String::len)
        }
        Body::Notice { text, .. } => text.len(),
    };
    text + size_of::<Entry>()
}

#[cfg(test)]
mod tests;
