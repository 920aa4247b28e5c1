//! What is too much is deleted, and with it its ids; what isn't stays.

use std::sync::atomic::Ordering;

use super::*;
use crate::store::reader::Reader;
use crate::store::writer::Writer;
use crate::store::{Loaded, TopicId};

const NOTHING: Retention = KEEP;

async fn open_with(directory: &Directory, retention: Retention) -> (Store, Loaded) {
    let store = Store::open(directory.path(), retention, WINDOW).unwrap();
    let loaded = store.load(&name("T")).await.unwrap();
    (store, loaded)
}

/// Waits until everything that is asked for and the trims after it are done:
/// the writer trims one step after each request, so some requests will do.
async fn settle(store: &Store) {
    for _ in 0..20 {
        store.load(&name("T")).await.unwrap();
    }
}

async fn stored(store: &Store, topic: TopicId) -> Vec<u64> {
    seqs(&store.read(topic, 0, usize::MAX).await.unwrap())
}

fn first(loaded: &Loaded) -> u64 {
    loaded.first.load(Ordering::Acquire)
}

fn with_ids(seq: u64, time: u64) -> Batch {
    Batch {
        entries: vec![entry(seq, 1, time)],
        ids: vec![id(seq, time)],
    }
}

#[tokio::test]
async fn too_many_messages() {
    let directory = Directory::new();
    let limit = Retention {
        messages: 80,
        ..NOTHING
    };
    let (store, topic) = open_with(&directory, limit).await;
    let now = topic::now();
    for seq in 1..=90 {
        store.append(topic.id, with_ids(seq, now)).await.unwrap();
    }
    settle(&store).await;
    assert_eq!(first(&topic), 1, "a little more is allowed");
    store.append(topic.id, with_ids(91, now)).await.unwrap();
    settle(&store).await;
    assert_eq!(first(&topic), 12);
    assert_eq!(
        stored(&store, topic.id).await,
        (12..=91).collect::<Vec<_>>()
    );
    let ids = store.ids(&name("T")).await;
    assert_eq!(
        ids.iter().map(|id| id.seq).collect::<Vec<_>>(),
        (12..=91).collect::<Vec<_>>()
    );
    store.close().await;

    let (store, topic) = open_with(&directory, limit).await;
    assert_eq!((first(&topic), topic.next), (12, 92));
    assert_eq!(store.ids(&name("T")).await, ids);
    store.close().await;
}

#[tokio::test]
async fn whole_records_are_deleted_and_never_too_many() {
    let directory = Directory::new();
    let limit = Retention {
        messages: 10,
        ..NOTHING
    };
    let (store, topic) = open_with(&directory, limit).await;
    for n in 0..7 {
        store.append(topic.id, batch(1 + n * 4, 4)).await.unwrap();
        settle(&store).await;
        let kept = 1 + (n + 1) * 4 - first(&topic);
        assert!(kept >= 10.min((n + 1) * 4), "{kept} after {n}");
        assert!(kept <= 13, "{kept} after {n}");
    }
    store.close().await;
}

#[tokio::test]
async fn too_many_bytes() {
    let directory = Directory::new();
    let limit = Retention {
        bytes: 10_000,
        ..NOTHING
    };
    let (store, topic) = open_with(&directory, limit).await;
    for n in 0..300 {
        store.append(topic.id, batch(1 + n, 1)).await.unwrap();
    }
    settle(&store).await;
    let kept = topic_len(&store, topic.id).await;
    assert!((100..=150).contains(&kept), "{kept} of 75 bytes");
    assert_eq!(first(&topic), 301 - kept);
    // The newest record stays, though it alone is too large.
    store.append(topic.id, batch(301, 1000)).await.unwrap();
    settle(&store).await;
    assert_eq!(first(&topic), 301);
    assert_eq!(topic_len(&store, topic.id).await, 1000);
    store.close().await;
}

async fn topic_len(store: &Store, topic: TopicId) -> u64 {
    stored(store, topic).await.len() as u64
}

#[tokio::test]
async fn too_old_messages() {
    let directory = Directory::new();
    let age = Duration::from_secs(1000);
    let limit = Retention { age, ..NOTHING };
    let (store, topic) = open_with(&directory, limit).await;
    let now = topic::now();
    for seq in 1..=10 {
        let time = now - 2_000_000 + seq * 150_000;
        store
            .append(topic.id, batch_at(seq, 1, time))
            .await
            .unwrap();
    }
    settle(&store).await;
    assert_eq!(stored(&store, topic.id).await, [7, 8, 9, 10]);
    assert_eq!(first(&topic), 7);
    store.close().await;
}

#[tokio::test]
async fn an_empty_topic_goes_on_where_it_was() {
    let directory = Directory::new();
    let limit = Retention {
        age: Duration::from_secs(1),
        ..NOTHING
    };
    let (store, topic) = open_with(&directory, limit).await;
    for seq in 1..=5 {
        store
            .append(topic.id, with_ids(seq, 1000 + seq))
            .await
            .unwrap();
    }
    settle(&store).await;
    assert_eq!((first(&topic), topic_len(&store, topic.id).await), (6, 0));
    assert_eq!(store.first_since(topic.id, 0).await.unwrap(), 6);
    store.close().await;
    let (store, again) = open_with(&directory, limit).await;
    assert_eq!((first(&again), again.next), (6, 6));
    assert_eq!(again.epoch, topic.epoch);
    assert!(store.ids(&name("T")).await.is_empty());
    store.append(again.id, batch(6, 1)).await.unwrap();
    assert_eq!(stored(&store, again.id).await, [6]);
    assert_eq!(first(&again), 6);
    store.close().await;
}

#[tokio::test]
async fn more_than_a_step_is_deleted_step_by_step() {
    let directory = Directory::new();
    let (store, topic) = open_with(&directory, NOTHING).await;
    append_all(
        &store,
        topic.id,
        (1..=5000).map(|seq| with_ids(seq, topic::now())),
    )
    .await;
    store.close().await;
    let (store, topic) = open_with(
        &directory,
        Retention {
            messages: 10,
            ..NOTHING
        },
    )
    .await;
    store.append(topic.id, batch(5001, 1)).await.unwrap();
    settle(&store).await;
    assert_eq!(
        stored(&store, topic.id).await,
        (4992..=5001).collect::<Vec<_>>()
    );
    store.close().await;
}

#[tokio::test]
async fn a_sweep_finds_idle_topics_and_forgets_those_that_nobody_uses() {
    let directory = Directory::new();
    let store = open(&directory);
    let mut ids = Vec::new();
    for n in 0..200 {
        let topic = store.load(&name(&format!("{n}"))).await.unwrap().id;
        store.append(topic, batch_at(1, 1, 1000)).await.unwrap();
        store.append(topic, batch(2, 1)).await.unwrap();
        ids.push(topic);
    }
    store.close().await;
    let limit = Retention {
        age: Duration::from_secs(10),
        ..NOTHING
    };
    let (mut writer, _) = Writer::open(directory.path(), limit).unwrap();
    let sweep = |writer: &mut Writer| {
        writer.sweep.begin();
        for _ in 0..500 {
            writer.do_chores();
        }
    };
    sweep(&mut writer);
    assert!(writer.trims.is_empty());
    assert_eq!(writer.topics.len(), 200);
    let reader = Reader::new(writer.shared());
    for &topic in &ids {
        assert_eq!(seqs(&reader.read(topic, 1, 1000).unwrap()), [2]);
    }
    let used = writer.topics[&ids[7]].bounds.first.clone();
    sweep(&mut writer);
    assert_eq!(writer.topics.keys().collect::<Vec<_>>(), [&ids[7]]);
    assert_eq!(used.load(Ordering::Acquire), 2);
    assert_eq!(seqs(&reader.read(ids[8], 1, 1000).unwrap()), [2]);
}
