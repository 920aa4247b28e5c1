//! Reading the log. Any server with a copy answers, and may be a moment behind the leader; so the
//! leader is asked whether there really is nothing.
//!
//! NATS chooses the server. One that has been stopped, or cut off without a word, is chosen for up
//! to a minute more, until the others take it for dead, and its questions have no answer. So after
//! a short silence the leader is asked: there is another one within seconds.

use std::time::Duration;

use async_nats::{Message, StatusCode};
use serde_json::{Value, json};

use super::super::log::{Located, LogError};
use super::api;
use super::connection::{Connection, Unanswered};
use super::look::look;
use super::message::{before, located};
use super::subject::Place;

/// Time for a copy to find one record.
const GET_TIMEOUT: Duration = Duration::from_millis(300);
/// Time for a copy to read a batch.
const READ_TIMEOUT: Duration = Duration::from_millis(1000);
/// Records of one batch.
const BATCH: usize = 1000;

/// Nothing is there.
const NOT_FOUND: u16 = 404;
/// The batch ends here.
const END_OF_BATCH: u16 = 204;

/// The first record from this position on.
pub(super) async fn next(
    connection: &Connection,
    place: &Place<'_>,
    from: u64,
) -> Result<Option<Located>, LogError> {
    one(
        connection,
        place,
        &json!({ "seq": from.max(1), "next_by_subj": place.log() }),
    )
    .await
}

/// The first record of this time, as RFC 3339 has it, or of a later one.
pub(super) async fn since(
    connection: &Connection,
    place: &Place<'_>,
    time: &str,
) -> Result<Option<Located>, LogError> {
    one(
        connection,
        place,
        &json!({ "start_time": time, "next_by_subj": place.log() }),
    )
    .await
}

async fn one(
    connection: &Connection,
    place: &Place<'_>,
    body: &Value,
) -> Result<Option<Located>, LogError> {
    let asked = connection.ask(subject(place), None, api::json(body), GET_TIMEOUT);
    let message = match asked.await {
        Ok(message) => message,
        Err(Unanswered::Late) => return by_leader(connection, place, body).await,
        Err(unanswered) => return Err(unanswered.into()),
    };
    match status(&message) {
        None => found(&message).map(Some),
        Some(NOT_FOUND) => by_leader(connection, place, body).await,
        Some(_) => Err(refused(&message)),
    }
}

async fn by_leader(
    connection: &Connection,
    place: &Place<'_>,
    body: &Value,
) -> Result<Option<Located>, LogError> {
    let stored = look(connection, place, body).await?;
    Ok(stored.and_then(|stored| stored.located()))
}

/// The records from this position on, up to about so many bytes.
pub(super) async fn batch(
    connection: &Connection,
    place: &Place<'_>,
    from: u64,
    bytes: usize,
) -> Result<Vec<Located>, LogError> {
    let body = json!({
        "seq": from.max(1),
        "next_by_subj": place.log(),
        "batch": BATCH,
        "max_bytes": bytes.max(1),
    });
    let body = api::json(&body);
    let is_last = |message: &Message| status(message).is_some();
    let asked = connection.ask_for_many(subject(place), body, BATCH + 1, READ_TIMEOUT, is_last);
    let records = match asked.await {
        Ok(messages) => collected(messages)?,
        // The leader gives one record, with which reading goes on.
        Err(Unanswered::Late) => Vec::new(),
        Err(unanswered) => return Err(unanswered.into()),
    };
    if !records.is_empty() {
        return Ok(records);
    }
    let body = json!({ "seq": from.max(1), "next_by_subj": place.log() });
    let record = by_leader(connection, place, &body).await?;
    Ok(record.into_iter().collect())
}

/// The records of a batch. They come without flow control: behind a hole, nothing counts.
fn collected(messages: Vec<Message>) -> Result<Vec<Located>, LogError> {
    let mut records: Vec<Located> = Vec::with_capacity(messages.len());
    for message in messages {
        match status(&message) {
            None => {}
            Some(END_OF_BATCH | NOT_FOUND) => break,
            Some(_) => return Err(refused(&message)),
        }
        let last = records.last().map_or(0, |record| record.at);
        if before(&message) != Some(last) {
            break;
        }
        records.push(found(&message)?);
    }
    Ok(records)
}

fn subject(place: &Place<'_>) -> String {
    format!("$JS.API.DIRECT.GET.{}", place.shard.stream)
}

fn status(message: &Message) -> Option<u16> {
    message.status.as_ref().map(StatusCode::as_u16)
}

fn found(message: &Message) -> Result<Located, LogError> {
    located(message).ok_or_else(|| LogError::Refused("NATS sent no record".to_owned()))
}

fn refused(message: &Message) -> LogError {
    let text = message.description.clone().unwrap_or_default();
    let status = status(message).unwrap_or_default();
    LogError::Refused(format!("{text} ({status})"))
}
