//! Where a topic ends in the log, read up to there.

use std::time::Duration;

use tokio::time::Instant;
use wire::TopicName;

use super::chain::{Chain, Verdict};
use super::log::{Answer, Located, Log, LogError};
use super::record::Record;

/// Bytes that are read from the log at once.
const READ_BYTES: usize = 512 * 1024;

/// The pause before a log that doesn't answer, or whose copy is behind, is asked again.
const PAUSE: Duration = Duration::from_millis(50);

/// How long the log may take at least to give the next records of those that are read. Together
/// they may take any time: who gave up would begin again with the first one.
const NEXT: Duration = Duration::from_secs(5);

/// The end of a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tail {
    /// The position of the newest record, whether it counts or not; 0 if there is none.
    pub(crate) at: u64,
    pub(crate) chain: Chain,
    /// When the newest message came, by the index clock.
    pub(crate) time: u64,
    /// The log has lost messages that this server had read, so that the next ones get numbers of
    /// a new row.
    pub(crate) begins_anew: bool,
    /// The earliest record that one of those names which were read and don't count; 0 if none was.
    pub(crate) rivals_from: u64,
}

impl Tail {
    /// The end of a topic without a record.
    pub(crate) const EMPTY: Self = Self {
        at: 0,
        chain: Chain::EMPTY,
        time: 0,
        begins_anew: false,
        rivals_from: 0,
    };

    /// The number of the next message.
    pub(crate) fn next(&self) -> u64 {
        match self.begins_anew {
            true => 1,
            false if self.chain.at == 0 => 1,
            false => self.chain.next,
        }
    }

    /// The epoch in which the next message gets its number; `None`: a new one.
    pub(crate) fn epoch(&self) -> Option<u64> {
        (self.chain.at > 0 && !self.begins_anew).then_some(self.chain.epoch)
    }

    /// A record was appended at a position.
    pub(crate) fn append(&mut self, at: u64, record: &Record) {
        *self = Self::ending_with(at, record);
    }

    fn ending_with(at: u64, record: &Record) -> Self {
        Self {
            at,
            chain: Chain::ending_with(at, record),
            time: record.time,
            begins_anew: false,
            rivals_from: 0,
        }
    }

    /// Reads a topic's last records, and if a time is given those that came then or later, by the
    /// log's clock. Each one that counts is given to `take`.
    pub(crate) async fn load(
        log: &dyn Log,
        topic: &TopicName,
        since: Option<u64>,
        until: Instant,
        take: impl FnMut(&Record),
    ) -> Result<Self, LogError> {
        let Some(head) = ask(until, || log.head(topic)).await? else {
            return Ok(Self::EMPTY);
        };
        let oldest = match since {
            Some(since) => ask(until, || log.since(topic, since)).await?,
            None => None,
        };
        let base = match oldest {
            Some(oldest) if oldest.at < head.at => oldest,
            _ => head.clone(),
        };
        // The one before shows whether it counts.
        let from = read(&base).map(|record| record.prev);
        let from = from.filter(|&prev| prev > 0).unwrap_or(base.at);
        Self::load_from(from, head.at, log, topic, until, take).await
    }

    /// Reads the records from one on, or from as much earlier as it takes to tell whether that one
    /// counts, up to another one.
    pub(crate) async fn load_from(
        from: u64,
        end: u64,
        log: &dyn Log,
        topic: &TopicName,
        until: Instant,
        mut take: impl FnMut(&Record),
    ) -> Result<Self, LogError> {
        let some = read_with_base(log, topic, from, READ_BYTES, until).await?;
        let mut tail = Self::EMPTY;
        let counted = tail.pass_all(&some);
        counted.iter().for_each(|counted| take(&counted.record));
        tail.read_to(end, log, topic, until, take).await?;
        Ok(tail)
    }

    /// Takes records that were read from anywhere, each after the other, and returns those that
    /// count. The first one does.
    fn pass_all(&mut self, located: &[Located]) -> Vec<Counted> {
        let mut counted = Vec::with_capacity(located.len());
        for one in located {
            let first = counted.is_empty().then(|| read(one)).flatten();
            if let Some(record) = first {
                let at = one.at;
                *self = Self::ending_with(at, &record);
                counted.push(Counted::new(at, record));
            } else {
                counted.extend(self.pass(one));
            }
        }
        counted
    }

    /// Reads what was appended since.
    pub(crate) async fn read_on(
        &mut self,
        log: &dyn Log,
        topic: &TopicName,
        until: Instant,
        take: impl FnMut(&Record),
    ) -> Result<(), LogError> {
        match self.head(log, topic, until).await? {
            Some(head) => self.read_to(head, log, topic, until, take).await,
            None => Ok(()),
        }
    }

    /// The position of the newest record, as the log's leader knows it; `None` if there is none
    /// after the ones that were read.
    pub(crate) async fn head(
        &mut self,
        log: &dyn Log,
        topic: &TopicName,
        until: Instant,
    ) -> Result<Option<u64>, LogError> {
        match ask(until, || log.head(topic)).await? {
            // Nothing is left of the topic. Numbers begin anew with its next record.
            None => {
                self.at = 0;
                self.chain.at = 0;
            }
            Some(head) if head.at < self.at => {
                tracing::error!(%topic, "the cluster's log has lost messages that were there");
                self.at = head.at;
                self.chain.at = head.at;
                self.begins_anew = true;
            }
            Some(head) => return Ok(Some(head.at).filter(|&at| at > self.at)),
        }
        Ok(None)
    }

    /// Reads the records up to this position, as long as that goes on.
    async fn read_to(
        &mut self,
        end: u64,
        log: &dyn Log,
        topic: &TopicName,
        mut until: Instant,
        mut take: impl FnMut(&Record),
    ) -> Result<(), LogError> {
        while self.at < end {
            let before = self.at;
            let some = self.read_some(log, topic, until).await?;
            if self.at > before {
                until = until.max(Instant::now() + NEXT);
            }
            some.iter().for_each(|counted| take(&counted.record));
        }
        Ok(())
    }

    /// Reads some records that are known to follow, and returns those that count.
    pub(crate) async fn read_some(
        &mut self,
        log: &dyn Log,
        topic: &TopicName,
        until: Instant,
    ) -> Result<Vec<Counted>, LogError> {
        let from = self.at + 1;
        let some = ask(until, || log.read(topic, from, READ_BYTES)).await?;
        if some.is_empty() {
            // The copy that answered doesn't have it yet.
            pause(until, "a copy of the log is behind").await?;
        }
        Ok(some.iter().filter_map(|one| self.pass(one)).collect())
    }

    /// The records that count among those that were read from anywhere, each after the other.
    pub(crate) fn records(located: &[Located]) -> Vec<Record> {
        let mut tail = Self::EMPTY;
        let counted = tail.pass_all(located).into_iter();
        counted.map(|counted| counted.record).collect()
    }

    /// Takes the record that follows in what was read, and returns it if it counts.
    fn pass(&mut self, located: &Located) -> Option<Counted> {
        let at = located.at;
        let verdict = read(located).map(|record| (self.judge(at, &record), record));
        match verdict {
            // What came between was deleted, because it was too old.
            Some((Verdict::Counts | Verdict::Begins | Verdict::Gap, record)) => {
                let rivals_from = self.rivals_from;
                *self = Self {
                    rivals_from,
                    ..Self::ending_with(at, &record)
                };
                return Some(Counted::new(at, record));
            }
            Some((Verdict::Refused, record)) => {
                self.rivals_from = match self.rivals_from {
                    0 => record.prev,
                    earlier => earlier.min(record.prev),
                };
                tracing::warn!(
                    at,
                    "a record of the cluster's log doesn't follow the one before"
                );
            }
            Some((Verdict::Known, _)) | None => {}
        }
        self.at = self.at.max(at);
        None
    }

    /// Judges a record that was read behind all that come before it.
    fn judge(&self, at: u64, record: &Record) -> Verdict {
        match self.chain.judge(at, record) {
            // The one that it follows was read, and didn't count.
            Verdict::Gap if record.prev <= self.at => Verdict::Refused,
            verdict => verdict,
        }
    }

    /// Takes a record that has just been appended, and returns it if it is the next one; an error
    /// if others come before it.
    pub(crate) fn follow(&mut self, located: &Located) -> Result<Option<Counted>, Missing> {
        let at = located.at;
        if at <= self.at {
            return Ok(None);
        }
        let Some(record) = read(located) else {
            return Err(Missing);
        };
        match self.chain.judge(at, &record) {
            Verdict::Counts | Verdict::Begins => {
                *self = Self::ending_with(at, &record);
                Ok(Some(Counted::new(at, record)))
            }
            Verdict::Known => Ok(None),
            // Only the log tells in which order they are there.
            Verdict::Gap | Verdict::Refused => Err(Missing),
        }
    }
}

/// A record that counts, and its position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Counted {
    pub(crate) at: u64,
    pub(crate) record: Record,
    /// Records were read before it that don't count.
    pub(crate) is_anew: bool,
}

impl Counted {
    pub(crate) fn new(at: u64, record: Record) -> Self {
        Self {
            at,
            record,
            is_anew: false,
        }
    }
}

/// Records are missing before one that was heard of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Missing;

/// The record at a position; `None` if its bytes are none that this release understands. It
/// counts for nobody then.
pub(crate) fn read(located: &Located) -> Option<Record> {
    match Record::decode(located.record.clone()) {
        Ok(record) => Some(record),
        Err(error) => {
            tracing::error!(at = located.at, "{error}");
            None
        }
    }
}

/// Reads about so many bytes of records from this position on, or from as much earlier as it takes
/// to tell whether the first one counts. On a log that takes rivals, a record behind it that names
/// one before it shows that it may not.
pub(super) async fn read_with_base(
    log: &dyn Log,
    topic: &TopicName,
    from: u64,
    bytes: usize,
    until: Instant,
) -> Result<Vec<Located>, LogError> {
    let mut from = from;
    loop {
        let mut some = ask(until, || log.read(topic, from, bytes)).await?;
        match earliest_named(&some) {
            Some((earlier, _)) if earlier < from => from = earlier,
            _ => {
                // The one that it names is deleted. So was what counted in the place of the first.
                while let Some((_, place)) = earliest_named(&some) {
                    some.drain(..place);
                }
                return Ok(some);
            }
        }
    }
}

/// The earliest record that others than the first of these name, if it is before that; and the
/// place of the one that does.
fn earliest_named(some: &[Located]) -> Option<(u64, usize)> {
    let first = some.first()?.at;
    let named = some.iter().enumerate().skip(1).filter_map(|(place, one)| {
        let prev = read(one)?.prev;
        (0 < prev && prev < first).then_some((prev, place))
    });
    named.min()
}

/// Asks the log until it answers, or the time is up.
pub(crate) async fn ask<'a, T>(
    until: Instant,
    question: impl Fn() -> Answer<'a, Result<T, LogError>>,
) -> Result<T, LogError> {
    loop {
        let answer = tokio::time::timeout_at(until, question()).await;
        match answer.unwrap_or_else(|_| Err(late("no answer came in time"))) {
            Ok(answer) => return Ok(answer),
            Err(LogError::Away(cause)) => pause(until, &cause).await?,
            Err(error) => return Err(error),
        }
    }
}

/// Waits a little, unless the time is up.
async fn pause(until: Instant, cause: &str) -> Result<(), LogError> {
    if Instant::now() + PAUSE > until {
        return Err(late(cause));
    }
    tokio::time::sleep(PAUSE).await;
    Ok(())
}

fn late(cause: &str) -> LogError {
    LogError::Away(cause.to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::record::tests::record;
    use super::*;

    /// Of two branches all readers take the one whose first record came first, also if the other
    /// one is longer, and has records that follow one another.
    #[test]
    fn what_is_read_of_a_forked_log_is_one_branch() {
        let log = [
            (1, record(0, 1, "a\n")),
            (2, record(1, 2, "b\n")),
            (3, record(1, 2, "rival\n")),
            (4, record(3, 3, "of the rival\n")),
            (5, record(2, 3, "c\n")),
            (6, record(4, 4, "of the rival\n")),
            // The records between were deleted, because they were too old.
            (9, record(8, 7, "d\n")),
        ];
        let located = log.clone().map(|(at, record)| Located {
            at,
            record: record.encode(),
        });
        let taken: Vec<_> = Tail::records(&located).iter().map(|one| one.prev).collect();
        assert_eq!(taken, [0, 1, 2, 8]);
    }
}
