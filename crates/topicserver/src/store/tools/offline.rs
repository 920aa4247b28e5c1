//! A history that no server uses: its directory is locked as long as a tool works on it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use wire::TopicName;

use super::walk::Walk;
use super::{Look, ToolError};
use crate::clock::{Clock, SystemClocks};
use crate::store::database::{CommitError, DatabaseSettings, Tables};
use crate::store::directory::Directory;
use crate::store::error::OpenError;
use crate::store::high_water_marks::HighWaterMarks;
use crate::store::shared::Shared;
use crate::store::topic::RetentionLimits;
use crate::store::types::Retention;
use crate::store::writer::Writer;

/// Tools delete nothing on their own.
pub(super) const KEEP: Retention = Retention {
    age: Duration::MAX,
    messages: u64::MAX,
    bytes: u64::MAX,
};

/// How long a tool waits for the database's own threads: nobody waits for the tool, but a thread
/// may have died.
const PATIENCE: Duration = Duration::from_secs(600);

/// The settings with which tools open the database.
pub(super) fn settings() -> DatabaseSettings {
    DatabaseSettings::new(PATIENCE)
}

/// A clock that deletes nothing, because nothing is kept for a time only.
pub(super) fn clock() -> Clock {
    Clock::new(Arc::new(SystemClocks), PATIENCE)
}

/// Opens the database of a directory.
pub(super) fn open_tables(directory: &Directory) -> Result<Tables, OpenError> {
    let tables = Tables::open(&directory.database(), &settings());
    tables.map_err(|source| OpenError::Database {
        path: directory.database(),
        source,
    })
}

/// Begins to look through the history in a directory. Nothing in it is changed, but what a crash
/// has left is repaired, as at a server's start.
pub(crate) fn look(path: &Path, look: Look) -> Result<Walk, ToolError> {
    let directory = Directory::open_existing(path)?;
    let tables = open_tables(&directory)?;
    let marks = directory.high_water_marks();
    let opened = HighWaterMarks::open(&marks).map_err(|source| OpenError::Unusable {
        path: marks.clone(),
        source,
    })?;
    let shared = Arc::new(Shared {
        tables: RwLock::new(Ok(tables)),
        bounds: Mutex::default(),
        limits: RetentionLimits::new(KEEP).into(),
        clock: clock(),
        marks,
        trouble: Mutex::default(),
    });
    look.walk(shared, opened, Some(directory))
}

/// Deletes the messages of a topic. Returns how many there were.
pub(crate) fn forget(path: &Path, topic: &TopicName) -> Result<u64, ToolError> {
    Directory::check_existing(path)?;
    let (mut writer, _) = Writer::open(path, KEEP, clock(), settings())?;
    let deleted = writer.delete_history(topic);
    match deleted.map_err(CommitError::into_error)? {
        Some(deleted) => Ok(deleted),
        None => Err(ToolError::NoTopic(topic.clone())),
    }
}
