//! Retention: deletes messages that are too old or too many, in slices of time between
//! the groups of messages.
//!
//! Deleting means noting in the catalogue where a topic begins now. The writer flushes
//! the note before readers and the database use it. Then the database leaves out earlier
//! records when it merges, and is made to merge when much was deleted.

use std::sync::Arc;
use std::time::{Duration, Instant};

use fjall::OwnedWriteBatch;

use crate::store::ages::Ages;
use crate::store::catalogue::{self, Found};
use crate::store::database::{CommitError, Tables};
use crate::store::error::StoreError;
use crate::store::record;
use crate::store::topic::{self, Oldest};
use crate::store::types::TopicId;
use crate::store::writer::chores::{FORGET_PERIOD, RECLAIM_PERIOD};
use crate::store::writer::limits::Limit;
use crate::store::writer::{Trim, Writer};

/// How long a group of messages may have to wait for it.
const SLICE: Duration = Duration::from_millis(1);

/// The most topics that are trimmed with one flush: as many as a slice has time for.
const TRIMS: usize = 256;

/// Topics that the survey reads between two checks of the clock.
const SURVEYED: usize = 16;

/// A topic isn't trimmed again for age within this part of the age, so that a busy one isn't
/// trimmed for each of its messages. Messages that are too old aren't sent anyway.
const AGE_STEP: u64 = 8;

/// How often it is checked whether the clock is trusted, as long as it isn't.
const TRUST_PERIOD: Duration = Duration::from_secs(1);

/// Milliseconds until trimming a topic that can't be read is tried again.
const TRY_AGAIN: u64 = 10 * 60 * 1000;

/// Bytes that must have been deleted before files are merged to return their space.
const WORTH_RECLAIMING: u64 = 64 * 1024 * 1024;

/// The same, as a part of the bytes that are kept.
const RECLAIMED_PART: u64 = 4;

/// While more than this is written between two checks, the database mostly merges by itself, so
/// it is made to merge only when twice as much has been deleted. With a single topic the tables
/// never overlap, so the database would never merge by itself.
const BUSY_BYTES: u64 = 32 * 1024 * 1024;

/// The result of trimming a topic.
pub(super) struct Trimmed {
    pub(super) id: TopicId,
    pub(super) first: u64,
    pub(super) oldest: Option<Oldest>,
    /// Bytes that were deleted.
    pub(super) deleted: u64,
}

impl Writer {
    /// How long the writer has no chores.
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
            time = time.min(match self.clock.trusted() {
                Some(now) => Duration::from_millis(due.saturating_sub(now)),
                None => TRUST_PERIOD,
            });
        }
        // Chores that are overdue during an outage wait for its end.
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
        self.follow_limits();
        if self.chores.survey.is_some()
            && let Err(error) = self.survey()
        {
            tracing::warn!("can't look for old messages: {error}");
            self.chores.survey = None;
        }
        self.find_too_old();
        match self.note_corrections().and_then(|()| self.trim_some()) {
            // It is tried later: messages that wait to be stored come first.
            Ok(()) | Err(CommitError::Stalled) => {}
            Err(error) => {
                // The error was logged. The chore is tried again later.
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

    /// Queues the topics with messages that are too old to be trimmed.
    fn find_too_old(&mut self) {
        if self.trims.len() >= TRIMS {
            return;
        }
        let Some(now) = self.clock.trusted() else {
            return;
        };
        for _ in 0..TRIMS {
            let Some(id) = self.ages.take(now) else {
                return;
            };
            self.queue_trim(id);
        }
    }

    /// Queues a topic to be trimmed, unless it is queued already.
    pub(in crate::store) fn queue_trim(&mut self, id: TopicId) {
        if let Some(state) = self.topics.get_mut(&id)
            && std::mem::replace(&mut state.is_trimmed, true)
        {
            return;
        }
        self.trims.push_back(id);
    }

    /// Deletes messages that are too old in some topics at once, and reports when that is done.
    pub(in crate::store) fn trim_asked(&mut self, trims: Vec<Trim>) {
        if trims.is_empty() {
            return;
        }
        let mut result = self.ready();
        for (topic, _) in &trims {
            self.queue_trim(*topic);
        }
        while result.is_ok() && trims.iter().any(|(topic, _)| self.is_trimmed(*topic)) {
            result = self.trim_some().map_err(CommitError::into_error);
        }
        for (_, done) in trims {
            // The receiver may have stopped waiting.
            let _ = done.send(result.clone());
        }
    }

    /// Whether a topic waits to be trimmed.
    fn is_trimmed(&self, id: TopicId) -> bool {
        self.topics.get(&id).is_some_and(|state| state.is_trimmed)
    }

    /// Keeps what the limits in force allow. If they have changed, every topic is looked at again.
    fn follow_limits(&mut self) {
        let limits = *self.shared.limits.read();
        if limits != self.limits {
            self.limits = limits;
            // Until when messages are young enough was reckoned by the limits before.
            self.ages = Ages::default();
            self.chores.survey_again();
        }
    }

    /// How much a topic may hold now.
    fn limit(&self) -> Limit<'_> {
        Limit {
            limits: &self.limits,
            now: self.clock.trusted(),
            corrections: &self.corrections,
        }
    }

    /// Trims some topics, and notes it with one flush.
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
                    self.ages.add(id, self.clock.read().index + TRY_AGAIN);
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

    /// Trims a topic. The change of its record in the catalogue goes into the batch.
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
        let (extent, span) = (&state.durable, state.bounds.span());
        let before = span.first;
        let (first, oldest) = self.limit().begin(tables, id, extent, &span)?;
        let begins_at = |oldest: Option<Oldest>| oldest.map_or(extent.total, |one| one.before);
        if first > before {
            let mut record = state.record();
            record.first = first;
            record.setbacks.retain(|&seq| first < seq);
            batch.insert(&tables.topics, id.0.to_be_bytes(), record.write());
        }
        Ok(Some(Trimmed {
            id,
            first,
            oldest,
            deleted: begins_at(oldest).saturating_sub(begins_at(extent.oldest)),
        }))
    }

    /// A trim is durable: publishes it to the readers and to the database.
    pub(super) fn note_trimmed(&mut self, trimmed: &Trimmed) {
        let id = trimmed.id;
        if let Some(state) = self.topics.get_mut(&id) {
            state.durable.oldest = trimmed.oldest;
            state.pending = state.durable;
            state.bounds.set(trimmed.first, state.durable.next);
            state.bounds.set_oldest(trimmed.oldest);
        }
        if trimmed.deleted > 0 {
            self.floors.raise(id, trimmed.first);
            self.chores.note_deleted(trimmed.deleted);
        }
        self.note_age(id, trimmed.oldest, self.clock.trusted().unwrap_or(0));
    }

    /// Notes when a topic's oldest messages will be too old.
    pub(in crate::store) fn note_age(
        &mut self,
        id: TopicId,
        oldest: Option<Oldest>,
        earliest: u64,
    ) {
        let age = self.limits.age;
        // A time in the future is checked again, too.
        let newest = self.clock.read().index;
        if let Some(oldest) = oldest
            && let Some(time) = oldest.time.min(newest).checked_add(age)
        {
            let step = (age / AGE_STEP).min(topic::MAX_AGE_SLACK);
            self.ages.add(id, time.max(earliest.saturating_add(step)));
        }
    }

    /// After a start: reads some of the topics, to know when their messages become too old,
    /// whether they exceed their limits, and how much they hold.
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
                // Records that were deleted before the start may still take space.
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
        if self.limit().is_exceeded(&extent, first) {
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

    /// Has files merged if much of them was deleted, unless writing makes the database merge them
    /// by itself.
    fn reclaim_space(&mut self) {
        let written = std::mem::take(&mut self.chores.written);
        self.chores.has_replaced_files |= self.reclaimer.take_done();
        if self.chores.has_replaced_files
            && let Err(error) = self.drop_replaced_files()
            && !matches!(error, CommitError::Stalled)
        {
            // The error was logged. The chore is tried again later.
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
