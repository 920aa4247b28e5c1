//! What is kept of a topic: its oldest message, and what is forgotten.

use std::sync::atomic::Ordering::Relaxed;

use super::TopicLog;

impl TopicLog {
    /// The first message that came at `time` or later; the next one if none did. A cluster's log
    /// was asked before, and has `found` it.
    pub(crate) async fn first_since(&self, time: u64, found: Option<u64>) -> u64 {
        let corrections = self.settings.clock.corrections();
        let in_memory = self.history.first_since(time, &corrections);
        match &self.stored {
            // There may be earlier ones on disk.
            Some(stored) if in_memory == self.history.first() => {
                match stored.place.first_since(time, found).await {
                    Ok(first) => first.min(in_memory),
                    Err(error) => {
                        self.log_store_error(&error, "older messages can't be found");
                        in_memory
                    }
                }
            }
            _ => in_memory,
        }
    }

    /// The number of the first message from `from` on that is still kept.
    pub(crate) fn first_from(&self, from: u64) -> u64 {
        self.first().max(from)
    }

    /// Has messages deleted that are too old. They are left out of replays only when the deletion
    /// is durable, so that no deleted message comes back after a crash.
    pub(crate) async fn delete_too_old(&mut self) {
        if let Some(stored) = &self.stored
            && let Err(error) = stored.place.delete_too_old().await
        {
            self.log_store_error(&error, "what is too old can't be deleted");
        }
        self.forget_deleted();
    }

    /// Forgets what was deleted on disk.
    pub(crate) fn forget_deleted(&mut self) {
        if let Some(stored) = &self.stored
            && self.history.forget_before(stored.first.load(Relaxed)) > 0
        {
            self.count_bytes();
        }
    }

    /// Gives back this many bytes, or everything: first the messages in memory, then as many of
    /// the oldest ids as needed.
    pub(crate) fn give_back(&mut self, wanted: usize) {
        let wanted = wanted.saturating_sub(self.history.bytes());
        self.history.forget();
        if wanted > 0 {
            self.ids.give_back(wanted);
        }
        self.count_bytes();
    }

    /// Keeps what the limits in force allow from now on, and forgets the rest.
    pub(crate) fn follow_limits(&mut self) {
        let limits = self.settings.limits();
        self.history.set_limits(limits.history);
        self.ids.set_limits(limits.ids);
        self.count_bytes();
    }

    /// Forgets the ids that are too old. Needed because without publications nothing else does.
    pub(crate) fn expire(&mut self) {
        self.ids.expire(self.settings.clock.read().elapsed);
        self.count_bytes();
    }

    /// Whether the topic remembers any ids.
    pub(crate) fn has_ids(&self) -> bool {
        !self.ids.is_empty()
    }
}
