//! Appending to the log, behind the record that is named.

use std::time::Duration;

use async_nats::HeaderMap;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::json;

use super::super::again::once_more;
use super::super::log::{Appended, LogError};
use super::api::{self, ASK_AGAIN_AFTER, ApiError, code};
use super::connection::{Connection, Unanswered};
use super::look::look;
use super::message::{EXPECTED_LAST, MESSAGE_ID};
use super::subject::Place;

/// Time for a record to be appended. An election takes 4 to 9 s, and then the answer to what was
/// asked before it is lost; so it is asked again rather than waited for.
pub(super) const APPEND_TIMEOUT: Duration = Duration::from_secs(2);

#[derive(Deserialize)]
struct Acknowledgement {
    stream: String,
    #[serde(rename = "seq")]
    sequence: u64,
}

/// Appends a record if the newest one of the topic is at `prev`.
pub(super) async fn append(
    connection: &Connection,
    place: &Place<'_>,
    prev: u64,
    id: &str,
    record: Bytes,
) -> Appended {
    let id = place.message_id(id);
    let mut headers = HeaderMap::new();
    headers.insert(EXPECTED_LAST, prev.to_string());
    headers.insert(MESSAGE_ID, id.as_str());
    let ask = |time| ask(connection, place, headers.clone(), record.clone(), time);
    let (first, second) = (ask(APPEND_TIMEOUT), ask(APPEND_TIMEOUT - ASK_AGAIN_AFTER));
    match once_more(ASK_AGAIN_AFTER, first, second, tells_outcome).await {
        Ok(stored) if stored.stream == place.shard.stream && stored.sequence != 0 => {
            Appended::At(stored.sequence)
        }
        Ok(stored) => Appended::Unknown(LogError::Refused(format!(
            "the stream {} has taken a record of {}",
            stored.stream, place.shard.stream
        ))),
        Err(error) => match error.code() {
            Some(code::WRONG_LAST_SEQUENCE) => successor(connection, place, prev, &id).await,
            Some(code::OTHER_IN_PROCESS) => Appended::Busy,
            // This one, from an earlier try: it will be in the log, or not.
            Some(code::SAME_IN_PROCESS) => {
                Appended::Unknown(LogError::Away("it is still in process".to_owned()))
            }
            _ => Appended::Unknown(error.into()),
        },
    }
}

async fn ask(
    connection: &Connection,
    place: &Place<'_>,
    headers: HeaderMap,
    record: Bytes,
    time: Duration,
) -> Result<Acknowledgement, ApiError> {
    let asked = connection.ask(place.log(), Some(headers), record, time);
    api::read(&asked.await?.payload)
}

/// Whether this answer, to a record that was sent twice, tells what became of it.
fn tells_outcome(answer: &Result<Acknowledgement, ApiError>) -> bool {
    match answer {
        Ok(_) => true,
        Err(ApiError::Unanswered(Unanswered::Late)) => false,
        Err(error) => !matches!(
            error.code(),
            // It is the first one that is.
            Some(code::OTHER_IN_PROCESS | code::SAME_IN_PROCESS)
        ),
    }
}

/// Another record than `prev` is the newest one. An earlier try of this one may be the reason: NATS
/// looks at the position first, and at the id only after that. The record behind `prev` shows it.
async fn successor(connection: &Connection, place: &Place<'_>, prev: u64, id: &str) -> Appended {
    let subject = place.log();
    let body = json!({ "seq": prev.saturating_add(1), "next_by_subj": subject });
    match look(connection, place, &body).await {
        Ok(Some(stored)) if stored.has_id(id) => Appended::At(stored.sequence()),
        Ok(Some(_)) => Appended::Behind,
        // None is behind `prev`, so the newest one is before it: the log has lost records, or
        // they were deleted.
        Ok(None) => Appended::Behind,
        Err(error) => Appended::Unknown(error.into()),
    }
}
