//! What can be asked over HTTP: the same questions as on the wire, and their answers.

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::http::StatusCode;
use axum::response::Response;
use tokio::sync::oneshot;
use wire::ErrorCode;

use crate::http::answer::asker;
use crate::http::context::RequestContext;
use crate::http::problem::{Problem, json};
use crate::http::query::Topic;

/// Far more than a topic takes for what waits for it.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

pub(crate) async fn health(Extension(context): Extension<Arc<RequestContext>>) -> Response {
    let connections = context.state().connections().count();
    let health = serde_json::json!({"status": "ok", "connections": connections});
    json(StatusCode::OK, &health)
}

pub(crate) async fn topics(
    Extension(context): Extension<Arc<RequestContext>>,
) -> Result<Response, Problem> {
    let (asker, answer) = asker(context.peer);
    context.state().registry().list(asker);
    answered(answer).await
}

pub(crate) async fn who(
    Extension(context): Extension<Arc<RequestContext>>,
    Topic(topic): Topic,
) -> Result<Response, Problem> {
    let (asker, answer) = asker(context.peer);
    if context.state().registry().who(&topic, asker).is_none() {
        let nobody = wire::Members {
            topic: topic.as_str().into(),
            count: 0,
            users: Vec::new(),
        };
        return Ok(json(
            StatusCode::OK,
            &serde_json::json!({ "members": nobody }),
        ));
    }
    answered(answer).await
}

/// The answer, out of the frame in which it comes.
async fn answered(answer: oneshot::Receiver<Vec<u8>>) -> Result<Response, Problem> {
    #[derive(serde::Deserialize)]
    struct Frame<'a> {
        #[serde(borrow)]
        extended: &'a serde_json::value::RawValue,
    }
    let line = tokio::time::timeout(ANSWER_TIMEOUT, answer).await;
    let line = line.ok().and_then(Result::ok).unwrap_or_default();
    match serde_json::from_slice::<Frame<'_>>(&line) {
        Ok(frame) => Ok(json(StatusCode::OK, &frame.extended)),
        Err(_) => Err(Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            ErrorCode::ShuttingDown,
            "the server is ending, or too busy to answer",
        )),
    }
}
