//! Where a new connection resumes a topic: after the last message that was seen
//! without a gap. So nothing is missed unannounced, and nothing comes twice.
//!
//! A plain state machine without a socket or a clock.

use std::ops::RangeInclusive;

use wire::{Position, RegistrationOptions, TopicState};

/// Which messages from before the first registration the server should send.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum History {
    /// None.
    #[default]
    None,
    /// This many of the newest messages.
    Last(u64),
    /// Those from this time on, in milliseconds since the Unix epoch.
    Since(u64),
}

/// Whether everything that was missed is still kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Recovery {
    /// All missed messages follow.
    Complete,
    /// Messages may be missing.
    Incomplete,
    /// Messages may be missing, and the topic has begun a new epoch, so earlier numbers have no
    /// meaning.
    Renumbered,
}

impl Recovery {
    fn complete_if(is_complete: bool) -> Self {
        match is_complete {
            true => Self::Complete,
            false => Self::Incomplete,
        }
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct ResumePoint {
    topic: String,
    /// The history to ask for until a message is seen.
    history: History,
    /// The epoch that the server named last.
    epoch: Option<String>,
    /// Everything up to this number is seen. `None` before the first registration, and until the
    /// first message of the requested history.
    seq: Option<u64>,
    /// Our own messages beyond it, which count as seen without arriving. They are almost always
    /// one range; messages of others end a range.
    own: Vec<RangeInclusive<u64>>,
}

/// Whether a message was seen before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Recorded {
    /// The program doesn't have it yet.
    New,
    /// It came before, or is our own.
    Known,
}

impl ResumePoint {
    /// The state of a topic of which nothing is seen.
    pub(super) fn new(topic: &str, history: History) -> Self {
        Self {
            topic: topic.into(),
            history,
            epoch: None,
            seq: None,
            own: Vec::new(),
        }
    }

    /// Adds to a registration which older messages the server should send.
    pub(super) fn add_to(&self, options: &mut RegistrationOptions) {
        if let (Some(epoch), Some(seq)) = (self.epoch.clone(), self.seq) {
            let position = Position { epoch, seq };
            options.resume.insert(self.topic.clone(), position);
            return;
        }
        match self.history {
            History::None => {}
            History::Last(count) => options.last = Some(count),
            History::Since(time) => options.since = Some(time),
        }
    }

    /// Handles the answer to the registration.
    pub(super) fn registered(&mut self, now: &TopicState) -> Recovery {
        let same_epoch = self.epoch.as_deref() == Some(now.epoch.as_str());
        let first = self.epoch.is_none();
        self.epoch = Some(now.epoch.clone());
        if !same_epoch {
            self.own.clear();
        }
        let recovery = match (self.seq, self.history) {
            // Without a position the same history is asked for again. Messages between the two
            // registrations that it no longer holds may be missing.
            (None, History::Since(_)) => Recovery::complete_if(first || same_epoch),
            (None, History::None) => {
                self.seq = Some(now.seq);
                Recovery::Complete
            }
            (None, History::Last(count)) => {
                self.seq = Some(now.seq.saturating_sub(count));
                Recovery::Complete
            }
            (Some(seq), _) => {
                let recovered = same_epoch && now.recovered == Some(true);
                // In a new epoch everything from its first message on is new.
                self.seq = Some(if same_epoch { seq.min(now.seq) } else { 0 });
                Recovery::complete_if(recovered)
            }
        };
        match first || same_epoch {
            true => recovery,
            false => Recovery::Renumbered,
        }
    }

    /// The epoch that the server named last.
    pub(super) fn epoch(&self) -> Option<&str> {
        self.epoch.as_deref()
    }

    /// The number up to which everything is seen, if it is known.
    pub(super) fn seq(&self) -> Option<u64> {
        self.seq
    }

    /// Whether messages up to that number, the newest when we registered, are still to come.
    pub(super) fn is_behind(&self, newest: u64) -> bool {
        match self.seq {
            Some(seq) => seq < newest,
            // Before the first answer this is unknown.
            None => self.history != History::None && (newest > 0 || self.epoch.is_none()),
        }
    }

    /// Records a message of another publisher.
    pub(super) fn record(&mut self, number: u64) -> Recorded {
        let is_new = self.seq.is_none_or(|seq| number > seq);
        let is_own = self.own.iter().any(|range| range.contains(&number));
        if is_new {
            self.advance(number);
        }
        match is_new && !is_own {
            true => Recorded::New,
            false => Recorded::Known,
        }
    }

    /// Records the number of a message of ours.
    pub(super) fn record_own(&mut self, number: u64) {
        match self.own.last_mut() {
            Some(last) if number.checked_sub(1) == Some(*last.end()) => {
                *last = *last.start()..=number;
            }
            _ => self.own.push(number..=number),
        }
        if let Some(seq) = self.seq {
            self.advance(seq);
        }
    }

    /// Records that the server no longer has the messages up to that number.
    pub(super) fn record_gap(&mut self, number: u64) {
        if self.seq.is_none_or(|seq| number > seq) {
            self.advance(number);
        }
    }

    /// Forgets everything: this server doesn't number messages.
    pub(super) fn forget(&mut self) {
        self.history = History::None;
        self.epoch = None;
        self.seq = None;
        self.own.clear();
    }

    /// Marks everything up to there as seen, and our own messages that follow without a gap.
    fn advance(&mut self, mut seq: u64) {
        while let Some(next) = seq.checked_add(1)
            && let Some(range) = self.own.iter().find(|range| range.contains(&next))
        {
            seq = *range.end();
        }
        self.own.retain(|range| *range.end() > seq);
        self.seq = Some(seq);
    }
}

#[cfg(test)]
mod tests;
