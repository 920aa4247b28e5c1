//! Deleting the oldest records of a topic.

use std::time::Duration;

use serde_json::{Value, json};

use super::super::log::LogError;
use super::api;
use super::connection::Connection;
use super::subject::Place;

/// Time to delete records.
const TRIM_TIMEOUT: Duration = Duration::from_secs(5);

/// Deletes the topic's records before this position.
pub(super) async fn trim(
    connection: &Connection,
    place: &Place<'_>,
    before: u64,
) -> Result<(), LogError> {
    // Without a position NATS would delete all of them.
    if before <= 1 {
        return Ok(());
    }
    let name = format!("STREAM.PURGE.{}", place.shard.stream);
    let body = json!({ "filter": place.log(), "seq": before });
    let purged = api::request::<Value>(connection, &name, &body, TRIM_TIMEOUT);
    purged.await.map(drop).map_err(LogError::from)
}
