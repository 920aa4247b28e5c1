//! `GET /TOPIC`, and `GET /-/stream` for several topics: messages as they come, from a session
//! like every other.

use std::sync::Arc;

use axum::Extension;
use axum::http::header::{CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderMap, TRANSFER_ENCODING};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, Method, Version};
use axum::response::{IntoResponse, Response};
use wire::TopicName;

use crate::http::accept::Wanted;
use crate::http::assets;
use crate::http::auth::RequestPrincipal;
use crate::http::context::RequestContext;
use crate::http::guard::CheckedHost;
use crate::http::problem::Problem;
use crate::http::query::{StreamQuery, Topic, Until, ValidQuery};
use crate::http::range;
use crate::http::several::SeveralTopics;
use crate::http::takeover::{Listening, Takeover};
use crate::outbox::form::Form;

/// The header in which a browser sends its position.
const LAST_EVENT_ID: &str = "last-event-id";

/// The header that tells a proxy not to buffer.
const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

pub(crate) async fn open(
    Extension(host): Extension<CheckedHost>,
    Extension(context): Extension<Arc<RequestContext>>,
    principal: Result<RequestPrincipal, Problem>,
    Topic(topic): Topic,
    query: Result<ValidQuery<StreamQuery>, Problem>,
    parts: Parts,
) -> Result<Response, Problem> {
    if Wanted::of(&parts.headers) == Wanted::Page {
        return Ok(assets::page(&host));
    }
    // Only now: links to the page carry what others have added to them, and on it one logs in.
    let (principal, ValidQuery(query)) = (principal?, query?);
    if let Some((before, limit)) = query.range()? {
        return range::answer(&context, &principal, &topic, before, limit).await;
    }
    listen(&context, principal, vec![topic], &query, &parts)
}

/// Opens a stream of several topics.
pub(crate) async fn open_several(
    Extension(context): Extension<Arc<RequestContext>>,
    principal: RequestPrincipal,
    SeveralTopics { topics, query }: SeveralTopics,
    parts: Parts,
) -> Result<Response, Problem> {
    if query.range()?.is_some() {
        let text = "before asks for one topic; ask at its path, as in /lab?poll=1&before=100";
        return Err(Problem::bad_request(text));
    }
    listen(&context, principal, topics, &query, &parts)
}

/// Begins a stream.
fn listen(
    context: &RequestContext,
    principal: RequestPrincipal,
    topics: Vec<TopicName>,
    query: &StreamQuery,
    parts: &Parts,
) -> Result<Response, Problem> {
    let now = context.state().clock().read().index;
    let options = query.options(&topics, last_event_id(&parts.headers)?, now)?;
    let ending = query.ending()?;
    principal.gate(context).admit_listener(&topics)?;
    // A stream begins all the same, and is told: a browser doesn't come back to one that is refused.
    if ending.until == Until::Sent {
        context.check_quorum()?;
    }
    let wanted = Wanted::of(&parts.headers);
    let form = form(wanted, parts.version, topics.len());
    let mut response = head(wanted, form);
    if parts.method != Method::HEAD {
        let listening = Listening {
            principal: principal.0,
            topics,
            options,
            form,
            ending,
        };
        response
            .extensions_mut()
            .insert(Takeover::Stream(Box::new(listening)));
    }
    Ok(response)
}

/// The position that a browser sends.
fn last_event_id(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    match headers.get(LAST_EVENT_ID).map(|id| id.to_str()) {
        // A browser sends an empty one if it has none.
        None | Some(Ok("")) => Ok(None),
        Some(Ok(id)) => Ok(Some(id)),
        Some(Err(_)) => Err(Problem::bad_request("Last-Event-ID is no text")),
    }
}

/// HTTP 1.0 has no chunks, so the answer ends with the connection.
fn form(wanted: Wanted, version: Version, topics: usize) -> Form {
    match (wanted, version >= Version::HTTP_11) {
        (Wanted::Events, true) => Form::ChunkedEvents,
        (Wanted::Events, false) => Form::Events,
        (Wanted::Text, true) if topics > 1 => Form::ChunkedTopicText,
        (Wanted::Text, false) if topics > 1 => Form::TopicText,
        (Wanted::Text, true) => Form::ChunkedText,
        (Wanted::Text, false) => Form::Text,
        (Wanted::Lines | Wanted::Page, true) => Form::ChunkedLines,
        (Wanted::Lines | Wanted::Page, false) => Form::Lines,
    }
}

fn head(wanted: Wanted, form: Form) -> Response {
    let mut response = ().into_response();
    let headers = response.headers_mut();
    let mut set = |name, value| headers.insert(name, HeaderValue::from_static(value));
    match wanted {
        Wanted::Events => {
            set(CONTENT_TYPE, "text/event-stream");
            set(CACHE_CONTROL, "no-cache");
        }
        Wanted::Text => {
            set(CONTENT_TYPE, "text/plain; charset=utf-8");
        }
        Wanted::Lines | Wanted::Page => {
            set(CONTENT_TYPE, "application/x-ndjson");
        }
    }
    set(X_ACCEL_BUFFERING, "no");
    set(CONNECTION, "close");
    if form.is_chunked() {
        set(TRANSFER_ENCODING, "chunked");
    }
    response
}
