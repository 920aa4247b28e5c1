//! What a server must know: per topic an order of messages, and the ids that were
//! used lately.

use std::collections::{BTreeMap, VecDeque};

use super::TOPICS;

/// Messages of a topic that are kept in memory.
pub const KEPT: u64 = 5;

/// Ids of a publisher that are remembered.
pub const IDS: usize = 3;

/// Whose messages aren't sent back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Publisher {
    Classic,
    Key(&'static str),
    /// Nobody knows it on another connection.
    Connection(u64),
}

/// Whose ids are the same.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    Key(&'static str),
    /// Not proven, as an address isn't: the same only with the same text.
    User(&'static str),
    Address,
}

/// A message that was published.
#[derive(Clone, Debug)]
pub struct Message {
    pub seq: u64,
    pub text: String,
    pub user: Option<&'static str>,
    pub publisher: Publisher,
}

/// What is still to be read of one topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    Message {
        seq: u64,
        text: String,
        user: Option<&'static str>,
    },
    Gap {
        from: u64,
        to: u64,
    },
}

#[derive(Default)]
pub struct Topic {
    /// Once somebody was told: the same for as long as the server remembers anything.
    pub epoch: Option<String>,
    log: Vec<Message>,
    ids: BTreeMap<Origin, VecDeque<Known>>,
}

struct Known {
    id: u8,
    text: String,
    seq: u64,
}

impl Message {
    pub fn expected(&self) -> Expected {
        Expected::Message {
            seq: self.seq,
            text: self.text.clone(),
            user: self.user,
        }
    }
}

impl Topic {
    /// The newest message's number.
    pub fn newest(&self) -> u64 {
        self.log.len() as u64
    }

    /// The oldest message that must be there.
    pub fn first(&self, is_stored: bool) -> u64 {
        match is_stored {
            true => 1,
            false => self.newest().saturating_sub(KEPT) + 1,
        }
    }

    /// Publishes a message, unless it is known; its number, and itself if it is new. No number:
    /// the id was used for another text.
    pub fn publish(
        &mut self,
        id: Option<u8>,
        origin: &Origin,
        mut message: Message,
    ) -> (Option<u64>, Option<Message>) {
        message.seq = self.newest() + 1;
        if let Some(id) = id {
            let ids = self.ids.entry(origin.clone()).or_default();
            let is_same = |known: &&Known| {
                let is_proven = matches!(origin, Origin::Key(_));
                known.id == id && (is_proven || known.text == message.text)
            };
            if let Some(known) = ids.iter().find(is_same) {
                let is_refused = known.text != message.text;
                return ((!is_refused).then_some(known.seq), None);
            }
            let (text, seq) = (message.text.clone(), message.seq);
            ids.push_back(Known { id, text, seq });
            if ids.len() > IDS {
                ids.pop_front();
            }
        }
        self.log.push(message.clone());
        (Some(message.seq), Some(message))
    }

    /// What a reader gets that wants the messages from `next` on, but not its `own`.
    pub fn replay(
        &self,
        next: u64,
        own: Option<&Publisher>,
        is_stored: bool,
    ) -> VecDeque<Expected> {
        let first = self.first(is_stored);
        let gap = (next < first).then(|| Expected::Gap {
            from: next,
            to: first - 1,
        });
        let messages = self
            .log
            .iter()
            .filter(|message| message.seq >= next.max(first))
            .filter(|message| own != Some(&message.publisher));
        gap.into_iter()
            .chain(messages.map(Message::expected))
            .collect()
    }
}

/// All topics.
pub struct Reference {
    pub is_stored: bool,
    topics: BTreeMap<&'static str, Topic>,
}

impl Reference {
    pub fn new(is_stored: bool) -> Self {
        let topics = TOPICS.map(|topic| (topic, Topic::default()));
        Self {
            is_stored,
            topics: topics.into(),
        }
    }

    pub fn topic(&mut self, name: &str) -> &mut Topic {
        self.topics.get_mut(name).unwrap()
    }

    pub fn restart(&mut self) {
        if !self.is_stored {
            *self = Self::new(false);
        }
    }
}
