//! Groups of requests: written together and flushed once. Afterwards a group is in
//! memory and on disk, or in neither.

use std::io;

use fjall::OwnedWriteBatch;
use wire::TopicName;

use super::Writer;
use super::queue::Request;
use crate::store::catalogue::{self, Found};
use crate::store::database::{CommitError, Tables};
use crate::store::error::StoreError;
use crate::store::journal;
use crate::store::record;
use crate::store::topic::{self, Oldest, StoredTopic};
use crate::store::types::{RecordBatch, TopicId};

/// A group while it is put together.
struct Group {
    batch: OwnedWriteBatch,
    /// Its bytes in the journal.
    bytes: usize,
    /// Topics that get messages.
    appended: Vec<TopicId>,
    /// Topics that this group has loaded into memory or changed.
    changed: Vec<TopicId>,
}

/// What a group may do to the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Access {
    /// Read and write.
    Write,
    /// Only read. A group that would have to write something fails.
    ReadOnly,
}

impl Writer {
    /// Writes a group, all or nothing, and flushes it. Returns the topic of each request.
    pub(in crate::store) fn write(
        &mut self,
        requests: &[Request],
        access: Access,
    ) -> Result<Vec<Result<TopicId, StoreError>>, CommitError> {
        let tables = self.tables().map_err(CommitError::Failed)?;
        let mut group = Group {
            batch: tables.batch(),
            bytes: journal::GROUP_OVERHEAD,
            appended: Vec::new(),
            changed: Vec::new(),
        };
        let mut results = Vec::with_capacity(requests.len());
        for request in requests {
            results.push(match request {
                Request::Append { topic, batch, .. } => {
                    self.add(&tables, &mut group, *topic, batch)
                }
                Request::Load { name, epoch, .. } => {
                    self.find_or_make(&tables, &mut group, name, *epoch)
                }
                Request::Trim { .. }
                | Request::Forget { .. }
                | Request::Ping(_)
                | Request::Close(_) => Err(StoreError::Closed),
            });
        }
        let batch = std::mem::replace(&mut group.batch, tables.batch());
        let is_empty = batch.is_empty();
        let written = match is_empty {
            true => Ok(()),
            false if access == Access::ReadOnly => Err(CommitError::Poisoned),
            false => tables.commit(batch),
        };
        match written {
            Ok(()) => {
                self.flushed = if is_empty { 0 } else { group.bytes as u64 };
                self.note_durable(&group);
            }
            Err(error) => {
                self.undo(&group, &error);
                return Err(error);
            }
        }
        Ok(results)
    }

    /// Adds a batch of messages to the group.
    fn add(
        &mut self,
        tables: &Tables,
        group: &mut Group,
        id: TopicId,
        batch: &RecordBatch,
    ) -> Result<TopicId, StoreError> {
        if !self.topics.contains_key(&id) {
            self.bring(tables, group, id)?;
        }
        let Some(state) = self.topics.get_mut(&id) else {
            return Err(StoreError::NoTopic(id.0));
        };
        let extent = &mut state.pending;
        let bounds = &state.bounds;
        let mut has_setback = false;
        let next = topic::check_order(&batch.entries, extent.next)?;
        if batch.entries.is_empty() {
            return Ok(id);
        }
        for entries in topic::cut(&batch.entries) {
            let Some(begin) = entries.first() else {
                continue;
            };
            let Some(last) = entries.last() else {
                continue;
            };
            let ids = record::ids_within(&batch.ids, begin.first..last.end());
            let record = &mut self.record;
            let is_setback = record::newest_time(&entries) < extent.time;
            let may_go_back = !is_setback || bounds.add_setback(begin.first);
            has_setback |= is_setback;
            let not_before = if may_go_back { 0 } else { extent.time };
            let header = record::write_history(record, &entries, ids, extent.total, not_before);
            extent.oldest.get_or_insert(Oldest {
                time: header.time,
                before: extent.total,
            });
            extent.total = header.total;
            extent.time = header.time;
            let key = record::key(id, begin.first);
            group.bytes += journal::ITEM_OVERHEAD + key.len() + record.len();
            group.batch.insert(&tables.history, key, &record[..]);
        }
        extent.next = next;
        if has_setback {
            let record = state.record().write();
            group
                .batch
                .insert(&tables.topics, id.0.to_be_bytes(), record);
        }
        group.appended.push(id);
        Ok(id)
    }

    fn find_or_make(
        &mut self,
        tables: &Tables,
        group: &mut Group,
        name: &TopicName,
        epoch: u64,
    ) -> Result<TopicId, StoreError> {
        if let Some(&id) = self.ids.get(name) {
            return Ok(id);
        }
        if let Some(id) = catalogue::find_id(tables, name)? {
            self.bring(tables, group, id)?;
            return Ok(id);
        }
        let id = TopicId(self.next_id);
        let state = catalogue::make(name.clone(), epoch);
        self.next_id += 1;
        let number = id.0.to_be_bytes();
        group.batch.insert(&tables.names, name.as_str(), number);
        group
            .batch
            .insert(&tables.topics, number, state.record().write());
        group
            .batch
            .insert(&tables.meta, catalogue::NEXT_ID, self.next_id.to_be_bytes());
        group.changed.push(id);
        self.keep(id, state);
        Ok(id)
    }

    /// Loads a topic into memory. If it has lost messages, its new epoch goes into the group.
    fn bring(&mut self, tables: &Tables, group: &mut Group, id: TopicId) -> Result<(), StoreError> {
        let Found { state, lost } = catalogue::read(tables, &self.high_water_marks, id)?;
        if let Some(lost) = lost {
            let (name, first, last) = (&state.name, lost.start(), lost.end());
            tracing::warn!(
                "topic {:?} has lost the messages {first} to {last}: the end of the history was \
                 damaged; it goes on after them, in a new epoch",
                name.as_str()
            );
            let number = id.0.to_be_bytes();
            group
                .batch
                .insert(&tables.topics, number, state.record().write());
            group.changed.push(id);
        }
        self.keep(id, state);
        Ok(())
    }

    /// Keeps a topic in memory.
    pub(in crate::store) fn keep(&mut self, id: TopicId, state: StoredTopic) {
        self.note_age(id, state.durable.oldest, 0);
        self.ids.insert(state.name.clone(), id);
        self.shared.bounds.lock().insert(id, state.bounds.clone());
        self.topics.insert(id, state);
    }

    /// Removes a topic from memory.
    pub(in crate::store) fn forget(&mut self, id: TopicId) {
        self.shared.bounds.lock().remove(&id);
        if let Some(state) = self.topics.remove(&id) {
            self.ids.remove(&state.name);
        }
    }

    /// Notes that the group is durable.
    fn note_durable(&mut self, group: &Group) {
        let mut marks = Vec::with_capacity(group.appended.len());
        for &id in &group.appended {
            let Some(state) = self.topics.get_mut(&id) else {
                continue;
            };
            if state.durable == state.pending {
                continue;
            }
            let before = std::mem::replace(&mut state.durable, state.pending);
            state.bounds.set(state.bounds.first(), state.durable.next);
            marks.push((id, state.durable.next - 1));
            let (extent, wants_trim) = (state.durable, state.wants_trim(&self.limits));
            self.chores.note_written(id, extent.total - before.total);
            if before.oldest.is_none() {
                state.bounds.set_oldest(extent.oldest);
                self.note_age(id, extent.oldest, 0);
            }
            if wants_trim {
                self.queue_trim(id);
            }
        }
        let noted = self.high_water_marks.set(&mut marks);
        self.check_heads(noted);
    }

    fn check_heads(&mut self, noted: io::Result<()>) {
        match noted {
            Ok(()) => self.marks_failed = false,
            Err(_) if self.marks_failed => {}
            Err(error) => {
                self.marks_failed = true;
                tracing::warn!(
                    "can't note the newest sequence numbers: {error}; if the history is damaged \
                     now, a loss can't be detected"
                );
            }
        }
    }

    /// The group failed: restores memory to what it was before.
    fn undo(&mut self, group: &Group, error: &CommitError) {
        let may_be_written = matches!(error, CommitError::Failed(_));
        for id in &group.appended {
            if let Some(state) = self.topics.get_mut(id) {
                state.pending = state.durable;
                if may_be_written {
                    self.in_doubt.insert(*id, state.durable.next);
                }
            }
        }
        for id in &group.changed {
            self.forget(*id);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::Clock;
    use crate::store::database::DatabaseSettings;
    use crate::store::tests::Directory;
    use crate::store::types::Retention;

    /// What a trim has written lies in the database's buffer until the next flush: if
    /// the journal were written ahead then, the database's threads could write to the
    /// same place.
    #[test]
    fn a_group_that_writes_nothing_does_not_touch_the_journal() {
        let directory = Directory::new();
        let keep = Retention {
            age: Duration::MAX,
            messages: u64::MAX,
            bytes: u64::MAX,
        };
        let settings = DatabaseSettings::new(Duration::from_secs(60));
        let (mut writer, _) =
            Writer::open(directory.path(), keep, Clock::for_tests(), settings).unwrap();
        let mut load = || {
            let (done, _) = tokio::sync::oneshot::channel();
            let name = TopicName::new("T").unwrap();
            let request = Request::Load {
                name,
                epoch: 1,
                done,
            };
            writer.write(&[request], Access::Write).unwrap();
            writer.flushed
        };
        assert!(load() > 0, "the topic is made");
        assert_eq!(load(), 0, "it is there");
    }
}
