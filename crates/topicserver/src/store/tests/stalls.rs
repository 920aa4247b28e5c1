//! Nobody waits for ever for the database, whatever has become of its threads.

// The lock that stalls the database's threads is held over awaits: that is the test.
#![expect(clippy::await_holding_lock)]

use super::*;
use crate::store::floors::Floors;

/// How long the writer waits for the database's threads.
const SHORT: Duration = Duration::from_millis(100);

/// A store whose tables in memory are so small that there is soon something to merge,
/// and what its threads look at when they merge.
fn open_small(directory: &Directory, writer: Duration, timeout: Duration) -> (Store, Floors) {
    let settings = DatabaseSettings {
        memtable: 512 * 1024,
        ..DatabaseSettings::new(writer)
    };
    let floors = settings.floors.clone();
    let store = Store::open_with(directory.path(), KEEP, WINDOW, timeout, settings).unwrap();
    (store, floors)
}

/// Two topics: of one alone, tables never overlap, and there is nothing to merge.
async fn load_two(store: &Store) -> [TopicId; 2] {
    let load = |topic| async move { store.load(&name(topic)).await.unwrap().id };
    [load("T").await, load("U").await]
}

/// Appends messages to both topics until that fails: which was the topic, its first
/// message that isn't stored, and why.
async fn append_until_it_fails(store: &Store, topics: [TopicId; 2]) -> (TopicId, u64, StoreError) {
    for next in (1..).step_by(1000) {
        for topic in topics {
            if let Err(error) = store.append(topic, batch(next, 1000)).await {
                return (topic, next, error);
            }
        }
    }
    unreachable!("it never fails")
}

async fn stored(store: &Store, topic: TopicId) -> Vec<u64> {
    seqs(&store.read(topic, 1, usize::MAX).await.unwrap())
}

#[tokio::test]
async fn when_the_databases_threads_stall_publishers_are_told_and_nothing_is_lost() {
    let directory = Directory::new();
    let (store, floors) = open_small(&directory, SHORT, TIMEOUT);
    let topics = load_two(&store).await;
    let stall = floors.stall();
    let (topic, next, error) = append_until_it_fails(&store, topics).await;
    assert_eq!(error, StoreError::Busy);
    let again = store.append(topic, batch(next, 1000)).await;
    assert_eq!(again, Err(StoreError::Busy));
    drop(stall);
    // As soon as they get on, it goes on where it was.
    while store.append(topic, batch(next, 1000)).await == Err(StoreError::Busy) {}
    let expected: Vec<_> = (1..next + 1000).collect();
    assert_eq!(stored(&store, topic).await, expected);
    store.close().await;
}

#[tokio::test]
async fn whoever_gets_no_answer_in_time_finds_out_afterwards_what_was_stored() {
    let directory = Directory::new();
    let (store, floors) = open_small(&directory, TIMEOUT, 20 * SHORT);
    let topics = load_two(&store).await;
    let stall = floors.stall();
    let (topic, next, error) = append_until_it_fails(&store, topics).await;
    assert_eq!(error, StoreError::InDoubt);
    let name = if topic == topics[0] {
        name("T")
    } else {
        name("U")
    };
    let unknown = store.load(&name).await.unwrap_err();
    assert_eq!(unknown, StoreError::InDoubt, "nobody knows yet");
    drop(stall);
    let known = loop {
        match store.load(&name).await {
            Err(StoreError::InDoubt) => {}
            known => break known.unwrap(),
        }
    };
    assert_eq!(known.next, next + 1000, "the writer had it");
    let expected: Vec<_> = (1..known.next).collect();
    assert_eq!(stored(&store, topic).await, expected);
    store.close().await;
}
