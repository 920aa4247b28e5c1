//! A range of a topic's past, which a client that shows older messages asks for.
//!
//! The answer is one frame of a bounded size. Reading from disk is spawned, so that the topic's
//! task doesn't wait for it. A session has one request open at a time.

use bytes::Bytes;
use serde_json::value::RawValue;
use tokio::sync::oneshot;
use wire::{ErrorCode, Event, HistoryRange, Limits, ScanError, Scanner, TopicName};

use crate::history::entry::Entry;
use crate::outbox::SharedOutbox;
use crate::store::StoreError;
use crate::topic::log::TopicLog;
use crate::topic::place::Place;

/// The most messages in an answer: more than a screen shows.
const MOST_MESSAGES: u64 = 1_000;

/// The messages in an answer to a request without a limit.
const USUAL_MESSAGES: u64 = 100;

/// Bytes of messages in an answer. The newest message is always in it.
const ANSWER_BYTES: usize = 256 * 1024;

/// Room for an answer without its messages: a topic's name, of which each byte may be escaped,
/// and what is around it.
const HEAD_BYTES: usize = 2 * TopicName::MAX_BYTES + 130;

/// The bytes of the longest answer, unless a single message is longer.
pub(crate) const LARGEST_ANSWER: usize = HEAD_BYTES + ANSWER_BYTES + MOST_MESSAGES as usize;

/// How deep a message in an answer may be: the answer has four levels of its own, and may be
/// no deeper than any other frame.
const DEEPEST_MESSAGE: usize = Limits::DEEPEST - 4;

/// Messages that are read from disk at first, and at most, in one step: reading goes
/// backwards, and must not read much more than the answer takes.
const FIRST_STEP: u64 = 16;
const LONGEST_STEP: u64 = 128;

/// What clients of a cluster are told that need what its log has.
pub(super) const AWAY: &str = "this server doesn't reach those that keep the messages: connect to \
                               another server of the cluster, or try again";

/// A request for a range, and who has sent it.
pub(crate) struct RangeQuestion {
    pub(crate) asker: SharedOutbox,
    /// The messages with lower numbers; `None`: the newest ones.
    pub(crate) before: Option<u64>,
    /// The most messages that are wanted.
    pub(crate) limit: Option<u64>,
    /// Notified when the answer is in the outbox.
    pub(crate) done: oneshot::Sender<()>,
}

/// The answer without its messages.
struct Head {
    topic: TopicName,
    epoch: String,
    first: u64,
}

/// Messages with the numbers `start..end`.
#[derive(Clone, Copy)]
struct Range {
    start: u64,
    end: u64,
}

/// Answers from memory, or begins to read from disk.
pub(crate) fn answer(topic: &TopicName, log: &TopicLog, question: RangeQuestion) {
    let end = question.before.unwrap_or(u64::MAX).min(log.next()).max(1);
    let limit = question.limit.unwrap_or(USUAL_MESSAGES).min(MOST_MESSAGES);
    let start = end.saturating_sub(limit).max(log.first()).min(end);
    let range = Range { start, end };
    let head = Head {
        topic: topic.clone(),
        epoch: log.epoch(),
        first: log.first(),
    };
    match log.place() {
        Some(place) if start < log.history().first() => {
            let place = place.clone();
            tokio::spawn(async move {
                let lines = read(&place, range).await;
                head.send(question, lines);
            });
        }
        _ => {
            let mut lines = Vec::new();
            push_lines(&mut lines, log.history().entries_from(start), range);
            head.send(question, Ok(lines));
        }
    }
}

/// Reads the newest part of the range from disk, as much as the answer takes.
async fn read(place: &Place, range: Range) -> Result<Vec<Bytes>, StoreError> {
    let mut lines = Vec::new();
    let (mut end, mut step, mut bytes) = (range.end, FIRST_STEP, 0);
    while end > range.start && bytes < ANSWER_BYTES {
        let start = end.saturating_sub(step).max(range.start);
        let mut part = read_forwards(place, Range { start, end }).await?;
        bytes += part.iter().map(Bytes::len).sum::<usize>();
        part.append(&mut lines);
        lines = part;
        end = start;
        step = (step * 2).min(LONGEST_STEP);
    }
    Ok(lines)
}

async fn read_forwards(place: &Place, range: Range) -> Result<Vec<Bytes>, StoreError> {
    let mut lines = Vec::new();
    let mut next = range.start;
    while next < range.end {
        let entries = place.read(next, ANSWER_BYTES).await?;
        let read_to = entries.last().map_or(next, Entry::end);
        let rest = Range {
            start: next,
            end: range.end,
        };
        push_lines(&mut lines, entries.iter(), rest);
        if read_to <= next {
            break;
        }
        next = read_to;
    }
    Ok(lines)
}

/// Appends the messages of the range, each a line without its end.
fn push_lines<'a>(lines: &mut Vec<Bytes>, entries: impl Iterator<Item = &'a Entry>, range: Range) {
    for entry in entries.take_while(|entry| entry.first < range.end) {
        let mut rest = entry.lines_from(range.start);
        let mut seq = entry.first.max(range.start);
        while seq < range.end
            && let Some(length) = memchr::memchr(b'\n', &rest)
        {
            lines.push(rest.split_to(length));
            rest = rest.slice(1..);
            seq += 1;
        }
    }
}

impl Head {
    fn send(self, question: RangeQuestion, lines: Result<Vec<Bytes>, StoreError>) {
        match lines {
            Ok(lines) => question.asker.send_reply(self.to_line(&lines)),
            Err(error) => {
                let topic = &self.topic;
                tracing::warn!(%topic, %error, "a range of messages can't be read");
                let (code, text) = refusal(&error);
                question.asker.send_error(code, text, None);
            }
        }
        // The session may have ended.
        let _ = question.done.send(());
    }

    /// The frame, with as many of the newest messages as it takes.
    fn to_line(&self, lines: &[Bytes]) -> Vec<u8> {
        let mut bytes = 0;
        let fitting = lines.iter().rev().take_while(|line| {
            let is_first = bytes == 0;
            bytes += line.len();
            is_first || bytes <= ANSWER_BYTES
        });
        let left_out = lines.len() - fitting.count();
        let bytes: usize = lines.iter().skip(left_out).map(Bytes::len).sum();
        let answer = HistoryRange {
            topic: self.topic.as_str().into(),
            epoch: self.epoch.as_str().into(),
            first: self.first,
            messages: lines.iter().skip(left_out).filter_map(part).collect(),
        };
        // It may stay in the outbox for long, so it takes no more than it needs: between two
        // messages is a comma. A vector that grows by doubling would take up to twice as much,
        // and the allocator shrinks only what is used by less than half.
        let mut line = Vec::with_capacity(HEAD_BYTES + bytes + answer.messages.len());
        Event::History(answer).write_line(&mut line);
        line
    }
}

/// What the asker is told when the messages can't be read.
fn refusal(error: &StoreError) -> (ErrorCode, &'static str) {
    match error {
        StoreError::NoQuorum => (ErrorCode::NoQuorum, AWAY),
        _ => (
            ErrorCode::StorageBusy,
            "the server's disk can't be read now; ask again later",
        ),
    }
}

/// A message as a part of an answer. If it is too deep, only the parts that this protocol knows
/// are kept.
fn part(line: &Bytes) -> Option<Box<RawValue>> {
    let limits = Limits {
        max_frame: line.len(),
        max_depth: DEEPEST_MESSAGE,
    };
    let scanned = Scanner::new(limits).scan(line);
    if scanned.is_err_and(|error| matches!(error, ScanError::TooDeep { .. })) {
        let frame: Essential<'_> = serde_json::from_slice(line).ok()?;
        return serde_json::value::to_raw_value(&frame).ok();
    }
    serde_json::from_slice(line).ok()
}

/// The parts of a message that this protocol knows, without its addresses.
#[derive(serde::Serialize, serde::Deserialize)]
struct Essential<'a> {
    #[serde(borrow)]
    extended: &'a RawValue,
    #[serde(borrow)]
    message: EssentialMessage<'a>,
}

#[derive(serde::Serialize, serde::Deserialize)]
struct EssentialMessage<'a> {
    #[serde(borrow)]
    topic: &'a RawValue,
    #[serde(borrow)]
    text: &'a RawValue,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_takes_as_much_memory_as_it_needs() {
        let head = Head {
            topic: TopicName::new(&"\"".repeat(TopicName::MAX_BYTES)).unwrap(),
            epoch: "f".repeat(16),
            first: u64::MAX,
        };
        let text = |bytes: usize| format!("{{\"text\":\"{}\"}}", "x".repeat(bytes));
        let line = |bytes| Bytes::from(text(bytes));
        for (count, length, fitting) in [(0, 0, 0), (1, 300_000, 1), (9, 10, 9), (9, 100_000, 2)] {
            let answer = head.to_line(&vec![line(length); count]);
            let needed = HEAD_BYTES + fitting * (text(length).len() + 1);
            assert_eq!(answer.capacity(), needed, "{count} of {length}");
            assert!(answer.len() <= needed && answer.len() + HEAD_BYTES > needed);
        }
    }
}
