//! `GET /TOPIC`: what is said there, as it comes, by a session like every other.

use std::sync::Arc;

use axum::Extension;
use axum::http::header::{CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderMap, TRANSFER_ENCODING};
use axum::http::{HeaderName, HeaderValue, Method, Version};
use axum::response::{IntoResponse, Response};

use crate::http::accept::Wanted;
use crate::http::assets;
use crate::http::context::RequestContext;
use crate::http::guard::CheckedHost;
use crate::http::problem::Problem;
use crate::http::query::{StreamQuery, Topic, ValidQuery};
use crate::http::range;
use crate::http::takeover::Takeover;
use crate::outbox::form::Form;

/// By which a browser says what it has already.
const LAST_EVENT_ID: &str = "last-event-id";

/// By which a proxy is told to hand on what it gets at once.
const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

pub(crate) async fn open(
    Extension(host): Extension<CheckedHost>,
    Extension(context): Extension<Arc<RequestContext>>,
    method: Method,
    version: Version,
    Topic(topic): Topic,
    query: Result<ValidQuery<StreamQuery>, Problem>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let wanted = Wanted::of(&headers);
    if wanted == Wanted::Page {
        return Ok(assets::page(&host));
    }
    // Only now: links to the page carry what others have added to them.
    let ValidQuery(query) = query?;
    if let Some((before, limit)) = query.range()? {
        return range::answer(context, &topic, before, limit).await;
    }
    let last_event_id = headers.get(LAST_EVENT_ID).map(|id| id.to_str());
    let last_event_id = match last_event_id {
        // A browser sends an empty one if it has none.
        None | Some(Ok("")) => None,
        Some(Ok(id)) => Some(id),
        Some(Err(_)) => return Err(Problem::bad_request("Last-Event-ID is no text")),
    };
    let now = context.state().clock().read().index;
    let (options, until) = query.options(&topic, last_event_id, now)?;
    let form = form(wanted, version);
    let mut response = head(wanted, form);
    if method != Method::HEAD {
        response.extensions_mut().insert(Takeover::Stream {
            topic,
            options,
            form,
            until,
        });
    }
    Ok(response)
}

/// HTTP 1.0 has no chunks: the end of the connection is that of the answer.
fn form(wanted: Wanted, version: Version) -> Form {
    match (wanted, version >= Version::HTTP_11) {
        (Wanted::Events, true) => Form::ChunkedEvents,
        (Wanted::Events, false) => Form::Events,
        (Wanted::Text, true) => Form::ChunkedText,
        (Wanted::Text, false) => Form::Text,
        (_, true) => Form::ChunkedLines,
        (_, false) => Form::Lines,
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
