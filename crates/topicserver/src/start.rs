//! From which message on a registration wants a topic.

use wire::{Position, RegistrationOptions};

use crate::topic_log::TopicLog;

/// What a registration says of one topic.
#[derive(Clone, Debug, Default)]
pub(crate) struct Start {
    /// So many of the newest messages.
    last: Option<u64>,
    /// Those that came at this time or later: milliseconds since the Unix epoch.
    since: Option<u64>,
    /// Those after this one.
    resume: Option<Position>,
}

impl Start {
    /// What `options` say of a topic.
    pub(crate) fn of(options: &RegistrationOptions, topic: &str) -> Self {
        Self {
            last: options.last,
            since: options.since,
            resume: options.resume.get(topic).cloned(),
        }
    }

    /// Whether it says anything.
    pub(crate) fn is_given(&self) -> bool {
        self.last.is_some() || self.since.is_some() || self.resume.is_some()
    }

    /// Whether it says what the client has already.
    pub(crate) fn is_resume(&self) -> bool {
        self.resume.is_some()
    }

    /// The first message that is wanted and, for a resume, whether nothing is
    /// missing between it and what the client has.
    ///
    /// A resume says it best; with both a number and a time, both must hold. With
    /// nothing, what comes next is wanted.
    pub(crate) async fn resolve(&self, log: &TopicLog) -> (u64, Option<bool>) {
        if let Some(position) = &self.resume {
            return resume(position, log).await;
        }
        let last = self.last.map(|last| log.next().saturating_sub(last));
        let since = match self.since {
            Some(time) => Some(log.first_since(time).await),
            None => None,
        };
        let start = last.into_iter().chain(since).max();
        // What isn't there any more was not asked for by its number.
        let start = start.unwrap_or(log.next());
        (log.first_from(start).await, None)
    }
}

/// Of another life of the topic, or of a message that was never there, nothing is
/// known: everything there is follows.
async fn resume(position: &Position, log: &TopicLog) -> (u64, Option<bool>) {
    if position.epoch != log.epoch() || position.seq >= log.next() {
        return (log.first_from(0).await, Some(false));
    }
    let next = position.seq + 1;
    (next, Some(next == log.first_from(next).await))
}
