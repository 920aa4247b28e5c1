//! Finds the record that holds a message by its number. The log knows only positions, which lie
//! between those of other topics.

use tokio::time::Instant;
use wire::TopicName;

use super::log::{Located, Log, LogError};
use super::record::Record;
use super::tail::{ask, read};

/// After so many guesses that hardly help the interval is halved: where a topic was quiet for
/// long and then busy, guesses stay far from what is sought.
const GUESSES: u32 = 4;

/// A place among a topic's records.
#[derive(Clone, Copy, Debug)]
struct Mark {
    at: u64,
    /// The number of the first message there, or later.
    seq: u64,
}

/// The oldest record of a topic, and the number of its first message; `None` if there is none.
pub(crate) async fn oldest(
    log: &dyn Log,
    topic: &TopicName,
    until: Instant,
) -> Result<Option<(Located, Record)>, LogError> {
    following(log, topic, 1, until).await
}

/// The record that holds the message `seq`, or the next one that there is. `end` is the position of
/// the newest record, and the number after its messages.
pub(crate) async fn place_of(
    log: &dyn Log,
    topic: &TopicName,
    seq: u64,
    end: (u64, u64),
    until: Instant,
) -> Result<Option<Located>, LogError> {
    let Some((first, record)) = oldest(log, topic, until).await? else {
        return Ok(None);
    };
    if seq < record.end() {
        return Ok(Some(first));
    }
    // Records from `low` on may hold it; those from `high` on come after it.
    let mut low = Mark {
        at: first.at + 1,
        seq: record.end(),
    };
    let mut high = Mark {
        at: end.0 + 1,
        seq: end.1,
    };
    let mut guesses = 0;
    while low.at < high.at {
        let guess = match guesses % (GUESSES + 1) {
            GUESSES => low.at + (high.at - low.at) / 2,
            _ => between(low, high, seq),
        };
        guesses += 1;
        match following(log, topic, guess, until).await? {
            Some((found, record)) if found.at < high.at => {
                if record.end() <= seq {
                    low = Mark {
                        at: found.at + 1,
                        seq: record.end(),
                    };
                } else if record.first <= seq {
                    return Ok(Some(found));
                } else {
                    // There is none between the guess and this one, and the one before is known.
                    let at = guess.min(record.prev + 1).max(low.at);
                    high = Mark {
                        at,
                        seq: record.first,
                    };
                }
            }
            // There is none between the guess and `high`.
            _ => high.at = guess,
        }
    }
    // What held it is deleted.
    ask(until, || log.next(topic, low.at)).await
}

/// The position at which the message is, if numbers grow evenly between the two.
fn between(low: Mark, high: Mark, seq: u64) -> u64 {
    let (width, numbers) = (high.at - low.at, high.seq.saturating_sub(low.seq).max(1));
    let part = u128::from(width) * u128::from(seq.saturating_sub(low.seq)) / u128::from(numbers);
    let part = u64::try_from(part).unwrap_or(u64::MAX);
    low.at + part.min(width - 1)
}

/// The first record at this position or later that can be read.
async fn following(
    log: &dyn Log,
    topic: &TopicName,
    from: u64,
    until: Instant,
) -> Result<Option<(Located, Record)>, LogError> {
    let mut from = from;
    loop {
        let Some(located) = ask(until, || log.next(topic, from)).await? else {
            return Ok(None);
        };
        match read(&located) {
            Some(record) => return Ok(Some((located, record))),
            None => from = located.at + 1,
        }
    }
}
