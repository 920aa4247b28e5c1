//! The history on disk, for administrators. It is looked through in steps, at a bounded rate,
//! and at most one step waits to be sent: most of the disk is left to publishers, and memory
//! doesn't grow with what is sent.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};
use bytes::Bytes;
use hyper::body::Frame;
use serde::Deserialize;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::Instant;
use wire::TopicName;

use super::Control;
use crate::config::Config;
use crate::store::{Ids, Look, Step, Store, StoreError, ToolError, Walk};

/// Requests that are answered at a time: a backup, and somebody who looks something up meanwhile.
/// Each takes a thread, and a part of what the disk can do.
const WALKS: usize = 2;

/// How many may still be answered.
#[derive(Clone)]
struct Walks(Arc<Semaphore>);

/// How long a receiver may take nothing. Longer than any command of ours waits, and soon enough
/// that a stuck one doesn't keep others out for long.
const STALL: Duration = Duration::from_secs(60);

/// After so long without anything to send, an empty line says that there is no end yet.
const SILENCE: Duration = Duration::from_secs(1);

/// Messages in an answer to a request that doesn't say how many: a few screens.
const MESSAGES: u64 = 100;

/// What somebody is told who has named no topic.
const NO_TOPIC: &str = "say which topic, as in ?topic=lab";

/// What is asked for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Wanted {
    topic: Option<TopicText>,
    from: Option<u64>,
    count: Option<u64>,
    #[serde(default)]
    with_ids: bool,
    /// Bytes a second.
    rate: Option<u64>,
}

/// A topic's name.
#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
struct TopicText(TopicName);

impl TryFrom<String> for TopicText {
    type Error = wire::TopicNameError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        TopicName::new(&text).map(Self)
    }
}

pub(super) fn router() -> Router<Arc<Control>> {
    Router::new()
        .route("/-/history/topics", get(topics))
        .route("/-/history/messages", get(messages))
        .route("/-/history/export", get(export))
        .route("/-/history/verify", get(verify))
        .route("/-/history/forget", post(forget))
        .layer(Extension(Walks(Arc::new(Semaphore::new(WALKS)))))
}

async fn topics(
    State(control): State<Arc<Control>>,
    Extension(walks): Extension<Walks>,
    Query(wanted): Query<Wanted>,
) -> Response {
    look(&control, walks, Look::Topics, wanted.rate).await
}

async fn messages(
    State(control): State<Arc<Control>>,
    Extension(walks): Extension<Walks>,
    Query(wanted): Query<Wanted>,
) -> Response {
    let Some(TopicText(topic)) = wanted.topic else {
        return refuse(StatusCode::BAD_REQUEST, NO_TOPIC);
    };
    let (from, count) = (wanted.from, wanted.count.unwrap_or(MESSAGES));
    let messages = Look::Messages { topic, from, count };
    look(&control, walks, messages, wanted.rate).await
}

async fn export(
    State(control): State<Arc<Control>>,
    Extension(walks): Extension<Walks>,
    Query(wanted): Query<Wanted>,
) -> Response {
    tracing::info!("an administrator copies the history");
    let ids = match wanted.with_ids {
        true => Ids::With,
        false => Ids::Without,
    };
    let topic = wanted.topic.map(|TopicText(topic)| topic);
    look(&control, walks, Look::Export { topic, ids }, wanted.rate).await
}

async fn verify(
    State(control): State<Arc<Control>>,
    Extension(walks): Extension<Walks>,
    Query(wanted): Query<Wanted>,
) -> Response {
    look(&control, walks, Look::Verify, wanted.rate).await
}

async fn forget(State(control): State<Arc<Control>>, Query(wanted): Query<Wanted>) -> Response {
    let Some(store) = control.state.store() else {
        return refuse_without_history();
    };
    let Some(TopicText(topic)) = wanted.topic else {
        return refuse(StatusCode::BAD_REQUEST, NO_TOPIC);
    };
    match store.forget(topic.clone()).await {
        Ok(Some(count)) => {
            tracing::warn!(
                "an administrator has deleted the {count} messages of topic {:?}",
                topic.as_str()
            );
            format!("{count}\n").into_response()
        }
        Ok(None) => refuse_error(&ToolError::NoTopic(topic)),
        Err(error) => refuse_error(&error.into()),
    }
}

/// Answers with what somebody wants to see, at a bounded rate.
async fn look(control: &Control, walks: Walks, look: Look, rate: Option<u64>) -> Response {
    let Some(store) = control.state.store().cloned() else {
        return refuse_without_history();
    };
    let Ok(permit) = walks.0.try_acquire_owned() else {
        let what = "two others look through the history already: try again when one has ended";
        return refuse(StatusCode::TOO_MANY_REQUESTS, what);
    };
    let walk = match store.look(look).await {
        Ok(walk) => walk,
        Err(error) => return refuse_error(&error),
    };
    let rate = rate.unwrap_or(Config::DEFAULT_BACKUP_RATE);
    let rate = rate.max(Config::LOWEST_BACKUP_RATE);
    let (out, steps) = mpsc::channel(1);
    tokio::spawn(async move {
        let _permit = permit;
        if let Err(error) = send(&store, walk, rate, &out).await {
            tracing::warn!("an administrator's look through the history has failed: {error}");
        }
    });
    let kind = [(header::CONTENT_TYPE, "application/x-ndjson")];
    let is_complete = false;
    (kind, Body::new(Steps { steps, is_complete })).into_response()
}

/// Goes through the history, and hands on what comes of it until nobody takes it any more.
async fn send(
    store: &Store,
    mut walk: Walk,
    rate: u64,
    out: &mpsc::Sender<Step>,
) -> Result<(), StoreError> {
    let (mut due, mut sent) = (Instant::now(), Instant::now());
    loop {
        let (rest, mut step) = store.step(walk).await?;
        walk = rest;
        if step.bytes.is_empty() && sent.elapsed() >= SILENCE {
            step.bytes.push(b'\n');
        }
        let (cost, is_last) = (step.read.max(step.bytes.len()), step.is_last);
        if !step.bytes.is_empty() {
            if out.send_timeout(step, STALL).await.is_err() {
                return Ok(());
            }
            sent = Instant::now();
        }
        if is_last {
            return Ok(());
        }
        // What was not used is not saved up: a pause of the receiver brings no burst.
        due = due.max(Instant::now()) + Duration::from_secs_f64(cost as f64 / rate as f64);
        tokio::time::sleep_until(due).await;
    }
}

/// A body whose pieces come from a task. If that ends before its last piece, the connection is
/// reset: an answer that looks complete must be.
struct Steps {
    steps: mpsc::Receiver<Step>,
    is_complete: bool,
}

impl hyper::body::Body for Steps {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let step = ready!(self.steps.poll_recv(cx));
        Poll::Ready(match step {
            Some(step) => {
                self.is_complete |= step.is_last;
                Some(Ok(Frame::data(step.bytes.into())))
            }
            None if self.is_complete => None,
            None => Some(Err(io::ErrorKind::ConnectionAborted.into())),
        })
    }
}

fn refuse(status: StatusCode, what: &str) -> Response {
    (status, format!("{what}\n")).into_response()
}

fn refuse_without_history() -> Response {
    let what = "this server keeps no history on disk: it was started without --data";
    refuse(StatusCode::CONFLICT, what)
}

fn refuse_error(error: &ToolError) -> Response {
    let status = match error {
        ToolError::NoTopic(_) => StatusCode::NOT_FOUND,
        ToolError::Open(_) | ToolError::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
    };
    refuse(status, &error.to_string())
}
