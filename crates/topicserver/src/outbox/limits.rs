//! How much may be queued: for one connection, and for all of them together.
//!
//! What is written at once is never counted, only what a socket didn't take.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// The limits of all outboxes, and what is queued in them.
///
/// Bytes that several connections wait for are counted for each of them, though they are
/// in memory once: what is counted is never less than what is taken.
pub(crate) struct OutboxLimits {
    /// Bytes that may be queued for one connection.
    pub(super) per_connection: usize,
    /// Bytes that may be queued for all.
    pub(super) all: usize,
    /// Bytes that are.
    queued: AtomicUsize,
    /// Connections for which something is queued.
    holders: AtomicUsize,
}

impl OutboxLimits {
    pub(crate) fn new(per_connection: usize, all: usize) -> Arc<Self> {
        Arc::new(Self {
            per_connection,
            all,
            queued: AtomicUsize::new(0),
            holders: AtomicUsize::new(0),
        })
    }

    /// The limit of one connection that doesn't count with the others.
    pub(crate) fn of_one(limit: usize) -> Arc<Self> {
        Self::new(limit, usize::MAX)
    }

    /// Bytes that may be queued for a connection now. When half of what all may have is
    /// taken, those that hold more than their equal share of the other half get no more;
    /// when all is taken, nobody does.
    pub(super) fn allowed(&self) -> usize {
        let queued = self.queued.load(Relaxed);
        if queued < self.all / 2 {
            return self.per_connection;
        }
        if queued >= self.all {
            return 0;
        }
        let share = self.all / 2 / self.holders.load(Relaxed).max(1);
        share.min(self.per_connection)
    }

    /// Bytes that are queued for all.
    pub(crate) fn queued(&self) -> usize {
        self.queued.load(Relaxed)
    }
}

/// What one connection has queued. Dropping it gives that back.
pub(super) struct QueuedBytes {
    limits: Arc<OutboxLimits>,
    bytes: usize,
}

impl QueuedBytes {
    pub(super) fn new(limits: Arc<OutboxLimits>) -> Self {
        limits.holders.fetch_add(1, Relaxed);
        Self { limits, bytes: 0 }
    }

    pub(super) fn add(&mut self, bytes: usize) {
        self.bytes += bytes;
        self.limits.queued.fetch_add(bytes, Relaxed);
    }

    pub(super) fn remove(&mut self, bytes: usize) {
        self.bytes -= bytes;
        self.limits.queued.fetch_sub(bytes, Relaxed);
    }
}

impl Drop for QueuedBytes {
    fn drop(&mut self) {
        self.limits.queued.fetch_sub(self.bytes, Relaxed);
        self.limits.holders.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_more_is_queued_the_less_one_connection_may_have() {
        let limits = OutboxLimits::new(1_000, 4_000);
        let mut shares: Vec<_> = (0..4).map(|_| QueuedBytes::new(limits.clone())).collect();
        assert_eq!(limits.allowed(), 1_000);
        shares[0].add(1_999);
        assert_eq!(limits.allowed(), 1_000);
        shares[1].add(1);
        assert_eq!(limits.allowed(), 500);
        shares[2].add(2_000);
        assert_eq!(limits.allowed(), 0);
        shares[2].remove(1_000);
        assert_eq!(limits.allowed(), 500);
        drop(shares);
        assert_eq!((limits.queued(), limits.allowed()), (0, 1_000));
        assert_eq!(limits.holders.load(Relaxed), 0);
    }
}
