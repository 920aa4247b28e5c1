//! Why a stream of JSON values can't be read any further.

use crate::error_code::ErrorCode;

/// Why a stream can't be read any further: one of its bytes, or one of the limits.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScanError {
    /// A byte that isn't allowed at its place.
    #[error("found {} at byte {offset} of the frame, where {expected} should be", Found(*.found))]
    NotJson {
        /// The byte.
        found: u8,
        /// Its place, counted from the value's first byte.
        offset: usize,
        /// What is allowed there.
        expected: &'static str,
    },
    /// A string with bytes that aren't UTF-8.
    #[error("the bytes of the frame are no text from byte {offset} on")]
    NotUtf8 {
        /// The first such byte, counted from the value's first byte.
        offset: usize,
    },
    /// More levels than [`Limits::max_depth`](crate::Limits), which is given.
    #[error("more than {0} objects and arrays within one another")]
    TooDeep(usize),
    /// More bytes than [`Limits::max_frame`](crate::Limits), which is given.
    #[error("a frame has at most {0} bytes")]
    TooLong(usize),
}

impl ScanError {
    /// The code that the peer is told.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::NotJson { .. } => ErrorCode::NotJson,
            Self::NotUtf8 { .. } => ErrorCode::NotUtf8,
            Self::TooDeep(_) => ErrorCode::TooDeep,
            Self::TooLong(_) => ErrorCode::TooLong,
        }
    }
}

/// A byte in a form that people can read.
struct Found(u8);

impl std::fmt::Display for Found {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            printable @ b' '..=b'~' => write!(f, "'{}'", char::from(printable)),
            other => write!(f, "the byte 0x{other:02x}"),
        }
    }
}
