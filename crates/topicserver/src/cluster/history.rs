//! Reads a topic's older messages from the log.

use tokio::time::Instant;
use wire::TopicName;

use super::find::{oldest, position_of};
use super::log::LogError;
use super::record::Record;
use super::shared::Shared;
use super::tail::{Tail, ask, read};

/// How far the clocks of servers and of the log may be apart, in milliseconds: messages from so
/// much before a time are looked at to find the first one after it.
const SKEW: u64 = 60_000;

/// Bytes that are read for that at once.
const READ_BYTES: usize = 256 * 1024;

/// The number of the oldest message that is in the log; `None` if there is none.
pub(crate) async fn first(shared: &Shared, topic: &TopicName) -> Result<Option<u64>, LogError> {
    let until = Instant::now() + shared.patience;
    let oldest = oldest(&*shared.log, topic, until).await?;
    Ok(oldest.map(|(_, record)| record.first))
}

/// The records from the one that holds the message `from` on, or from the next that there is:
/// about `bytes` of them. `end` is the topic's end as this server has delivered it: what the log
/// has beyond it comes live, and would come twice.
pub(crate) async fn records(
    shared: &Shared,
    topic: &TopicName,
    from: u64,
    bytes: usize,
    end: &Tail,
) -> Result<Vec<Record>, LogError> {
    let (log, until) = (&*shared.log, Instant::now() + shared.patience);
    let (last, next) = (end.chain.at, end.chain.next);
    let Some(at) = position_of(log, topic, from, (last, next), until).await? else {
        return Ok(Vec::new());
    };
    let located = ask(until, || log.read(topic, at, bytes)).await?;
    let mut records = Tail::records(&located);
    records.retain(|record| record.epoch == end.chain.epoch && record.end() <= next);
    Ok(records)
}

/// The number of the first message that came at this time or later; `None` if there is none. Each
/// record's time is its own, by its owner's clock.
pub(crate) async fn first_since(
    shared: &Shared,
    topic: &TopicName,
    time: u64,
) -> Result<Option<u64>, LogError> {
    let (log, until) = (&*shared.log, Instant::now() + shared.patience);
    let near = time.saturating_sub(SKEW);
    let mut next = ask(until, || log.since(topic, near)).await?;
    while let Some(from) = next {
        let some = ask(until, || log.read(topic, from.at, READ_BYTES)).await?;
        let Some(last) = some.last() else {
            return Ok(None);
        };
        let mut records = some.iter().filter_map(read);
        if let Some(record) = records.find(|record| record.time >= time) {
            return Ok(Some(record.first));
        }
        let after = last.at + 1;
        next = ask(until, || log.next(topic, after)).await?;
    }
    Ok(None)
}
