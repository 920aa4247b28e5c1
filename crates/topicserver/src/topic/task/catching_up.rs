//! How members that are behind get what they missed.

use super::Task;
use crate::topic::subscriber::{FETCH_BYTES, Fetch, Fetched};

impl Task {
    /// Sends some of the missed messages to subscribers that are behind.
    pub(super) fn catch_up(&mut self) {
        let name = self.topic.name().as_str();
        for fetch in self.members.catch_up(name, &self.log) {
            self.fetch(fetch);
        }
    }

    /// Reads messages from disk in a new task.
    pub(super) fn fetch(&self, Fetch { outbox, from }: Fetch) {
        let Some(place) = self.log.place().cloned() else {
            return;
        };
        let topic = self.topic.clone();
        tokio::spawn(async move {
            let entries = place.read(from, FETCH_BYTES).await;
            topic.has_read_for(outbox, Fetched { from, entries });
        });
    }
}
