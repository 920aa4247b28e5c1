//! What is stored is there: at once, after a restart, for everybody.

use super::*;
use crate::store::{OpenError, StoreError};

#[tokio::test]
async fn what_is_appended_can_be_read() {
    let directory = Directory::new();
    let store = open(&directory);
    let topic = store.load(&name("T")).await.unwrap();
    assert_eq!(topic.next, 1);
    assert_eq!(topic.time, 0);
    assert!(store.ids(&name("T")).await.is_empty());
    assert_eq!(store.read(topic.id, 0, 1000).await.unwrap(), []);
    let first = RecordBatch {
        entries: vec![entry(1, 3, 10), entry(4, 1, 11)],
        ids: Vec::new(),
    };
    store.append(topic.id, first.clone()).await.unwrap();
    store.append(topic.id, batch_at(5, 2, 12)).await.unwrap();
    let read = store.read(topic.id, 1, 1000).await.unwrap();
    assert_eq!(read[..2], first.entries);
    assert_eq!(seqs(&read), [1, 2, 3, 4, 5, 6]);
    store.close().await;
}

#[tokio::test]
async fn a_read_begins_with_the_entry_that_holds_the_message_and_is_bounded() {
    let directory = Directory::new();
    let store = open(&directory);
    let topic = store.load(&name("T")).await.unwrap().id;
    let other = store.load(&name("U")).await.unwrap().id;
    for n in 0..10 {
        let entries = vec![entry(1 + n * 5, 3, n), entry(4 + n * 5, 2, n)];
        let ids = Vec::new();
        store
            .append(topic, RecordBatch { entries, ids })
            .await
            .unwrap();
    }
    store.append(other, batch(1, 1)).await.unwrap();
    let read = async |from, max| seqs(&store.read(topic, from, max).await.unwrap());
    assert_eq!(read(1, usize::MAX).await, (1..=50).collect::<Vec<_>>());
    assert_eq!(read(7, 1).await, [6, 7, 8]);
    assert_eq!(read(9, 1).await, [9, 10]);
    assert_eq!(read(9, 61).await, [9, 10, 11, 12, 13]);
    assert_eq!(read(50, 1000).await, [49, 50]);
    assert!(read(51, 1000).await.is_empty());
    assert!(read(u64::MAX, 1000).await.is_empty());
    assert_eq!(read(3, 0).await, [1, 2, 3]);
    store.close().await;
}

#[tokio::test]
async fn a_topic_goes_on_after_a_restart() {
    let directory = Directory::new();
    let store = open(&directory);
    let secret = store.secret();
    let before = store.load(&name("T")).await.unwrap();
    let empty = store.load(&name("empty")).await.unwrap();
    store.append(before.id, batch_at(1, 5, 77)).await.unwrap();
    store.close().await;

    let store = open(&directory);
    assert_eq!(store.secret(), secret);
    let after = store.load(&name("T")).await.unwrap();
    assert_eq!((after.id, after.epoch), (before.id, before.epoch));
    assert_eq!((after.next, after.time), (6, 77));
    assert_eq!(after.first.load(std::sync::atomic::Ordering::Relaxed), 1);
    let again = store.load(&name("empty")).await.unwrap();
    assert_eq!((again.epoch, again.next), (empty.epoch, 1));
    let new = store.load(&name("new")).await.unwrap();
    assert!(new.id != after.id && new.id != empty.id && new.epoch != after.epoch);
    store.append(after.id, batch(6, 1)).await.unwrap();
    let read = store.read(after.id, 5, 1000).await.unwrap();
    assert_eq!(seqs(&read), [1, 2, 3, 4, 5, 6]);
    store.close().await;
}

#[tokio::test]
async fn loading_twice_gives_the_same_topic() {
    let directory = Directory::new();
    let store = open(&directory);
    let name = name("T");
    let (first, second) = tokio::join!(store.load(&name), store.load(&name));
    let (first, second) = (first.unwrap(), second.unwrap());
    assert_eq!((first.id, first.epoch), (second.id, second.epoch));
    store.append(first.id, batch(1, 1)).await.unwrap();
    assert_eq!(store.load(&name).await.unwrap().next, 2);
    store.close().await;
}

#[tokio::test]
async fn a_batch_that_doesnt_follow_is_refused_and_harms_nothing() {
    let directory = Directory::new();
    let store = open(&directory);
    let topic = store.load(&name("T")).await.unwrap().id;
    store.append(topic, batch(1, 2)).await.unwrap();
    for first in [1, 2, 4] {
        let error = store.append(topic, batch(first, 1)).await.unwrap_err();
        let expected = StoreError::OutOfOrder {
            expected: 3,
            got: first,
        };
        assert_eq!(error, expected);
    }
    store.append(topic, RecordBatch::default()).await.unwrap();
    store.append(topic, batch(3, 1)).await.unwrap();
    let unknown = crate::store::TopicId(99);
    assert!(store.append(unknown, batch(1, 1)).await.is_err());
    assert!(store.read(unknown, 1, 1).await.is_err());
    store.close().await;
}

#[tokio::test]
async fn many_topics_are_written_at_once() {
    let directory = Directory::new();
    let store = open(&directory);
    let mut writers = Vec::new();
    for n in 0..50 {
        let store = store.clone();
        writers.push(tokio::spawn(async move {
            let topic = store.load(&name(&format!("topic {n}"))).await.unwrap();
            for seq in 0..20 {
                store.append(topic.id, batch(1 + seq * 2, 2)).await.unwrap();
            }
        }));
    }
    for writer in writers {
        writer.await.unwrap();
    }
    store.close().await;
    let store = open(&directory);
    for n in 0..50 {
        let topic = store.load(&name(&format!("topic {n}"))).await.unwrap();
        assert_eq!(topic.next, 41);
        let read = store.read(topic.id, 1, usize::MAX).await.unwrap();
        assert_eq!(seqs(&read), (1..=40).collect::<Vec<_>>());
    }
    store.close().await;
}

#[tokio::test]
async fn appends_to_one_topic_are_stored_in_the_order_of_asking() {
    let directory = Directory::new();
    let store = open(&directory);
    let topic = store.load(&name("T")).await.unwrap().id;
    let appends = (0..100).map(|n| store.append(topic, batch(1 + n, 1)));
    let mut appends: Vec<_> = appends.map(Box::pin).collect();
    std::future::poll_fn(|cx| {
        use std::future::Future;
        appends.retain_mut(|append| match append.as_mut().poll(cx) {
            std::task::Poll::Ready(result) => {
                result.unwrap();
                false
            }
            std::task::Poll::Pending => true,
        });
        match appends.is_empty() {
            true => std::task::Poll::Ready(()),
            false => std::task::Poll::Pending,
        }
    })
    .await;
    assert_eq!(store.load(&name("T")).await.unwrap().next, 101);
    store.close().await;
}

#[tokio::test]
async fn of_each_publisher_only_the_newest_ids_are_read() {
    let directory = Directory::new();
    let store = open(&directory);
    let topic = store.load(&name("T")).await.unwrap();
    let now = clock::now();
    let batches = (1..=300).map(|seq| RecordBatch {
        entries: vec![entry(seq, 1, now)],
        ids: vec![RememberedId {
            // The first ten are somebody else's.
            origin: u64::from(seq > 10),
            ..id(seq, now)
        }],
    });
    append_all(&store, topic.id, batches).await;
    let topic = store.load(&name("T")).await.unwrap();
    let ids = store
        .remembered_ids(topic.id, topic.time, 100)
        .await
        .unwrap()
        .list();
    let seqs: Vec<_> = ids.iter().map(|id| id.seq).collect();
    assert_eq!(seqs, (1..=10).chain(201..=300).collect::<Vec<_>>());
    store.close().await;
}

#[tokio::test]
async fn ids_within_the_window_are_there_after_a_restart() {
    let directory = Directory::new();
    let store = open(&directory);
    let topic = store.load(&name("T")).await.unwrap().id;
    let now = clock::now();
    let old = now - 2 * 60 * 1000;
    for (seq, time) in [(1, old), (2, old), (3, now - 1000), (4, now), (5, now)] {
        let batch = RecordBatch {
            entries: vec![entry(seq, 1, time)],
            ids: if seq == 4 {
                vec![]
            } else {
                vec![id(seq, time)]
            },
        };
        store.append(topic, batch).await.unwrap();
    }
    let expected = [id(3, now - 1000), id(5, now)];
    assert_eq!(store.ids(&name("T")).await, expected);
    store.close().await;
    let store = open(&directory);
    assert_eq!(store.ids(&name("T")).await, expected);
    store.close().await;
}

#[tokio::test]
async fn the_first_message_since_a_time_is_found() {
    let directory = Directory::new();
    let store = open(&directory);
    let topic = store.load(&name("T")).await.unwrap().id;
    assert_eq!(store.first_since(topic, 0).await.unwrap(), 1);
    let mut first = 1;
    // Two entries a record, times 10, 15, 20, 25, …; records of different sizes.
    for n in 0..40_u64 {
        let count = 1 + u32::try_from(n % 7).unwrap();
        let entries = vec![
            entry(first, count, 10 + n * 10),
            entry(first + u64::from(count), 2, 15 + n * 10),
        ];
        let ids = Vec::new();
        store
            .append(topic, RecordBatch { entries, ids })
            .await
            .unwrap();
        first += u64::from(count) + 2;
    }
    let all = store.read(topic, 1, usize::MAX).await.unwrap();
    for time in 0..420 {
        let expected = all.iter().find(|entry| entry.time >= time);
        let expected = expected.map_or(first, |entry| entry.first);
        let found = store.first_since(topic, time).await.unwrap();
        assert_eq!(found, expected, "since {time}");
    }
    store.close().await;
}

#[tokio::test]
async fn a_large_batch_is_read_in_pieces() {
    let directory = Directory::new();
    let store = open(&directory);
    let topic = store.load(&name("T")).await.unwrap().id;
    let large = Bytes::from(vec![b'x'; 700_000]);
    let mut line = entry(40_002, 1, 2);
    line.lines = large;
    let entries = vec![entry(1, 40_000, 1), entry(40_001, 1, 2), line.clone()];
    let lines: Vec<u8> = entries
        .iter()
        .flat_map(|entry| entry.lines.to_vec())
        .collect();
    let ids = Vec::new();
    store
        .append(topic, RecordBatch { entries, ids })
        .await
        .unwrap();
    let all = store.read(topic, 1, usize::MAX).await.unwrap();
    assert_eq!(seqs(&all), (1..=40_002).collect::<Vec<_>>());
    let read: Vec<u8> = all.iter().flat_map(|entry| entry.lines.to_vec()).collect();
    assert_eq!(read, lines);
    let piece = store.read(topic, 20_000, 1).await.unwrap();
    assert_eq!(piece.len(), 1);
    assert!(piece[0].lines.len() <= 256 * 1024);
    assert!(seqs(&piece).contains(&20_000));
    assert_eq!(store.read(topic, 40_002, 1).await.unwrap(), [line]);
    store.close().await;
}

#[tokio::test]
async fn the_catalogue_lists_topics_in_the_order_of_their_names() {
    let directory = Directory::new();
    let store = open(&directory);
    for (topic, messages) in [("b", 3), ("c", 0), ("a", 1)] {
        let topic = store.load(&name(topic)).await.unwrap().id;
        if messages > 0 {
            store.append(topic, batch(1, messages)).await.unwrap();
        }
    }
    let expected = [(name("a"), 1), (name("b"), 3), (name("c"), 0)];
    assert_eq!(store.topics(10).await.unwrap(), expected);
    store.close().await;
    let store = open(&directory);
    assert_eq!(store.topics(2).await.unwrap(), expected[..2]);
    store.close().await;
}

#[tokio::test]
async fn a_second_server_on_the_directory_is_told_so() {
    let directory = Directory::new();
    let store = open(&directory);
    let error = Store::open(directory.path(), KEEP, WINDOW, TIMEOUT)
        .err()
        .unwrap();
    assert!(matches!(error, OpenError::InUse(_)), "{error}");
    assert!(error.to_string().contains("another topicserver"));
    store.close().await;
    let store = open(&directory);
    store.close().await;
}

#[tokio::test]
async fn a_closed_store_says_so() {
    let directory = Directory::new();
    let store = open(&directory);
    let topic = store.load(&name("T")).await.unwrap().id;
    store.close().await;
    store.close().await;
    let closed = StoreError::Closed;
    assert_eq!(store.append(topic, batch(1, 1)).await.unwrap_err(), closed);
    assert_eq!(store.read(topic, 1, 1).await.unwrap_err(), closed);
    assert_eq!(store.load(&name("T")).await.unwrap_err(), closed);
    assert_eq!(store.topics(1).await.unwrap_err(), closed);
}
