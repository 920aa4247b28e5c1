//! Records: what was written is read, and what is damaged is an error.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::history::dedup;
use crate::store::TopicId;
use crate::store::record::{self, TopicRecord};

fn entries() -> impl Strategy<Value = (u64, Vec<Entry>)> {
    let parts = vec(
        (
            1..5_u32,
            any::<u64>(),
            any::<u64>(),
            vec(any::<u8>(), 0..50),
        ),
        1..6,
    );
    (0..u64::MAX - 100, parts).prop_map(|(first, parts)| {
        let mut next = first;
        let entries = parts.into_iter().map(|(count, time, publisher, lines)| {
            let first = next;
            next += u64::from(count);
            let lines = Bytes::from(lines);
            Entry {
                first,
                count,
                time,
                publisher,
                lines,
            }
        });
        (first, entries.collect())
    })
}

/// Ids of some of the messages, in their order.
fn ids_of(entries: &[Entry], numbers: &[[u64; 2]]) -> Vec<RememberedId> {
    let time = entries.iter().map(|entry| entry.time).max().unwrap();
    let messages = entries.iter().flat_map(|entry| entry.first..entry.end());
    let id = |(seq, &[origin, id]): (u64, &[u64; 2])| RememberedId {
        origin,
        id,
        seq,
        time,
    };
    messages.step_by(2).zip(numbers).map(id).collect()
}

fn write(entries: &[Entry], ids: &[RememberedId], before: u64) -> (record::Header, Vec<u8>) {
    let mut bytes = b"what was there before".to_vec();
    let header = record::write_history(&mut bytes, entries, ids, before, 0);
    (header, bytes)
}

proptest! {
    #[test]
    fn history_is_read_as_it_was_written(
        (first, entries) in entries(),
        ids in vec(any::<[u64; 2]>(), 0..5),
        before in 0..u64::MAX / 2,
    ) {
        let ids = ids_of(&entries, &ids);
        let (header, bytes) = write(&entries, &ids, before);
        prop_assert_eq!(bytes.len(), record::history_len(&entries) + 20 * ids.len());
        prop_assert_eq!(header.total, before + bytes.len() as u64);
        prop_assert_eq!(record::read_header(&bytes), Ok(header));
        prop_assert_eq!(record::read_ids(first, &bytes), Ok(ids));
        prop_assert_eq!(record::read_history(first, bytes.into()), Ok(entries));
    }

    #[test]
    fn half_a_record_is_an_error((first, entries) in entries(), cut in any::<prop::sample::Index>()) {
        let ids = ids_of(&entries, &[[1, 2], [3, 4]]);
        let (_, mut bytes) = write(&entries, &ids, 0);
        bytes.truncate(cut.index(bytes.len()));
        prop_assert!(record::read_history(first, bytes.into()).is_err());
    }

    #[test]
    fn damaged_bytes_never_panic(
        (first, entries) in entries(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let topic = TopicRecord { epoch: 1, floor: 2, first: 3, setbacks: vec![7, 9], name: "T".to_owned() };
        let ids = ids_of(&entries, &[[1, 2], [3, 4]]);
        for mut bytes in [write(&entries, &ids, 0).1, topic.write()] {
            let at = at.index(bytes.len());
            bytes[at] = byte;
            read_as_everything(first, &bytes);
        }
    }

    #[test]
    fn random_bytes_never_panic(first in any::<u64>(), mut bytes in vec(any::<u8>(), 0..100)) {
        read_as_everything(first, &bytes);
        if let Some(version) = bytes.first_mut() {
            *version = 2 + (first % 2) as u8;
        }
        read_as_everything(first, &bytes);
    }

    #[test]
    fn topics_are_read_as_they_were_written(
        numbers in any::<[u64; 3]>(),
        setbacks in vec(any::<u64>(), 0..70),
        name in ".{1,20}",
    ) {
        let [epoch, floor, first] = numbers;
        let topic = TopicRecord { epoch, floor, first, setbacks, name };
        prop_assert_eq!(TopicRecord::read(&topic.write()), Ok(topic));
    }

    #[test]
    fn keys_are_in_the_order_of_topics_and_messages(a in any::<(u32, u64)>(), b in any::<(u32, u64)>()) {
        let key = |(topic, seq)| record::key(TopicId(topic), seq);
        prop_assert_eq!(key(a).cmp(&key(b)), a.cmp(&b));
        prop_assert_eq!(record::seq_of(&key(a)), Ok(a.1));
    }
}

fn read_as_everything(first: u64, bytes: &[u8]) {
    let _ = record::read_history(first, Bytes::copy_from_slice(bytes));
    let _ = record::read_header(bytes);
    let _ = record::read_ids(first, bytes);
    let _ = TopicRecord::read(bytes);
    let _ = record::seq_of(bytes);
    let _ = record::read_id(bytes);
}

/// The release before this one had other records.
#[test]
fn records_of_the_release_before_are_read() {
    let mut topic = vec![2];
    [1_u64, 2, 3]
        .iter()
        .for_each(|number| topic.extend(number.to_le_bytes()));
    topic.extend(b"T");
    let read = TopicRecord::read(&topic).unwrap();
    assert_eq!((read.epoch, read.floor, read.first), (1, 2, 3));
    assert_eq!((read.setbacks, read.name.as_str()), (vec![], "T"));
    let ids = [id(1, 5)];
    let (_, mut bytes) = write(&[entry(1, 1, 5)], &ids, 0);
    bytes[0] = 2;
    let read = record::read_ids(1, &bytes).unwrap();
    assert_eq!(
        read[0].id,
        dedup::without_text(ids[0].id),
        "of its text nothing is known"
    );
    let lines = record::read_history(1, bytes.into()).unwrap();
    assert_eq!(lines, [entry(1, 1, 5)]);
}

#[test]
fn a_record_of_another_version_is_an_error() {
    let (_, mut bytes) = write(&[entry(1, 1, 1)], &[], 0);
    bytes[0] = 1;
    let error = record::read_history(1, bytes.into()).unwrap_err();
    assert_eq!(error.to_string(), "a damaged record: of an unknown version");
}
