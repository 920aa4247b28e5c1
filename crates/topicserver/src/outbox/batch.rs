//! Consecutive frames that go the same way, as one piece.

use std::sync::OnceLock;

use bytes::Bytes;

/// Whole frames, each on a line of its own.
#[derive(Debug)]
pub(crate) struct Batch {
    bytes: Bytes,
    /// How many frames there are.
    count: u32,
    /// The bytes have memory of their own.
    is_owned: bool,
    /// Otherwise, a copy that has, made when somebody keeps them.
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

    /// The lines. They may lie in a read buffer: whoever keeps a part of it keeps
    /// all of it from being used again.
    pub(crate) fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// How many lines there are.
    pub(crate) fn count(&self) -> u32 {
        self.count
    }

    /// The lines for those who keep them longer than the delivery takes: one copy
    /// that all of them share.
    pub(crate) fn to_keep(&self) -> &Bytes {
        if self.is_owned {
            return &self.bytes;
        }
        self.kept
            .get_or_init(|| Bytes::copy_from_slice(&self.bytes))
    }
}
