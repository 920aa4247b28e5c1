//! The writer's queue, bounded in bytes.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use tokio::sync::{Semaphore, oneshot};
use wire::TopicName;

use crate::store::error::StoreError;
use crate::store::types::{Loaded, RecordBatch, TopicId};

/// Maximum KiB that wait: some hundred milliseconds of a disk's work. Beyond it, callers
/// wait for room.
const MAX_KIB: u32 = 64 * 1024;

/// KiB at which a group is written, though more may wait: the first request should not
/// wait for much longer than a flush takes.
const MAX_GROUP_KIB: u32 = 8 * 1024;

/// The same, in requests.
const MAX_GROUP: usize = 4096;

/// Requests that are worth a flush. With fewer, the runtime's tasks run first and may add
/// more. Of 64 publishers, one flush then serves half and the next the other half; with
/// 48, all would wait for each other.
const MIN_GROUP: usize = 24;

/// The same in KiB: with this many, the flush is not most of the work.
const MIN_GROUP_KIB: u32 = 48;

/// How long the writer waits for that at most: what a slow flush takes.
const MAX_DELAY: Duration = Duration::from_millis(1);

/// A request to the writer.
pub(crate) enum Request {
    /// Store a batch.
    Append {
        topic: TopicId,
        batch: RecordBatch,
        done: oneshot::Sender<Result<(), StoreError>>,
        /// The KiB that it takes in the queue.
        kib: u32,
    },
    /// Load a topic.
    Load {
        name: TopicName,
        /// The epoch of the topic if it is new.
        epoch: u64,
        done: oneshot::Sender<Result<Loaded, StoreError>>,
    },
    /// Delete messages of a topic that are too old.
    Trim {
        topic: TopicId,
        done: oneshot::Sender<Result<(), StoreError>>,
    },
    /// Delete all messages of a topic. Answered with how many there were; `None` if there is no
    /// such topic.
    Forget {
        name: TopicName,
        done: oneshot::Sender<Result<Option<u64>, StoreError>>,
    },
    /// Say that the writer is there.
    Ping(oneshot::Sender<()>),
    /// Close the store.
    Close(oneshot::Sender<()>),
}

impl Request {
    fn kib(&self) -> u32 {
        match self {
            Self::Append { kib, .. } => *kib,
            Self::Load { .. }
            | Self::Trim { .. }
            | Self::Forget { .. }
            | Self::Ping(_)
            | Self::Close(_) => 0,
        }
    }

    fn is_urgent(&self) -> bool {
        !matches!(self, Self::Append { .. })
    }
}

/// The handle to the writer. Cloning shares it. Dropping the last one ends the writer.
#[derive(Clone)]
pub(crate) struct Queue(Arc<Sender>);

/// The writer's end of the queue. Dropping it ends the queue.
pub(crate) struct Waiting(Arc<Channel>);

struct Sender(Arc<Channel>);

struct Channel {
    state: Mutex<QueueState>,
    /// For the writer, when it sleeps.
    wake: Condvar,
    /// In KiB.
    permits: Semaphore,
}

#[derive(Default)]
struct QueueState {
    requests: Vec<Request>,
    /// The KiB that they take.
    kib: u32,
    /// The waiting requests are worth a flush, or one of them is urgent.
    is_due: bool,
    /// The writer has nothing to do.
    is_idle: bool,
    /// A caller is about to wake the writer.
    is_wake_deferred: bool,
    /// One end of the queue is gone.
    has_ended: bool,
}

impl QueueState {
    /// Whether no request waits.
    fn is_empty(&self) -> bool {
        self.requests.is_empty() && !self.is_wake_deferred && !self.is_due
    }

    fn is_worth_a_flush(&self) -> bool {
        self.requests.len() >= MIN_GROUP || self.kib >= MIN_GROUP_KIB
    }

    /// Whether the writer should wait for more requests.
    fn may_grow(&self) -> bool {
        self.is_wake_deferred && !self.is_due
    }
}

/// A queue's two ends.
pub(crate) fn queue() -> (Queue, Waiting) {
    let shared = Arc::new(Channel {
        state: Mutex::default(),
        wake: Condvar::new(),
        permits: Semaphore::new(MAX_KIB as usize),
    });
    (Queue(Arc::new(Sender(shared.clone()))), Waiting(shared))
}

impl Queue {
    /// Puts a batch in, when there is room for it.
    pub(crate) async fn append(
        &self,
        topic: TopicId,
        batch: RecordBatch,
        done: oneshot::Sender<Result<(), StoreError>>,
    ) -> Result<(), StoreError> {
        let kib = kib(&batch);
        let room = self.0.0.permits.acquire_many(kib).await;
        // The room is given back when the batch is stored.
        room.map_err(|_| StoreError::Closed)?.forget();
        let wake = self.put(Request::Append {
            topic,
            batch,
            done,
            kib,
        })?;
        if let Some(wake) = wake {
            wake.after_a_turn().await;
        }
        Ok(())
    }

    /// Puts in a request to load a topic.
    pub(crate) fn load(
        &self,
        name: TopicName,
        epoch: u64,
        done: oneshot::Sender<Result<Loaded, StoreError>>,
    ) -> Result<(), StoreError> {
        self.put(Request::Load { name, epoch, done }).map(drop)
    }

    /// Puts in the request to delete messages of a topic that are too old.
    pub(crate) fn trim(
        &self,
        topic: TopicId,
        done: oneshot::Sender<Result<(), StoreError>>,
    ) -> Result<(), StoreError> {
        self.put(Request::Trim { topic, done }).map(drop)
    }

    /// Puts in the request to delete all messages of a topic.
    pub(crate) fn forget(
        &self,
        name: TopicName,
        done: oneshot::Sender<Result<Option<u64>, StoreError>>,
    ) -> Result<(), StoreError> {
        self.put(Request::Forget { name, done }).map(drop)
    }

    /// Puts in the request for a sign of life.
    pub(crate) fn ping(&self, done: oneshot::Sender<()>) -> Result<(), StoreError> {
        self.put(Request::Ping(done)).map(drop)
    }

    /// Puts in the request to close.
    pub(crate) fn close(&self, done: oneshot::Sender<()>) -> Result<(), StoreError> {
        self.put(Request::Close(done)).map(drop)
    }

    /// Puts a request in. If the writer is idle, returns what wakes it.
    fn put(&self, request: Request) -> Result<Option<DeferredWake>, StoreError> {
        let shared = &self.0.0;
        let mut state = shared.state.lock();
        if state.has_ended {
            return Err(StoreError::Closed);
        }
        state.kib += request.kib();
        let is_urgent = request.is_urgent();
        state.requests.push(request);
        state.is_due |= is_urgent || state.is_worth_a_flush();
        if state.is_due {
            shared.wake.notify_one();
            return Ok(None);
        }
        let is_first = state.is_idle && !state.is_wake_deferred;
        state.is_wake_deferred |= is_first;
        Ok(is_first.then(|| DeferredWake(shared.clone())))
    }
}

/// Wakes the writer when it is dropped, also when its holder is cancelled.
pub(crate) struct DeferredWake(Arc<Channel>);

impl DeferredWake {
    /// Wakes the writer after one turn of the runtime.
    pub(crate) async fn after_a_turn(self) {
        tokio::task::yield_now().await;
    }
}

impl Drop for DeferredWake {
    fn drop(&mut self) {
        self.0.state.lock().is_wake_deferred = false;
        self.0.wake.notify_one();
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        (state.has_ended, state.is_due) = (true, true);
        self.0.wake.notify_one();
    }
}

impl Waiting {
    /// Takes a group of waiting requests. If there is none, waits for this long. An error
    /// means that no handle is left.
    pub(crate) fn take(&self, time: Duration) -> Result<Vec<Request>, StoreError> {
        let Channel { state, wake, .. } = &*self.0;
        let mut state = state.lock();
        state.is_idle = true;
        wake.wait_while_for(&mut state, |state| state.is_empty(), time);
        // The caller that is about to wake the writer may add more.
        wake.wait_while_for(&mut state, |state| state.may_grow(), MAX_DELAY);
        state.is_idle = false;
        state.is_wake_deferred = false;
        if state.requests.is_empty() && state.has_ended {
            return Err(StoreError::Closed);
        }
        let count = group_len(&state.requests);
        let group = state.requests.drain(..count).collect();
        state.kib = kib_of(&state.requests);
        state.is_due = state.has_ended || !state.requests.is_empty();
        Ok(group)
    }

    /// What wakes the writer, for a caller whose next step may add requests to the group.
    pub(crate) fn defer_wake(&self) -> DeferredWake {
        self.0.state.lock().is_wake_deferred = true;
        DeferredWake(self.0.clone())
    }

    /// Gives back the room of a group that is done.
    pub(crate) fn give_back(&self, kib: u32) {
        self.0.permits.add_permits(kib as usize);
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let requests = {
            let mut state = self.0.state.lock();
            state.has_ended = true;
            std::mem::take(&mut state.requests)
        };
        // Dropping a request's channel tells its caller that there is no answer.
        drop(requests);
        self.0.permits.close();
    }
}

/// The KiB that requests take in the queue.
pub(crate) fn kib_of(requests: &[Request]) -> u32 {
    requests.iter().map(Request::kib).sum()
}

/// How many of the requests make a group.
fn group_len(requests: &[Request]) -> usize {
    let mut kib = 0;
    let is_within = |request: &&Request| {
        let is_within = kib < MAX_GROUP_KIB;
        kib += request.kib();
        is_within
    };
    requests
        .iter()
        .take(MAX_GROUP)
        .take_while(is_within)
        .count()
}

/// The KiB that a batch takes in the queue, by the bytes of its lines: roughly its size on disk.
/// A batch larger than the queue takes all of it.
fn kib(batch: &RecordBatch) -> u32 {
    let bytes: usize = batch.entries.iter().map(|entry| entry.lines.len()).sum();
    let kib = 1 + bytes / 1024;
    u32::try_from(kib).unwrap_or(u32::MAX).min(MAX_KIB)
}

#[cfg(test)]
mod tests;
