//! The records of the log as bytes: messages of one topic that were appended together. Damaged
//! bytes are an error, never a panic.
//!
//! Messages are kept as they were sent, without envelopes: each server makes them, so that they
//! may differ from one release to the next.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use wire::UserName;
use xxhash_rust::xxh3::xxh3_64;

/// The first byte of every record and group that is written.
const VERSION: u8 = 1;

/// The checksum at the end of each record.
const CHECKSUM: usize = 8;

/// What a message takes beside its names and lines, at most.
const MESSAGE_HEADER: usize = 64;

/// Messages of one topic that were appended together. A record without any begins the topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    /// Identifies one unbroken row of numbers of the topic.
    pub(crate) epoch: u64,
    /// The sequence number of the first message.
    pub(crate) first: u64,
    /// The position of the record before; 0 if there was none.
    pub(crate) prev: u64,
    /// The server that has appended it.
    pub(crate) owner: u64,
    /// When that was, for people.
    pub(crate) stamp: u64,
    /// When that was, by the index clock.
    pub(crate) time: u64,
    pub(crate) groups: Vec<Group>,
}

/// Messages that one server has handed to a topic's owner together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Group {
    /// The server, in one run.
    pub(crate) node: u64,
    /// How many it has handed over before, in this topic.
    pub(crate) number: u64,
    pub(crate) messages: Vec<Message>,
}

/// Messages that one connection has sent together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    /// Its place in the group that was handed over, from which messages that were there already
    /// are left out.
    pub(crate) place: u32,
    /// The number of the connection at its server, to which it isn't sent back; 0 if it isn't in
    /// the topic.
    pub(crate) connection: u64,
    /// The publisher's number in the history; 0 for a classic one.
    pub(crate) publisher: u64,
    pub(crate) user: Option<UserName>,
    pub(crate) account: Option<UserName>,
    pub(crate) id: Option<Id>,
    /// How many lines there are.
    pub(crate) count: u32,
    pub(crate) lines: Bytes,
}

/// The id of a message, as it is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Id {
    pub(crate) origin: u64,
    pub(crate) hash: u64,
}

/// Bytes that are no record or group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a damaged record of the cluster: {0}")]
pub(crate) struct Damaged(&'static str);

impl Record {
    /// How many messages there are, each counted by its lines.
    pub(crate) fn count(&self) -> u64 {
        self.messages()
            .map(|message| u64::from(message.count))
            .sum()
    }

    /// The sequence number after the last message.
    pub(crate) fn end(&self) -> u64 {
        self.first + self.count()
    }

    pub(crate) fn messages(&self) -> impl Iterator<Item = &Message> {
        self.groups.iter().flat_map(|group| &group.messages)
    }

    pub(crate) fn encode(&self) -> Bytes {
        let mut bytes = BytesMut::new();
        bytes.put_u8(VERSION);
        for field in [
            self.epoch, self.first, self.prev, self.owner, self.stamp, self.time,
        ] {
            bytes.put_u64_le(field);
        }
        bytes.put_u32_le(len(self.groups.len()));
        for group in &self.groups {
            group.put(&mut bytes);
        }
        bytes.put_u64_le(xxh3_64(&bytes));
        bytes.freeze()
    }

    /// The messages share the memory of the bytes.
    pub(crate) fn decode(mut bytes: Bytes) -> Result<Self, Damaged> {
        let checked = bytes.len().checked_sub(CHECKSUM);
        let checked = checked.ok_or(Damaged("nothing in it"))?;
        let mut checksum = bytes.split_off(checked);
        if checksum.get_u64_le() != xxh3_64(&bytes) {
            return Err(Damaged("its checksum differs"));
        }
        take_version(&mut bytes)?;
        let mut fields = [0; 6];
        for field in &mut fields {
            *field = take_u64(&mut bytes)?;
        }
        let [epoch, first, prev, owner, stamp, time] = fields;
        let record = Self {
            epoch,
            first,
            prev,
            owner,
            stamp,
            time,
            groups: take_all(&mut bytes, Group::take)?,
        };
        let count = record
            .messages()
            .try_fold(0_u64, |sum, message| sum.checked_add(message.count.into()));
        match count.and_then(|count| first.checked_add(count)) {
            Some(_) if first > 0 && bytes.is_empty() => Ok(record),
            _ => Err(Damaged("its numbers don't fit")),
        }
    }
}

impl Group {
    /// Roughly how many bytes it takes in a record.
    pub(crate) fn size(&self) -> usize {
        self.messages.iter().map(Message::size).sum()
    }

    pub(crate) fn encode(&self) -> Bytes {
        let mut bytes = BytesMut::with_capacity(self.size() + MESSAGE_HEADER);
        bytes.put_u8(VERSION);
        self.put(&mut bytes);
        bytes.freeze()
    }

    pub(crate) fn decode(bytes: &mut Bytes) -> Result<Self, Damaged> {
        take_version(bytes)?;
        Self::take(bytes)
    }

    fn put(&self, bytes: &mut BytesMut) {
        bytes.put_u64_le(self.node);
        bytes.put_u64_le(self.number);
        bytes.put_u32_le(len(self.messages.len()));
        for message in &self.messages {
            message.put(bytes);
        }
    }

    fn take(bytes: &mut Bytes) -> Result<Self, Damaged> {
        Ok(Self {
            node: take_u64(bytes)?,
            number: take_u64(bytes)?,
            messages: take_all(bytes, Message::take)?,
        })
    }
}

impl Message {
    /// Roughly how many bytes it takes in a record.
    pub(crate) fn size(&self) -> usize {
        size_of(self.user.as_ref(), self.account.as_ref(), &self.lines)
    }

    fn put(&self, bytes: &mut BytesMut) {
        bytes.put_u32_le(self.place);
        bytes.put_u64_le(self.connection);
        bytes.put_u64_le(self.publisher);
        put_name(bytes, self.user.as_ref());
        put_name(bytes, self.account.as_ref());
        match &self.id {
            None => bytes.put_u8(0),
            Some(id) => {
                bytes.put_u8(1);
                bytes.put_u64_le(id.origin);
                bytes.put_u64_le(id.hash);
            }
        }
        bytes.put_u32_le(self.count);
        bytes.put_u32_le(len(self.lines.len()));
        bytes.extend_from_slice(&self.lines);
    }

    fn take(bytes: &mut Bytes) -> Result<Self, Damaged> {
        let (place, connection) = (take_u32(bytes)?, take_u64(bytes)?);
        let publisher = take_u64(bytes)?;
        let (user, account) = (take_name(bytes)?, take_name(bytes)?);
        let id = match take_u8(bytes)? {
            0 => None,
            _ => Some(Id {
                origin: take_u64(bytes)?,
                hash: take_u64(bytes)?,
            }),
        };
        let (count, lines) = (take_u32(bytes)?, take_bytes(bytes)?);
        let ends = memchr::memchr_iter(b'\n', &lines).count();
        if count == 0 || ends != count as usize || lines.last() != Some(&b'\n') {
            return Err(Damaged("its lines don't fit"));
        }
        Ok(Self {
            place,
            connection,
            publisher,
            user,
            account,
            id,
            count,
            lines,
        })
    }
}

/// Roughly how many bytes a message takes in a record.
pub(crate) fn size_of(user: Option<&UserName>, account: Option<&UserName>, lines: &[u8]) -> usize {
    let name = |name: Option<&UserName>| name.map_or(0, |name| name.as_str().len());
    MESSAGE_HEADER + name(user) + name(account) + lines.len()
}

/// A number of groups, messages or bytes: groups are far below 4 GiB.
fn len(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

/// A name has at most 255 bytes; none is written as an empty one.
fn put_name(bytes: &mut BytesMut, name: Option<&UserName>) {
    let name = name.map_or("", UserName::as_str).as_bytes();
    bytes.put_u32_le(len(name.len()));
    bytes.extend_from_slice(name);
}

fn take_name(bytes: &mut Bytes) -> Result<Option<UserName>, Damaged> {
    let name = take_bytes(bytes)?;
    if name.is_empty() {
        return Ok(None);
    }
    let name = std::str::from_utf8(&name).ok();
    let name = name.and_then(|name| UserName::new(name).ok());
    name.map(Some)
        .ok_or(Damaged("a name that no user can have"))
}

pub(crate) fn take_version(bytes: &mut Bytes) -> Result<(), Damaged> {
    match take_u8(bytes)? {
        VERSION => Ok(()),
        _ => Err(Damaged("of an unknown version")),
    }
}

/// Things that come after their number.
fn take_all<T>(
    bytes: &mut Bytes,
    take: impl Fn(&mut Bytes) -> Result<T, Damaged>,
) -> Result<Vec<T>, Damaged> {
    let count = take_u32(bytes)?;
    // The number may be wrong: memory is taken as things are found.
    let mut all = Vec::new();
    for _ in 0..count {
        all.push(take(bytes)?);
    }
    Ok(all)
}

fn take_bytes(bytes: &mut Bytes) -> Result<Bytes, Damaged> {
    let len = take_u32(bytes)? as usize;
    match len <= bytes.len() {
        true => Ok(bytes.split_to(len)),
        false => Err(Damaged("it is cut off")),
    }
}

pub(crate) fn take_u64(bytes: &mut Bytes) -> Result<u64, Damaged> {
    bytes.try_get_u64_le().map_err(|_| Damaged("it is cut off"))
}

fn take_u32(bytes: &mut Bytes) -> Result<u32, Damaged> {
    bytes.try_get_u32_le().map_err(|_| Damaged("it is cut off"))
}

fn take_u8(bytes: &mut Bytes) -> Result<u8, Damaged> {
    bytes.try_get_u8().map_err(|_| Damaged("it is cut off"))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A message of these lines, without an id.
    pub(crate) fn message(lines: &str) -> Message {
        Message {
            place: 0,
            connection: 7,
            publisher: 0,
            user: None,
            account: None,
            id: None,
            count: len(lines.lines().count()),
            lines: Bytes::copy_from_slice(lines.as_bytes()),
        }
    }

    pub(crate) fn record(prev: u64, first: u64, lines: &str) -> Record {
        Record {
            epoch: 5,
            first,
            prev,
            owner: 1,
            stamp: 2,
            time: 3,
            groups: vec![Group {
                node: 9,
                number: first,
                messages: vec![message(lines)],
            }],
        }
    }

    fn full() -> Record {
        let mut record = record(4, 8, "{}\n{\"a\":1}\n");
        record.groups[0].messages.push(Message {
            user: UserName::new("anna").ok(),
            account: UserName::new("bob").ok(),
            id: Some(Id { origin: 1, hash: 2 }),
            ..message("{}\n")
        });
        record
    }

    #[test]
    fn what_was_written_is_read() {
        let record = full();
        assert_eq!(record.count(), 3);
        assert_eq!(record.end(), 11);
        assert_eq!(Record::decode(record.encode()), Ok(record.clone()));
        let group = &record.groups[0];
        assert_eq!(Group::decode(&mut group.encode()), Ok(group.clone()));
    }

    #[test]
    fn damaged_bytes_are_an_error() {
        let bytes = full().encode();
        for at in 0..bytes.len() {
            let mut damaged = bytes.to_vec();
            damaged[at] ^= 0x10;
            assert!(Record::decode(damaged.into()).is_err(), "byte {at}");
            assert!(Record::decode(bytes.slice(..at)).is_err(), "cut at {at}");
            let group = full().groups[0].encode();
            if at < group.len() {
                let cut = Group::decode(&mut group.slice(..at));
                assert!(cut.is_err(), "a group cut at {at}");
            }
        }
    }
}
