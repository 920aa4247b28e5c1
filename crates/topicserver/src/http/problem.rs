//! What went wrong with a request: a code as on the wire, and the status that says
//! the same to HTTP.

use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, HeaderValue};
use axum::response::{IntoResponse, Response};
use wire::{ErrorCode, FrameError, TopicNameError};

/// An error as a client is told it.
#[derive(Debug)]
pub(crate) struct Problem {
    pub(crate) status: StatusCode,
    pub(crate) code: ErrorCode,
    pub(crate) text: String,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, code: ErrorCode, text: impl Into<String>) -> Self {
        Self {
            status,
            code,
            text: text.into(),
        }
    }

    /// The request can't be understood.
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
        let error = serde_json::json!({
            "error": {"code": self.code.as_str(), "text": self.text}
        });
        json(self.status, &error)
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
