//! Reads a topic's older messages from the log.

use tokio::time::Instant;
use wire::TopicName;

use super::find::{oldest, place_of};
use super::log::LogError;
use super::record::Record;
use super::shared::Shared;
use super::tail::{Tail, ask, read, read_with_base};

/// How far the clocks of servers and of the log may be apart, in milliseconds: messages from so
/// much before a time are looked at to find the first one after it.
const SKEW: u64 = 60_000;

/// Bytes that are read for that at once.
const READ_BYTES: usize = 256 * 1024;

/// The number of the oldest message that is in the log; `None` if there is none.
pub(crate) async fn first(
    shared: &Shared,
    topic: &TopicName,
    until: Instant,
) -> Result<Option<u64>, LogError> {
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
    let Some(found) = place_of(log, topic, from, (last, next), until).await? else {
        return Ok(Vec::new());
    };
    // The one before shows whether it counts.
    let before = |record: Option<Record>| record.map(|record| record.prev).filter(|&prev| prev > 0);
    let mut start = before(read(&found)).unwrap_or(found.at);
    let mut located = read_with_base(log, topic, start, bytes, until).await?;
    // A rival may have led too far.
    while let Some(base) = located.first()
        && base.at == start
        && let Some(prev) = before(read(base).filter(|record| record.first > from))
    {
        start = prev;
        located = read_with_base(log, topic, start, bytes, until).await?;
    }
    loop {
        let mut records = Tail::records(&located);
        let is_asked_for = |record: &Record| {
            record.epoch == end.chain.epoch && record.end() <= next && record.end() > from
        };
        records.retain(is_asked_for);
        let after = located.last().map_or(u64::MAX, |one| one.at + 1);
        if !records.is_empty() || after > last {
            return Ok(records);
        }
        let more = ask(until, || log.read(topic, after, bytes)).await?;
        if more.is_empty() {
            return Ok(records);
        }
        located.extend(more);
    }
}

/// The number of the first message that came at this time or later; `None` if there is none. Each
/// record's time is its own, by its owner's clock.
pub(crate) async fn first_since(
    shared: &Shared,
    topic: &TopicName,
    time: u64,
    until: Instant,
) -> Result<Option<u64>, LogError> {
    let log = &*shared.log;
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
