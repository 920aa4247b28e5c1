//! Deletes all messages of a topic, because an administrator wants it. The topic keeps its epoch,
//! and its numbers go on, so whoever comes back to it is told that messages are gone.

use tokio::sync::oneshot;
use wire::TopicName;

use super::queue::Request;
use super::retention::Trimmed;
use crate::store::catalogue;
use crate::store::database::CommitError;
use crate::store::error::StoreError;
use crate::store::types::TopicId;
use crate::store::writer::Writer;
use crate::store::writer::group::Access;

/// A topic whose messages are to be deleted, and the channel to report how many there were.
type Forget = (TopicName, oneshot::Sender<Result<Option<u64>, StoreError>>);

/// Takes out the requests to delete topics' messages: they are carried out after the appends.
pub(super) fn take(group: &mut Vec<Request>) -> Vec<Forget> {
    let is_forget = |request: &mut Request| matches!(request, Request::Forget { .. });
    let forget = |request| match request {
        Request::Forget { name, done } => Some((name, done)),
        _ => None,
    };
    group.extract_if(.., is_forget).filter_map(forget).collect()
}

impl Writer {
    /// Deletes the messages of some topics, and reports that.
    pub(super) fn forget_asked(&mut self, forgets: Vec<Forget>) {
        for (name, done) in forgets {
            let deleted = self.ready().map_err(CommitError::Failed);
            let deleted = deleted.and_then(|()| self.delete_history(&name));
            let deleted = deleted.map_err(|error| match error {
                CommitError::Stalled => CommitError::Stalled.into_error(),
                error => match self.recover(error) {
                    Ok(error) | Err(error) => error,
                },
            });
            if matches!(deleted, Ok(Some(1..))) && !self.merger.is_reclaiming() {
                self.merger.reclaim();
            }
            // The receiver may have stopped waiting.
            let _ = done.send(deleted);
        }
    }

    /// Deletes the messages of a topic. Returns how many there were; `None` if there is no such
    /// topic.
    pub(in crate::store) fn delete_history(
        &mut self,
        name: &TopicName,
    ) -> Result<Option<u64>, CommitError> {
        let tables = self.tables()?;
        let Some(id) = self.id_of(name)? else {
            return Ok(None);
        };
        let Some(state) = self.topics.get(&id) else {
            return Err(StoreError::NoTopic(id.0).into());
        };
        let (extent, first) = (state.durable, state.bounds.first());
        let mut record = state.record();
        record.first = extent.next;
        record.setbacks.clear();
        let mut batch = tables.batch();
        batch.insert(&tables.topics, id.0.to_be_bytes(), record.write());
        tables.commit(batch)?;
        let before = extent.oldest.map_or(extent.total, |oldest| oldest.before);
        self.note_trimmed(&Trimmed {
            id,
            first: extent.next,
            oldest: None,
            deleted: extent.total.saturating_sub(before),
        });
        Ok(Some(extent.next - first))
    }

    /// The number of a topic, which is in memory then; `None` if there is none of that name.
    fn id_of(&mut self, name: &TopicName) -> Result<Option<TopicId>, CommitError> {
        if let Some(&id) = self.ids.get(name) {
            return Ok(Some(id));
        }
        if catalogue::find_id(&self.tables()?, name)?.is_none() {
            return Ok(None);
        }
        // Nobody waits for the answer: writing returns it. The epoch is for a new topic.
        let (done, _) = oneshot::channel();
        let load = Request::Load {
            name: name.clone(),
            epoch: 0,
            done,
        };
        let loaded = self.write(&[load], Access::Write)?.pop();
        Ok(loaded.transpose()?)
    }
}
