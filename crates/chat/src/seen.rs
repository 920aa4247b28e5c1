//! What has been seen of the topic, so that a new connection goes on where the
//! last one ended: nothing is missed without a word, and nothing is shown twice.
//!
//! A plain state machine, without a socket, a clock or a word to anybody.

use std::ops::RangeInclusive;

use wire::{Position, RegistrationOptions, TopicState};

/// What is wanted of the time before the first registration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum History {
    /// Nothing.
    #[default]
    None,
    /// So many of the newest messages.
    Last(u64),
    /// Messages from this time on, in milliseconds since the Unix epoch.
    Since(u64),
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Seen {
    topic: String,
    /// Asked for until something is seen.
    history: History,
    /// Which life of the topic's history was met last.
    epoch: Option<String>,
    /// Everything up to here is seen. None before the first registration, and as
    /// long as nothing of the history that was asked for has come.
    seq: Option<u64>,
    /// Our own messages beyond it, which needn't come to be seen. They are almost
    /// always in one piece, and each piece ends with what comes from others.
    own: Vec<RangeInclusive<u64>>,
}

impl Seen {
    /// Nothing seen of `topic`.
    pub(crate) fn new(topic: &str, history: History) -> Self {
        Self {
            topic: topic.into(),
            history,
            epoch: None,
            seq: None,
            own: Vec::new(),
        }
    }

    /// Adds to a registration what is to be sent of the past.
    pub(crate) fn ask(&self, options: &mut RegistrationOptions) {
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

    /// The answer to the registration: false if something that was missed can't
    /// be had any more.
    pub(crate) fn registered(&mut self, now: &TopicState) -> bool {
        let same_epoch = self.epoch.as_deref() == Some(now.epoch.as_str());
        let first = self.epoch.is_none();
        self.epoch = Some(now.epoch.clone());
        if !same_epoch {
            self.own.clear();
        }
        match (self.seq, self.history) {
            // What is missing between two registrations without a position is
            // what the history that is asked for again doesn't hold any more.
            (None, History::Since(_)) => first || same_epoch,
            (None, History::None) => {
                self.seq = Some(now.seq);
                true
            }
            (None, History::Last(count)) => {
                self.seq = Some(now.seq.saturating_sub(count));
                true
            }
            (Some(seq), _) => {
                let recovered = same_epoch && now.recovered == Some(true);
                // What there is of a new life begins with its first message.
                self.seq = Some(if same_epoch { seq.min(now.seq) } else { 0 });
                recovered
            }
        }
    }

    /// Something up to that number, the newest when we registered, is still to come.
    pub(crate) fn is_behind(&self, newest: u64) -> bool {
        match self.seq {
            Some(seq) => seq < newest,
            // Before the first answer nobody knows.
            None => self.history != History::None && (newest > 0 || self.epoch.is_none()),
        }
    }

    /// A message with that number came: true if it wasn't seen before.
    pub(crate) fn take(&mut self, number: u64) -> bool {
        let is_new = self.seq.is_none_or(|seq| number > seq);
        let is_own = self.own.iter().any(|range| range.contains(&number));
        if is_new {
            self.advance(number);
        }
        is_new && !is_own
    }

    /// A message of ours got that number.
    pub(crate) fn own(&mut self, number: u64) {
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

    /// Messages up to that number can't be had any more.
    pub(crate) fn missing_up_to(&mut self, number: u64) {
        if self.seq.is_none_or(|seq| number > seq) {
            self.advance(number);
        }
    }

    /// Nothing is known any more: whoever numbered the messages is gone.
    pub(crate) fn forget(&mut self) {
        self.history = History::None;
        self.epoch = None;
        self.seq = None;
        self.own.clear();
    }

    /// Everything up to there is seen, and what of ours follows it without a gap.
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
