//! The embedded database: its tables, how it is opened, what its errors mean.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use fjall::compaction::Leveled;
use fjall::config::BlockSizePolicy;
use fjall::{Database, Guard, Keyspace, KeyspaceCreateOptions, OwnedWriteBatch, PersistMode};

use super::directory::is_full;
use super::record::{self, Damaged};
use super::{StoreError, TopicId, journal};

/// All journals together, in bytes: they are read at a start, 128 MiB in about
/// half a second.
const MAX_JOURNALS: u64 = 128 * 1024 * 1024;

/// Bytes of a table in memory before it is written to disk: few files, and a
/// memory that a small machine has.
const MEMTABLE: u64 = 32 * 1024 * 1024;

/// The same for the tables that hold a few bytes for each topic.
const SMALL_MEMTABLE: u64 = 4 * 1024 * 1024;

/// Bytes of blocks that are kept in memory. What is read is mostly new, and
/// that is in memory in any case.
const CACHE: u64 = 16 * 1024 * 1024;

/// Files that are kept open; the descriptors are for connections.
const OPEN_FILES: usize = 128;

/// Threads that write and merge tables. With more than one, the first passes
/// every merge on to the others by putting it back into the queue, and does nothing
/// else while they are busy: a third of the processor time of a server that stores
/// 200,000 messages a second.
const WORKERS: usize = 1;

/// Bytes of a block of history: dozens of messages are read at once.
const HISTORY_BLOCK: u32 = 16 * 1024;

/// Tables that may wait to be written before writing pauses. The database
/// itself pauses at four, without looking whether anybody still writes them.
const WAITING_TABLES: usize = 3;

/// Unmerged tables at which they are merged. A merge also rewrites what the level
/// below holds of the same topics, so few large ones cost less than many: with 12
/// instead of the database's own 4, a fifth more is stored under full load, and half
/// as much processor time goes into it. A reader looks into each of them.
const MERGED_TABLES: u8 = 12;

/// Unmerged tables at which writing pauses; the database itself pauses at 30.
const UNMERGED_TABLES: usize = 28;

/// How often a pause looks whether it is over.
const PAUSE: Duration = Duration::from_millis(5);

/// The database, open. Clones share it; it is closed with the last of them.
#[derive(Clone)]
pub(crate) struct Tables {
    database: Database,
    /// Topic name → number.
    pub(crate) names: Keyspace,
    /// Number → what the catalogue knows of the topic.
    pub(crate) topics: Keyspace,
    /// Number and first sequence number → a piece of history.
    pub(crate) history: Keyspace,
    /// What is there once.
    pub(crate) meta: Keyspace,
}

/// Why something wasn't committed.
#[derive(Clone, Debug)]
pub(crate) enum Trouble {
    /// The database had given itself up before, and wrote nothing of this.
    Poisoned,
    /// It is unknown what of it was written.
    Failed(StoreError),
}

impl Trouble {
    /// What is told to whoever waits.
    pub(crate) fn into_error(self) -> StoreError {
        match self {
            Self::Poisoned => StoreError::Io("an earlier write failed".to_owned()),
            Self::Failed(error) => error,
        }
    }
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        Self::Failed(error)
    }
}

impl Tables {
    /// Opens the database, or makes it. Says in words what is wrong.
    pub(crate) fn open(path: &Path) -> Result<Self, String> {
        remove_unfinished(path).map_err(|error| error.to_string())?;
        let refused = match open_once(path) {
            Ok(tables) => return Ok(tables),
            Err(refused) => refused,
        };
        let cuts = journal::mend(path).map_err(|error| format!("{refused}, {error}"))?;
        if cuts.is_empty() {
            return Err(refused);
        }
        for cut in cuts {
            let (file, kept, dropped) = (cut.file.display(), cut.kept, cut.dropped);
            tracing::warn!(
                "dropped {dropped} damaged bytes from the end of {file}, {kept} sound ones stay: \
                 the newest messages may be lost"
            );
        }
        open_once(path)
    }

    /// An empty batch.
    pub(crate) fn batch(&self) -> OwnedWriteBatch {
        self.database.batch()
    }

    /// Writes a batch, all or nothing; with `flush` it is durable afterwards.
    pub(crate) fn commit(&self, batch: OwnedWriteBatch, flush: bool) -> Result<(), Trouble> {
        self.wait_for_workers()?;
        let commit = || {
            batch.commit()?;
            match flush {
                true => self.database.persist(PersistMode::SyncData),
                false => Ok(()),
            }
        };
        match catch_unwind(AssertUnwindSafe(commit)) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(fjall::Error::Poisoned)) => Err(Trouble::Poisoned),
            Ok(Err(error)) => Err(Trouble::Failed(error.into())),
            Err(_) => Err(Trouble::Failed(StoreError::panicked())),
        }
    }

    /// Makes everything durable that was written.
    pub(crate) fn flush(&self) -> Result<(), StoreError> {
        Ok(self.database.persist(PersistMode::SyncAll)?)
    }

    /// Whether the database takes writes.
    fn check(&self) -> Result<(), Trouble> {
        match self.database.persist(PersistMode::Buffer) {
            Ok(()) => Ok(()),
            Err(fjall::Error::Poisoned) => Err(Trouble::Poisoned),
            Err(error) => Err(Trouble::Failed(error.into())),
        }
    }

    /// Waits while the database is too far behind with its tables, as long as
    /// it is working on them.
    fn wait_for_workers(&self) -> Result<(), Trouble> {
        let is_behind = |table: &Keyspace| {
            table.sealed_memtable_count() >= WAITING_TABLES
                || table.l0_table_count() >= UNMERGED_TABLES
        };
        for table in [&self.history, &self.topics, &self.names] {
            while is_behind(table) {
                self.check()?;
                std::thread::sleep(PAUSE);
            }
        }
        Ok(())
    }

    /// The newest record of a topic that begins at or before `seq`, but not
    /// before `first`: its key's sequence number and its bytes.
    pub(crate) fn last_at(
        table: &Keyspace,
        topic: TopicId,
        first: u64,
        seq: u64,
    ) -> Result<Option<(u64, fjall::UserValue)>, StoreError> {
        if first > seq {
            return Ok(None);
        }
        let mut range = table.range(record::key(topic, first)..=record::key(topic, seq));
        range.next_back().map(record_of).transpose()
    }

    /// The records of a topic from `seq` on, in their order.
    pub(crate) fn records(table: &Keyspace, topic: TopicId, seq: u64) -> fjall::Iter {
        table.range(record::key(topic, seq)..=record::key(topic, u64::MAX))
    }
}

/// A record's first sequence number and its bytes.
pub(crate) fn record_of(guard: Guard) -> Result<(u64, fjall::UserValue), StoreError> {
    let (key, value) = guard.into_inner()?;
    Ok((record::seq_of(&key)?, value))
}

fn open_once(path: &Path) -> Result<Tables, String> {
    let open = || -> fjall::Result<Tables> {
        let database = Database::builder(path)
            .manual_journal_persist(true)
            .max_journaling_size(MAX_JOURNALS)
            .cache_size(CACHE)
            .max_cached_files(Some(OPEN_FILES))
            .worker_threads(WORKERS)
            .open()?;
        let table = |name, memtable| {
            database.keyspace(name, || {
                KeyspaceCreateOptions::default()
                    .manual_journal_persist(true)
                    .max_memtable_size(memtable)
            })
        };
        let history = || {
            let merging = Leveled::default().with_l0_threshold(MERGED_TABLES);
            KeyspaceCreateOptions::default()
                .manual_journal_persist(true)
                .max_memtable_size(MEMTABLE)
                .compaction_strategy(Arc::new(merging))
                .data_block_size_policy(BlockSizePolicy::all(HISTORY_BLOCK))
        };
        Ok(Tables {
            names: table("names", SMALL_MEMTABLE)?,
            topics: table("topics", SMALL_MEMTABLE)?,
            meta: table("meta", SMALL_MEMTABLE)?,
            history: database.keyspace("history", history)?,
            database,
        })
    };
    match catch_unwind(AssertUnwindSafe(open)) {
        Ok(opened) => opened.map_err(|error| StoreError::from(error).to_string()),
        Err(_) => Err(StoreError::panicked().to_string()),
    }
}

/// A first start that was interrupted leaves a database without its version,
/// which never held anything; the next start couldn't make it again.
fn remove_unfinished(path: &Path) -> io::Result<()> {
    if !path.exists() || path.join("version").exists() {
        return Ok(());
    }
    let keyspaces = path.join("keyspaces");
    let holds_nothing = !keyspaces.exists() || std::fs::read_dir(keyspaces)?.next().is_none();
    match holds_nothing {
        true => std::fs::remove_dir_all(path),
        false => Ok(()),
    }
}

impl From<fjall::Error> for StoreError {
    fn from(error: fjall::Error) -> Self {
        match error {
            fjall::Error::Io(error) | fjall::Error::Storage(fjall::LsmError::Io(error)) => {
                error.into()
            }
            error => Self::Io(error.to_string()),
        }
    }
}

impl From<io::Error> for StoreError {
    fn from(error: io::Error) -> Self {
        match is_full(&error) {
            true => Self::Full,
            false => Self::Io(error.to_string()),
        }
    }
}

impl From<Damaged> for StoreError {
    fn from(damaged: Damaged) -> Self {
        Self::Io(damaged.to_string())
    }
}
