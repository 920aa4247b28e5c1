//! Information over HTTP: the same requests as on the wire, and their answers.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use tokio::sync::oneshot;
use wire::{ErrorCode, Page};

use crate::exposition;
use crate::http::answer::asker;
use crate::http::auth::RequestPrincipal;
use crate::http::context::RequestContext;
use crate::http::problem::{Problem, json};
use crate::http::query::{Topic, ValidQuery};
use crate::outbox::reply::PendingReply;

/// Far longer than a topic takes to handle a full mailbox.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// Which page of a list is requested.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PageQuery {
    /// The page begins after this name.
    after: Option<String>,
    /// The most entries of the page.
    limit: Option<NonZeroU32>,
}

impl From<PageQuery> for Page {
    fn from(PageQuery { after, limit }: PageQuery) -> Self {
        Self { after, limit }
    }
}

pub(crate) async fn health(Extension(context): Extension<Arc<RequestContext>>) -> Response {
    let connections = context.state().connections().count();
    let health = serde_json::json!({"status": "ok", "connections": connections});
    json(StatusCode::OK, &health)
}

/// Whether a load balancer should send new clients here.
pub(crate) async fn ready(Extension(context): Extension<Arc<RequestContext>>) -> Response {
    let readiness = context.state().readiness();
    let status = match readiness.ready {
        true => StatusCode::OK,
        false => StatusCode::SERVICE_UNAVAILABLE,
    };
    json(status, &readiness)
}

/// The metrics, for whoever may see them. Without accounts nobody is known, and there are none
/// here: behind a proxy on this machine, everybody seems to be of this machine.
pub(crate) async fn metrics(
    Extension(context): Extension<Arc<RequestContext>>,
    principal: RequestPrincipal,
    uri: Uri,
) -> Result<Response, Problem> {
    if context.state().access().path().is_none() {
        return Err(Problem::nothing_at(uri.path()));
    }
    principal.gate(&context).see_metrics()?;
    let kind = HeaderValue::from_static(exposition::CONTENT_TYPE);
    // Writing into memory can't fail.
    let text = exposition::exposition(context.state()).unwrap_or_default();
    Ok(([(CONTENT_TYPE, kind)], text).into_response())
}

pub(crate) async fn topics(
    Extension(context): Extension<Arc<RequestContext>>,
    principal: RequestPrincipal,
    ValidQuery(query): ValidQuery<PageQuery>,
) -> Result<Response, Problem> {
    let (asker, answer) = asker(context.peer);
    let reply = PendingReply::new(asker, 0);
    principal.gate(&context).list(query.into(), reply);
    answered(answer).await
}

pub(crate) async fn who(
    Extension(context): Extension<Arc<RequestContext>>,
    principal: RequestPrincipal,
    Topic(topic): Topic,
    ValidQuery(query): ValidQuery<PageQuery>,
) -> Result<Response, Problem> {
    let (asker, answer) = asker(context.peer);
    let reply = PendingReply::new(asker, 0);
    // A busy topic answers later.
    let _ = principal.gate(&context).who(&topic, &query.into(), reply)?;
    answered(answer).await
}

/// The answer, taken out of its frame.
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
