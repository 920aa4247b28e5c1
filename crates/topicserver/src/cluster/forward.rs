//! How a server hands messages over to a topic's owner, and what it is answered.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use wire::TopicName;

use super::record::{Damaged, Group, take_u64, take_version};
use crate::history::entry::Stored;

/// The first byte of every answer.
const VERSION: u8 = 1;

/// Messages for a topic's owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Forwarded {
    pub(crate) topic: TopicName,
    pub(crate) group: Group,
}

/// What became of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Where its messages are.
    Placed(Placement),
    /// This server doesn't take it. Nothing was done.
    Elsewhere,
    /// Whether it is in the log isn't known. It may be handed over again.
    Unknown,
}

/// Where the messages of a group are, in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Placement {
    /// The row of numbers that the topic has. Messages that were there before may be of an earlier
    /// one.
    pub(crate) epoch: u64,
    pub(crate) placed: Vec<Placed>,
}

/// Where a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Placed {
    pub(crate) stored: Stored,
    /// An earlier message has the same id and another text, so this one wasn't published.
    pub(crate) has_other_text: bool,
}

impl Placed {
    /// A message with this number, published at this time.
    pub(crate) fn new(seq: u64, time: u64) -> Self {
        Self {
            stored: Stored { seq, time },
            has_other_text: false,
        }
    }
}

impl Forwarded {
    pub(crate) fn encode(&self) -> Bytes {
        let (name, group) = (self.topic.as_str().as_bytes(), self.group.encode());
        let mut bytes = BytesMut::with_capacity(1 + name.len() + group.len());
        // A name has at most 255 bytes.
        bytes.put_u8(u8::try_from(name.len()).unwrap_or(u8::MAX));
        bytes.extend_from_slice(name);
        bytes.extend_from_slice(&group);
        bytes.freeze()
    }

    /// `None` if it is damaged, or of a release that this one doesn't understand.
    pub(crate) fn decode(mut bytes: Bytes) -> Option<Self> {
        let len = usize::from(bytes.try_get_u8().ok()?);
        let name = (len <= bytes.len()).then(|| bytes.split_to(len))?;
        Some(Self {
            topic: TopicName::new(std::str::from_utf8(&name).ok()?).ok()?,
            group: Group::decode(&mut bytes).ok()?,
        })
    }
}

impl Answer {
    pub(crate) fn encode(&self) -> Bytes {
        let mut bytes = BytesMut::new();
        bytes.put_u8(VERSION);
        match self {
            Self::Placed(Placement { epoch, placed }) => {
                bytes.put_u8(0);
                bytes.put_u64_le(*epoch);
                for one in placed {
                    bytes.put_u64_le(one.stored.seq);
                    bytes.put_u64_le(one.stored.time);
                    bytes.put_u8(one.has_other_text.into());
                }
            }
            Self::Elsewhere => bytes.put_u8(1),
            Self::Unknown => bytes.put_u8(2),
        }
        bytes.freeze()
    }

    /// An answer that can't be read says nothing.
    pub(crate) fn decode(bytes: Bytes) -> Self {
        Self::read(bytes).unwrap_or(Self::Unknown)
    }

    fn read(mut bytes: Bytes) -> Result<Self, Damaged> {
        take_version(&mut bytes)?;
        Ok(match bytes.try_get_u8() {
            Ok(0) => {
                let epoch = take_u64(&mut bytes)?;
                let mut placed = Vec::new();
                while let (Ok(seq), Ok(time), Ok(other)) = (
                    bytes.try_get_u64_le(),
                    bytes.try_get_u64_le(),
                    bytes.try_get_u8(),
                ) {
                    placed.push(Placed {
                        stored: Stored { seq, time },
                        has_other_text: other != 0,
                    });
                }
                Self::Placed(Placement { epoch, placed })
            }
            Ok(1) => Self::Elsewhere,
            _ => Self::Unknown,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::tests::message;
    use super::*;

    #[test]
    fn what_was_sent_is_understood() {
        let forwarded = Forwarded {
            topic: TopicName::new("ä b").unwrap(),
            group: Group {
                node: 1,
                number: 2,
                messages: vec![message("{}\n")],
            },
        };
        let bytes = forwarded.encode();
        assert_eq!(Forwarded::decode(bytes.clone()), Some(forwarded));
        for at in 0..bytes.len() {
            assert_eq!(Forwarded::decode(bytes.slice(..at)), None, "cut at {at}");
        }
        let placed = |seq, has_other_text| Placed {
            stored: Stored { seq, time: 9 },
            has_other_text,
        };
        for answer in [
            Answer::Placed(Placement {
                epoch: 8,
                placed: vec![placed(1, false), placed(7, true)],
            }),
            Answer::Elsewhere,
            Answer::Unknown,
        ] {
            assert_eq!(Answer::decode(answer.encode()), answer);
        }
        assert_eq!(Answer::decode(Bytes::new()), Answer::Unknown);
    }
}
