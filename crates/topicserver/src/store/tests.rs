//! Tests of the store as a whole, and what they share.

mod basics;
mod damage;
mod disk;
mod kill;
mod records;
mod retention;
mod speed;
mod stalls;
mod times;
mod tools;

use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::oneshot;
use wire::TopicName;

use super::database::DatabaseSettings;
use super::{Loaded, RecordBatch, Retention, Store, StoreError, TopicId};
use crate::clock::Clock;
use crate::history::entry::{Entry, RememberedId};

/// Keeps everything.
const KEEP: Retention = Retention {
    age: Duration::MAX,
    messages: u64::MAX,
    bytes: u64::MAX,
};

/// For how long ids are remembered.
const WINDOW: Duration = Duration::from_secs(60);

/// How long anything may take.
const TIMEOUT: Duration = Duration::from_secs(60);

/// What time it is.
fn now() -> u64 {
    Clock::for_tests().read().index
}

/// A directory of a test's own, which goes with it.
pub(crate) struct Directory(PathBuf);

impl Directory {
    pub(crate) fn new() -> Self {
        let name = format!("natter-store-{:016x}", getrandom::u64().unwrap());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    /// Another one with the same in it.
    fn copy(&self) -> Self {
        let copy = Self::new();
        let mut cp = std::process::Command::new("cp");
        let status = cp.arg("-rT").args([self.path(), copy.path()]).status();
        assert!(status.unwrap().success());
        copy
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Store {
    /// A topic, which is made if it isn't there.
    async fn load(&self, name: &TopicName) -> Result<Loaded, StoreError> {
        let epoch = getrandom::u64().unwrap();
        self.load_or_make(name, epoch).await
    }

    /// The ids that are remembered of a topic, in the order of their messages.
    async fn ids(&self, name: &TopicName) -> Vec<RememberedId> {
        let loaded = self.load(name).await.unwrap();
        self.remembered_ids(loaded.id, loaded.time, 1_000)
            .await
            .unwrap()
            .list()
    }
}

fn open(directory: &Directory) -> Store {
    Store::open(directory.path(), KEEP, WINDOW, TIMEOUT, &Clock::for_tests()).unwrap()
}

fn name(name: &str) -> TopicName {
    TopicName::new(name).unwrap()
}

/// One entry with so many lines of 30 bytes.
fn entry(first: u64, count: u32, time: u64) -> Entry {
    let lines: String = (first..first + u64::from(count))
        .map(|seq| format!("{{\"message\":{{\"text\":{seq:07}}}}}\n"))
        .collect();
    Entry {
        first,
        count,
        time,
        publisher: 7,
        lines: Bytes::from(lines),
    }
}

/// A batch of one entry, of now.
fn batch(first: u64, count: u32) -> RecordBatch {
    batch_at(first, count, now())
}

fn batch_at(first: u64, count: u32, time: u64) -> RecordBatch {
    RecordBatch {
        entries: vec![entry(first, count, time)],
        ids: Vec::new(),
    }
}

fn id(seq: u64, time: u64) -> RememberedId {
    RememberedId {
        origin: 1,
        id: 1000 + seq,
        seq,
        time,
    }
}

/// Appends batches in their order, without waiting for each.
async fn append_all(store: &Store, topic: TopicId, batches: impl Iterator<Item = RecordBatch>) {
    let mut waiting = Vec::new();
    for batch in batches {
        let (done, stored) = oneshot::channel();
        store.queue.append(topic, batch, done).await.unwrap();
        waiting.push(stored);
    }
    for stored in waiting {
        stored.await.unwrap().unwrap();
    }
}

/// The sequence numbers of all messages in these entries.
fn seqs(entries: &[Entry]) -> Vec<u64> {
    let seqs = |entry: &Entry| entry.first..entry.first + u64::from(entry.count);
    entries.iter().flat_map(seqs).collect()
}
