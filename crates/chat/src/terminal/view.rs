//! One conversation as a person sees it: its messages, where they have scrolled to, what
//! they haven't read, what they were typing.
//!
//! Holds facts; [`super::layout`] makes rows of them. Knows no terminal and no clock.

use std::collections::{BTreeSet, VecDeque};

use wire::TopicName;

use super::colors::NameColors;
use super::editor::State as Draft;
use super::text::columns;
use crate::output::item::Severity;

/// Messages that are kept of a conversation, and their bytes: more than a long day's talk.
pub(super) const MOST_ENTRIES: usize = 20_000;
const MOST_BYTES: usize = 8 * 1024 * 1024;
/// Columns that names take at most before the texts.
const WIDEST_NAME: usize = 12;
/// Messages that are asked for when somebody scrolls past the oldest one.
const PAGE: u64 = 200;
/// Messages that are asked for at once at most: as many as a server sends.
const LONGEST_PAGE: u64 = 1_000;

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

/// Older messages that are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fetch {
    /// None are.
    Idle,
    /// A page is on its way.
    Asked {
        /// The oldest number that was known then.
        before: Option<u64>,
        /// How many are wanted, those of this page included.
        wanted: u64,
    },
    /// There are none.
    Exhausted,
}

/// What to ask the server for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Page {
    pub(super) before: Option<u64>,
    pub(super) limit: u64,
}

/// Why nothing is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoPage {
    /// A page is on its way, or there is nothing older.
    Unneeded,
    /// As much is kept as may be.
    Full,
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
    /// The highest number that a page has brought.
    paged: u64,
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
            paged: 0,
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
            if self.fetch == Fetch::Exhausted {
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

    /// A page has brought the message with that number.
    pub(super) fn has(&self, number: u64) -> bool {
        number <= self.paged && self.numbers().any(|seq| seq == number)
    }

    fn numbers(&self) -> impl DoubleEndedIterator<Item = u64> + '_ {
        self.entries.iter().filter_map(Entry::number)
    }

    /// A line of ours may stand below one with a higher number.
    fn oldest(&self) -> Option<u64> {
        self.numbers().min()
    }

    /// The topic's history has begun anew: earlier numbers mean nothing any more.
    pub(super) fn forget_numbers(&mut self) {
        for entry in &mut self.entries {
            if let Body::Message(message) = &mut entry.body {
                message.seq = None;
            }
        }
        self.fetch = Fetch::Exhausted;
        self.paged = 0;
    }

    /// At least that many older messages are wanted: what to ask for.
    pub(super) fn ask_older(&mut self, at_least: u64) -> Result<Page, NoPage> {
        if self.fetch != Fetch::Idle || !matches!(self.target, Target::Topic(_)) {
            return Err(NoPage::Unneeded);
        }
        if self.entries.len() >= MOST_ENTRIES || self.bytes >= MOST_BYTES {
            return Err(NoPage::Full);
        }
        let wanted = at_least.max(PAGE);
        let before = self.oldest();
        self.fetch = Fetch::Asked { before, wanted };
        let limit = wanted.min(LONGEST_PAGE);
        Ok(Page { before, limit })
    }

    /// A page of older messages is on its way.
    pub(super) fn is_fetching(&self) -> bool {
        matches!(self.fetch, Fetch::Asked { .. })
    }

    /// A page has come: how many more are wanted.
    pub(super) fn on_older(&mut self, page: Vec<Entry>, has_older: bool) -> u64 {
        let Fetch::Asked { before, wanted } = self.fetch else {
            return 0;
        };
        self.fetch = match has_older {
            true => Fetch::Idle,
            false => Fetch::Exhausted,
        };
        let oldest = self.oldest();
        if before.is_some() && before < oldest {
            // What it would stand before was dropped meanwhile, to keep what came.
            self.fetch = Fetch::Idle;
            return 0;
        }
        let came = u64::try_from(page.len()).unwrap_or(u64::MAX);
        let is_new = |entry: &Entry| {
            let number = entry.number();
            number.is_none_or(|seq| oldest.is_none_or(|oldest| seq < oldest))
        };
        for entry in page.into_iter().rev().filter(is_new) {
            self.learn(&entry);
            self.paged = self.paged.max(entry.number().unwrap_or(0));
            self.entries.push_front(entry);
            self.first -= 1;
        }
        match has_older {
            true => wanted.saturating_sub(came),
            false => 0,
        }
    }

    /// A page won't come.
    pub(super) fn forget_fetch(&mut self) {
        if self.is_fetching() {
            self.fetch = Fetch::Idle;
        }
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

impl Entry {
    fn number(&self) -> Option<u64> {
        match &self.body {
            Body::Message(message) => message.seq,
            Body::Notice { .. } => None,
        }
    }

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
