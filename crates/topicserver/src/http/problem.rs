//! Errors of requests: a code as on the wire, and the matching HTTP status.

use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use axum::response::{IntoResponse, Response};
use wire::{ErrorCode, FrameError, TopicNameError};

use crate::access::{Denied, Exceeded, LoginError};
use crate::metrics::{self, ByCode};

/// After how many seconds a request may come again that a cluster couldn't answer: the servers that
/// keep messages elect within some seconds.
const AFTER_NO_QUORUM: u64 = 3;

/// An error as clients get it.
#[derive(Debug)]
pub(crate) struct Problem {
    pub(crate) status: StatusCode,
    pub(crate) code: ErrorCode,
    pub(crate) text: String,
    /// The limit that was exceeded.
    exceeded: Option<Box<Exceeded>>,
    /// After how many seconds the client may try again.
    retry_after: Option<u64>,
}

impl Problem {
    /// There is nothing at this path.
    pub(crate) fn nothing_at(path: &str) -> Self {
        let text = format!("there is nothing at {path:?}");
        Self::new(StatusCode::NOT_FOUND, ErrorCode::NotFound, text)
    }

    pub(crate) fn new(status: StatusCode, code: ErrorCode, text: impl Into<String>) -> Self {
        Self {
            status,
            code,
            text: text.into(),
            exceeded: None,
            retry_after: None,
        }
    }

    /// Sets after how many seconds the client may try again.
    pub(crate) fn after(mut self, seconds: Option<u64>) -> Self {
        self.retry_after = seconds;
        self
    }

    /// The servers of a cluster that keep the messages can't be reached.
    pub(crate) fn no_quorum(text: impl Into<String>) -> Self {
        let status = StatusCode::SERVICE_UNAVAILABLE;
        Self::new(status, ErrorCode::NoQuorum, text).after(Some(AFTER_NO_QUORUM))
    }

    /// An error for a malformed request.
    pub(crate) fn bad_request(text: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, ErrorCode::BadRequest, text)
    }
}

impl From<TopicNameError> for Problem {
    fn from(error: TopicNameError) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            FrameError::from(error.clone()).code(),
            error.to_string(),
        )
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        metrics::count_code(ByCode::Errors, self.code);
        #[derive(serde::Serialize)]
        struct Body<'a> {
            error: Error<'a>,
        }
        #[derive(serde::Serialize)]
        struct Error<'a> {
            code: &'a str,
            #[serde(flatten)]
            exceeded: Option<Limited<'a>>,
            #[serde(skip_serializing_if = "Option::is_none")]
            retry_after: Option<u64>,
            text: &'a str,
        }
        #[derive(serde::Serialize)]
        struct Limited<'a> {
            limit: &'a str,
            rate: &'a str,
            of: String,
        }
        let exceeded = self.exceeded.as_deref().map(|exceeded| Limited {
            limit: exceeded.limit.as_str(),
            rate: &exceeded.rate,
            of: exceeded.of.to_string(),
        });
        let error = Error {
            code: self.code.as_str(),
            exceeded,
            retry_after: self.retry_after,
            text: &self.text,
        };
        let mut response = json(self.status, &Body { error });
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(RETRY_AFTER, seconds.into());
        }
        response
    }
}

impl From<Denied> for Problem {
    fn from(denied: Denied) -> Self {
        let status = match denied.code {
            _ if denied.exceeded.is_some() => StatusCode::TOO_MANY_REQUESTS,
            ErrorCode::Unauthenticated => StatusCode::UNAUTHORIZED,
            _ => StatusCode::FORBIDDEN,
        };
        let exceeded = denied.exceeded;
        let retry_after = exceeded.as_ref().and_then(|limit| limit.retry_after());
        Self {
            exceeded,
            ..Self::new(status, denied.code, denied.text).after(retry_after)
        }
    }
}

impl From<LoginError> for Problem {
    fn from(error: LoginError) -> Self {
        let status = match error {
            LoginError::TooManyAttempts(_) => StatusCode::TOO_MANY_REQUESTS,
            LoginError::TooBusy(_) | LoginError::TooManyTickets(_) | LoginError::NoRandomness => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            LoginError::TooLong => StatusCode::BAD_REQUEST,
            _ => StatusCode::UNAUTHORIZED,
        };
        Self::new(status, error.code(), error.to_string()).after(error.retry_after())
    }
}

/// An answer in JSON, on a line of its own.
pub(crate) fn json(status: StatusCode, value: &impl serde::Serialize) -> Response {
    // Writing strings and numbers into memory can't fail.
    let mut body = serde_json::to_vec(value).unwrap_or_default();
    body.push(b'\n');
    let kind = HeaderValue::from_static("application/json");
    (status, [(CONTENT_TYPE, kind)], body).into_response()
}
