//! Deleting what is too old, too much or too large: a bounded piece at a time,
//! between the groups of messages.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::database::{Tables, Trouble, record_of};
use super::record::{self, Header};
use super::topic::{self, Limits, Oldest, Position};
use super::writer::Writer;
use super::{StoreError, TopicId, catalogue};

/// Records that are deleted at a time: some milliseconds.
const TRIM_STEP: usize = 1024;

/// Between two sweeps through topics that nobody writes to. Messages that are
/// a few minutes too old harm nobody.
const SWEEP_PERIOD: Duration = Duration::from_secs(10 * 60);

/// Topics that are looked at in one sweep: with more, each gets its turn later.
const SWEEP_TOPICS: usize = 16 * 1024;

/// Topics that are looked at at a time: some milliseconds.
const SWEEP_STEP: usize = 64;

/// How far the sweep is through the topics.
pub(crate) struct Sweep {
    /// The next topic.
    next: u32,
    /// Topics that are still to be looked at in this sweep.
    left: usize,
    /// When the next one begins.
    due: Instant,
}

impl Sweep {
    pub(crate) fn new() -> Self {
        Self {
            next: 0,
            left: 0,
            due: Instant::now() + SWEEP_PERIOD,
        }
    }

    /// Begins the next sweep now.
    #[cfg(test)]
    pub(crate) fn begin(&mut self) {
        self.due = Instant::now();
    }
}

/// What is left of a topic after a step.
struct Trimmed {
    first: u64,
    oldest: Option<Oldest>,
    /// There may be more to delete.
    has_more: bool,
}

impl Writer {
    /// How long there is nothing to do but what is asked for.
    pub(super) fn time_to_chores(&self) -> Duration {
        if let Some(time) = self.time_to_retry() {
            return time;
        }
        let has_chores = !self.trims.is_empty() || self.sweep.left > 0;
        match has_chores && self.outage.is_none() {
            true => Duration::ZERO,
            false => {
                let time = self.sweep.due.saturating_duration_since(Instant::now());
                // During an outage the sweep may be overdue.
                time.max(Duration::from_millis(1))
            }
        }
    }

    /// Does a piece of what nobody asked for.
    pub(super) fn do_chores(&mut self) {
        if self.outage.is_some() {
            if self.time_to_retry().is_some() {
                // The outage says it all.
                let _ = self.ready();
            }
            if Instant::now() >= self.sweep.due {
                self.sweep.due = Instant::now() + SWEEP_PERIOD;
            }
            return;
        }
        if let Some(&id) = self.trims.front() {
            match self.trim(id) {
                Ok(has_more) => {
                    self.trims.pop_front();
                    match self.topics.get_mut(&id) {
                        Some(_) if has_more => self.trims.push_back(id),
                        Some(state) => state.is_trimmed = false,
                        None => {}
                    }
                }
                Err(trouble) => {
                    // It was logged, and is tried again when it is over.
                    let _ = self.recover(trouble);
                }
            }
        }
        if Instant::now() >= self.sweep.due {
            self.sweep.due = Instant::now() + SWEEP_PERIOD;
            self.sweep.left = SWEEP_TOPICS;
        }
        if self.sweep.left > 0
            && let Err(error) = self.sweep_step()
        {
            tracing::warn!("can't look for old messages: {error}");
            self.sweep.left = 0;
        }
    }

    /// Deletes a piece of what a topic holds too much. True: there may be more.
    fn trim(&mut self, id: TopicId) -> Result<bool, Trouble> {
        let tables = self.tables()?;
        let limits = self.limits;
        let Some(state) = self.topics.get_mut(&id) else {
            return Ok(false);
        };
        let mut batch = tables.batch();
        let now = topic::now();
        let first = state.bounds.first();
        let trimmed = limits.trim(&tables, id, &state.durable, first, now, |seq| {
            batch.remove(&tables.history, record::key(id, seq));
        })?;
        if !batch.is_empty() {
            let mut record = state.record();
            record.first = trimmed.first;
            batch.insert(&tables.topics, id.0.to_be_bytes(), record.write());
            // If this isn't durable, it is done again.
            tables.commit(batch, false)?;
        }
        state.durable.oldest = trimmed.oldest;
        state.pending = state.durable;
        state.bounds.set(trimmed.first, state.durable.next);
        Ok(trimmed.has_more)
    }

    /// Looks at some topics: forgets those that nobody uses, and finds what is
    /// too old.
    fn sweep_step(&mut self) -> Result<(), StoreError> {
        let tables = self.tables()?;
        let mut seen = 0;
        let now = topic::now();
        for topic in tables
            .topics
            .range(self.sweep.next.to_be_bytes()..)
            .take(SWEEP_STEP)
        {
            seen += 1;
            let id = record::read_id(&topic.key()?)?;
            self.sweep.next = id.0.saturating_add(1);
            self.look_at(&tables, id, now)?;
        }
        self.sweep.left = self.sweep.left.saturating_sub(seen);
        if seen < SWEEP_STEP {
            self.sweep.left = 0;
            self.sweep.next = 0;
        }
        Ok(())
    }

    fn look_at(&mut self, tables: &Tables, id: TopicId, now: u64) -> Result<(), StoreError> {
        if let Some(state) = self.topics.get_mut(&id) {
            if state.is_trimmed {
                return Ok(());
            }
            if state.wants_trim(&self.limits, now, true) {
                state.is_trimmed = true;
                self.trims.push_back(id);
            } else if Arc::strong_count(&state.bounds.first) == 1 {
                self.forget(id);
            }
            return Ok(());
        }
        let found = catalogue::read(tables, &self.heads, id)?;
        // What was lost is said, and noted, when somebody asks for the topic.
        if found.lost.is_none() && found.state.wants_trim(&self.limits, now, true) {
            self.keep(id, found.state);
            if let Some(state) = self.topics.get_mut(&id) {
                state.is_trimmed = true;
            }
            self.trims.push_back(id);
        }
        Ok(())
    }
}

impl Limits {
    /// Finds a topic's oldest records that are to be deleted.
    fn trim(
        &self,
        tables: &Tables,
        id: TopicId,
        position: &Position,
        first: u64,
        now: u64,
        mut delete: impl FnMut(u64),
    ) -> Result<Trimmed, StoreError> {
        let mut trimmed = Trimmed {
            first: position.next,
            oldest: None,
            has_more: false,
        };
        for (deleted, record) in Tables::records(&tables.history, id, first).enumerate() {
            let (seq, bytes) = record_of(record)?;
            let header = record::read_header(&bytes);
            let keeps = header
                .is_ok_and(|header| !self.is_over(position, seq, &header, bytes.len() as u64, now));
            trimmed.has_more = deleted == TRIM_STEP;
            if keeps || trimmed.has_more {
                trimmed.first = seq;
                trimmed.oldest = Some(catalogue::oldest_of(&bytes));
                break;
            }
            if let Err(error) = header {
                tracing::warn!("dropped the messages from {seq} on: {error}");
            }
            delete(seq);
        }
        Ok(trimmed)
    }

    /// Whether a record, the oldest of its topic, is too much.
    fn is_over(&self, position: &Position, seq: u64, header: &Header, len: u64, now: u64) -> bool {
        let end = seq + u64::from(header.messages);
        let newer = position.next.saturating_sub(end);
        let bytes = (position.total + len).saturating_sub(header.total);
        let is_too_old = header.time.saturating_add(self.age) < now;
        // The newest record stays, however large it is.
        is_too_old || newer >= self.messages || (newer > 0 && bytes > self.bytes)
    }
}
