//! Records as the leader of a stream knows them.

use std::time::Duration;

use serde_json::Value;

use super::again;
use super::api::{self, ApiError, code};
use super::connection::{Connection, Unanswered};
use super::message::Stored;
use super::subject::Place;

/// Time for a leader to look something up.
const LOOK_TIMEOUT: Duration = Duration::from_secs(2);

/// The record that the leader finds, or that there is none.
pub(super) async fn look(
    connection: &Connection,
    place: &Place<'_>,
    body: &Value,
) -> Result<Option<Stored>, ApiError> {
    let name = format!("STREAM.MSG.GET.{}", place.shard.stream);
    let ask = |time| api::request(connection, &name, body, time);
    let (first, second) = (ask(LOOK_TIMEOUT), ask(LOOK_TIMEOUT - again::AFTER));
    let is_answer = |answer: &Result<_, ApiError>| {
        !matches!(answer, Err(ApiError::Unanswered(Unanswered::Late)))
    };
    match again::once_more(first, second, is_answer).await {
        Ok(stored) => Ok(Some(stored)),
        Err(error) if error.code() == Some(code::NO_MESSAGE) => Ok(None),
        Err(error) => Err(error),
    }
}
