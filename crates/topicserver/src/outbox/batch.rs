//! Consecutive frames that go the same way, as one piece.

use std::sync::OnceLock;

use bytes::Bytes;

/// Whole frames, each on a separate line.
#[derive(Debug)]
pub(crate) struct Batch {
    bytes: Bytes,
    /// How many frames there are.
    count: u32,
    /// The bytes have memory of their own.
    is_owned: bool,
    /// Otherwise, an owned copy, made when a receiver keeps them.
    kept: OnceLock<Bytes>,
}

impl Batch {
    /// Frames that lie in a read buffer.
    pub(crate) fn new(bytes: Bytes, count: u32) -> Self {
        Self {
            bytes,
            count,
            is_owned: false,
            kept: OnceLock::new(),
        }
    }

    /// Frames that have memory of their own.
    pub(crate) fn owned(bytes: Bytes, count: u32) -> Self {
        Self {
            bytes,
            count,
            is_owned: true,
            kept: OnceLock::new(),
        }
    }

    /// The lines. They may be in a read buffer: keeping a part of it keeps all of it in use.
    pub(crate) fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// How many lines there are.
    pub(crate) fn count(&self) -> u32 {
        self.count
    }

    /// The lines for receivers that keep them longer than the delivery: one copy for all.
    pub(crate) fn to_keep(&self) -> &Bytes {
        if self.is_owned {
            return &self.bytes;
        }
        self.kept
            .get_or_init(|| Bytes::copy_from_slice(&self.bytes))
    }
}
