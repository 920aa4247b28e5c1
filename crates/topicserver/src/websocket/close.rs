//! The status codes with which a WebSocket is closed.

use wire::ErrorCode;

/// A status code of a close frame (RFC 6455, 7.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CloseCode(pub(crate) u16);

impl CloseCode {
    pub(crate) const NORMAL: Self = Self(1000);
    pub(crate) const PROTOCOL_ERROR: Self = Self(1002);
    /// A kind of data that isn't accepted.
    pub(crate) const UNSUPPORTED: Self = Self(1003);
    /// Text that is no UTF-8.
    pub(crate) const NOT_UTF8: Self = Self(1007);
    pub(crate) const POLICY: Self = Self(1008);
    pub(crate) const TOO_LONG: Self = Self(1009);
    /// The server ends, and another one takes its place: come back.
    pub(crate) const SERVICE_RESTART: Self = Self(1012);

    /// The status code for an error code of our protocol.
    pub(crate) fn of(reason: Option<ErrorCode>) -> Self {
        match reason {
            None => Self::NORMAL,
            Some(ErrorCode::ShuttingDown) => Self::SERVICE_RESTART,
            Some(ErrorCode::TooLong) => Self::TOO_LONG,
            // Text messages were checked before, so this came in a binary message.
            Some(ErrorCode::NotUtf8) => Self::UNSUPPORTED,
            Some(_) => Self::POLICY,
        }
    }

    /// Whether a peer may send it (7.4.1 and 7.4.2).
    pub(crate) fn may_be_sent(self) -> bool {
        matches!(self.0, 1000..=1003 | 1007..=1014 | 3000..=4999)
    }
}
