//! What servers tell each other of the members of topics, as bytes.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use wire::TopicName;

use crate::cluster::nodes::NodeId;
pub(crate) use crate::cluster::text::Someone;
use crate::cluster::text::{put_count, put_person, put_text, take_many, take_person, take_text};

/// The first byte of every message.
const VERSION: u8 = 1;

/// What one server tells others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) from: NodeId,
    pub(super) items: Vec<Item>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Item {
    /// Its members of a topic have changed, or were asked for.
    Change(Change),
    /// This is the version of its members of a topic.
    Digest(TopicName, u64),
    /// This version of the receiver's members of a topic is known to it: it wants to know of a
    /// later one. 0: it knows nothing.
    Check(TopicName, u64),
}

/// How a server's members of one topic have changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) topic: TopicName,
    /// The version before; 0 if this is all there is.
    pub(super) from: u64,
    /// The version after. Versions of one server grow over all topics.
    pub(super) to: u64,
    /// How many connections are members.
    pub(super) count: u64,
    /// How many of them have a name.
    pub(super) named: u64,
    pub(super) steps: Vec<Step>,
}

/// Somebody whose coming is announced has come, or gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// `number` stands for the coming: with one that is known, only the address has changed.
    Came {
        number: u64,
        /// How long ago that was, in milliseconds.
        ago: u64,
        person: Someone,
    },
    Went {
        number: u64,
    },
}

impl Message {
    pub(super) fn encode(&self) -> Bytes {
        let mut bytes = BytesMut::new();
        bytes.put_u8(VERSION);
        bytes.put_u64_le(self.from.0);
        for item in &self.items {
            item.put(&mut bytes);
        }
        bytes.freeze()
    }

    /// `None` if it is damaged, or not understood.
    pub(super) fn decode(mut bytes: Bytes) -> Option<Self> {
        if bytes.try_get_u8().ok()? != VERSION {
            return None;
        }
        let from = NodeId(bytes.try_get_u64_le().ok()?);
        let mut items = Vec::new();
        while !bytes.is_empty() {
            items.push(Item::take(&mut bytes)?);
        }
        Some(Self { from, items })
    }
}

impl Item {
    fn put(&self, bytes: &mut BytesMut) {
        match self {
            Self::Change(change) => {
                bytes.put_u8(0);
                put_text(bytes, change.topic.as_str());
                for field in [change.from, change.to, change.count, change.named] {
                    bytes.put_u64_le(field);
                }
                put_count(bytes, change.steps.len());
                change.steps.iter().for_each(|step| step.put(bytes));
            }
            Self::Digest(topic, version) => {
                bytes.put_u8(1);
                put_text(bytes, topic.as_str());
                bytes.put_u64_le(*version);
            }
            Self::Check(topic, version) => {
                bytes.put_u8(2);
                put_text(bytes, topic.as_str());
                bytes.put_u64_le(*version);
            }
        }
    }

    fn take(bytes: &mut Bytes) -> Option<Self> {
        let kind = bytes.try_get_u8().ok()?;
        let topic = TopicName::new(&take_text(bytes)?).ok()?;
        let first = bytes.try_get_u64_le().ok()?;
        Some(match kind {
            0 => Self::Change(Change {
                topic,
                from: first,
                to: bytes.try_get_u64_le().ok()?,
                count: bytes.try_get_u64_le().ok()?,
                named: bytes.try_get_u64_le().ok()?,
                steps: take_many(bytes, Step::take)?,
            }),
            1 => Self::Digest(topic, first),
            2 => Self::Check(topic, first),
            _ => return None,
        })
    }

    /// About how many bytes it takes.
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Change(change) => 300 + 400 * change.steps.len(),
            Self::Digest(..) | Self::Check(..) => 300,
        }
    }
}

impl Step {
    fn put(&self, bytes: &mut BytesMut) {
        match self {
            Self::Came {
                number,
                ago,
                person,
            } => {
                bytes.put_u8(0);
                bytes.put_u64_le(*number);
                bytes.put_u64_le(*ago);
                put_person(bytes, person);
            }
            Self::Went { number } => {
                bytes.put_u8(1);
                bytes.put_u64_le(*number);
            }
        }
    }

    fn take(bytes: &mut Bytes) -> Option<Self> {
        let kind = bytes.try_get_u8().ok()?;
        let number = bytes.try_get_u64_le().ok()?;
        Some(match kind {
            0 => Self::Came {
                number,
                ago: bytes.try_get_u64_le().ok()?,
                person: take_person(bytes)?,
            },
            1 => Self::Went { number },
            _ => return None,
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use wire::Person;

    use super::*;

    pub(crate) fn person(user: &str) -> Someone {
        Person {
            user: user.to_owned().into(),
            ip: "10.0.0.1".into(),
            port: "7".into(),
        }
    }

    #[test]
    fn what_was_sent_is_understood() {
        let topic = TopicName::new("ä b").unwrap();
        let came = Step::Came {
            number: 4,
            ago: 5,
            person: person("alice"),
        };
        let message = Message {
            from: NodeId(7),
            items: vec![
                Item::Change(Change {
                    topic: topic.clone(),
                    from: 1,
                    to: 2,
                    count: 3,
                    named: 2,
                    steps: vec![came, Step::Went { number: 9 }],
                }),
                Item::Digest(topic.clone(), 8),
                Item::Check(topic, 0),
            ],
        };
        let bytes = message.encode();
        assert_eq!(Message::decode(bytes.clone()).as_ref(), Some(&message));
        for at in 0..bytes.len() {
            assert_ne!(Message::decode(bytes.slice(..at)).as_ref(), Some(&message));
        }
        let mut damaged = bytes.to_vec();
        for at in 0..bytes.len() {
            damaged[at] ^= 0xff;
            // Never a panic.
            let _ = Message::decode(damaged.clone().into());
            damaged[at] ^= 0xff;
        }
    }
}
