//! Keeps a topic's part of the log within the limits, as its owner. What is too old the log
//! deletes itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use tokio::time::Instant;
use wire::TopicName;

use super::find::{oldest, place_of};
use super::keep::Keep;
use super::log::LogError;
use super::record::Record;
use super::shared::Shared;
use super::tail::{Tail, ask};

/// A topic may exceed its limits by this part before it is trimmed, so that many records are
/// deleted at once.
const SLACK: u64 = 8;

/// Messages between two looks at a topic: finding its oldest message takes a moment.
const LOOK_AFTER: u64 = 256;

/// Trims one topic.
#[derive(Default)]
pub(crate) struct Trimmer {
    /// What was appended since this server appends to the topic. The log doesn't tell how many
    /// bytes a topic has, so older messages are taken to be as long as these.
    bytes: u64,
    messages: u64,
    /// Messages since the last look.
    unseen: u64,
    is_busy: Arc<AtomicBool>,
}

impl Trimmer {
    /// A record was appended, behind which the topic ends now. Has messages deleted if there are
    /// more than are kept.
    pub(crate) fn note(
        &mut self,
        shared: &Arc<Shared>,
        topic: &TopicName,
        record: &Record,
        end: &Tail,
    ) {
        self.bytes += record
            .groups
            .iter()
            .map(|group| group.size() as u64)
            .sum::<u64>();
        self.messages += record.count();
        self.unseen += record.count();
        let most = self.most(&shared.keep);
        let is_due = self.unseen >= LOOK_AFTER.min(most / SLACK + 1);
        if !is_due || end.next() <= most || self.is_busy.swap(true, Relaxed) {
            return;
        }
        self.unseen = 0;
        let (shared, topic, end) = (shared.clone(), topic.clone(), *end);
        let is_busy = self.is_busy.clone();
        tokio::spawn(async move {
            if let Err(error) = trim(&shared, &topic, most, &end).await {
                tracing::warn!(%topic, "can't delete what is too much: {error}");
            }
            is_busy.store(false, Relaxed);
        });
    }

    /// The most messages that are kept.
    fn most(&self, keep: &Keep) -> u64 {
        let (messages, bytes) = keep.get();
        let size = self.bytes / self.messages.max(1);
        messages.min(bytes / size.max(1)).max(1)
    }
}

async fn trim(shared: &Shared, topic: &TopicName, most: u64, end: &Tail) -> Result<(), LogError> {
    let (log, until) = (&*shared.log, Instant::now() + shared.patience);
    let Some((_, record)) = oldest(log, topic, until).await? else {
        return Ok(());
    };
    if end.next() - record.first <= most.saturating_add(most / SLACK) {
        return Ok(());
    }
    let place = (end.chain.at, end.chain.next);
    if let Some(oldest) = place_of(log, topic, end.next() - most, place, until).await? {
        ask(until, || log.trim(topic, oldest.at)).await?;
    }
    Ok(())
}
