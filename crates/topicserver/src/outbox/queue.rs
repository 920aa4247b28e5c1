//! Bytes that wait to be written, in pieces.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::{Buf, Bytes};

use crate::queues::{Kind, QueueLimits, Queued};

/// The cost of a piece beside its bytes, with reserved capacity.
const PIECE_COST: usize = 2 * size_of::<Bytes>();

/// Pieces in their order, and how many bytes they are.
pub(crate) struct Queue {
    pieces: VecDeque<Bytes>,
    bytes: usize,
    /// Bytes that the transport holds; they go out before the pieces.
    unsent: usize,
    queued: Queued,
}

impl Queue {
    pub(super) fn new(limits: Arc<QueueLimits>) -> Self {
        Self {
            pieces: VecDeque::new(),
            bytes: 0,
            unsent: 0,
            queued: Queued::new(limits, Kind::Outbox),
        }
    }

    /// Bytes that wait.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes + self.unsent
    }

    /// Bytes that wait in the transport, in front of the pieces.
    pub(crate) fn unsent(&self) -> usize {
        self.unsent
    }

    /// Counts the bytes that wait in the transport.
    pub(crate) fn set_unsent(&mut self, unsent: usize) {
        self.queued.add(unsent);
        self.queued.remove(self.unsent);
        self.unsent = unsent;
    }

    /// The pieces, the next to be written first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Bytes> {
        self.pieces.iter()
    }

    /// Adds a piece that isn't empty.
    pub(crate) fn push(&mut self, piece: Bytes) {
        self.bytes += piece.len();
        self.queued.add(piece.len() + PIECE_COST);
        self.pieces.push_back(piece);
    }

    /// Removes the bytes that were written, wherever in a piece they end.
    pub(crate) fn remove(&mut self, mut written: usize) {
        self.bytes -= written;
        self.queued.remove(written);
        while let Some(front) = self.pieces.front_mut() {
            if written < front.len() {
                front.advance(written);
                return;
            }
            written -= front.len();
            self.pieces.pop_front();
            self.queued.remove(PIECE_COST);
        }
    }

    /// Drops everything but the piece of which a part may have been written. Returns the number
    /// of bytes dropped.
    pub(crate) fn drop_unwritten(&mut self) -> usize {
        let dropped: usize = self
            .pieces
            .drain(1.min(self.pieces.len())..)
            .map(|piece| {
                self.queued.remove(piece.len() + PIECE_COST);
                piece.len()
            })
            .sum();
        self.bytes -= dropped;
        self.pieces.shrink_to_fit();
        dropped
    }
}
