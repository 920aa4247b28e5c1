//! The streams of a cluster: made if they aren't there, and looked at if they are.

use std::time::Duration;

use async_nats::HeaderMap;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tokio::time::{Instant, sleep};

use super::super::error::EngineError;
use super::api::{self, ApiError, code};
use super::connection::Connection;
use super::message::{EXPECTED_LAST, Stored};
use super::subject::{Names, Shard};

/// Time for an answer about a stream.
const STREAM_TIMEOUT: Duration = Duration::from_secs(5);
/// For how long NATS may be unready: its servers elect a leader first.
const START_PATIENCE: Duration = Duration::from_secs(30);
/// For how long a stream may have too few servers: NATS servers that are started together know each
/// other a little later than they answer. If they stay too few, an administrator waits so long for
/// the error.
const PEERS_PATIENCE: Duration = Duration::from_secs(10);
/// The time between two tries.
const PAUSE: Duration = Duration::from_millis(200);
/// For how long NATS knows the ids of records. Longer than anybody tries again, and short, because
/// they are in its memory.
const DUPLICATE_WINDOW: Duration = Duration::from_secs(30);
/// A time beyond that has no limit: NATS counts nanoseconds in 63 bits.
const LONGEST_AGE: Duration = Duration::from_secs(200 * 366 * 24 * 60 * 60);

/// What a stream of a cluster has in common with what it should be.
#[derive(Debug, Deserialize)]
struct Info {
    config: Map<String, Value>,
}

/// What the streams of a cluster are made with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    pub(super) keep_age: Duration,
    /// On how many servers each record is, when a stream is made.
    pub(super) replicas: usize,
    /// Streams that are there are changed to that.
    pub(super) is_replicas_given: bool,
}

/// Makes all streams of a cluster, or sees that they are what they should be.
pub(super) async fn prepare(
    connection: &Connection,
    names: &Names,
    wanted: Wanted,
) -> Result<(), EngineError> {
    let meta = names.meta_stream();
    let config = json!({ "name": meta, "subjects": [names.meta("*")], "max_age": 0 });
    make(connection, config, wanted).await?;
    check_shards(connection, names).await?;
    prepare_shards(connection, names, wanted).await
}

/// Makes the streams of records, or sees that they are what they should be.
pub(super) async fn prepare_shards(
    connection: &Connection,
    names: &Names,
    wanted: Wanted,
) -> Result<(), EngineError> {
    let shards = names.shards().iter();
    let made = shards.map(|shard| make(connection, shard_config(shard, wanted), wanted));
    futures_util::future::try_join_all(made).await?;
    Ok(())
}

fn shard_config(shard: &Shard, wanted: Wanted) -> Value {
    let age = match wanted.keep_age {
        age if age > LONGEST_AGE => 0,
        age => age.as_nanos(),
    };
    json!({
        "name": shard.stream,
        "subjects": [shard.all()],
        "max_age": u64::try_from(age).unwrap_or_default(),
        "duplicate_window": nanos(DUPLICATE_WINDOW.min(wanted.keep_age)),
        "republish": { "src": shard.all(), "dest": shard.all_live() },
    })
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// Makes a stream, or changes it where it may be changed.
async fn make(connection: &Connection, config: Value, wanted: Wanted) -> Result<(), EngineError> {
    let Value::Object(mut config) = config else {
        return Ok(());
    };
    config.insert("storage".to_owned(), "file".into());
    config.insert("allow_direct".to_owned(), true.into());
    let name = config["name"].as_str().unwrap_or_default().to_owned();
    match ask::<Info>(connection, &format!("STREAM.INFO.{name}"), &json!({})).await {
        Ok(there) => return adapt(connection, &name, there.config, config, wanted).await,
        Err(error) if error.code() == Some(code::NO_STREAM) => {}
        Err(error) => return Err(refused(&name, &error)),
    }
    config.insert("num_replicas".to_owned(), wanted.replicas.into());
    let created = ask::<Info>(connection, &format!("STREAM.CREATE.{name}"), &config).await;
    match created {
        Ok(_) => Ok(()),
        // Another server was faster, with other options.
        Err(error) if error.code() == Some(code::NAME_IN_USE) => {
            let there = ask::<Info>(connection, &format!("STREAM.INFO.{name}"), &json!({})).await;
            let there = there.map_err(|error| refused(&name, &error))?;
            adapt(connection, &name, there.config, config, wanted).await
        }
        Err(error) => Err(refused(&name, &error)),
    }
}

/// Makes a stream that is there what it should be, if it is one of this cluster.
async fn adapt(
    connection: &Connection,
    name: &str,
    mut there: Map<String, Value>,
    mut wanted_config: Map<String, Value>,
    wanted: Wanted,
) -> Result<(), EngineError> {
    wanted_config.remove("num_replicas");
    if wanted.is_replicas_given {
        wanted_config.insert("num_replicas".to_owned(), wanted.replicas.into());
    }
    for fixed in ["subjects", "republish", "storage"] {
        if there.get(fixed) != wanted_config.get(fixed) {
            return Err(EngineError::OtherStream(name.to_owned()));
        }
    }
    let is_other =
        |(key, value): (&String, &Value)| there.get(key).unwrap_or(&Value::from(0)) != value;
    if !wanted_config.iter().any(is_other) {
        return Ok(());
    }
    tracing::info!("changing the stream {name} to the options of this server");
    there.extend(wanted_config);
    let updated = ask::<Info>(connection, &format!("STREAM.UPDATE.{name}"), &there).await;
    updated.map(drop).map_err(|error| refused(name, &error))
}

fn refused(stream: &str, error: &ApiError) -> EngineError {
    let stream = stream.to_owned();
    match error.code() {
        Some(code::NOT_ENABLED | code::NOT_ENABLED_FOR_ACCOUNT) => EngineError::NoJetStream,
        Some(code::NO_PEERS) => EngineError::FewServers(stream),
        _ if error.is_silence() => EngineError::Silent,
        _ => EngineError::Stream {
            stream,
            cause: error.to_string(),
        },
    }
}

/// Asks until NATS is ready to answer.
async fn ask<T: serde::de::DeserializeOwned>(
    connection: &Connection,
    name: &str,
    body: &impl Serialize,
) -> Result<T, ApiError> {
    let start = Instant::now();
    loop {
        match api::request(connection, name, body, STREAM_TIMEOUT).await {
            Err(error) if start.elapsed() < patience(&error) => sleep(PAUSE).await,
            answer => return answer,
        }
    }
}

/// For how long what has failed so is tried again.
fn patience(error: &ApiError) -> Duration {
    match error.code() {
        Some(code::NO_PEERS) => PEERS_PATIENCE,
        _ if error.is_passing() => START_PATIENCE,
        _ => Duration::ZERO,
    }
}

/// All servers must spread the topics over as many streams.
async fn check_shards(connection: &Connection, names: &Names) -> Result<(), EngineError> {
    let mine = names.shards().len();
    let stored = agreed(connection, names, "shards", mine.to_string().into()).await?;
    let shards = std::str::from_utf8(&stored).ok();
    match shards.and_then(|text| text.parse::<usize>().ok()) {
        Some(shards) if shards == mine => Ok(()),
        Some(shards) => Err(EngineError::Shards { shards, mine }),
        None => Err(EngineError::OtherStream(names.meta_stream())),
    }
}

/// What the first server of the cluster has stored under this word: the others agree to it.
pub(super) async fn agreed(
    connection: &Connection,
    names: &Names,
    word: &str,
    proposal: Bytes,
) -> Result<Bytes, EngineError> {
    let (stream, subject) = (names.meta_stream(), names.meta(word));
    let end = Instant::now() + START_PATIENCE;
    loop {
        let error = match first(connection, &stream, &subject).await {
            Ok(stored) => match stored.located() {
                Some(located) => return Ok(located.record),
                None => return Err(EngineError::OtherStream(stream)),
            },
            Err(error) if error.code() == Some(code::NO_MESSAGE) => {
                propose(connection, &subject, proposal.clone()).await.err()
            }
            Err(error) => Some(error),
        };
        match error {
            Some(error) if !error.is_passing() || Instant::now() >= end => {
                return Err(refused(&stream, &error));
            }
            Some(_) => sleep(PAUSE).await,
            None => {}
        }
    }
}

/// The first record with this subject: what came later than it doesn't count.
async fn first(connection: &Connection, stream: &str, subject: &str) -> Result<Stored, ApiError> {
    let body = json!({ "seq": 1, "next_by_subj": subject });
    let name = format!("STREAM.MSG.GET.{stream}");
    api::request(connection, &name, &body, STREAM_TIMEOUT).await
}

/// Appends the first record with this subject, or nothing.
async fn propose(connection: &Connection, subject: &str, value: Bytes) -> Result<(), ApiError> {
    let mut headers = HeaderMap::new();
    headers.insert(EXPECTED_LAST, "0");
    let asked = connection.ask(subject.to_owned(), Some(headers), value, STREAM_TIMEOUT);
    match api::read::<Value>(&asked.await?.payload) {
        Ok(_) => Ok(()),
        Err(error) => match error.code() {
            // Another server was faster.
            Some(code::WRONG_LAST_SEQUENCE | code::OTHER_IN_PROCESS) => Ok(()),
            _ => Err(error),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_by_itself_while_nats_starts_is_tried_again() {
        let refused = |code: u32, err_code: u32| {
            let refusal = json!({ "code": code, "err_code": err_code, "description": "" });
            ApiError::Refused(serde_json::from_value(refusal).unwrap())
        };
        for (error, expected) in [
            // NATS says 400 of this one, as of what a request has wrong.
            (refused(400, code::NO_PEERS), PEERS_PATIENCE),
            (refused(503, 10008), START_PATIENCE),
            (refused(400, code::NAME_IN_USE), Duration::ZERO),
            (refused(404, code::NO_STREAM), Duration::ZERO),
            (ApiError::Nonsense(String::new()), Duration::ZERO),
        ] {
            assert_eq!(patience(&error), expected, "{error}");
        }
    }
}
