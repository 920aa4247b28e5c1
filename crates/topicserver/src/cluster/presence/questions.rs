//! What servers ask each other when a client asks: pages of members, and of topics.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use wire::{Page, TopicName};

use crate::cluster::bus::Bus;
use crate::cluster::nodes::NodeId;
use crate::cluster::text::{
    Someone, put_count, put_person, put_text, take_many, take_person, take_text,
};

/// The first byte of every question and answer.
const VERSION: u8 = 1;

/// How long servers may take to answer. The client is answered without those that don't.
const PATIENCE: Duration = Duration::from_secs(1);

/// Something to ask another server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Question {
    /// A page of its members of a topic.
    Who(TopicName, Page),
    /// The first topics that it has in memory after this name, at most so many.
    Topics(Option<String>, u32),
}

/// One server's page of the members of a topic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Listed {
    /// In the order of their names.
    pub(crate) people: Vec<Someone>,
    /// More follow after the last one.
    pub(crate) more: bool,
    /// How many connections are members there.
    pub(crate) count: u64,
}

/// A topic in one server's memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Summary {
    pub(crate) topic: TopicName,
    pub(crate) members: u64,
    /// The newest message's sequence number.
    pub(crate) seq: u64,
}

/// The topics in this server's memory.
pub(crate) trait TopicList: Send + Sync + 'static {
    /// The first ones after this name, in the order of their names.
    fn after(&self, name: Option<&str>, limit: usize) -> Vec<Summary>;
}

/// Another server that wants a page of the members.
pub(crate) struct Asker {
    page: Page,
    answer: oneshot::Sender<Listed>,
}

impl Asker {
    pub(super) fn new(page: Page) -> (Self, oneshot::Receiver<Listed>) {
        let (answer, answered) = oneshot::channel();
        (Self { page, answer }, answered)
    }

    pub(crate) fn page(&self) -> &Page {
        &self.page
    }

    pub(crate) fn answer(self, listed: Listed) {
        // It may have stopped waiting.
        let _ = self.answer.send(listed);
    }
}

/// The subject under which a server is asked.
pub(super) fn subject_of(node: NodeId) -> String {
    format!("ask.{:016x}", node.0)
}

/// Asks servers, and returns what those answer that do, always in the same order.
pub(super) async fn ask(
    bus: &Arc<dyn Bus>,
    nodes: impl Iterator<Item = NodeId>,
    question: &Question,
) -> Vec<Bytes> {
    let mut asked = JoinSet::new();
    for node in nodes {
        let (bus, question) = (bus.clone(), question.encode());
        asked.spawn(async move {
            let subject = subject_of(node);
            let answer = bus.request(&subject, question, PATIENCE).await;
            answer.ok().map(|answer| (node, answer))
        });
    }
    let mut answers: Vec<_> = asked.join_all().await.into_iter().flatten().collect();
    answers.sort_unstable_by_key(|(node, _)| *node);
    answers.into_iter().map(|(_, answer)| answer).collect()
}

impl Question {
    fn encode(&self) -> Bytes {
        let mut bytes = BytesMut::new();
        bytes.put_u8(VERSION);
        let (kind, topic, after, limit) = match self {
            Self::Who(topic, page) => {
                let limit = page.limit.map_or(0, NonZeroU32::get);
                (0, topic.as_str(), page.after.as_deref(), limit)
            }
            Self::Topics(after, limit) => (1, "", after.as_deref(), *limit),
        };
        bytes.put_u8(kind);
        put_text(&mut bytes, topic);
        bytes.put_u8(after.is_some().into());
        put_text(&mut bytes, after.unwrap_or(""));
        bytes.put_u32_le(limit);
        bytes.freeze()
    }

    /// `None` if it is damaged, or not understood.
    pub(super) fn decode(mut bytes: Bytes) -> Option<Self> {
        if bytes.try_get_u8().ok()? != VERSION {
            return None;
        }
        let kind = bytes.try_get_u8().ok()?;
        let topic = take_text(&mut bytes)?;
        let has_after = bytes.try_get_u8().ok()? != 0;
        let after = Some(take_text(&mut bytes)?).filter(|_| has_after);
        let limit = bytes.try_get_u32_le().ok()?;
        match kind {
            0 => {
                let limit = NonZeroU32::new(limit);
                let page = Page { after, limit };
                Some(Self::Who(TopicName::new(&topic).ok()?, page))
            }
            1 => Some(Self::Topics(after, limit)),
            _ => None,
        }
    }
}

impl Listed {
    pub(super) fn encode(&self) -> Bytes {
        let mut bytes = BytesMut::new();
        bytes.put_u8(VERSION);
        bytes.put_u64_le(self.count);
        bytes.put_u8(self.more.into());
        put_count(&mut bytes, self.people.len());
        for person in &self.people {
            put_person(&mut bytes, person);
        }
        bytes.freeze()
    }

    pub(super) fn decode(mut bytes: Bytes) -> Option<Self> {
        if bytes.try_get_u8().ok()? != VERSION {
            return None;
        }
        Some(Self {
            count: bytes.try_get_u64_le().ok()?,
            more: bytes.try_get_u8().ok()? != 0,
            people: take_many(&mut bytes, take_person)?,
        })
    }
}

impl Summary {
    pub(super) fn encode(all: &[Self]) -> Bytes {
        let mut bytes = BytesMut::new();
        bytes.put_u8(VERSION);
        put_count(&mut bytes, all.len());
        for one in all {
            put_text(&mut bytes, one.topic.as_str());
            bytes.put_u64_le(one.members);
            bytes.put_u64_le(one.seq);
        }
        bytes.freeze()
    }

    pub(super) fn decode(mut bytes: Bytes) -> Option<Vec<Self>> {
        if bytes.try_get_u8().ok()? != VERSION {
            return None;
        }
        take_many(&mut bytes, |bytes| {
            Some(Self {
                topic: TopicName::new(&take_text(bytes)?).ok()?,
                members: bytes.try_get_u64_le().ok()?,
                seq: bytes.try_get_u64_le().ok()?,
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::message::tests::person;
    use super::*;

    #[test]
    fn what_was_sent_is_understood() {
        let topic = TopicName::new("ä").unwrap();
        let page = |after: Option<&str>, limit| Page {
            after: after.map(str::to_owned),
            limit: NonZeroU32::new(limit),
        };
        for question in [
            Question::Who(topic.clone(), page(None, 0)),
            Question::Who(topic.clone(), page(Some("alice"), 7)),
            Question::Topics(None, 500),
            Question::Topics(Some("Lab".to_owned()), 1),
        ] {
            let bytes = question.encode();
            assert_eq!(Question::decode(bytes.clone()), Some(question));
            for at in 0..bytes.len() {
                assert_eq!(Question::decode(bytes.slice(..at)), None);
            }
        }
        let listed = Listed {
            people: vec![person("alice"), person("bob")],
            more: true,
            count: 9,
        };
        assert_eq!(Listed::decode(listed.encode()), Some(listed));
        let all = vec![Summary {
            topic,
            members: 2,
            seq: 3,
        }];
        assert_eq!(Summary::decode(Summary::encode(&all)), Some(all));
    }
}
