//! What a publisher must be told, and whether it has been.

use std::collections::{BTreeMap, VecDeque};

use super::test_client::Event;

/// What the server must tell of messages that were sent.
#[derive(Default)]
pub struct Answers {
    /// Per topic, in its order: id and number.
    pub acks: BTreeMap<String, VecDeque<(String, u64)>>,
    /// Ids that were used for another text; an error doesn't say of which topic.
    pub refused: Vec<String>,
    /// Of messages for topics that the sender isn't in.
    pub errors: VecDeque<Option<String>>,
    /// The topics that were published to, which are asked who is there.
    pub topics: Vec<&'static str>,
    /// Whether the connection itself has answered that it has read everything.
    pub is_synced: bool,
}

impl Answers {
    pub fn are_complete(&self, is_classic: bool) -> bool {
        let has_topics = !is_classic && !self.topics.is_empty();
        let acks = self.acks.values().all(VecDeque::is_empty);
        let acks = acks && self.refused.is_empty();
        acks && self.errors.is_empty() && !has_topics && (self.is_synced || !is_classic)
    }

    pub fn take(&mut self, event: Event) {
        match event {
            Event::Ack { topic, id, seq } => {
                let next = self.acks.get_mut(&topic).and_then(VecDeque::pop_front);
                assert_eq!(next, Some((id, seq)), "an acknowledgement of {topic}");
            }
            Event::Error { code, id: Some(id) } if code == "duplicate-id" => {
                let place = self.refused.iter().position(|refused| *refused == id);
                self.refused
                    .swap_remove(place.expect("a refusal that was to come"));
            }
            Event::Error { code, id } if code == "not-registered" => {
                assert_eq!(self.errors.pop_front(), Some(id), "an error");
            }
            Event::Error { code, id: None } if code == "unknown-frame" => self.is_synced = true,
            Event::Members(topic) => {
                let place = self.topics.iter().position(|asked| **asked == topic);
                self.topics
                    .remove(place.expect("an answer that was asked for"));
                let acks = self.acks.get(&topic);
                assert!(acks.is_none_or(VecDeque::is_empty), "what was before it");
            }
            other => panic!("unexpected: {other:?}"),
        }
    }
}
