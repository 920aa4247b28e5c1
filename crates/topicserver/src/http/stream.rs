//! `GET /TOPIC`: what is said there, as it comes, by a session like every other.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::Extension;
use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, HeaderMap};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use wire::{Registration, RegistrationOptions, TopicName};

use crate::http::accept::Form;
use crate::http::assets;
use crate::http::context::RequestContext;
use crate::http::pipe::{PipeReader, STREAM_ROOM, pipe};
use crate::http::problem::Problem;
use crate::http::query::{StreamQuery, Topic, ValidQuery};
use crate::http::sse::Events;
use crate::outbox::Outbox;
use crate::session::Session;

/// By which a browser says what it has already.
const LAST_EVENT_ID: &str = "last-event-id";

pub(crate) async fn open(
    Extension(context): Extension<Arc<RequestContext>>,
    method: Method,
    Topic(topic): Topic,
    ValidQuery(query): ValidQuery<StreamQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let form = Form::wanted(&headers);
    if form == Form::Page {
        return Ok(assets::page(&headers));
    }
    let last_event_id = headers.get(LAST_EVENT_ID).map(|id| id.to_str());
    let last_event_id = match last_event_id {
        // A browser sends an empty one if it has none.
        None | Some(Ok("")) => None,
        Some(Ok(id)) => Some(id),
        Some(Err(_)) => return Err(Problem::bad_request("Last-Event-ID is no text")),
    };
    let (options, is_poll) = query.options(&topic, last_event_id)?;
    let kind = match form {
        Form::Events => "text/event-stream",
        _ => "application/x-ndjson",
    };
    let body = if method == Method::HEAD {
        Body::empty()
    } else {
        stream(context, &topic, &options, is_poll, form)
    };
    Ok((StatusCode::OK, [(CONTENT_TYPE, kind)], body).into_response())
}

/// Begins a session that is registered for the topic; what it gets is the body.
fn stream(
    context: Arc<RequestContext>,
    topic: &TopicName,
    options: &RegistrationOptions,
    is_poll: bool,
    form: Form,
) -> Body {
    let registration = Registration {
        source: context.peer.into(),
        topics: std::slice::from_ref(topic),
        extended: Some(options),
    };
    let config = context.config();
    let (pipe_writer, pipe_reader) = pipe(context.local, STREAM_ROOM);
    let outbox = Arc::new(Outbox::new(
        pipe_writer,
        context.peer,
        context.state().outbox_limits().clone(),
    ));
    let reader = pipe_reader.request_reader(registration.to_line(), is_poll);
    let session = Session::new(reader, outbox, context.state().admit_within());
    tokio::spawn(session.run());
    let is_at_its_end =
        options.last.is_none() && options.since.is_none() && options.resume.is_empty();
    let events = (form == Form::Events)
        .then(|| Events::new(topic.clone(), is_at_its_end, config.ping_interval));
    Body::new(Stream {
        pipe_reader,
        events,
        _visitor: context,
    })
}

/// The body of an answer that goes on as long as both sides want.
struct Stream {
    pipe_reader: PipeReader,
    /// Makes events of the lines, if that is wanted.
    events: Option<Events>,
    /// The connection counts as long as this is there.
    _visitor: Arc<RequestContext>,
}

impl http_body::Body for Stream {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
        let this = &mut *self;
        let Some(events) = &mut this.events else {
            let bytes = ready!(this.pipe_reader.poll_take(cx));
            return Poll::Ready(bytes.map(|bytes| Ok(http_body::Frame::data(bytes))));
        };
        loop {
            let bytes = match this.pipe_reader.poll_take(cx) {
                Poll::Ready(Some(bytes)) => events.convert(&bytes),
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Pending => ready!(events.poll_silence(cx)),
            };
            if !bytes.is_empty() {
                return Poll::Ready(Some(Ok(http_body::Frame::data(bytes))));
            }
        }
    }
}
