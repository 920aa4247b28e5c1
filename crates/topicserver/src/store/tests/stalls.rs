//! Nobody waits for ever for the database, whatever has become of its threads.

// The lock that stalls the database's threads is held over awaits: that is the test.
#![expect(clippy::await_holding_lock)]

use super::*;
use crate::store::floors::Floors;

/// How long the writer waits for the database's threads.
const SHORT: Duration = Duration::from_millis(100);

/// Bytes of a table in memory, so few that there is soon something to merge.
pub(super) const SMALL: u64 = 512 * 1024;

/// A store with small tables in memory, and what its threads look at when they merge.
pub(super) fn open_small(
    directory: &Directory,
    writer: Duration,
    timeout: Duration,
) -> (Store, Floors) {
    let settings = DatabaseSettings {
        memtable: SMALL,
        ..DatabaseSettings::new(writer)
    };
    let floors = settings.floors.clone();
    let store = Store::open_with(
        directory.path(),
        KEEP,
        WINDOW,
        timeout,
        &Clock::for_tests(),
        settings,
    )
    .unwrap();
    (store, floors)
}

/// Two topics: of one alone, tables never overlap, and there is nothing to merge.
pub(super) async fn load_two(store: &Store) -> [TopicId; 2] {
    let load = |topic| async move { store.load(&name(topic)).await.unwrap().id };
    [load("T").await, load("U").await]
}

/// Appends messages to both topics until that fails: to which topic, and why. `next` are the
/// topics' first messages that aren't stored.
async fn append_until_it_fails(
    store: &Store,
    topics: [TopicId; 2],
    next: &mut [u64; 2],
) -> (usize, StoreError) {
    for index in [0, 1].into_iter().cycle() {
        if let Err(error) = store.append(topics[index], batch(next[index], 1000)).await {
            return (index, error);
        }
        next[index] += 1000;
    }
    unreachable!("it never fails")
}

pub(super) async fn stored(store: &Store, topic: TopicId) -> Vec<u64> {
    seqs(&store.read(topic, 1, usize::MAX).await.unwrap())
}

#[tokio::test]
async fn when_the_databases_threads_stall_publishers_are_told_and_nothing_is_lost() {
    let directory = Directory::new();
    let (store, floors) = open_small(&directory, SHORT, TIMEOUT);
    let topics = load_two(&store).await;
    let stall = floors.stall();
    let mut next = [1; 2];
    let (topic, next) = loop {
        let (index, error) = append_until_it_fails(&store, topics, &mut next).await;
        assert_eq!(error, StoreError::Busy);
        let again = store.append(topics[index], batch(next[index], 1000)).await;
        match again {
            Err(error) => {
                assert_eq!(error, StoreError::Busy);
                break (topics[index], next[index]);
            }
            // On a busy machine the thread may only have been late, and not stalled yet.
            Ok(()) => next[index] += 1000,
        }
    };
    drop(stall);
    // As soon as they get on, it goes on where it was.
    while store.append(topic, batch(next, 1000)).await == Err(StoreError::Busy) {}
    let expected: Vec<_> = (1..next + 1000).collect();
    assert_eq!(stored(&store, topic).await, expected);
    store.close().await;
}

#[tokio::test]
async fn after_a_timeout_a_topic_learns_what_was_stored() {
    let directory = Directory::new();
    let (store, floors) = open_small(&directory, TIMEOUT, 20 * SHORT);
    let topics = load_two(&store).await;
    let stall = floors.stall();
    let mut next = [1; 2];
    let (index, error) = append_until_it_fails(&store, topics, &mut next).await;
    assert_eq!(error, StoreError::InDoubt);
    let (topic, next, name) = (topics[index], next[index], name(["T", "U"][index]));
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

/// The database reads its journal into one table in memory, however large that gets, and has
/// nothing to do with it until more is written.
#[tokio::test]
async fn a_table_that_is_too_large_after_a_crash_is_written_and_not_waited_for() {
    let directory = Directory::new();
    let store = open(&directory);
    let topics = load_two(&store).await;
    let batches = (1..10 * SMALL / 30)
        .step_by(1000)
        .map(|next| batch(next, 1000));
    append_all(&store, topics[0], batches).await;
    let next = store.load(&name("T")).await.unwrap().next;
    let crashed = directory.copy();
    store.close().await;

    let (store, _) = open_small(&crashed, TIMEOUT, TIMEOUT);
    let again = store.load(&name("T")).await.unwrap();
    assert_eq!(again.next, next);
    let appended = store.append(again.id, batch(next, 1000));
    let appended = tokio::time::timeout(TIMEOUT / 2, appended).await;
    assert_eq!(appended, Ok(Ok(())), "without a stall");
    let expected: Vec<_> = (1..next + 1000).collect();
    assert_eq!(stored(&store, again.id).await, expected);
    store.close().await;
}
