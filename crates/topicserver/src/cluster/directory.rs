//! The topics of a cluster.

use std::sync::Arc;

use tokio::task::JoinSet;
use tokio::time::Instant;
use wire::TopicName;

use super::log::LogError;
use super::shared::Shared;
use super::tail::{ask, read};

/// How many topics are asked for their newest number at a time.
const ASKED_AT_ONCE: usize = 64;

/// At most `limit` topics after a name, or from the first on, in the order of their names, each
/// with its newest sequence number.
pub(crate) async fn topics(
    shared: &Arc<Shared>,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<(TopicName, u64)>, LogError> {
    let until = Instant::now() + shared.patience;
    let names = ask(until, || shared.log.topics(after, limit)).await?;
    let mut listed = Vec::with_capacity(names.len());
    for some in names.chunks(ASKED_AT_ONCE) {
        let mut asked = JoinSet::new();
        for name in some {
            asked.spawn(with_newest(shared.clone(), name.clone(), until));
        }
        let mut newest = Vec::new();
        while let Some(one) = asked.join_next().await {
            newest.extend(one.ok().transpose()?);
        }
        newest.sort_unstable();
        listed.append(&mut newest);
    }
    Ok(listed)
}

async fn with_newest(
    shared: Arc<Shared>,
    name: TopicName,
    until: Instant,
) -> Result<(TopicName, u64), LogError> {
    let newest = newest(&shared, &name, until).await?;
    Ok((name, newest))
}

/// A topic's newest sequence number, as the log's leader knows it; 0 if there is none.
pub(crate) async fn newest(
    shared: &Shared,
    name: &TopicName,
    until: Instant,
) -> Result<u64, LogError> {
    let head = ask(until, || shared.log.head(name)).await?;
    let record = head.as_ref().and_then(read);
    Ok(record.map_or(0, |record| record.end() - 1))
}
