//! Recovery from failed writes. The database refuses everything after its first failure,
//! so the writer opens it again and removes what a failed group may have left. While
//! the disk is full, the writer waits for room.

use std::time::{Duration, Instant};

use crate::metrics::{self, Count};
use crate::store::catalogue;
use crate::store::database::{CommitError, Tables};
use crate::store::directory::{ROOM_FOR_A_GROUP, ROOM_FOR_A_TABLE};
use crate::store::error::StoreError;
use crate::store::types::TopicId;
use crate::store::writer::Writer;

/// Time between two attempts to write again. Each may have to read the journal.
const RETRY: Duration = Duration::from_secs(1);

/// Why nothing can be written now.
pub(crate) struct Unavailable {
    error: StoreError,
    /// When writing is tried again.
    retry: Instant,
    /// The room that the next attempt needs.
    room: u64,
}

impl Writer {
    /// Opens the database again after a failure, and returns the reason of the failure. An error
    /// means that the database cannot be opened, or that what is left of a group cannot be
    /// removed.
    pub(in crate::store) fn recover(
        &mut self,
        error: CommitError,
    ) -> Result<StoreError, StoreError> {
        metrics::count(Count::StoreFailures, 1);
        let (error, room) = match error {
            CommitError::Failed(error) => (Some(error), ROOM_FOR_A_GROUP),
            CommitError::Stalled => (Some(StoreError::Busy), ROOM_FOR_A_GROUP),
            // The database's own threads, which write tables, have failed.
            CommitError::Poisoned => {
                let room = self.directory.has_room(ROOM_FOR_A_TABLE);
                (room.err().map(StoreError::from), ROOM_FOR_A_TABLE)
            }
        };
        let is_over = error.is_none();
        let error = error.unwrap_or(CommitError::Poisoned.into_error());
        if !std::mem::replace(&mut self.unavailable_logged, true) {
            tracing::warn!("can't write the history: {error}; trying again");
        }
        let reopened = self.reopen(&error);
        let left = match &reopened {
            Ok(()) if is_over => None,
            Ok(()) => Some(&error),
            Err(error) => Some(error),
        };
        self.unavailable = left.map(|error| Unavailable {
            error: error.clone(),
            retry: Instant::now() + RETRY,
            room,
        });
        reopened.map(|()| error)
    }

    /// Returns whether the writer can write, after an attempt to repair the database.
    pub(in crate::store) fn ready(&mut self) -> Result<(), StoreError> {
        let Some(unavailable) = &self.unavailable else {
            return Ok(());
        };
        let (error, room) = (unavailable.error.clone(), unavailable.room);
        if Instant::now() < unavailable.retry {
            return Err(error);
        }
        // Reading comes first: it takes a database, but no room.
        let opened = match self.tables() {
            Ok(_) => Ok(()),
            Err(_) => self.reopen(&error),
        };
        let repaired = opened.and_then(|()| Ok(self.directory.has_room(room)?));
        self.unavailable = repaired.clone().err().map(|error| Unavailable {
            error,
            retry: Instant::now() + RETRY,
            room,
        });
        repaired
    }

    /// Notes a successful write, and logs it if the log says that nothing can be written.
    pub(in crate::store) fn written(&mut self) {
        self.stalls = 0;
        if std::mem::take(&mut self.unavailable_logged) {
            tracing::info!("the history is written again");
        }
    }

    /// Tells everybody who asks why nothing can be written now, if that is so.
    pub(in crate::store) fn show_trouble(&self) {
        let error = self
            .unavailable
            .as_ref()
            .map(|unavailable| &unavailable.error);
        let trouble = match error {
            Some(error) => Some(error.code()),
            None if self.stalls > 0 => Some(StoreError::Busy.code()),
            None => None,
        };
        *self.shared.trouble.lock() = trouble;
    }

    /// How long it is until there may be a database to read from again.
    pub(in crate::store) fn time_to_retry(&self) -> Option<Duration> {
        let unavailable = self.unavailable.as_ref()?;
        let time = unavailable.retry.saturating_duration_since(Instant::now());
        // Zero would keep the writer busy without end.
        self.tables().is_err().then_some(time.max(RETRY / 100))
    }

    /// Closes the database and opens it. Meanwhile, and if it fails, readers get
    /// the error.
    fn reopen(&mut self, error: &StoreError) -> Result<(), StoreError> {
        *self.shared.tables.write() = Err(error.clone());
        let tables = Tables::open(&self.directory.database(), &self.settings).map_err(|error| {
            let room = self.directory.has_room(ROOM_FOR_A_GROUP);
            room.err().map_or_else(|| error.into(), StoreError::from)
        })?;
        for (&id, &next) in &self.in_doubt {
            remove_from(&tables, id, next)?;
        }
        self.in_doubt.clear();
        self.next_id = self.next_id.max(catalogue::next_id(&tables)?);
        *self.shared.tables.write() = Ok(tables);
        Ok(())
    }
}

/// Removes the records of a topic from a sequence number on.
fn remove_from(tables: &Tables, id: TopicId, next: u64) -> Result<(), StoreError> {
    let mut batch = tables.batch();
    for record in Tables::records(&tables.history, id, next) {
        batch.remove(&tables.history, record.key()?);
    }
    match batch.is_empty() {
        true => Ok(()),
        false => tables.commit(batch).map_err(CommitError::into_error),
    }
}
