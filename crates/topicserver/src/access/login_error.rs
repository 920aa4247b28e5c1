//! Why a login isn't valid.

use wire::ErrorCode;

use super::checker::{self, TooBusy};
use super::guessing::TooManyAttempts;
use super::jwt::JwtError;
use super::principal::Ended;

/// Why a login isn't valid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LoginError {
    #[error("this server has no accounts; leave \"auth\" out")]
    NoAccounts,
    #[error("the token isn't known here; ask for a new one")]
    UnknownToken,
    #[error("the name or the password is wrong")]
    WrongPassword,
    #[error(transparent)]
    Jwt(#[from] JwtError),
    #[error(transparent)]
    TooManyAttempts(#[from] TooManyAttempts),
    #[error(transparent)]
    TooBusy(#[from] TooBusy),
    #[error("your login is over; log in again")]
    Over,
    #[error("the token says more than a browser keeps; send it in a header instead")]
    TooLong,
    #[error("a ticket is good once, for {0} s; ask for a new one")]
    Ticket(u64),
    #[error("too many tickets were asked for; ask again in {0} s")]
    TooManyTickets(u64),
    #[error("the operating system gives no random numbers")]
    NoRandomness,
    #[error("{}", .0.text)]
    Ended(Ended),
}

impl LoginError {
    pub(crate) fn code(&self) -> ErrorCode {
        match self {
            Self::NoAccounts | Self::UnknownToken | Self::WrongPassword | Self::Ticket(_) => {
                ErrorCode::Unauthenticated
            }
            Self::Jwt(JwtError::Expired) | Self::Over => ErrorCode::Expired,
            Self::TooLong => ErrorCode::BadRequest,
            Self::TooManyTickets(_) | Self::NoRandomness => ErrorCode::TryLater,
            Self::Jwt(_) => ErrorCode::Unauthenticated,
            Self::TooManyAttempts(_) => ErrorCode::TooManyAttempts,
            Self::TooBusy(_) => ErrorCode::TryLater,
            Self::Ended(ended) => ended.code,
        }
    }

    /// After how many seconds the same may be tried again, if that would help.
    pub(crate) fn retry_after(&self) -> Option<u64> {
        match self {
            Self::TooManyAttempts(error) => Some(error.seconds()),
            Self::TooBusy(_) => Some(checker::RETRY_AFTER.as_secs()),
            Self::TooManyTickets(seconds) => Some(*seconds),
            _ => None,
        }
    }
}
