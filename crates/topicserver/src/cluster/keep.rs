//! How much of each topic a cluster keeps.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// How much of each topic is kept.
#[derive(Debug)]
pub(crate) struct Keep {
    messages: AtomicU64,
    bytes: AtomicU64,
}

impl Keep {
    pub(crate) fn new(messages: u64, bytes: u64) -> Self {
        Self {
            messages: messages.into(),
            bytes: bytes.into(),
        }
    }

    /// Changes the limits.
    pub(crate) fn set(&self, messages: u64, bytes: u64) {
        self.messages.store(messages, Relaxed);
        self.bytes.store(bytes, Relaxed);
    }

    /// The most messages, and the most bytes.
    pub(crate) fn get(&self) -> (u64, u64) {
        (self.messages.load(Relaxed), self.bytes.load(Relaxed))
    }
}
