use std::future::Future;
use std::pin::pin;
use std::task::{Context, Waker};

use bytes::Bytes;

use super::*;
use crate::history::entry::Entry;

/// Long enough for the slowest machine.
const LONG: Duration = Duration::from_secs(600);

fn batch(bytes: usize) -> RecordBatch {
    let entry = Entry {
        first: 1,
        count: 1,
        time: 0,
        publisher: 0,
        lines: Bytes::from(vec![b'x'; bytes]),
    };
    RecordBatch {
        entries: vec![entry],
        ids: Vec::new(),
    }
}

async fn append(queue: &Queue, bytes: usize) {
    let (done, _) = oneshot::channel();
    queue.append(TopicId(1), batch(bytes), done).await.unwrap();
}

/// Begins an append, which has put its request in when this returns.
fn begin(queue: &Queue, bytes: usize) -> impl Future<Output = ()> {
    let mut append = Box::pin(append(queue, bytes));
    let _ = append
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()));
    append
}

/// A writer that takes one group and returns its length. It waits when this returns.
fn writer(waiting: Waiting) -> std::thread::JoinHandle<usize> {
    let shared = waiting.0.clone();
    let writer = std::thread::spawn(move || waiting.take(LONG).unwrap().len());
    while !shared.state.lock().is_idle {
        std::thread::yield_now();
    }
    writer
}

#[tokio::test]
async fn what_comes_in_one_turn_is_one_group() {
    let (queue, waiting) = queue();
    let writer = writer(waiting);
    tokio::join!(append(&queue, 1), append(&queue, 1), append(&queue, 1));
    assert_eq!(writer.join().unwrap(), 3);
}

#[tokio::test]
async fn the_writer_is_woken_even_if_its_caller_has_gone() {
    let (queue, waiting) = queue();
    let writer = writer(waiting);
    drop(begin(&queue, 1));
    assert_eq!(writer.join().unwrap(), 1);
}

#[test]
fn a_group_that_is_worth_a_flush_is_written_at_once() {
    for (count, bytes) in [(MIN_GROUP, 1), (1, MIN_GROUP_KIB as usize * 1024)] {
        let (queue, waiting) = queue();
        let _deferred = waiting.defer_wake();
        let appends: Vec<_> = (0..count).map(|_| begin(&queue, bytes)).collect();
        assert!(waiting.0.state.lock().is_due, "{count} of {bytes} bytes");
        assert_eq!(waiting.take(LONG).unwrap().len(), count);
        drop(appends);
    }
}

#[test]
fn a_load_is_served_at_once() {
    let (queue, waiting) = queue();
    let _deferred = waiting.defer_wake();
    let (done, _) = oneshot::channel();
    queue.load(TopicName::new("T").unwrap(), 1, done).unwrap();
    assert!(waiting.0.state.lock().is_due);
    assert_eq!(waiting.take(LONG).unwrap().len(), 1);
}

#[test]
fn a_deferred_wake_that_is_late_delays_a_group_only_a_little() {
    let (queue, waiting) = queue();
    let _deferred = waiting.defer_wake();
    let append = begin(&queue, 1);
    assert_eq!(waiting.take(LONG).unwrap().len(), 1);
    assert!(waiting.take(Duration::ZERO).unwrap().is_empty());
    drop(append);
}

#[test]
fn a_group_is_bounded_and_the_rest_is_the_next() {
    let (queue, waiting) = queue();
    let half = MAX_GROUP_KIB as usize * 1024 / 2;
    let appends: Vec<_> = (0..3).map(|_| begin(&queue, half)).collect();
    assert_eq!(waiting.take(LONG).unwrap().len(), 2);
    assert_eq!(waiting.take(LONG).unwrap().len(), 1);
    drop(appends);
}

#[test]
fn what_finds_no_room_waits_until_a_group_is_done() {
    let (queue, waiting) = queue();
    let all = MAX_KIB as usize * 1024;
    let first = begin(&queue, all);
    let mut second = pin!(append(&queue, 1));
    let cx = &mut Context::from_waker(Waker::noop());
    assert!(second.as_mut().poll(cx).is_pending());
    let group = waiting.take(LONG).unwrap();
    assert_eq!(group.len(), 1);
    waiting.give_back(kib_of(&group));
    let _ = second.as_mut().poll(cx);
    assert_eq!(waiting.take(LONG).unwrap().len(), 1);
    drop(first);
}

#[test]
fn each_end_learns_that_the_other_is_gone() {
    let (one, waiting) = queue();
    drop(one);
    assert!(waiting.take(LONG).is_err());
    let (other, waiting) = queue();
    drop(waiting);
    let (done, _) = oneshot::channel();
    assert_eq!(other.close(done), Err(StoreError::Closed));
}
