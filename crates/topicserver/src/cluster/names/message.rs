//! What servers ask each other about names, as bytes.

use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use wire::UserName;

use crate::cluster::nodes::NodeId;
use crate::cluster::presence::Someone;
use crate::cluster::text::{put_count, put_person, put_text, take_many, take_person, take_text};

/// The first byte of every question and answer.
const VERSION: u8 = 1;

/// A connection that has a name, or wants one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Claim {
    pub(super) user: UserName,
    /// The connection's server.
    pub(super) node: NodeId,
    /// Stands for the claim at that server.
    pub(super) serial: u64,
    /// The client's number, if it can prove to be the same again.
    pub(super) client: Option<u64>,
    /// How long it has had the name.
    pub(super) held: Duration,
    /// Its connection has ended, and the name is kept for it for so long.
    pub(super) kept: Option<Duration>,
}

/// Something to ask another server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Question {
    /// A connection there wants a name that the asked server decides on.
    Claim(Claim),
    /// The asked server decides on these names, which connections there have.
    Announce(Vec<Claim>),
    /// Who has this name there?
    Holder(UserName),
    /// Does anybody have this name, which the asked server decides on?
    Has(UserName),
    /// Where is the user, if there?
    Find(UserName),
    /// The name is free, or kept.
    Release(Claim),
    /// Another connection has the name of this claim now: of the same client, or not.
    Replaced(Claim, bool),
    /// This server decides on names, and wants to hear again of those that the asked one has.
    Reannounce(NodeId),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Done,
    /// Another client has the name.
    InUse,
    /// The name is kept for another client for so long.
    Kept(Duration),
    /// It has the name.
    Holder(Claim),
    /// There it is.
    Person(Someone),
    /// No, nobody.
    Nobody,
}

impl Claim {
    /// Whether it is the same client's as another one.
    pub(super) fn is_of_client_of(&self, other: &Self) -> bool {
        self.client.is_some() && self.client == other.client
    }

    /// Whether it is the same claim.
    pub(super) fn is(&self, other: &Self) -> bool {
        (self.node, self.serial) == (other.node, other.serial)
    }

    fn put(&self, bytes: &mut BytesMut) {
        put_text(bytes, self.user.as_str());
        bytes.put_u64_le(self.node.0);
        bytes.put_u64_le(self.serial);
        bytes.put_u8(self.client.is_some().into());
        bytes.put_u64_le(self.client.unwrap_or(0));
        put_time(bytes, self.held);
        bytes.put_u8(self.kept.is_some().into());
        put_time(bytes, self.kept.unwrap_or_default());
    }

    fn take(bytes: &mut Bytes) -> Option<Self> {
        let user = UserName::new(&take_text(bytes)?).ok()?;
        let node = NodeId(bytes.try_get_u64_le().ok()?);
        let serial = bytes.try_get_u64_le().ok()?;
        let has_client = bytes.try_get_u8().ok()? != 0;
        let client = bytes.try_get_u64_le().ok()?;
        let held = take_time(bytes)?;
        let is_kept = bytes.try_get_u8().ok()? != 0;
        let kept = take_time(bytes)?;
        Some(Self {
            user,
            node,
            serial,
            client: has_client.then_some(client),
            held,
            kept: is_kept.then_some(kept),
        })
    }
}

impl Question {
    pub(super) fn encode(&self) -> Bytes {
        let mut bytes = BytesMut::new();
        bytes.put_u8(VERSION);
        let (kind, user) = match self {
            Self::Claim(_) => (0, None),
            Self::Announce(_) => (1, None),
            Self::Holder(user) => (2, Some(user)),
            Self::Has(user) => (3, Some(user)),
            Self::Find(user) => (4, Some(user)),
            Self::Release(_) => (5, None),
            Self::Replaced(_, false) => (6, None),
            Self::Replaced(_, true) => (7, None),
            Self::Reannounce(_) => (8, None),
        };
        bytes.put_u8(kind);
        if let Some(user) = user {
            put_text(&mut bytes, user.as_str());
        }
        match self {
            Self::Claim(claim) | Self::Release(claim) | Self::Replaced(claim, _) => {
                claim.put(&mut bytes);
            }
            Self::Announce(claims) => {
                put_count(&mut bytes, claims.len());
                claims.iter().for_each(|claim| claim.put(&mut bytes));
            }
            Self::Reannounce(node) => bytes.put_u64_le(node.0),
            Self::Holder(_) | Self::Has(_) | Self::Find(_) => {}
        }
        bytes.freeze()
    }

    /// `None` if it is damaged, or not understood.
    pub(super) fn decode(mut bytes: Bytes) -> Option<Self> {
        if bytes.try_get_u8().ok()? != VERSION {
            return None;
        }
        let kind = bytes.try_get_u8().ok()?;
        let bytes = &mut bytes;
        let user = |bytes| UserName::new(&take_text(bytes)?).ok();
        Some(match kind {
            0 => Self::Claim(Claim::take(bytes)?),
            1 => Self::Announce(take_many(bytes, Claim::take)?),
            2 => Self::Holder(user(bytes)?),
            3 => Self::Has(user(bytes)?),
            4 => Self::Find(user(bytes)?),
            5 => Self::Release(Claim::take(bytes)?),
            8 => Self::Reannounce(NodeId(bytes.try_get_u64_le().ok()?)),
            6 | 7 => Self::Replaced(Claim::take(bytes)?, kind == 7),
            _ => return None,
        })
    }
}

impl Answer {
    pub(super) fn encode(&self) -> Bytes {
        let mut bytes = BytesMut::new();
        bytes.put_u8(VERSION);
        match self {
            Self::Done => bytes.put_u8(0),
            Self::InUse => bytes.put_u8(1),
            Self::Kept(left) => {
                bytes.put_u8(2);
                put_time(&mut bytes, *left);
            }
            Self::Holder(claim) => {
                bytes.put_u8(3);
                claim.put(&mut bytes);
            }
            Self::Person(person) => {
                bytes.put_u8(4);
                put_person(&mut bytes, person);
            }
            Self::Nobody => bytes.put_u8(5),
        }
        bytes.freeze()
    }

    pub(super) fn decode(mut bytes: Bytes) -> Option<Self> {
        if bytes.try_get_u8().ok()? != VERSION {
            return None;
        }
        Some(match bytes.try_get_u8().ok()? {
            0 => Self::Done,
            1 => Self::InUse,
            2 => Self::Kept(take_time(&mut bytes)?),
            3 => Self::Holder(Claim::take(&mut bytes)?),
            4 => Self::Person(take_person(&mut bytes)?),
            5 => Self::Nobody,
            _ => return None,
        })
    }
}

fn put_time(bytes: &mut BytesMut, time: Duration) {
    bytes.put_u64_le(u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
}

fn take_time(bytes: &mut Bytes) -> Option<Duration> {
    bytes.try_get_u64_le().ok().map(Duration::from_millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sent_is_understood() {
        let user = || UserName::new("älice").unwrap();
        let claim = |client, kept: Option<u64>| Claim {
            user: user(),
            node: NodeId(1),
            serial: 2,
            client,
            held: Duration::from_millis(3),
            kept: kept.map(Duration::from_millis),
        };
        for question in [
            Question::Claim(claim(None, None)),
            Question::Announce(vec![claim(Some(0), Some(0)), claim(None, None)]),
            Question::Holder(user()),
            Question::Has(user()),
            Question::Find(user()),
            Question::Release(claim(Some(7), Some(8))),
            Question::Replaced(claim(None, None), false),
            Question::Replaced(claim(None, None), true),
            Question::Reannounce(NodeId(3)),
        ] {
            let bytes = question.encode();
            assert_eq!(Question::decode(bytes.clone()), Some(question));
            for at in 0..bytes.len() {
                assert_eq!(Question::decode(bytes.slice(..at)), None);
            }
        }
        let person = wire::Person {
            user: "a".into(),
            ip: "::1".into(),
            port: "7".into(),
        };
        for answer in [
            Answer::Done,
            Answer::InUse,
            Answer::Kept(Duration::from_secs(1)),
            Answer::Holder(claim(Some(1), None)),
            Answer::Person(person),
            Answer::Nobody,
        ] {
            assert_eq!(Answer::decode(answer.encode()), Some(answer));
        }
    }
}
