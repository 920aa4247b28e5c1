//! One of the topics that a session takes part in.
//!
//! Holds where the topic resumes and how far its replay is. Sends nothing.

use wire::{TopicName, TopicState};

use super::resume::{History, Recorded, Recovery, ResumePoint};
use crate::event::Arrival;

/// See the module.
#[derive(Debug)]
pub(super) struct Membership {
    pub(super) topic: TopicName,
    pub(super) resume: ResumePoint,
    /// The number of the newest message when we registered.
    newest: u64,
    /// The server has registered us for it on this connection.
    pub(super) is_in: bool,
    /// We have been registered for it before.
    pub(super) joined: bool,
    /// The topic was in a registration on this connection.
    pub(super) asked: bool,
}

impl Membership {
    pub(super) fn new(topic: TopicName, history: History) -> Self {
        Self {
            resume: ResumePoint::new(topic.as_str(), history),
            topic,
            newest: 0,
            is_in: false,
            joined: false,
            asked: false,
        }
    }

    /// A connection was made, on which we register for the topic.
    pub(super) fn connected(&mut self) {
        self.is_in = false;
        self.asked = true;
    }

    /// Whether the topic was joined, and the server has not answered.
    pub(super) fn is_pending(&self) -> bool {
        self.asked && !self.is_in && !self.joined
    }

    /// The server has registered us.
    pub(super) fn registered(&mut self, now: &TopicState) -> Recovery {
        self.is_in = true;
        self.newest = now.seq;
        self.resume.registered(now)
    }

    /// Messages up to this number have come, or are ours.
    pub(super) fn seen(&self) -> u64 {
        self.resume.seq().unwrap_or(self.newest)
    }

    /// Whether requested history has not arrived yet.
    pub(super) fn is_behind(&self) -> bool {
        self.resume.is_behind(self.newest)
    }

    /// Records a message with that number. Returns how it arrived, if it is new.
    pub(super) fn record(&mut self, seq: u64) -> Option<Arrival> {
        let is_replayed = seq <= self.newest;
        let is_last = seq == self.newest;
        match (self.resume.record(seq), is_replayed) {
            (Recorded::Known, _) => None,
            (Recorded::New, true) => Some(Arrival::Replayed { is_last }),
            (Recorded::New, false) => Some(Arrival::Live),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(seq: u64) -> TopicState {
        TopicState {
            epoch: "e".into(),
            seq,
            recovered: None,
        }
    }

    fn member(history: History, seq: u64) -> Membership {
        let topic = TopicName::new("t").expect("a name");
        let mut member = Membership::new(topic, history);
        member.connected();
        assert_eq!(member.registered(&state(seq)), Recovery::Complete);
        member
    }

    const MORE: Option<Arrival> = Some(Arrival::Replayed { is_last: false });
    const LAST: Option<Arrival> = Some(Arrival::Replayed { is_last: true });

    #[test]
    fn what_was_asked_for_of_the_past_is_told_from_what_is_live() {
        let mut member = member(History::Last(2), 7);
        let arrivals: Vec<_> = (5..=8).map(|seq| member.record(seq)).collect();
        assert_eq!(arrivals, [None, MORE, LAST, Some(Arrival::Live)]);
    }
}
