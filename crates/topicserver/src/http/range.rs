//! `GET /TOPIC?poll=1&before=NUMBER`: messages before a number, one frame per line.

use std::time::Duration;

use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde_json::value::RawValue;
use wire::{ErrorCode, Event, HistoryRange, TopicName};

use crate::http::answer::asker;
use crate::http::auth::RequestPrincipal;
use crate::http::context::RequestContext;
use crate::http::problem::Problem;

/// Far longer than reading a range takes.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// Answers with up to `limit` messages before `before`. The first line has their epoch and the
/// oldest number that is kept; the messages follow.
pub(crate) async fn answer(
    context: &RequestContext,
    principal: &RequestPrincipal,
    topic: &TopicName,
    before: u64,
    limit: Option<u64>,
) -> Result<Response, Problem> {
    let (asker, answer) = asker(context.peer);
    let gate = principal.gate(context);
    // The answer comes through the channel, so this result isn't needed.
    drop(gate.range(topic, asker, Some(before), limit)?);
    let line = tokio::time::timeout(ANSWER_TIMEOUT, answer).await;
    let line = line.ok().and_then(Result::ok).unwrap_or_default();
    let lines = match lines(&line) {
        Some(lines) => lines,
        None => return Err(context.check_quorum().err().unwrap_or_else(unavailable)),
    };
    let kind = [(CONTENT_TYPE, "application/x-ndjson")];
    Ok((StatusCode::OK, kind, lines).into_response())
}

fn unavailable() -> Problem {
    Problem::new(
        StatusCode::SERVICE_UNAVAILABLE,
        ErrorCode::StorageBusy,
        "older messages can't be read now; ask again later",
    )
}

/// Takes the messages out of the frame of the answer.
fn lines(answer: &[u8]) -> Option<Vec<u8>> {
    #[derive(serde::Deserialize)]
    struct Frame<'a> {
        #[serde(borrow)]
        extended: Event<'a>,
    }
    let frame: Frame<'_> = serde_json::from_slice(answer).ok()?;
    let Event::History(mut range) = frame.extended else {
        return None;
    };
    let messages: Vec<Box<RawValue>> = std::mem::take(&mut range.messages);
    let mut lines = Event::History(HistoryRange {
        messages: Vec::new(),
        ..range
    })
    .to_line();
    for message in messages {
        lines.extend_from_slice(message.get().as_bytes());
        lines.push(b'\n');
    }
    Some(lines)
}
