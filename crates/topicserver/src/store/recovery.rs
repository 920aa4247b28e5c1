//! When something can't be written: the database gives itself up after the first
//! failure, so it is closed and opened again, and what a failed group may have
//! left is removed. While there is no room, it waits for room.

use std::time::{Duration, Instant};

use super::catalogue;
use super::database::{Tables, Trouble};
use super::writer::Writer;
use super::{StoreError, TopicId};

/// Between two attempts to write again. Each may have to read the journal.
const RETRY: Duration = Duration::from_secs(1);

/// Why nothing can be written now.
pub(crate) struct Outage {
    error: StoreError,
    /// When it is tried again.
    retry: Instant,
}

impl Outage {
    fn new(error: StoreError) -> Self {
        Self {
            error,
            retry: Instant::now() + RETRY,
        }
    }
}

impl Writer {
    /// Opens the database again after something failed, and says why it did.
    /// An error: it can't be opened, or what is left can't be removed.
    pub(super) fn recover(&mut self, trouble: Trouble) -> Result<StoreError, StoreError> {
        let is_over = matches!(trouble, Trouble::Poisoned) && self.directory.has_room().is_ok();
        let error = match (trouble, self.directory.has_room()) {
            (Trouble::Failed(error), _) => error,
            (Trouble::Poisoned, Err(error)) => error.into(),
            (Trouble::Poisoned, Ok(())) => Trouble::Poisoned.into_error(),
        };
        if self.outage.is_none() {
            tracing::warn!("can't write the history: {error}; trying again");
        }
        let reopened = self.reopen(&error);
        self.outage = match &reopened {
            Ok(()) if is_over => None,
            Ok(()) => Some(Outage::new(error.clone())),
            Err(error) => Some(Outage::new(error.clone())),
        };
        reopened.map(|()| error)
    }

    /// Says whether something can be written, after trying to mend what isn't.
    pub(super) fn ready(&mut self) -> Result<(), StoreError> {
        let Some(outage) = &self.outage else {
            return Ok(());
        };
        let error = outage.error.clone();
        if Instant::now() < outage.retry {
            return Err(error);
        }
        let mended = match self.directory.has_room() {
            Err(error) => Err(error.into()),
            Ok(()) if self.tables().is_err() => self.reopen(&error),
            Ok(()) => Ok(()),
        };
        self.outage = mended.clone().err().map(Outage::new);
        mended
    }

    /// How long it is until there may be a database to read from again.
    pub(super) fn time_to_retry(&self) -> Option<Duration> {
        let outage = self.outage.as_ref()?;
        let time = outage.retry.saturating_duration_since(Instant::now());
        // Zero would mean that there is something to do at once, for ever.
        self.tables().is_err().then_some(time.max(RETRY / 100))
    }

    /// Closes the database and opens it. Meanwhile, and if it fails, readers get
    /// the error.
    fn reopen(&mut self, error: &StoreError) -> Result<(), StoreError> {
        *self.shared.tables.write() = Err(error.clone());
        let tables = Tables::open(&self.directory.database()).map_err(|text| {
            let room = self.directory.has_room();
            room.err().map_or(StoreError::Io(text), StoreError::from)
        })?;
        for (&id, &next) in &self.doubtful {
            remove_from(&tables, id, next)?;
        }
        self.doubtful.clear();
        self.next_id = self.next_id.max(catalogue::next_id(&tables)?);
        *self.shared.tables.write() = Ok(tables);
        Ok(())
    }
}

/// Removes what there is of a topic from a sequence number on.
fn remove_from(tables: &Tables, id: TopicId, next: u64) -> Result<(), StoreError> {
    let mut batch = tables.batch();
    for table in [&tables.history, &tables.ids] {
        for record in Tables::records(table, id, next) {
            batch.remove(table, record.key()?);
        }
    }
    match batch.is_empty() {
        true => Ok(()),
        false => tables.commit(batch, true).map_err(Trouble::into_error),
    }
}
