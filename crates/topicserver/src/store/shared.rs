//! What the writer and the readers share.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Mutex, RwLock};

use super::database::Tables;
use super::topic::Limits;
use super::types::{StoreError, TopicId};

/// The database, and where each loaded topic begins and ends.
pub(crate) struct Shared {
    /// Readers hold it while they read, and the writer while it opens the
    /// database again. An error: why there is none.
    pub(crate) tables: RwLock<Result<Tables, StoreError>>,
    /// Of the topics that the writer has in memory.
    pub(crate) bounds: Mutex<HashMap<TopicId, Arc<Bounds>>>,
    /// How much of each topic is kept.
    pub(crate) limits: Limits,
}

/// Where a topic begins and ends. Only the writer changes it.
pub(crate) struct Bounds {
    /// The oldest sequence number that is there.
    pub(crate) first: Arc<AtomicU64>,
    /// The first that isn't durable yet, so that nobody reads it.
    pub(crate) next: AtomicU64,
}

impl Bounds {
    pub(crate) fn new(first: u64, next: u64) -> Self {
        Self {
            first: Arc::new(first.into()),
            next: next.into(),
        }
    }

    /// The oldest sequence number that is there.
    pub(crate) fn first(&self) -> u64 {
        self.first.load(Ordering::Acquire)
    }

    /// The sequence number after the newest durable one.
    pub(crate) fn next(&self) -> u64 {
        self.next.load(Ordering::Acquire)
    }

    /// Moves both on.
    pub(crate) fn set(&self, first: u64, next: u64) {
        self.next.store(next, Ordering::Release);
        self.first.store(first, Ordering::Release);
    }
}
