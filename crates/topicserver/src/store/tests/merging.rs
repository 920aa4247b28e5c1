//! Merging is nobody's wait: while tables are merged, messages are stored and read.

// The lock that stalls the database's threads is held over awaits: that is the test.
#![expect(clippy::await_holding_lock)]

use super::stalls::{SMALL, load_two, open_small, stored};
use super::*;

/// Records of [`batch`]es of 1000 that fill a table in memory.
const RECORDS_PER_TABLE: u64 = SMALL / 30_000 + 1;

/// Appends to both topics until so many tables have been filled. Returns the next message's
/// number.
async fn fill_tables(store: &Store, topics: [TopicId; 2], tables: u64, first: u64) -> u64 {
    let records = tables * RECORDS_PER_TABLE / 2;
    for record in 0..records {
        for topic in topics {
            let appended = store.append(topic, batch(first + record * 1000, 1000));
            assert_eq!(appended.await, Ok(()), "record {record} of {records}");
        }
    }
    first + records * 1000
}

/// A merge begins at 12 tables, and 3 may wait to be written: if they waited for the merge,
/// nothing could be stored after 15.
#[tokio::test]
async fn while_a_merge_takes_its_time_messages_are_stored() {
    let directory = Directory::new();
    let (store, floors) = open_small(&directory, TIMEOUT / 2, TIMEOUT);
    let topics = load_two(&store).await;
    let stall = floors.stall();
    let next = fill_tables(&store, topics, 22, 1).await;
    drop(stall);
    for topic in topics {
        let expected: Vec<_> = (1..next).collect();
        assert_eq!(stored(&store, topic).await, expected);
    }
    store.close().await;
}

/// The database deletes them with the next table that it writes, which may never come.
#[tokio::test]
async fn files_that_a_merge_has_replaced_go_when_nothing_more_is_written() {
    let directory = Directory::new();
    let (store, _) = open_small(&directory, TIMEOUT, TIMEOUT);
    let topics = load_two(&store).await;
    let of_tables =
        |is: fn(&Tables) -> bool| store.reader.shared.tables.read().as_ref().is_ok_and(is);
    let mut next = 1;
    // Tables are larger, and fewer, if the thread that writes them is late.
    while !of_tables(Tables::has_tables_to_merge) {
        next = fill_tables(&store, topics, 4, next).await;
    }
    next = fill_tables(&store, topics, 1, next).await;
    tokio::time::timeout(TIMEOUT, async {
        while of_tables(|tables| tables.has_tables_to_merge() || tables.has_replaced_files()) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
    .expect("files that nobody needs stay");
    let expected: Vec<_> = (1..next).collect();
    assert_eq!(stored(&store, topics[0]).await, expected);
    store.close().await;
}
