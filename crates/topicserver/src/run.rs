//! Consecutive frames that go the same way, as one piece.

use std::sync::OnceLock;

use bytes::Bytes;

/// Whole frames, each on a line of its own, from one publisher to one topic.
pub(crate) struct Run {
    bytes: Bytes,
    /// The same bytes in memory of their own, made when somebody keeps them.
    kept: OnceLock<Bytes>,
}

impl Run {
    pub(crate) fn new(bytes: Bytes) -> Self {
        Self {
            bytes,
            kept: OnceLock::new(),
        }
    }

    /// The lines. They may lie in a read buffer: whoever keeps a part of it keeps
    /// all of it from being used again.
    pub(crate) fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The lines for those who keep them longer than the delivery takes: one copy
    /// that all of them share.
    pub(crate) fn to_keep(&self) -> &Bytes {
        self.kept
            .get_or_init(|| Bytes::copy_from_slice(&self.bytes))
    }
}
