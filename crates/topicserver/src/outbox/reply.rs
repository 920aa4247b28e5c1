//! Room in an outbox for a reply that is still being made.
//!
//! A peer can send requests much faster than it gets replies. So a reply counts as queued from
//! its request on. A session whose outbox is full, counting expected replies, reads no further
//! requests.

use std::sync::atomic::Ordering;

use crate::outbox::transport::Transport;
use crate::outbox::{Outbox, SharedOutbox};

/// Each expected reply counts as at least this part of the outbox, so at most this many requests
/// of one connection are answered at a time.
const PARTS: usize = 8;

/// A reply that is being made. Dropping it means that there will be none.
pub(crate) struct PendingReply {
    outbox: SharedOutbox,
    /// The bytes that it counts as.
    bytes: u32,
}

impl PendingReply {
    /// Reserves room for a reply of about this many bytes.
    pub(crate) fn new(outbox: SharedOutbox, bytes: usize) -> Self {
        let bytes = bytes.max(outbox.limits.per_connection() / PARTS).max(1);
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        outbox.expect(bytes);
        Self { outbox, bytes }
    }

    /// The outbox of the connection that gets the reply.
    pub(crate) fn outbox(&self) -> &SharedOutbox {
        &self.outbox
    }

    /// Sends the reply.
    pub(crate) fn send(self, line: Vec<u8>) {
        self.outbox.send_reply(line);
    }

    /// Sends a reply that states the peer's position.
    pub(crate) fn send_identified(self, line: Vec<u8>, id: Option<&str>) {
        self.outbox.send_identified(line, id);
    }
}

impl Drop for PendingReply {
    fn drop(&mut self) {
        self.outbox.expect_no_more(self.bytes);
    }
}

impl<T: Transport + ?Sized> Outbox<T> {
    /// Counts a reply of this many bytes as expected.
    fn expect(&self, bytes: u32) {
        let mut state = self.state.lock();
        state.expected = state.expected.saturating_add(bytes);
        self.has_work.store(true, Ordering::Release);
    }

    /// Stops counting it: the reply is sent, or there will be none.
    fn expect_no_more(&self, bytes: u32) {
        let mut state = self.state.lock();
        state.expected = state.expected.saturating_sub(bytes);
        self.wake(&mut state);
    }
}
