//! The limits of all queues of the server together, and of each.
//!
//! Three kinds of bytes wait: in outboxes what a socket did not take, in mailboxes what a
//! topic's task has not handled, and in the inputs of sessions frames that are incomplete or
//! not carried out yet. Bytes that are written or handled at once are not counted.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;

/// Mailboxes may hold this part of the total, and inputs the same part again. The remaining part
/// is always left for outboxes.
const PART: usize = 4;

/// A frame of this length may always arrive in pieces, so that clients with short frames don't
/// suffer from peers that send half a frame and stop. It is as much as two idle connections take.
const LEAST_INPUT: usize = 2 * 1024;

/// The limits of all queues, and what waits in them.
///
/// Bytes that are queued for several connections are counted for each, though they are in memory
/// once. So the count is never too small.
pub(crate) struct QueueLimits {
    most: Most,
    outboxes: Pool,
    mailboxes: Pool,
    inputs: Pool,
    /// Sessions that wait until mailboxes have room, by the data of their wakers.
    readers: Mutex<HashMap<usize, Waker>>,
}

/// How much may wait. A reload changes it, rarely; reading it is a plain load, without waiting.
struct Most {
    per_connection: AtomicUsize,
    per_topic: AtomicUsize,
    all: AtomicUsize,
}

/// The bytes in the queues of one kind.
#[derive(Default)]
struct Pool {
    bytes: AtomicUsize,
    /// The number of queues that aren't empty.
    holders: AtomicUsize,
}

/// The kind of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Outbox,
    Mailbox,
    Input,
}

impl QueueLimits {
    pub(crate) fn new(per_connection: usize, per_topic: usize, all: usize) -> Arc<Self> {
        Arc::new(Self {
            most: Most {
                per_connection: per_connection.into(),
                per_topic: per_topic.into(),
                all: all.into(),
            },
            outboxes: Pool::default(),
            mailboxes: Pool::default(),
            inputs: Pool::default(),
            readers: Mutex::default(),
        })
    }

    /// The limits of a single queue: all queues together have the same.
    pub(crate) fn of_one(limit: usize) -> Arc<Self> {
        Self::new(limit, limit, usize::MAX)
    }

    /// Changes the limits. What is beyond them already stays until it is taken.
    pub(crate) fn set(&self, per_connection: usize, per_topic: usize, all: usize) {
        self.most.per_connection.store(per_connection, Relaxed);
        self.most.per_topic.store(per_topic, Relaxed);
        self.most.all.store(all, Relaxed);
        // There may be room now.
        self.wake_readers();
    }

    /// Bytes that may wait for one connection.
    pub(crate) fn per_connection(&self) -> usize {
        self.most.per_connection.load(Relaxed)
    }

    /// Bytes that may wait for one topic's task before its publishers are slowed.
    fn per_topic(&self) -> usize {
        self.most.per_topic.load(Relaxed)
    }

    /// Bytes that may wait in all queues.
    pub(crate) fn all(&self) -> usize {
        self.most.all.load(Relaxed)
    }

    /// Bytes that wait in all queues.
    pub(crate) fn queued(&self) -> usize {
        let pools = [&self.outboxes, &self.mailboxes, &self.inputs];
        pools.iter().map(|pool| pool.bytes.load(Relaxed)).sum()
    }

    /// Bytes that wait for connections.
    pub(crate) fn outboxes(&self) -> usize {
        self.outboxes.bytes.load(Relaxed)
    }

    /// Bytes that wait for topics.
    pub(crate) fn mailboxes(&self) -> usize {
        self.mailboxes.bytes.load(Relaxed)
    }

    /// Bytes that may wait for a connection now. When half of what all may have is taken,
    /// connections that hold more than their equal share of the other half get no more; when
    /// everything is taken, none does.
    pub(crate) fn allowed_outbox(&self) -> usize {
        let queued = self.queued();
        self.outboxes
            .allowed(self.all(), queued, self.per_connection())
    }

    /// Bytes that may wait for a topic's task now, by the same rule.
    pub(crate) fn allowed_mailbox(&self) -> usize {
        let queued = self.mailboxes.bytes.load(Relaxed);
        self.mailboxes
            .allowed(self.all() / PART, queued, self.per_topic())
    }

    /// Bytes of frames that one connection may have sent, and that are not carried out yet, by
    /// the same rule.
    pub(crate) fn allowed_input(&self) -> usize {
        let queued = self.inputs.bytes.load(Relaxed);
        let allowed = self.inputs.allowed(self.most_input(), queued, usize::MAX);
        allowed.max(LEAST_INPUT)
    }

    /// Bytes of frames that are not carried out yet, of all connections.
    pub(crate) fn input(&self) -> usize {
        self.inputs.bytes.load(Relaxed)
    }

    /// The limit of [`input`](Self::input).
    pub(crate) fn most_input(&self) -> usize {
        self.all() / PART
    }

    /// Waits until the mailboxes together have room.
    pub(crate) fn poll_mailboxes(&self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.are_mailboxes_full() {
            return Poll::Ready(());
        }
        let mut readers = self.readers.lock();
        // A task that makes room takes this lock afterwards, so no wake-up is lost.
        if !self.are_mailboxes_full() {
            return Poll::Ready(());
        }
        let waker = cx.waker();
        readers.insert(waker.data().addr(), waker.clone());
        Poll::Pending
    }

    /// Sessions that wait until the mailboxes together have room.
    pub(crate) fn readers_waiting(&self) -> usize {
        self.readers.lock().len()
    }

    fn are_mailboxes_full(&self) -> bool {
        self.mailboxes.bytes.load(Relaxed) >= self.all() / PART
    }

    /// Counts bytes that were queued. A queue that was empty becomes a holder.
    pub(crate) fn add(&self, kind: Kind, before: usize, bytes: usize) {
        let pool = self.pool(kind);
        if before == 0 && bytes > 0 {
            pool.holders.fetch_add(1, Relaxed);
        }
        pool.bytes.fetch_add(bytes, Relaxed);
    }

    /// Counts bytes that are no longer queued.
    pub(crate) fn remove(&self, kind: Kind, before: usize, bytes: usize) {
        let pool = self.pool(kind);
        if before > 0 && before == bytes {
            pool.holders.fetch_sub(1, Relaxed);
        }
        let queued = pool.bytes.fetch_sub(bytes, Relaxed);
        let limit = self.all() / PART;
        if kind == Kind::Mailbox && queued >= limit && queued - bytes < limit {
            self.wake_readers();
        }
    }

    fn wake_readers(&self) {
        let readers = std::mem::take(&mut *self.readers.lock());
        readers.into_values().for_each(Waker::wake);
    }

    fn pool(&self, kind: Kind) -> &Pool {
        match kind {
            Kind::Outbox => &self.outboxes,
            Kind::Mailbox => &self.mailboxes,
            Kind::Input => &self.inputs,
        }
    }
}

impl Pool {
    /// Bytes that one queue may hold, if all together may hold `most` and hold `queued`.
    fn allowed(&self, most: usize, queued: usize, own: usize) -> usize {
        if queued < most / 2 {
            return own;
        }
        if queued >= most {
            return 0;
        }
        let share = most / 2 / self.holders.load(Relaxed).max(1);
        share.min(own)
    }
}

/// The bytes that one queue holds. Dropping it releases them.
pub(crate) struct Queued {
    limits: Arc<QueueLimits>,
    kind: Kind,
    bytes: usize,
}

impl Queued {
    pub(crate) fn new(limits: Arc<QueueLimits>, kind: Kind) -> Self {
        Self {
            limits,
            kind,
            bytes: 0,
        }
    }

    pub(crate) fn add(&mut self, bytes: usize) {
        self.limits.add(self.kind, self.bytes, bytes);
        self.bytes += bytes;
    }

    pub(crate) fn remove(&mut self, bytes: usize) {
        self.limits.remove(self.kind, self.bytes, bytes);
        self.bytes -= bytes;
    }

    /// Sets the number of bytes.
    pub(crate) fn set(&mut self, bytes: usize) {
        match bytes.checked_sub(self.bytes) {
            Some(more) => self.add(more),
            None => self.remove(self.bytes - bytes),
        }
    }
}

impl Drop for Queued {
    fn drop(&mut self) {
        self.remove(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queues(limits: &Arc<QueueLimits>, kind: Kind, count: usize) -> Vec<Queued> {
        let new = |_| Queued::new(limits.clone(), kind);
        (0..count).map(new).collect()
    }

    #[test]
    fn the_more_is_queued_the_less_one_connection_may_have() {
        let limits = QueueLimits::new(1_000, 1_000, 4_000);
        let mut outboxes = queues(&limits, Kind::Outbox, 4);
        assert_eq!(limits.allowed_outbox(), 1_000);
        outboxes[0].add(1_999);
        assert_eq!(limits.allowed_outbox(), 1_000);
        outboxes[1].add(1);
        assert_eq!(limits.allowed_outbox(), 1_000);
        outboxes[2].add(1);
        outboxes[3].add(1);
        assert_eq!(limits.allowed_outbox(), 500);
        outboxes[2].add(1_998);
        assert_eq!(limits.allowed_outbox(), 0);
        outboxes[2].set(500);
        assert_eq!(limits.allowed_outbox(), 500);
        drop(outboxes);
        assert_eq!((limits.queued(), limits.allowed_outbox()), (0, 1_000));
        assert_eq!(limits.outboxes.holders.load(Relaxed), 0);
    }

    #[tokio::test]
    async fn limits_can_change_and_whoever_waits_for_room_is_woken() {
        let limits = QueueLimits::new(1_000, 1_000, 4_000);
        let mut mailbox = Queued::new(limits.clone(), Kind::Mailbox);
        mailbox.add(1_500);
        let waiting = tokio::spawn({
            let limits = limits.clone();
            async move { std::future::poll_fn(|cx| limits.poll_mailboxes(cx)).await }
        });
        while limits.readers.lock().is_empty() {
            tokio::task::yield_now().await;
        }
        limits.set(2_000, 3_000, 8_000);
        waiting.await.unwrap();
        assert_eq!(limits.allowed_outbox(), 2_000);
        assert_eq!((limits.all(), limits.most_input()), (8_000, 2_000));
        mailbox.set(0);
        assert_eq!(limits.allowed_mailbox(), 3_000);
    }

    #[test]
    fn what_waits_for_topics_or_in_inputs_is_missing_for_outboxes() {
        let limits = QueueLimits::new(4_000, 1_000, 4_000);
        let mut mailboxes = queues(&limits, Kind::Mailbox, 2);
        let mut inputs = queues(&limits, Kind::Input, 1);
        mailboxes[0].add(900);
        inputs[0].add(1_000);
        assert_eq!(limits.allowed_outbox(), 4_000);
        mailboxes[1].add(100);
        assert_eq!((limits.queued(), limits.allowed_outbox()), (2_000, 2_000));
        // Each kind has a reserved part.
        assert_eq!(limits.allowed_mailbox(), 0);
        mailboxes[0].set(450);
        assert_eq!(limits.allowed_mailbox(), 250);
        assert_eq!(limits.allowed_input(), LEAST_INPUT);
        inputs.clear();
        assert_eq!(limits.allowed_input(), usize::MAX);
    }

    #[tokio::test]
    async fn a_session_that_waits_for_mailboxes_is_woken_when_they_have_room() {
        let limits = QueueLimits::new(1_000, 1_000, 4_000);
        let mut mailbox = Queued::new(limits.clone(), Kind::Mailbox);
        std::future::poll_fn(|cx| limits.poll_mailboxes(cx)).await;
        mailbox.add(1_500);
        let waiting = tokio::spawn({
            let limits = limits.clone();
            async move { std::future::poll_fn(|cx| limits.poll_mailboxes(cx)).await }
        });
        while limits.readers.lock().is_empty() {
            tokio::task::yield_now().await;
        }
        mailbox.remove(500);
        assert!(!waiting.is_finished(), "there is no room yet");
        mailbox.remove(1);
        waiting.await.unwrap();
        assert!(limits.readers.lock().is_empty());
    }
}
