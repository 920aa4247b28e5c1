//! The records of the store as bytes: keys, groups of messages with their ids, and the
//! catalogue's records of topics. Damaged bytes are an error, never a panic.

use std::ops::Range;

use bytes::{Buf, BufMut, Bytes};

use super::error::Damaged;
use super::types::TopicId;
use crate::history::dedup;
use crate::history::entry::{Entry, RememberedId};

/// The first byte of every record that is written.
const VERSION: u8 = 3;

/// The first byte of a record of the release before, which has no setbacks in a topic's record,
/// and no hash of the text in an id. Anything else was written by another release.
const OLD_VERSION: u8 = 2;

/// Version, messages, newest time, total, ids.
const HISTORY_HEADER: usize = 1 + 4 + 8 + 8 + 4;

/// Count, time, publisher, length of the lines.
const ENTRY_HEADER: usize = 4 + 8 + 8 + 4;

/// Origin, id, place among the record's messages.
const ID_BYTES: usize = 8 + 8 + 4;

/// The key of the record whose first message is `seq`. Keys are in the order of topics, and in
/// each topic in the order of its messages.
pub(crate) type Key = [u8; 12];

/// The key of a topic's record that begins with `seq`.
pub(crate) fn key(topic: TopicId, seq: u64) -> Key {
    let mut key = [0; 12];
    key[..4].copy_from_slice(&topic.0.to_be_bytes());
    key[4..].copy_from_slice(&seq.to_be_bytes());
    key
}

/// The sequence number in a key.
pub(crate) fn seq_of(key: &[u8]) -> Result<u64, Damaged> {
    place_of(key).map(|(_, seq)| seq)
}

/// The topic and the sequence number in a key.
pub(crate) fn place_of(key: &[u8]) -> Result<(TopicId, u64), Damaged> {
    let (topic, seq) = key
        .split_first_chunk()
        .ok_or(Damaged("a key has not 12 bytes"))?;
    let seq = seq.try_into().map(u64::from_be_bytes);
    let seq = seq.map_err(|_| Damaged("a key has not 12 bytes"))?;
    Ok((TopicId(u32::from_be_bytes(*topic)), seq))
}

/// The header of a record of messages, before its entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// Messages in it.
    pub(crate) messages: u32,
    /// When the newest of them was published, in milliseconds since the Unix epoch.
    pub(crate) time: u64,
    /// Bytes of all records that the topic ever had, this one included. The difference of two
    /// totals is the size of the records between them.
    pub(crate) total: u64,
    /// How many of its messages have an id.
    pub(crate) ids: u32,
    /// Whether its ids are without hashes of the texts, as the release before wrote them.
    pub(crate) is_old: bool,
}

/// How many bytes the record of these entries has, without the ids of its messages.
pub(crate) fn history_len(entries: &[Entry]) -> usize {
    let entry_len = |entry: &Entry| ENTRY_HEADER + entry.lines.len();
    HISTORY_HEADER + entries.iter().map(entry_len).sum::<usize>()
}

/// When the newest of the entries was published.
pub(crate) fn newest_time(entries: &[Entry]) -> u64 {
    entries.iter().map(|entry| entry.time).max().unwrap_or(0)
}

/// Writes a piece of history as a record into `record`, whatever that held before.
/// `total_before` is the topic's total without it. An id counts as used when the
/// newest message of the record was published, which is not before `not_before`.
pub(crate) fn write_history(
    record: &mut Vec<u8>,
    entries: &[Entry],
    ids: &[RememberedId],
    total_before: u64,
    not_before: u64,
) -> Header {
    let len = history_len(entries) + ids.len() * ID_BYTES;
    let first = entries.first().map_or(0, |entry| entry.first);
    let header = Header {
        messages: entries.iter().map(|entry| entry.count).sum(),
        time: newest_time(entries).max(not_before),
        total: total_before + len as u64,
        ids: count(ids.len()),
        is_old: false,
    };
    record.clear();
    record.reserve(len);
    record.put_u8(VERSION);
    record.put_u32_le(header.messages);
    record.put_u64_le(header.time);
    record.put_u64_le(header.total);
    record.put_u32_le(header.ids);
    for id in ids {
        record.put_u64_le(id.origin);
        record.put_u64_le(id.id);
        record.put_u32_le(u32::try_from(id.seq - first).unwrap_or(u32::MAX));
    }
    for entry in entries {
        record.put_u32_le(entry.count);
        record.put_u64_le(entry.time);
        record.put_u64_le(entry.publisher);
        record.put_u32_le(count(entry.lines.len()));
        record.extend_from_slice(&entry.lines);
    }
    header
}

/// A number of bytes or ids. Pieces are cut far below 4 GiB, and one line is one frame.
fn count(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

/// Reads the header of a record of messages.
pub(crate) fn read_header(mut record: &[u8]) -> Result<Header, Damaged> {
    let version = take_version(&mut record)?;
    if record.len() < HISTORY_HEADER - 1 {
        return Err(Damaged("history without a header"));
    }
    let header = Header {
        messages: record.get_u32_le(),
        time: record.get_u64_le(),
        total: record.get_u64_le(),
        ids: record.get_u32_le(),
        is_old: version == OLD_VERSION,
    };
    match header.messages {
        0 => Err(Damaged("history without a message")),
        _ => Ok(header),
    }
}

/// Reads a piece of history whose first message is `first`. The entries share
/// the record's memory.
pub(crate) fn read_history(first: u64, mut record: Bytes) -> Result<Vec<Entry>, Damaged> {
    let header = read_header(&record)?;
    let ids_len = ids_of(&header, &record)?.len();
    record.advance(HISTORY_HEADER + ids_len);
    let end = first
        .checked_add(header.messages.into())
        .ok_or(Damaged("sequence numbers without end"))?;
    let mut entries = Vec::new();
    let mut next = first;
    while !record.is_empty() {
        if record.len() < ENTRY_HEADER {
            return Err(Damaged("half an entry"));
        }
        let count = record.get_u32_le();
        let time = record.get_u64_le();
        let publisher = record.get_u64_le();
        let len = record.get_u32_le() as usize;
        if len > record.len() || count == 0 || u64::from(count) > end - next {
            return Err(Damaged("an entry that doesn't fit"));
        }
        entries.push(Entry {
            first: next,
            count,
            time,
            publisher,
            lines: record.split_to(len),
        });
        next += u64::from(count);
    }
    match next == end {
        true => Ok(entries),
        false => Err(Damaged("history with messages missing")),
    }
}

/// The ids of these messages. `ids` is in the order of the messages.
pub(crate) fn ids_within(ids: &[RememberedId], messages: Range<u64>) -> &[RememberedId] {
    let place = |seq| ids.partition_point(|id| id.seq < seq);
    let (begin, end) = (place(messages.start), place(messages.end));
    ids.get(begin..end).unwrap_or_default()
}

/// The ids of a record's messages, as bytes.
fn ids_of<'a>(header: &Header, record: &'a [u8]) -> Result<&'a [u8], Damaged> {
    let len = (header.ids as usize).checked_mul(ID_BYTES);
    let end = len.and_then(|len| len.checked_add(HISTORY_HEADER));
    end.and_then(|end| record.get(HISTORY_HEADER..end))
        .ok_or(Damaged("half an id"))
}

/// Reads the ids in a piece of history whose first message is `first`, in the order
/// of their messages.
pub(crate) fn read_ids(first: u64, record: &[u8]) -> Result<Vec<RememberedId>, Damaged> {
    let header = read_header(record)?;
    let mut bytes = ids_of(&header, record)?;
    let mut ids = Vec::with_capacity(header.ids as usize);
    while bytes.has_remaining() {
        let (origin, id, place) = (bytes.get_u64_le(), bytes.get_u64_le(), bytes.get_u32_le());
        if place >= header.messages {
            return Err(Damaged("the id of another message"));
        }
        ids.push(RememberedId {
            origin,
            id: match header.is_old {
                true => dedup::without_text(id),
                false => id,
            },
            seq: first.saturating_add(place.into()),
            time: header.time,
        });
    }
    Ok(ids)
}

/// The catalogue's record of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TopicRecord {
    /// The epoch of its history.
    pub(crate) epoch: u64,
    /// The next sequence number is at least this, whatever the history holds.
    pub(crate) floor: u64,
    /// The history holds nothing before this.
    pub(crate) first: u64,
    /// The messages before which time went back.
    pub(crate) setbacks: Vec<u64>,
    /// Its name.
    pub(crate) name: String,
}

impl TopicRecord {
    /// Writes the record as bytes.
    pub(crate) fn write(&self) -> Vec<u8> {
        let setbacks = self.setbacks.len();
        let mut record = Vec::with_capacity(2 + (3 + setbacks) * 8 + self.name.len());
        record.put_u8(VERSION);
        for number in [self.epoch, self.floor, self.first] {
            record.put_u64_le(number);
        }
        record.put_u8(u8::try_from(setbacks).unwrap_or(u8::MAX));
        for seq in self.setbacks.iter().take(u8::MAX.into()) {
            record.put_u64_le(*seq);
        }
        record.extend_from_slice(self.name.as_bytes());
        record
    }

    /// Reads the record from bytes.
    pub(crate) fn read(mut record: &[u8]) -> Result<Self, Damaged> {
        let half = |_| Damaged("half a topic");
        let version = take_version(&mut record)?;
        let [epoch, floor, first] = [
            record.try_get_u64_le().map_err(half)?,
            record.try_get_u64_le().map_err(half)?,
            record.try_get_u64_le().map_err(half)?,
        ];
        let count = match version {
            OLD_VERSION => 0,
            _ => record.try_get_u8().map_err(half)?,
        };
        let setbacks = (0..count).map(|_| record.try_get_u64_le().map_err(half));
        Ok(Self {
            epoch,
            floor,
            first,
            setbacks: setbacks.collect::<Result<_, _>>()?,
            name: std::str::from_utf8(record)
                .map_err(|_| Damaged("a topic's name isn't UTF-8"))?
                .to_owned(),
        })
    }
}

/// A topic's number, as it is kept beside its name.
pub(crate) fn read_id(record: &[u8]) -> Result<TopicId, Damaged> {
    let id = record.try_into().map(u32::from_be_bytes);
    id.map(TopicId)
        .map_err(|_| Damaged("a topic's number has not 4 bytes"))
}

fn take_version(record: &mut &[u8]) -> Result<u8, Damaged> {
    match record.try_get_u8() {
        Ok(version @ (VERSION | OLD_VERSION)) => Ok(version),
        Ok(_) => Err(Damaged("of an unknown version")),
        Err(_) => Err(Damaged("nothing in it")),
    }
}
