//! `POST /TOPIC`, and `PUT` for upload programs: the body becomes a message, or each of its lines
//! becomes one.

use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, HeaderMap};
use axum::response::Response;
use bytes::Bytes;
use serde::Deserialize;
use tokio::sync::oneshot;
use wire::{ErrorCode, MAX_ID_BYTES, Message, TopicName, UserName};

use crate::history::entry::Stored;
use crate::http::auth::RequestPrincipal;
use crate::http::body::{WholeBody, too_long};
use crate::http::context::RequestContext;
use crate::http::problem::{Problem, json};
use crate::http::query::{Topic, ValidQuery};
use crate::identity::Identity;
use crate::outbox::batch::Batch;
use crate::peer;
use crate::topic::publication::{MessageId, Publication, Receipt, Reply, Unstored};

/// How the body becomes messages.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PublishQuery {
    /// `lines`: each line is a message.
    split: Option<String>,
    /// The publisher's name.
    user: Option<String>,
    /// The id under which the message is published only once.
    id: Option<String>,
    /// `whole`: the message is the whole JSON body.
    json: Option<String>,
}

/// A body in JSON. Other members are ignored, because webhooks send more.
#[derive(Debug, Deserialize)]
struct JsonBody {
    text: String,
    user: Option<String>,
    id: Option<String>,
}

/// The messages to publish.
struct Publish {
    texts: Vec<String>,
    user: Option<String>,
    id: Option<String>,
}

pub(crate) async fn publish(
    Extension(context): Extension<Arc<RequestContext>>,
    principal: RequestPrincipal,
    Topic(topic): Topic,
    ValidQuery(query): ValidQuery<PublishQuery>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    // This comes before the body is read: a client that may not publish needn't send it.
    principal.gate(&context).check_publish(&topic)?;
    let body = WholeBody::read(&context, &headers, body).await?;
    let request = parse_body(query, &headers, &body.bytes)?;
    let lines = lines(&context, &topic, &request.texts)?;
    let count = request.texts.len();
    let identity = identify(&context, &principal, request.user.as_deref()).await?;
    let id = match request.id.as_deref() {
        Some(id) => Some(message_id(
            &context,
            id,
            &request.texts,
            identity.as_deref(),
        )?),
        None => None,
    };
    let (receipt, stored) = oneshot::channel();
    let publication = Publication {
        origin: None,
        identity,
        batch: Batch::owned(lines, u32::try_from(count).unwrap_or(u32::MAX)),
        reply: Reply::Receipt(Box::new(Receipt { id, to: receipt })),
    };
    let queues = context.state().queue_limits();
    std::future::poll_fn(|cx| queues.poll_mailboxes(cx)).await;
    drop(body);
    // The client waits for the receipt, which slows it.
    let (_topic, _has_room) = principal.gate(&context).publish(&topic, publication)?;
    match stored.await {
        Ok(Ok(stored)) => Ok(answer(&topic, stored, count)),
        Ok(Err(Unstored { code, text })) => Err(match code {
            ErrorCode::DuplicateId => Problem::new(StatusCode::CONFLICT, code, text),
            ErrorCode::StorageBusy => Problem::new(StatusCode::SERVICE_UNAVAILABLE, code, text),
            ErrorCode::NoQuorum => Problem::no_quorum(text),
            _ => Problem::new(StatusCode::INSUFFICIENT_STORAGE, code, text),
        }),
        Err(_) => Err(Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            ErrorCode::ShuttingDown,
            "the server is ending: the message may be lost",
        )),
    }
}

/// The answer: where the message is. For several, where the last one is, and how many there are.
fn answer(topic: &TopicName, stored: Stored, count: usize) -> Response {
    #[derive(serde::Serialize)]
    struct Published<'a> {
        topic: &'a str,
        seq: u64,
        time: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        count: Option<usize>,
    }
    let published = Published {
        topic: topic.as_str(),
        seq: stored.seq + (count as u64).saturating_sub(1),
        time: stored.time,
        count: (count > 1).then_some(count),
    };
    json(StatusCode::OK, &published)
}

/// Parses the body.
fn parse_body(query: PublishQuery, headers: &HeaderMap, bytes: &Bytes) -> Result<Publish, Problem> {
    let kind = headers
        .get(CONTENT_TYPE)
        .map_or("", |kind| kind.to_str().unwrap_or("?"));
    let kind = kind.split(';').next().unwrap_or_default().trim();
    let is_json = kind.eq_ignore_ascii_case("application/json") && !is_whole(&query)?;
    let mut request = if is_json {
        let body: JsonBody = serde_json::from_slice(bytes).map_err(|error| {
            Problem::new(
                StatusCode::BAD_REQUEST,
                ErrorCode::BadFrame,
                format!(
                    "the body isn't {{\"text\":\"…\"}}: {error}; to publish JSON as it is, add \
                     ?json=whole"
                ),
            )
        })?;
        Publish {
            texts: vec![body.text],
            user: body.user.or(query.user),
            id: body.id.or(query.id),
        }
    } else if kind.to_ascii_lowercase().starts_with("multipart/") {
        return Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            ErrorCode::BadRequest,
            "the body is the message, or JSON with its text; not a form's parts",
        ));
    } else {
        let text = std::str::from_utf8(bytes).map_err(|error| {
            Problem::new(
                StatusCode::BAD_REQUEST,
                ErrorCode::NotUtf8,
                format!("the body is no text from byte {} on", error.valid_up_to()),
            )
        })?;
        Publish {
            texts: vec![text.to_owned()],
            user: query.user,
            id: query.id,
        }
    };
    match query.split.as_deref() {
        None => {}
        Some("lines") => request.texts = request.texts.iter().flat_map(|t| split(t)).collect(),
        Some(other) => {
            return Err(Problem::bad_request(format!(
                "split is \"lines\", not {other:?}"
            )));
        }
    }
    match (request.texts.len(), &request.id) {
        (0, _) => Err(Problem::bad_request("there is no line in the body")),
        (2.., Some(_)) => Err(Problem::bad_request("an id is for one message")),
        _ => Ok(request),
    }
}

/// Whether the message is the whole JSON body.
fn is_whole(query: &PublishQuery) -> Result<bool, Problem> {
    match query.json.as_deref() {
        None => Ok(false),
        Some("whole") => Ok(true),
        Some(other) => Err(Problem::bad_request(format!(
            "json is \"whole\", not {other:?}"
        ))),
    }
}

/// The lines of a text, without their ends.
fn split(text: &str) -> impl Iterator<Item = String> {
    text.lines().map(str::to_owned)
}

/// The frames, one a line.
fn lines(context: &RequestContext, topic: &TopicName, texts: &[String]) -> Result<Bytes, Problem> {
    let max = context.config().frame_limits.max_frame;
    let mut lines = Vec::new();
    for text in texts {
        let message = Message {
            source: peer::endpoint(context.peer).into(),
            destination: context.local().into(),
            topic: topic.as_str(),
            text,
        };
        let line = message.to_line();
        // The line's end doesn't count, and the quotation marks of a JSON string take two bytes.
        if line.len() > max + 1 {
            return Err(too_long(max));
        }
        lines.extend_from_slice(&line);
    }
    Ok(lines.into())
}

/// The publisher's identity, if the request gives a name or has proven one. A name that a
/// connected client holds is refused.
async fn identify(
    context: &RequestContext,
    principal: &RequestPrincipal,
    user: Option<&str>,
) -> Result<Option<Arc<Identity>>, Problem> {
    let account = principal.0.account().cloned();
    let hashes = context.state().hashes();
    let identity = |name| {
        let identity = Identity::new(hashes, context.peer, name, None, None);
        Some(Arc::new(identity.with_account(account.clone())))
    };
    let Some(user) = user else {
        // The login's name, unless a connection, maybe of the same user, holds it now.
        let named = principal.0.name();
        let mut named = named.filter(|name| principal.gate(context).check_name(name).is_ok());
        if let Some(name) = named
            && context.state().has_name(name).await
        {
            named = None;
        }
        return Ok(account.as_ref().and_then(|_| identity(named.cloned())));
    };
    let name = UserName::new(user).map_err(|error| Problem::bad_request(error.to_string()))?;
    principal.gate(context).check_name(&name)?;
    if context.state().has_name(&name).await {
        return Err(Problem::new(
            StatusCode::CONFLICT,
            ErrorCode::NameTaken,
            format!("somebody else is called {user:?} here; use another name"),
        ));
    }
    Ok(identity(Some(name)))
}

fn message_id(
    context: &RequestContext,
    id: &str,
    texts: &[String],
    identity: Option<&Identity>,
) -> Result<MessageId, Problem> {
    if !(1..=MAX_ID_BYTES).contains(&id.len()) {
        return Err(Problem::bad_request(format!(
            "an id has 1 to {MAX_ID_BYTES} bytes"
        )));
    }
    let hashes = context.state().hashes();
    let text = texts.first().map_or("", String::as_str);
    let ip = context.peer.ip();
    let user = identity.and_then(|identity| identity.user.as_ref());
    Ok(MessageId::of_request(hashes, id, text, user, ip))
}
