//! Retention: deletes messages that are too old or too many, in slices of time between
//! the groups of messages.
//!
//! Deleting means noting in the catalogue where a topic begins now. The writer flushes
//! the note before readers and the database use it. Then the database leaves out earlier
//! records when it merges, and is made to merge when much was deleted.

use std::sync::Arc;
use std::time::{Duration, Instant};

use fjall::OwnedWriteBatch;

use crate::clock;
use crate::store::catalogue::{self, Found};
use crate::store::database::{CommitError, Tables};
use crate::store::error::StoreError;
use crate::store::record::{self, Header, TopicRecord};
use crate::store::topic::{self, Extent, Oldest, RetentionLimits};
use crate::store::types::TopicId;
use crate::store::writer::Writer;
use crate::store::writer::chores::{FORGET_PERIOD, RECLAIM_PERIOD};

/// How long a group of messages may have to wait for it.
const SLICE: Duration = Duration::from_millis(1);

/// Topics that are trimmed with one flush, at most: what there is room for in a slice.
const TRIMS: usize = 256;

/// Topics that the survey reads between two looks at the clock.
const SURVEYED: usize = 16;

/// A topic isn't trimmed again for age within this part of the age, so that a busy one
/// isn't trimmed for each of its messages. What is too old isn't sent, in any case.
const AGE_STEP: u64 = 8;

/// Milliseconds until it is tried again to trim a topic that can't be read.
const TRY_AGAIN: u64 = 10 * 60 * 1000;

/// Bytes that must have been deleted before files are merged for their sake.
const WORTH_RECLAIMING: u64 = 64 * 1024 * 1024;

/// The same, as a part of what is kept.
const RECLAIMED_PART: u64 = 4;

/// While more is written than this between two looks, the database mostly merges by
/// itself: it is made to only when twice as much has been deleted. Of a lone topic its
/// tables never overlap, so that it never would.
const BUSY_BYTES: u64 = 32 * 1024 * 1024;

/// What is left of a topic.
struct Trimmed {
    id: TopicId,
    first: u64,
    oldest: Option<Oldest>,
    /// Bytes that are gone.
    deleted: u64,
}

impl Writer {
    /// How long there is nothing to do but what is asked for.
    pub(in crate::store) fn time_to_chores(&self) -> Duration {
        if let Some(time) = self.time_to_retry() {
            return time;
        }
        let has_chores = !self.trims.is_empty() || self.chores.survey.is_some();
        if has_chores && self.unavailable.is_none() {
            return Duration::ZERO;
        }
        let now = Instant::now();
        let mut time = self.chores.forget_due.saturating_duration_since(now);
        let space_changes = self.chores.deleted > 0 || self.chores.has_replaced_files;
        if space_changes || !self.reclaimer.is_idle() {
            time = time.min(self.chores.reclaim_due.saturating_duration_since(now));
        }
        if let Some(due) = self.ages.next() {
            let left = due.saturating_sub(clock::now());
            time = time.min(Duration::from_millis(left));
        }
        // What is overdue during an outage waits for its end.
        time.max(Duration::from_millis(1))
    }

    /// Does one piece of retention work.
    pub(in crate::store) fn do_chores(&mut self) {
        if self.unavailable.is_some() {
            if self.time_to_retry().is_some() {
                // The outage is logged already.
                let _ = self.ready();
            }
            return;
        }
        if self.chores.survey.is_some()
            && let Err(error) = self.survey()
        {
            tracing::warn!("can't look for old messages: {error}");
            self.chores.survey = None;
        }
        self.find_too_old();
        match self.trim_some() {
            // Later: what waits to be stored comes first.
            Ok(()) | Err(CommitError::Stalled) => {}
            Err(error) => {
                // It was logged, and is tried again when it is over.
                let _ = self.recover(error);
                return;
            }
        }
        let now = Instant::now();
        if now >= self.chores.forget_due {
            self.chores.forget_due = now + FORGET_PERIOD;
            self.forget_unused();
        }
        if now >= self.chores.reclaim_due {
            self.chores.reclaim_due = now + RECLAIM_PERIOD;
            self.reclaim_space();
        }
    }

    /// Puts those topics into the queue to be trimmed in which something is too old.
    fn find_too_old(&mut self) {
        if self.trims.len() >= TRIMS {
            return;
        }
        let now = clock::now();
        for _ in 0..TRIMS {
            let Some(id) = self.ages.take(now) else {
                return;
            };
            self.queue_trim(id);
        }
    }

    /// Has a topic trimmed, unless it waits for that already.
    pub(in crate::store) fn queue_trim(&mut self, id: TopicId) {
        if let Some(state) = self.topics.get_mut(&id)
            && std::mem::replace(&mut state.is_trimmed, true)
        {
            return;
        }
        self.trims.push_back(id);
    }

    /// Deletes what some topics hold too much, and notes it with one flush.
    fn trim_some(&mut self) -> Result<(), CommitError> {
        if self.trims.is_empty() {
            return Ok(());
        }
        let tables = self.tables()?;
        let end = Instant::now() + SLICE;
        let (mut batch, mut trimmed, mut looked_at) = (tables.batch(), Vec::new(), Vec::new());
        while looked_at.len() < TRIMS && (looked_at.is_empty() || Instant::now() < end) {
            let Some(&id) = self.trims.get(looked_at.len()) else {
                break;
            };
            looked_at.push(id);
            match self.trim(&tables, &mut batch, id) {
                Ok(found) => trimmed.extend(found),
                Err(error) => {
                    tracing::warn!("can't delete messages of topic {}: {error}", id.0);
                    self.ages.add(id, clock::now() + TRY_AGAIN);
                }
            }
        }
        if !batch.is_empty() {
            tables.commit(batch)?;
        }
        self.trims.drain(..looked_at.len());
        for id in looked_at {
            if let Some(state) = self.topics.get_mut(&id) {
                state.is_trimmed = false;
            }
        }
        for one in trimmed {
            self.note_trimmed(&one);
        }
        Ok(())
    }

    /// What a topic is to be trimmed to. What changes in the catalogue goes into the
    /// batch.
    fn trim(
        &self,
        tables: &Tables,
        batch: &mut OwnedWriteBatch,
        id: TopicId,
    ) -> Result<Option<Trimmed>, StoreError> {
        let read;
        let state = match self.topics.get(&id) {
            Some(state) => state,
            None => {
                let Found { state, lost } = catalogue::read(tables, &self.high_water_marks, id)?;
                if lost.is_some() {
                    // The loss is logged, and noted, when the topic is loaded.
                    return Ok(None);
                }
                read = state;
                &read
            }
        };
        let (extent, before) = (&state.durable, state.bounds.first());
        let (first, oldest) = self.limits.begin(tables, id, extent, before)?;
        let begins_at = |oldest: Option<Oldest>| oldest.map_or(extent.total, |one| one.before);
        if first > before {
            let record = TopicRecord {
                first,
                ..state.record()
            };
            batch.insert(&tables.topics, id.0.to_be_bytes(), record.write());
        }
        Ok(Some(Trimmed {
            id,
            first,
            oldest,
            deleted: begins_at(oldest).saturating_sub(begins_at(extent.oldest)),
        }))
    }

    /// What was trimmed is durable: says so to the readers and to the database.
    fn note_trimmed(&mut self, trimmed: &Trimmed) {
        let id = trimmed.id;
        if let Some(state) = self.topics.get_mut(&id) {
            state.durable.oldest = trimmed.oldest;
            state.pending = state.durable;
            state.bounds.set(trimmed.first, state.durable.next);
        }
        if trimmed.deleted > 0 {
            self.floors.raise(id, trimmed.first);
            self.chores.note_deleted(trimmed.deleted);
        }
        self.note_age(id, trimmed.oldest, clock::now());
    }

    /// Notes when a topic's oldest messages will be too old.
    pub(in crate::store) fn note_age(
        &mut self,
        id: TopicId,
        oldest: Option<Oldest>,
        earliest: u64,
    ) {
        let age = self.limits.age;
        if let Some(oldest) = oldest
            && let Some(time) = oldest.time.checked_add(age)
        {
            let step = (age / AGE_STEP).min(topic::MAX_AGE_SLACK);
            self.ages.add(id, time.max(earliest.saturating_add(step)));
        }
    }

    /// After a start: looks at some of the topics that there are, to know when their
    /// messages become too old, whether they hold too much, and how much that is.
    fn survey(&mut self) -> Result<(), StoreError> {
        let tables = self.tables()?;
        let end = Instant::now() + SLICE;
        while let Some(next) = self.chores.survey
            && Instant::now() < end
        {
            let mut seen = 0;
            for topic in tables.topics.range(next.to_be_bytes()..).take(SURVEYED) {
                seen += 1;
                let id = record::read_id(&topic.key()?)?;
                self.chores.survey = id.0.checked_add(1);
                self.look_at(&tables, id)?;
            }
            if seen < SURVEYED {
                self.chores.survey = None;
                // What was deleted before the start may still lie there.
                let space = tables.history_space();
                self.chores.deleted += space.saturating_sub(self.chores.kept);
            }
        }
        Ok(())
    }

    fn look_at(&mut self, tables: &Tables, id: TopicId) -> Result<(), StoreError> {
        let (extent, first) = match self.topics.get(&id) {
            Some(state) => (state.durable, state.bounds.first()),
            None => {
                let found = catalogue::read(tables, &self.high_water_marks, id)?;
                (found.state.durable, found.state.bounds.first())
            }
        };
        self.floors.raise(id, first);
        let Some(oldest) = extent.oldest else {
            return Ok(());
        };
        self.chores.kept += extent.total.saturating_sub(oldest.before);
        if self.limits.are_exceeded(&extent, first, clock::now()) {
            self.queue_trim(id);
        } else {
            self.note_age(id, Some(oldest), 0);
        }
        Ok(())
    }

    /// Forgets unused topics in memory.
    fn forget_unused(&mut self) {
        let is_unused = |id: &TopicId| {
            let state = self.topics.get(id);
            state.is_some_and(|state| {
                !state.is_trimmed && Arc::strong_count(&state.bounds.first) == 1
            })
        };
        let unused: Vec<_> = self.topics.keys().copied().filter(is_unused).collect();
        for id in unused {
            self.forget(id);
        }
    }

    /// Deletes files that have been merged, as soon as no reader uses them.
    fn drop_replaced_files(&mut self) -> Result<(), CommitError> {
        let tables = self.tables()?;
        if tables.has_replaced_files() {
            tables.drop_replaced_files()?;
        }
        self.chores.has_replaced_files = tables.has_replaced_files();
        Ok(())
    }

    /// Has the files merged of which much was deleted, if the database doesn't merge
    /// them by itself for what is written meanwhile.
    fn reclaim_space(&mut self) {
        let written = std::mem::take(&mut self.chores.written);
        self.chores.has_replaced_files |= self.reclaimer.take_done();
        if self.chores.has_replaced_files
            && let Err(error) = self.drop_replaced_files()
            && !matches!(error, CommitError::Stalled)
        {
            // It was logged, and is tried again when it is over.
            let _ = self.recover(error);
        }
        let worth = (self.chores.kept / RECLAIMED_PART).max(WORTH_RECLAIMING);
        let worth = match written < BUSY_BYTES {
            true => worth,
            false => worth * 2,
        };
        let is_worth_it = self.chores.deleted >= worth && self.chores.survey.is_none();
        if is_worth_it && self.reclaimer.is_idle() {
            self.chores.deleted = 0;
            self.reclaimer.begin();
        }
    }
}

impl RetentionLimits {
    /// Where a topic begins that is trimmed to its limits, and what is its oldest record
    /// then: found by halves, because each record says how much was before it.
    fn begin(
        &self,
        tables: &Tables,
        id: TopicId,
        extent: &Extent,
        first: u64,
    ) -> Result<(u64, Option<Oldest>), StoreError> {
        let now = clock::now();
        // The first record that is kept begins in `low..=high`.
        let (mut low, mut high) = (first, extent.next);
        let mut kept = None;
        while low < high {
            let middle = low + (high - low) / 2;
            let found = catalogue::readable_at(tables, id, low, middle)?;
            let Some((seq, header, len)) = found else {
                low = middle + 1;
                continue;
            };
            if self.is_over(extent, seq, &header, len, now) {
                low = (seq + u64::from(header.messages)).max(middle + 1);
            } else {
                high = seq;
                kept = Some(Oldest {
                    time: header.time,
                    before: header.total.saturating_sub(len),
                });
            }
        }
        Ok((kept.map_or(extent.next, |_| high), kept))
    }

    /// The oldest record of a topic exceeds the limits.
    fn is_over(&self, extent: &Extent, seq: u64, header: &Header, len: u64, now: u64) -> bool {
        let end = seq + u64::from(header.messages);
        let newer = extent.next.saturating_sub(end);
        let bytes = (extent.total + len).saturating_sub(header.total);
        let is_too_old = header.time.saturating_add(self.age) < now;
        // The newest record stays, however large it is.
        is_too_old || newer >= self.messages || (newer > 0 && bytes > self.bytes)
    }
}
