//! What waits for the writer: bounded in bytes.

use std::sync::Arc;
use std::sync::mpsc::Sender;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use wire::TopicName;

use crate::store::{Batch, Loaded, StoreError, TopicId};

/// KiB that may wait: some hundred milliseconds of a disk's work. Who has more
/// waits until there is room.
const MAX_KIB: u32 = 64 * 1024;

/// Something to do for the writer.
pub(crate) enum Request {
    /// Store a batch.
    Append {
        topic: TopicId,
        batch: Batch,
        done: oneshot::Sender<Result<(), StoreError>>,
        /// Its room in the queue.
        _room: OwnedSemaphorePermit,
    },
    /// Say what is known of a topic.
    Load {
        name: TopicName,
        /// Of the topic if it is new.
        epoch: u64,
        done: oneshot::Sender<Result<Loaded, StoreError>>,
    },
    /// End.
    Close(oneshot::Sender<()>),
}

/// The way to the writer. Cloning shares it.
#[derive(Clone)]
pub(crate) struct Queue {
    requests: Sender<Request>,
    room: Arc<Semaphore>,
}

impl Queue {
    pub(crate) fn new(requests: Sender<Request>) -> Self {
        let room = Arc::new(Semaphore::new(MAX_KIB as usize));
        Self { requests, room }
    }

    /// Puts a batch in, when there is room for it.
    pub(crate) async fn append(
        &self,
        topic: TopicId,
        batch: Batch,
        done: oneshot::Sender<Result<(), StoreError>>,
    ) -> Result<(), StoreError> {
        let kib = kib(&batch);
        let room = self.room.clone().acquire_many_owned(kib).await;
        let room = room.map_err(|_| StoreError::Closed)?;
        self.put(Request::Append {
            topic,
            batch,
            done,
            _room: room,
        })
    }

    /// Puts in the question for a topic.
    pub(crate) fn load(
        &self,
        name: TopicName,
        epoch: u64,
        done: oneshot::Sender<Result<Loaded, StoreError>>,
    ) -> Result<(), StoreError> {
        self.put(Request::Load { name, epoch, done })
    }

    /// Puts in that it is over.
    pub(crate) fn close(&self, done: oneshot::Sender<()>) -> Result<(), StoreError> {
        self.put(Request::Close(done))
    }

    fn put(&self, request: Request) -> Result<(), StoreError> {
        self.requests.send(request).map_err(|_| StoreError::Closed)
    }
}

/// What a batch counts; one that is larger than the queue gets all of it.
fn kib(batch: &Batch) -> u32 {
    let kib = 1 + bytes(batch) / 1024;
    u32::try_from(kib).unwrap_or(u32::MAX).min(MAX_KIB)
}

/// The bytes of a batch's lines, about what it takes on disk.
pub(crate) fn bytes(batch: &Batch) -> usize {
    batch.entries.iter().map(|entry| entry.lines.len()).sum()
}
