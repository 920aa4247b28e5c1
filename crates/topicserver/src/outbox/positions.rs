//! The positions of a stream in its topics. The id of each event has all positions, so that a
//! browser can resume all topics after any event.

use std::fmt;

use serde::Deserialize;

use crate::outbox::batch::Batch;
use crate::outbox::events::IdParts;

/// A position in a topic's order: after this message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct StreamPosition {
    /// The epoch of the topic.
    pub(crate) epoch: u64,
    /// The number of the message; 0 before the first one.
    pub(crate) seq: u64,
}

impl fmt::Display for StreamPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}:{}", self.epoch, self.seq)
    }
}

/// The positions of a stream, in the order in which its request names the topics.
#[derive(Clone, Debug)]
pub(crate) struct StreamPositions(Vec<(String, StreamPosition)>);

impl StreamPositions {
    /// StreamPositions in these topics, before the first report of any of them.
    pub(crate) fn of<'a>(topics: impl Iterator<Item = &'a str>) -> Self {
        Self(
            topics
                .map(|name| (name.to_owned(), StreamPosition::default()))
                .collect(),
        )
    }

    /// Sets the position after which the stream gets a topic.
    pub(super) fn set(&mut self, topic: &str, position: StreamPosition) {
        if let Some((_, known)) = self.0.iter_mut().find(|(name, _)| name == topic) {
            *known = position;
        }
    }

    /// The positions as an event's id.
    pub(super) fn id(&self) -> String {
        join(&self.0)
    }

    /// The index of the topic of these messages. It is found by the epoch; if the topic has begun
    /// a new one, by the name.
    pub(super) fn find(&self, batch: &Batch) -> Option<usize> {
        let mut positions = self.0.iter();
        positions
            .position(|(_, position)| position.epoch == batch.epoch())
            .or_else(|| {
                let topic = topic_of(batch.bytes())?;
                self.0.iter().position(|(name, _)| *name == topic)
            })
    }

    /// The ids of messages of the topic at `index`, which are in this epoch.
    pub(super) fn id_parts(&self, index: usize, epoch: u64) -> IdParts {
        let (before, after) = self.0.split_at(index.min(self.0.len()));
        let mut parts = IdParts::of_epoch(epoch);
        if !before.is_empty() {
            parts.before = format!("{},{}", join(before), parts.before);
        }
        if after.len() > 1 {
            parts.after = format!(",{}", join(&after[1..]));
        }
        parts
    }

    /// Notes that the stream was sent the topic at `index` up to this position.
    pub(super) fn advance(&mut self, index: usize, position: StreamPosition) {
        if let Some((_, known)) = self.0.get_mut(index) {
            *known = position;
        }
    }
}

fn join(positions: &[(String, StreamPosition)]) -> String {
    let positions: Vec<String> = positions
        .iter()
        .map(|(_, position)| position.to_string())
        .collect();
    positions.join(",")
}

/// The topic of the first of these lines.
fn topic_of(lines: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Line {
        message: Message,
    }
    #[derive(Deserialize)]
    struct Message {
        topic: String,
    }
    let line = lines.split(|byte| *byte == b'\n').next()?;
    let line: Line = serde_json::from_slice(line).ok()?;
    Some(line.message.topic)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn positions() -> StreamPositions {
        let mut positions = StreamPositions::of(["b", "a", "c"].into_iter());
        for (topic, epoch, seq) in [("a", 1, 10), ("b", 2, 20), ("c", 3, 0)] {
            positions.set(topic, StreamPosition { epoch, seq });
        }
        positions
    }

    #[test]
    fn an_id_has_the_positions_in_the_order_of_the_request() {
        let id = "0000000000000002:20,0000000000000001:10,0000000000000003:0";
        assert_eq!(positions().id(), id);
    }

    #[test]
    fn the_number_of_a_message_stands_in_its_topics_position() {
        let mut positions = positions();
        for (index, epoch, seq) in [(0, 2, 21), (1, 1, 11), (2, 3, 1)] {
            let IdParts { before, after } = positions.id_parts(index, epoch);
            positions.advance(index, StreamPosition { epoch, seq });
            assert_eq!(format!("{before}{seq}{after}"), positions.id());
        }
    }

    #[test]
    fn a_topic_is_found_by_its_epoch_and_after_a_new_one_by_its_name() {
        let lines = Bytes::from_static(
            b"{\"extended\":{\"seq\":1,\"time\":5},\"message\":{\"topic\":\"a\",\"text\":\"b\"}}\n",
        );
        let batch = |epoch| Batch::owned(lines.clone(), 1).of_epoch(epoch);
        let positions = positions();
        assert_eq!(positions.find(&batch(3)), Some(2));
        assert_eq!(positions.find(&batch(9)), Some(1));
    }
}
