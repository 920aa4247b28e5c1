//! `GET /TOPIC`: what is said there, as it comes, by a session like every other.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Extension;
use axum::http::header::{CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderMap, TRANSFER_ENCODING};
use axum::http::{HeaderName, HeaderValue, Method, Version};
use axum::response::{IntoResponse, Response};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::{Instant, Sleep};

use crate::http::accept::Wanted;
use crate::http::assets;
use crate::http::context::RequestContext;
use crate::http::guard::CheckedHost;
use crate::http::problem::Problem;
use crate::http::query::{StreamQuery, Topic, Until, ValidQuery};
use crate::http::range;
use crate::http::takeover::Takeover;
use crate::outbox::SharedOutbox;
use crate::outbox::form::Form;
use crate::session::source::{Source, SourceEnd};
use crate::tls::reader::Reader;

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

/// The reading side of a stream: nothing that comes means anything, but that the peer is
/// there, until nothing more comes.
pub(crate) struct StreamReader {
    reader: Reader,
    outbox: SharedOutbox,
    /// When it has to say that it is there.
    silence: Pin<Box<Sleep>>,
    interval: Duration,
    /// When the answer is complete; `None`: not before one side ends it.
    end: Option<Pin<Box<Sleep>>>,
    /// The answer is complete.
    is_complete: bool,
}

impl StreamReader {
    pub(crate) fn new(
        reader: Reader,
        outbox: SharedOutbox,
        interval: Duration,
        until: Until,
    ) -> Self {
        let end = match until {
            Until::After(time) => Some(Box::pin(tokio::time::sleep(time))),
            Until::Sent | Until::Closed => None,
        };
        Self {
            reader,
            outbox,
            silence: Box::pin(tokio::time::sleep(interval)),
            interval,
            end,
            is_complete: until == Until::Sent,
        }
    }

    fn poll_complete(&mut self, cx: &mut Context<'_>) -> bool {
        let end = self.end.as_mut();
        self.is_complete |= end.is_some_and(|end| end.as_mut().poll(cx).is_ready());
        self.is_complete
    }

    fn poll_keep_alive(&mut self, cx: &mut Context<'_>) {
        while self.silence.as_mut().poll(cx).is_ready() {
            self.outbox.keep_alive();
            let next = Instant::now() + self.interval;
            self.silence.as_mut().reset(next);
        }
    }
}

impl AsyncRead for StreamReader {
    /// Brings nothing, but the end.
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        _: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.poll_complete(cx) {
            return Poll::Ready(Ok(()));
        }
        self.poll_keep_alive(cx);
        ready!(poll_end(&mut self.reader, cx));
        Poll::Ready(Ok(()))
    }
}

impl Source for StreamReader {
    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        poll_end(&mut self.reader, cx)
    }

    fn end(&mut self) -> SourceEnd {
        match std::mem::take(&mut self.is_complete) {
            true => SourceEnd::Finished(None),
            false => SourceEnd::Gone,
        }
    }
}

/// Reads and forgets, until the peer sends no more.
pub(super) fn poll_end(reader: &mut Reader, cx: &mut Context<'_>) -> Poll<()> {
    let mut bytes = [0; 1024];
    loop {
        let mut buffer = ReadBuf::new(&mut bytes);
        let result = ready!(Pin::new(&mut *reader).poll_read(cx, &mut buffer));
        if result.is_err() || buffer.filled().is_empty() {
            return Poll::Ready(());
        }
    }
}
