//! The limits of a peer's bytes, and the reasons for them.

/// The limits of a [`Scanner`](crate::Scanner).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one frame, from its first to its last brace.
    pub max_frame: usize,
    /// Objects and arrays open at once, at most [`Limits::DEEPEST`].
    pub max_depth: usize,
}

impl Limits {
    /// 64 KiB: a long text and its addresses. A hundred thousand connections that never finish a
    /// frame still fit into memory.
    pub const DEFAULT_MAX_FRAME: usize = 64 * 1024;
    /// The largest frame that may be configured: 1 GiB. Positions within a
    /// frame are kept in 32 bits.
    pub const LARGEST_FRAME: usize = 1 << 30;
    /// 128 levels: what `serde_json` and most other parsers allow by default,
    /// so that every receiver can read what we relay.
    pub const DEFAULT_MAX_DEPTH: usize = Self::DEEPEST;
    /// The scanner keeps one bit for each open object or array, in a `u128`.
    pub const DEEPEST: usize = 128;
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_frame: Self::DEFAULT_MAX_FRAME,
            max_depth: Self::DEFAULT_MAX_DEPTH,
        }
    }
}
