//! Reads the body of a request: bounded in bytes and in time, and counted among the bytes of all
//! queues.

use axum::body::Body;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_LENGTH, HeaderMap};
use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use wire::ErrorCode;

use crate::http::context::RequestContext;
use crate::http::problem::Problem;
use crate::queues::{Kind, QueueLimits, Queued};

/// A complete body. It counts as queued until it is dropped.
pub(super) struct WholeBody {
    pub(super) bytes: Bytes,
    _queued: Queued,
}

impl WholeBody {
    /// Reads a body, which may be as long as a frame.
    pub(super) async fn read(
        context: &RequestContext,
        headers: &HeaderMap,
        body: Body,
    ) -> Result<Self, Problem> {
        let config = context.config();
        let max = config.frame_limits.max_frame;
        let announced = headers
            .get(CONTENT_LENGTH)
            .and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        if announced.is_some_and(|length| length > max as u64) {
            return Err(too_long(max));
        }
        let timeout = config.frame_timeout;
        let queued = Queued::new(context.state().queue_limits().clone(), Kind::Input);
        let reading = read_all(body, max, queued, context.state().queue_limits());
        let whole = tokio::time::timeout(timeout, reading).await;
        whole.unwrap_or_else(|_| {
            Err(Problem::new(
                StatusCode::REQUEST_TIMEOUT,
                ErrorCode::UnfinishedFrame,
                format!("the body wasn't finished within {} s", timeout.as_secs()),
            ))
        })
    }
}

async fn read_all(
    body: Body,
    max: usize,
    mut queued: Queued,
    queues: &QueueLimits,
) -> Result<WholeBody, Problem> {
    let mut body = Limited::new(body, max);
    let mut bytes = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| match error.is::<LengthLimitError>() {
            true => too_long(max),
            false => Problem::bad_request("the body can't be read to its end"),
        })?;
        // Trailers have no meaning here.
        let Ok(data) = frame.into_data() else {
            continue;
        };
        bytes.extend_from_slice(&data);
        queued.set(bytes.len());
        if bytes.len() > queues.allowed_input() {
            return Err(no_room(queues));
        }
    }
    Ok(WholeBody {
        bytes: bytes.freeze(),
        _queued: queued,
    })
}

fn no_room(queues: &QueueLimits) -> Problem {
    let (all, most) = (queues.input(), queues.most_input());
    Problem::new(
        StatusCode::SERVICE_UNAVAILABLE,
        ErrorCode::QueuesFull,
        format!(
            "{all} bytes of unfinished bodies and frames wait, of which there may be {most}; \
             send a shorter body, or come back later"
        ),
    )
}

/// The error for a message, or its body, that is longer than a frame may be.
pub(super) fn too_long(max: usize) -> Problem {
    Problem::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        ErrorCode::TooLong,
        format!("a message, and the body that brings it, has at most {max} bytes"),
    )
}
