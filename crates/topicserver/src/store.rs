//! The history on disk: published messages, kept over restarts.
//!
//! One thread writes for all topics: it writes everything that waits together and
//! flushes once (group commit). Reads run on threads that may block. No other code
//! touches the directory, and no method blocks a thread of the runtime.
//!
//! Only a damaged disk can lose acknowledged messages. Then the server reports the
//! loss: a topic whose end is missing starts a new epoch.

mod ages;
mod catalogue;
mod database;
mod directory;
mod error;
mod floors;
mod high_water_marks;
mod journal;
mod merger;
mod preallocator;
mod reader;
mod record;
mod shared;
#[cfg(test)]
mod tests;
mod timeline;
mod tools;
mod topic;
mod types;
mod writer;

pub(crate) use directory::Directory;
pub use error::{Damaged, DatabaseError, OpenError, SharedError, StoreError};
pub(crate) use tools::{End, Ids, Look, Step, Walk, compact, forget, import, look};
pub use tools::{ImportError, LineError, ToolError};
pub(crate) use types::{Loaded, RecordBatch, Retention, TopicId};

use std::path::Path;
use std::time::Duration;

use tokio::sync::oneshot;
use wire::{ErrorCode, TopicName};

use crate::clock::Clock;
use crate::history::dedup::{DedupWindow, IdLimits};
use crate::history::entry::Entry;
use database::DatabaseSettings;
use high_water_marks::HighWaterMarks;
use reader::Reader;
use writer::Writer;
use writer::queue::Queue;

/// The handle to the store. Clones share it.
#[derive(Clone)]
pub(crate) struct Store {
    secret: [u8; 16],
    queue: Queue,
    reader: Reader,
    /// For how long ids are remembered, in milliseconds.
    id_window: u64,
    /// How long a caller waits for an answer.
    timeout: Duration,
    clock: Clock,
}

impl Store {
    /// Opens the store in `directory`, which it creates if necessary, and starts the
    /// writer's thread. Blocks. The store remembers ids for `id_window`. Callers wait for
    /// an answer for at most `timeout`.
    pub(crate) fn open(
        directory: &Path,
        retention: Retention,
        id_window: Duration,
        timeout: Duration,
        clock: &Clock,
    ) -> Result<Self, OpenError> {
        // The writer gives up first, and says what was wrong.
        let settings = DatabaseSettings::new(timeout / 2);
        Self::open_with(directory, retention, id_window, timeout, clock, settings)
    }

    fn open_with(
        directory: &Path,
        retention: Retention,
        id_window: Duration,
        timeout: Duration,
        clock: &Clock,
        settings: DatabaseSettings,
    ) -> Result<Self, OpenError> {
        let (writer, secret) = Writer::open(directory, retention, clock.clone(), settings)?;
        let reader = Reader::new(writer.shared());
        let queue = writer.start().map_err(|source| OpenError::Unusable {
            path: directory.to_owned(),
            source,
        })?;
        Ok(Self {
            secret,
            queue,
            reader,
            id_window: topic::milliseconds(id_window),
            timeout,
            clock: clock.clone(),
        })
    }

    /// 16 random bytes that were made with the directory and stay the same.
    pub(crate) fn secret(&self) -> [u8; 16] {
        self.secret
    }

    /// Why nothing can be stored now; `None` if it can.
    pub(crate) fn trouble(&self) -> Option<ErrorCode> {
        self.reader.trouble()
    }

    /// Bytes of the history's files; `None` while the database can't be used.
    pub(crate) fn space(&self) -> Option<u64> {
        self.reader.space()
    }

    /// Keeps this much of each topic from now on.
    pub(crate) fn keep(&self, retention: Retention) {
        self.reader.set_limits(retention);
        // The writer looks at the limits after each request. If it has ended, nothing is deleted.
        let (done, _) = oneshot::channel();
        let _ = self.queue.ping(done);
    }

    /// Resolves when the writer has come to this.
    pub(crate) async fn ping(&self) -> Result<(), StoreError> {
        let (done, answer) = oneshot::channel();
        self.queue.ping(done)?;
        answer.await.map_err(|_| StoreError::Closed)
    }

    /// Loads a topic. Creates it with this epoch if it does not exist.
    pub(crate) async fn load_or_make(
        &self,
        name: &TopicName,
        epoch: u64,
    ) -> Result<Loaded, StoreError> {
        let (done, loaded) = oneshot::channel();
        self.queue.load(name.clone(), epoch, done)?;
        self.in_time(loaded)
            .await?
            .map_err(|_| StoreError::Closed)?
    }

    /// The ids of a topic's messages within the window: the newest `max_ids` of each
    /// publisher's, as far as they are among the records that are read for them. `newest`
    /// is the time of the topic's newest message, in milliseconds.
    pub(crate) async fn remembered_ids(
        &self,
        id: TopicId,
        newest: u64,
        max_ids: usize,
    ) -> Result<DedupWindow, StoreError> {
        let limits = IdLimits {
            window: self.id_window,
            per_publisher: max_ids,
        };
        let now = self.clock.read();
        if newest < now.index.saturating_sub(self.id_window) {
            return Ok(DedupWindow::new(limits));
        }
        let read = Reader::remembered_ids;
        let read = move |reader: &Reader| read(reader, id, &now, limits);
        self.in_time(self.reader.run(read)).await?
    }

    /// Stores a batch, and resolves when it is durable. Sequence numbers follow
    /// [`Loaded::next`] without a hole. After an error nothing of the batch is
    /// stored, and the next one begins with the same sequence number; but after
    /// [`StoreError::InDoubt`] only [`load_or_make`](Self::load_or_make) tells what is
    /// stored. The batch is stored even if the caller stops waiting.
    pub(crate) async fn append(
        &self,
        topic: TopicId,
        batch: RecordBatch,
    ) -> Result<(), StoreError> {
        let (done, stored) = oneshot::channel();
        let append = async {
            self.queue.append(topic, batch, done).await?;
            stored.await.map_err(|_| StoreError::Closed)?
        };
        self.in_time(append).await?
    }

    /// Waits for an answer until the timeout, because a disk may never give one.
    async fn in_time<T>(&self, answer: impl Future<Output = T>) -> Result<T, StoreError> {
        let answer = tokio::time::timeout(self.timeout, answer).await;
        answer.map_err(|_| StoreError::InDoubt)
    }

    /// The entries from the one that holds `from` on, or from the next that
    /// exists: about `max_bytes` of them, and at least one if there is one.
    pub(crate) async fn read(
        &self,
        topic: TopicId,
        from: u64,
        max_bytes: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        let read = move |reader: &Reader| reader.read(topic, from, max_bytes);
        self.in_time(self.reader.run(read)).await?
    }

    /// Deletes what is too old in a topic, if there is anything; resolves when that is
    /// durable, so that it doesn't come back.
    pub(crate) async fn delete_too_old(&self, topic: TopicId) -> Result<(), StoreError> {
        if !self.reader.has_too_old(topic) {
            return Ok(());
        }
        let (done, deleted) = oneshot::channel();
        self.queue.trim(topic, done)?;
        self.in_time(deleted)
            .await?
            .map_err(|_| StoreError::Closed)?
    }

    /// Begins to look through the history, while the writer goes on.
    pub(crate) async fn look(&self, look: Look) -> Result<Walk, ToolError> {
        let begin = move |reader: &Reader| {
            // A copy of what they were: only of topics that aren't in memory they are needed.
            let shared = reader.shared();
            let marks = HighWaterMarks::open(&shared.marks)?;
            Ok::<_, StoreError>(look.walk(shared, marks, None))
        };
        self.in_time(self.reader.run(begin)).await??
    }

    /// Goes on with that.
    pub(crate) async fn step(&self, mut walk: Walk) -> Result<(Walk, Step), StoreError> {
        let step = move |_: &Reader| {
            let step = walk.step()?;
            Ok::<_, StoreError>((walk, step))
        };
        self.in_time(self.reader.run(step)).await?
    }

    /// Deletes all messages of a topic. Returns how many there were; `None` if there is no such
    /// topic.
    pub(crate) async fn forget(&self, name: TopicName) -> Result<Option<u64>, StoreError> {
        let (done, forgotten) = oneshot::channel();
        self.queue.forget(name, done)?;
        self.in_time(forgotten)
            .await?
            .map_err(|_| StoreError::Closed)?
    }

    /// The sequence number of the first message after all that came before `time`, or of the
    /// next one to come.
    pub(crate) async fn first_since(&self, topic: TopicId, time: u64) -> Result<u64, StoreError> {
        let find = move |reader: &Reader| reader.first_since(topic, time);
        self.in_time(self.reader.run(find)).await?
    }

    /// At most `limit` topics after a name, or from the first on, in the order of their
    /// names, with their newest sequence numbers.
    pub(crate) async fn topics(
        &self,
        after: Option<String>,
        limit: usize,
    ) -> Result<Vec<(TopicName, u64)>, StoreError> {
        let list = move |reader: &Reader| reader.topics(after.as_deref(), limit);
        self.in_time(self.reader.run(list)).await?
    }

    /// Flushes everything, ends the writer and releases the lock. Later requests get
    /// [`StoreError::Closed`].
    pub(crate) async fn close(&self) {
        let (done, closed) = oneshot::channel();
        if self.queue.close(done).is_ok() {
            // An error of the channel means that the writer has ended, as was asked.
            if self.in_time(closed).await.is_err() {
                tracing::warn!("the history isn't closed yet: the disk doesn't answer");
            }
        }
    }
}
