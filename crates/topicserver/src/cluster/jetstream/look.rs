//! Records as the leader of a stream knows them.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::super::again::once_more;
use super::api::{self, ASK_AGAIN_AFTER, ApiError, code};
use super::connection::{Connection, Unanswered};
use super::message::Stored;
use super::subject::Place;

/// Time for a leader to look something up.
const LOOK_TIMEOUT: Duration = Duration::from_secs(2);

/// How long ago a leader must have heard of another server of its stream: they answer each second,
/// and without an answer of the leader nobody else is elected for this long.
const IN_TOUCH: Duration = Duration::from_secs(4);

/// What a leader says of its stream.
#[derive(Deserialize)]
struct Info {
    /// Absent where there is one server only.
    cluster: Option<Peers>,
}

#[derive(Deserialize)]
struct Peers {
    #[serde(default)]
    replicas: Vec<Peer>,
}

/// Another server that keeps the stream.
#[derive(Deserialize)]
struct Peer {
    #[serde(default)]
    current: bool,
    #[serde(default)]
    offline: bool,
    /// How long ago it was heard of, in nanoseconds; 0 if it never was.
    #[serde(default)]
    active: u64,
}

/// The record that the leader finds, or that there is none.
pub(super) async fn look(
    connection: &Connection,
    place: &Place<'_>,
    body: &Value,
) -> Result<Option<Stored>, ApiError> {
    let name = format!("STREAM.MSG.GET.{}", place.shard.stream);
    let ask = |time| api::request(connection, &name, body, time);
    let (first, second) = (ask(LOOK_TIMEOUT), ask(LOOK_TIMEOUT - ASK_AGAIN_AFTER));
    let is_answer = |answer: &Result<_, ApiError>| {
        !matches!(answer, Err(ApiError::Unanswered(Unanswered::Late)))
    };
    match once_more(ASK_AGAIN_AFTER, first, second, is_answer).await {
        Ok(stored) => Ok(Some(stored)),
        Err(error) if error.code() == Some(code::NO_MESSAGE) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether the leader of a stream is in touch with most of the servers that keep it.
pub(super) async fn is_in_touch(
    connection: &Connection,
    place: &Place<'_>,
) -> Result<bool, ApiError> {
    let name = format!("STREAM.INFO.{}", place.shard.stream);
    let info: Info = api::request(connection, &name, &json!({}), LOOK_TIMEOUT).await?;
    Ok(info.is_in_touch())
}

impl Info {
    fn is_in_touch(&self) -> bool {
        let others = self
            .cluster
            .as_ref()
            .map_or(&[][..], |peers| &peers.replicas);
        let near = others.iter().filter(|peer| peer.is_near()).count();
        2 * (1 + near) > 1 + others.len()
    }
}

impl Peer {
    fn is_near(&self) -> bool {
        let was_heard = self.active > 0 || self.current;
        !self.offline && was_heard && Duration::from_nanos(self.active) < IN_TOUCH
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leader_is_in_touch_that_has_heard_of_most_servers_lately() {
        let near = r#"{"name":"b","current":true,"active":900000000}"#;
        let lags = r#"{"name":"b","current":false,"active":900000000,"lag":7}"#;
        let silent = r#"{"name":"b","current":true,"active":4100000000}"#;
        let offline = r#"{"name":"b","current":false,"offline":true,"active":10}"#;
        let unknown = r#"{"name":"b","current":false,"active":0}"#;
        for (replicas, expected) in [
            (vec![], true),
            (vec![near, silent], true),
            (vec![lags, offline], true),
            (vec![silent, silent], false),
            (vec![offline, unknown], false),
            (vec![silent], false),
            (vec![near, near, silent, silent], true),
            (vec![near, silent, silent, unknown], false),
        ] {
            let text = format!(r#"{{"cluster":{{"replicas":[{}]}}}}"#, replicas.join(","));
            let info: Info = serde_json::from_str(&text).unwrap();
            assert_eq!(info.is_in_touch(), expected, "{text}");
        }
        let alone: Info = serde_json::from_str("{}").unwrap();
        assert!(alone.is_in_touch());
    }
}
