//! Gives disk space back: everything that is kept is copied into a new database, which takes the
//! old one's place. So nothing that was deleted is left in any file, which merging does not do:
//! the database moves the rest of a record file only when three quarters of it are deleted.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use fjall::{Keyspace, OwnedWriteBatch};

use super::ToolError;
use super::offline::{open_tables, settings};
use crate::store::database::{CommitError, Tables, record_of};
use crate::store::directory::Directory;
use crate::store::error::{OpenError, StoreError};
use crate::store::record::{self, TopicRecord};

/// Bytes that are written and flushed together.
const BATCH: usize = 8 * 1024 * 1024;

/// How often it is looked whether a table has been written.
const PAUSE: Duration = Duration::from_millis(5);

/// Bytes on disk, before and after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Compacted {
    pub(crate) before: u64,
    pub(crate) after: u64,
}

/// Compacts the history in a directory.
pub(crate) fn compact(path: &Path) -> Result<Compacted, ToolError> {
    let directory = Directory::open_existing(path)?;
    directory.convert()?;
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| ToolError::from(OpenError::Unusable { path, source })
    };
    let (database, new) = (directory.database(), directory.new_database());
    remove(&new).map_err(failed(&new))?;
    let before = space(&database).map_err(failed(&database))?;
    let old = open_tables(&directory)?;
    let copied = copy_to(&old, &new);
    drop(old);
    if let Err(error) = copied {
        // What is there of it is of no use; the history is as it was.
        let _ = remove(&new);
        return Err(error);
    }
    directory.exchange_databases().map_err(failed(&database))?;
    remove(&new).map_err(failed(&new))?;
    let after = space(&database).map_err(failed(&database))?;
    Ok(Compacted { before, after })
}

/// Makes a database with all that is kept.
fn copy_to(old: &Tables, path: &Path) -> Result<(), ToolError> {
    let new = Tables::open(path, &settings()).map_err(|source| OpenError::Database {
        path: path.to_owned(),
        source,
    })?;
    let mut copy = Copy {
        batch: new.batch(),
        bytes: 0,
        new: &new,
    };
    for (from, to) in [(&old.names, &new.names), (&old.meta, &new.meta)] {
        for item in from.iter() {
            let (key, value) = item.into_inner().map_err(StoreError::from)?;
            copy.put(to, &key, &value)?;
        }
    }
    for topic in old.topics.iter() {
        let (key, value) = topic.into_inner().map_err(StoreError::from)?;
        let id = record::read_id(&key).map_err(StoreError::from)?;
        let known = TopicRecord::read(&value).map_err(StoreError::from)?;
        copy.put(&new.topics, &key, &value)?;
        for record in Tables::records(&old.history, id, known.first) {
            let (seq, record) = record_of(record)?;
            copy.put(&new.history, &record::key(id, seq), &record)?;
        }
    }
    copy.write()?;
    settle(&new)
}

/// What is written together.
struct Copy<'a> {
    new: &'a Tables,
    batch: OwnedWriteBatch,
    bytes: usize,
}

impl Copy<'_> {
    fn put(&mut self, table: &Keyspace, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        self.batch.insert(table, key, value);
        self.bytes += key.len() + value.len();
        match self.bytes < BATCH {
            true => Ok(()),
            false => self.write(),
        }
    }

    fn write(&mut self) -> Result<(), StoreError> {
        self.bytes = 0;
        let batch = std::mem::replace(&mut self.batch, self.new.batch());
        self.new.commit(batch).map_err(CommitError::into_error)
    }
}

/// Has everything written into tables, so that no journal is needed any more.
fn settle(tables: &Tables) -> Result<(), ToolError> {
    let small = [&tables.names, &tables.topics, &tables.meta];
    for table in small.into_iter().chain([&tables.history]) {
        table.rotate_memtable().map_err(StoreError::from)?;
        let started = Instant::now();
        while table.sealed_memtable_count() > 0 {
            if started.elapsed() > settings().timeout {
                return Err(StoreError::Busy.into());
            }
            #[expect(
                clippy::disallowed_methods,
                reason = "the tool has a thread of its own"
            )]
            std::thread::sleep(PAUSE);
        }
    }
    // The journals that are needed no more go with the next table.
    tables
        .drop_replaced_files()
        .map_err(CommitError::into_error)?;
    Ok(tables.flush()?)
}

fn remove(directory: &Path) -> io::Result<()> {
    match std::fs::remove_dir_all(directory) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Bytes that a directory takes on disk. Its files may have holes.
fn space(directory: &Path) -> io::Result<u64> {
    const BLOCK: u64 = 512;
    let mut bytes = 0;
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        bytes += match metadata.is_dir() {
            true => space(&entry.path())?,
            false => metadata.blocks() * BLOCK,
        };
    }
    Ok(bytes)
}
