//! The names of all topics in the log.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::try_join_all;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::json;
use std::collections::BTreeMap;
use tokio::sync::Mutex;
use tokio::time::Instant;
use wire::TopicName;

use super::super::log::LogError;
use super::api;
use super::connection::Connection;
use super::subject::{Names, Shard};

/// For how long the names are good. A page of them after another is then of one list, and many who
/// ask at once cost NATS no more than one.
const FRESH: Duration = Duration::from_secs(1);
/// Time for the names of one stream, or for 100,000 of them.
const LIST_TIMEOUT: Duration = Duration::from_secs(10);

/// The names of all topics, as they were a moment ago.
#[derive(Default)]
pub(super) struct Topics(Mutex<Option<List>>);

struct List {
    since: Instant,
    names: Arc<Vec<TopicName>>,
}

#[derive(Deserialize)]
struct Info {
    #[serde(default)]
    total: usize,
    state: State,
}

#[derive(Deserialize)]
struct State {
    #[serde(default)]
    subjects: BTreeMap<String, IgnoredAny>,
}

impl Topics {
    /// The names after this one, or from the first on.
    pub(super) async fn after(
        &self,
        connection: &Connection,
        names: &Names,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<TopicName>, LogError> {
        let all = self.all(connection, names).await?;
        let start = after.map_or(0, |after| {
            all.partition_point(|name| name.as_str() <= after)
        });
        Ok(all[start..].iter().take(limit).cloned().collect())
    }

    /// The lock is held meanwhile: one asks NATS, and the others wait for its answer.
    async fn all(
        &self,
        connection: &Connection,
        names: &Names,
    ) -> Result<Arc<Vec<TopicName>>, LogError> {
        let mut list = self.0.lock().await;
        if let Some(list) = list.as_ref().filter(|list| list.since.elapsed() < FRESH) {
            return Ok(Arc::clone(&list.names));
        }
        let of_shards = names
            .shards()
            .iter()
            .map(|shard| of_shard(connection, shard));
        let mut all = try_join_all(of_shards).await?.concat();
        all.sort_unstable_by(|one, other| one.as_str().cmp(other.as_str()));
        let names = Arc::new(all);
        *list = Some(List {
            since: Instant::now(),
            names: Arc::clone(&names),
        });
        Ok(names)
    }
}

/// The topics of a stream. NATS sends at most 100,000 of them at once.
async fn of_shard(connection: &Connection, shard: &Shard) -> Result<Vec<TopicName>, LogError> {
    let name = format!("STREAM.INFO.{}", shard.stream);
    let (mut topics, mut offset) = (Vec::new(), 0);
    loop {
        let body = json!({ "subjects_filter": shard.all(), "offset": offset });
        let info: Info = api::request(connection, &name, &body, LIST_TIMEOUT).await?;
        let subjects = info.state.subjects;
        offset += subjects.len();
        topics.extend(subjects.keys().filter_map(|subject| shard.topic(subject)));
        if subjects.is_empty() || offset >= info.total {
            return Ok(topics);
        }
    }
}
