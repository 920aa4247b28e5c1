//! Room in an outbox for an answer that is still being made.
//!
//! A peer can ask much faster than it is answered. So an answer counts as queued from
//! the moment of the question: a session whose outbox is full, with what is expected,
//! reads no further questions.

use std::sync::atomic::Ordering;

use crate::outbox::transport::Transport;
use crate::outbox::{Outbox, SharedOutbox};

/// The part of an outbox that each expected answer takes at least: at most so many
/// questions of one connection are being answered at a time.
const PARTS: usize = 8;

/// An answer to a connection's question. Dropping it gives up on answering.
pub(crate) struct PendingReply {
    outbox: SharedOutbox,
    /// What it counts as.
    bytes: u32,
}

impl PendingReply {
    /// For an answer of about so many bytes.
    pub(crate) fn new(outbox: SharedOutbox, bytes: usize) -> Self {
        let bytes = bytes.max(outbox.limits.per_connection / PARTS).max(1);
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        outbox.expect(bytes);
        Self { outbox, bytes }
    }

    /// Of the connection that has asked.
    pub(crate) fn outbox(&self) -> &SharedOutbox {
        &self.outbox
    }

    /// Sends the answer.
    pub(crate) fn send(self, line: Vec<u8>) {
        self.outbox.send_reply(line);
    }

    /// Sends an answer that says where its peer is.
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
    /// An answer of so many bytes is being made.
    fn expect(&self, bytes: u32) {
        let mut state = self.state.lock();
        state.expected = state.expected.saturating_add(bytes);
        self.has_work.store(true, Ordering::Release);
    }

    /// The answer is sent, or won't be.
    fn expect_no_more(&self, bytes: u32) {
        let mut state = self.state.lock();
        state.expected = state.expected.saturating_sub(bytes);
        self.wake(&mut state);
    }
}
