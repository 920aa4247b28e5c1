//! Why a JSON value is no frame.

use crate::error_code::ErrorCode;
use crate::extended::ExtendedError;
use crate::topic_name::TopicNameError;

/// Why an object is no frame that can be acted upon. The stream goes on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// A JSON value that isn't an object.
    #[error("a frame is a JSON object, not {0}")]
    NotAnObject(&'static str),
    /// Neither `topics` nor `message`.
    #[error(
        "a frame has either \"topics\" (a registration) or \"message\"; this object has neither"
    )]
    Unknown,
    /// Both `topics` and `message`.
    #[error("a frame has either \"topics\" or \"message\"; this object has both")]
    Ambiguous,
    /// `extended` alone, without any known member.
    #[error(
        "a frame with nothing but \"extended\" has one of \"auth\", \"leave\", \"who\", \
         \"lookup\", \"topics\", \"history\", \"ping\" in it; this one has none"
    )]
    Extended,
    /// `extended` alone, with more than one request.
    #[error("a frame with nothing but \"extended\" asks one thing; this one asks several")]
    SeveralRequests,
    /// The value of `extended` is invalid.
    #[error("\"extended\" can't be read: {0}")]
    BadExtended(#[from] ExtendedError),
    /// A key by which the frame is routed came twice.
    #[error("the key {0:?} comes twice")]
    Duplicate(&'static str),
    /// `message.topic` or `message.text` is missing.
    #[error("a message has {0:?}, and this one doesn't")]
    Missing(&'static str),
    /// A part has another type than it must have.
    #[error("{name:?} is {expected}, not {found}")]
    WrongType {
        /// The part.
        name: &'static str,
        /// What it must be.
        expected: &'static str,
        /// What it was.
        found: &'static str,
    },
    /// A topic's name that isn't allowed.
    #[error(transparent)]
    BadTopic(#[from] TopicNameError),
}

impl FrameError {
    /// The code that the peer is told.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::NotAnObject(_) => ErrorCode::NotAnObject,
            Self::Unknown | Self::Extended => ErrorCode::UnknownFrame,
            Self::Ambiguous
            | Self::SeveralRequests
            | Self::BadExtended(_)
            | Self::Duplicate(_)
            | Self::Missing(_)
            | Self::WrongType { .. } => ErrorCode::BadFrame,
            Self::BadTopic(_) => ErrorCode::BadTopic,
        }
    }
}
