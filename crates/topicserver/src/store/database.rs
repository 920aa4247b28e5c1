//! The embedded database: its tables, how it is opened, what its errors mean.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fjall::compaction::Leveled;
use fjall::compaction::filter::Factory;
use fjall::{
    AbstractTree, Database, DatabaseBuilder, Guard, Keyspace, KeyspaceCreateOptions,
    KvSeparationOptions, OwnedWriteBatch, PersistMode,
};

use super::error::{DatabaseError, StoreError};
use super::floors::Floors;
use super::journal;
use super::record;
use super::types::TopicId;
use crate::metrics::{self, Time};

/// All journals together, in bytes: they are read at a start, 128 MiB in about
/// half a second.
const MAX_JOURNALS: u64 = 128 * 1024 * 1024;

/// Bytes of a table in memory before it is written to disk. While a table is written, the
/// journal's flushes wait for the disk: the larger the table, the longer. A small one must be
/// written more often, and more must be merged. p99 with 64 publishers × 1 and × 16, as a
/// multiple of Redis in the same runs: 32 MiB with the database's thread at nice 5 1.3 and
/// 2.5; 16 MiB at nice 19 1.3 and 1.1.
const MEMTABLE: u64 = 16 * 1024 * 1024;

/// The same for tables that hold only a few bytes for each topic.
const SMALL_MEMTABLE: u64 = 4 * 1024 * 1024;

/// Bytes of blocks that are cached. Mostly new records are read, and those are still in a table
/// in memory.
const CACHE: u64 = 16 * 1024 * 1024;

/// Files that are kept open. Most descriptors are for connections.
const OPEN_FILES: usize = 128;

/// Threads that write and merge tables. With more than one, the first passes
/// every merge on to the others by putting it back into the queue, and does nothing
/// else while they are busy: a whole core for as long as a merge takes.
const WORKERS: usize = 1;

/// Records of this many bytes and more are in a record file, and the table holds only their
/// place. Every record with a message is that long. Tables are merged again and again, files of
/// records never: with the records in the tables, sustained load was stored at half the rate, and
/// merging took gigabytes of memory.
const SEPARATED: u32 = 64;

/// Bytes of a record file.
const RECORD_FILE: u64 = 64 * 1024 * 1024;

/// The part of a record file that must be deleted before its other records are moved elsewhere
/// and the file is deleted. So records take at most four times their bytes on disk.
const STALE: f32 = 0.75;

/// The part of these files that one merge moves, the oldest first. The thread that merges also
/// writes the tables in memory, and those can't wait for long.
const MOVED: f32 = 0.5;

/// Tables that may wait to be written before writing pauses. The database itself pauses
/// at four, even if the thread that writes them has died.
const WAITING_TABLES: u64 = 3;

/// Unmerged tables at which writing pauses; the database itself pauses at 30.
const UNMERGED_TABLES: usize = 28;

/// The priority of the database's thread, as for `nice`: when the cores are busy, it gets a tenth
/// of what the writer or a worker gets. With 64 publishers × 1 and tables of 16 MiB, p99 is 3.3
/// ms at 5 and 2.1 ms at 19; but at 19 a machine that is busy with other programs leaves the
/// thread so little that publishers get `storage-busy`. The work that it postpones is bounded,
/// see [`is_behind`].
const NICENESS: i32 = 10;

/// The name of the table that holds the history.
const HISTORY: &str = "history";

/// A key without meaning: writing it makes the database write a table.
const RECLAIMED: &str = "reclaimed";

/// Merging removes versions of a record that are older than this, in the database's own
/// count. A record has one version.
pub(crate) const NO_OLD_VERSIONS: fjall::SeqNo = 0;

/// How often a pause checks whether it can end.
const PAUSE: Duration = Duration::from_millis(5);

/// The settings with which the database is opened.
#[derive(Clone)]
pub(crate) struct DatabaseSettings {
    /// Where topics begin: merges drop records before that.
    pub(crate) floors: Floors,
    /// How long a write waits for the database's own threads.
    pub(crate) timeout: Duration,
    /// Bytes of the history's table in memory.
    pub(crate) memtable: u64,
}

impl DatabaseSettings {
    pub(crate) fn new(timeout: Duration) -> Self {
        Self {
            floors: Floors::default(),
            timeout,
            memtable: MEMTABLE,
        }
    }
}

/// The database, open. Clones share it; it is closed with the last of them.
#[derive(Clone)]
pub(crate) struct Tables {
    database: Database,
    timeout: Duration,
    /// Bytes of the history's table in memory.
    memtable: u64,
    /// Topic name → number.
    pub(crate) names: Keyspace,
    /// Number → the catalogue's record of the topic.
    pub(crate) topics: Keyspace,
    /// Number and first sequence number → a piece of history.
    pub(crate) history: Keyspace,
    /// Single values: the secret, the next topic's number, the clock's corrections.
    pub(crate) meta: Keyspace,
}

/// Why something wasn't committed.
#[derive(Clone, Debug)]
pub(crate) enum CommitError {
    /// The database had failed earlier, and wrote nothing of this.
    Poisoned,
    /// The database's threads are too slow with earlier writes. Nothing of this was
    /// written.
    Stalled,
    /// It is unknown what was written.
    Failed(StoreError),
}

impl CommitError {
    /// The error for the requests that wait.
    pub(crate) fn into_error(self) -> StoreError {
        match self {
            Self::Poisoned => StoreError::Poisoned,
            Self::Stalled => StoreError::Busy,
            Self::Failed(error) => error,
        }
    }
}

impl From<StoreError> for CommitError {
    fn from(error: StoreError) -> Self {
        Self::Failed(error)
    }
}

impl Tables {
    /// Opens the database, or makes it.
    pub(crate) fn open(path: &Path, settings: &DatabaseSettings) -> Result<Self, DatabaseError> {
        remove_unfinished(path)?;
        let refused = match open_once(path, settings) {
            Ok(tables) => return Ok(tables),
            Err(refused) => refused,
        };
        let cuts = journal::repair(path);
        let cuts = match cuts {
            Ok(cuts) if cuts.is_empty() => return Err(refused.into()),
            Ok(cuts) => cuts,
            Err(cause) => return Err(DatabaseError::Damaged { refused, cause }),
        };
        for cut in cuts {
            let (file, kept, dropped) = (cut.file.display(), cut.kept, cut.dropped);
            tracing::warn!(
                "dropped {dropped} damaged bytes from the end of {file}, {kept} sound ones stay: \
                 the newest messages may be lost"
            );
        }
        Ok(open_once(path, settings)?)
    }

    /// An empty batch.
    pub(crate) fn batch(&self) -> OwnedWriteBatch {
        self.database.batch()
    }

    /// Writes a batch, all or nothing, and makes it durable.
    pub(crate) fn commit(&self, batch: OwnedWriteBatch) -> Result<(), CommitError> {
        self.wait_for_workers()?;
        let commit = || {
            batch.commit()?;
            let began = Instant::now();
            let flushed = self.database.persist(PersistMode::SyncData);
            metrics::observe(Time::Flush, began.elapsed());
            flushed
        };
        match catch_unwind(AssertUnwindSafe(commit)) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(fjall::Error::Poisoned)) => Err(CommitError::Poisoned),
            Ok(Err(error)) => Err(CommitError::Failed(error.into())),
            Err(_) => Err(CommitError::Failed(StoreError::Panicked)),
        }
    }

    /// Makes everything durable that was written.
    pub(crate) fn flush(&self) -> Result<(), StoreError> {
        Ok(self.database.persist(PersistMode::SyncAll)?)
    }

    /// Whether the database takes writes.
    fn check(&self) -> Result<(), CommitError> {
        match self.database.persist(PersistMode::Buffer) {
            Ok(()) => Ok(()),
            Err(fjall::Error::Poisoned) => Err(CommitError::Poisoned),
            Err(error) => Err(CommitError::Failed(error.into())),
        }
    }

    /// Waits while the database is too far behind with its tables, until the timeout: its
    /// threads may have died.
    fn wait_for_workers(&self) -> Result<(), CommitError> {
        let started = Instant::now();
        let small = [&self.topics, &self.names].map(|table| (table, SMALL_MEMTABLE));
        for (table, memtable) in [(&self.history, self.memtable)].into_iter().chain(small) {
            while is_behind(table, memtable) {
                self.check()?;
                if started.elapsed() >= self.timeout {
                    return Err(CommitError::Stalled);
                }
                self.start_what_is_waited_for(table, memtable)?;
                #[expect(
                    clippy::disallowed_methods,
                    reason = "the writer has a thread of its own"
                )]
                std::thread::sleep(PAUSE);
            }
        }
        Ok(())
    }

    /// Starts the work that the database itself would start only with the next write, and that
    /// the next write waits for: a table that is full is written (the journal is read into one
    /// table, however large), and tables are merged, one level at a time. Those of the history
    /// are left to the merger.
    fn start_what_is_waited_for(&self, table: &Keyspace, memtable: u64) -> Result<(), CommitError> {
        let failed = |error: fjall::Error| CommitError::Failed(error.into());
        if table.tree.active_memtable().size() >= memtable {
            table.rotate_memtable().map_err(failed)?;
        }
        let is_idle =
            self.database.active_compactions() == 0 && self.database.outstanding_flushes() == 0;
        if table.l0_table_count() >= UNMERGED_TABLES && is_idle {
            let strategy = table.config.compaction_strategy.clone();
            let merged = table.tree.compact(strategy, NO_OLD_VERSIONS);
            merged.map_err(|error| failed(error.into()))?;
        }
        Ok(())
    }

    /// Writes the history's table in memory, and waits until it is on disk.
    pub(crate) fn write_table(&self) -> Result<(), StoreError> {
        self.history.rotate_memtable()?;
        let started = Instant::now();
        while self.history.sealed_memtable_count() > 0 {
            if started.elapsed() >= self.timeout {
                return Err(StoreError::Busy);
            }
            #[expect(
                clippy::disallowed_methods,
                reason = "the writer has a thread of its own"
            )]
            std::thread::sleep(PAUSE);
        }
        Ok(())
    }

    /// There are files that a merge has replaced and a reader may still use.
    pub(crate) fn has_replaced_files(&self) -> bool {
        self.history.tree.get_version_history_lock().free_list_len() > 0
    }

    /// Deletes the files that a merge has replaced, unless a reader uses them: the database
    /// does that when it writes its next table, whichever that is.
    pub(crate) fn drop_replaced_files(&self) -> Result<(), CommitError> {
        let mut batch = self.batch();
        batch.insert(&self.meta, RECLAIMED, []);
        self.commit(batch)?;
        let rotated = self.meta.rotate_memtable();
        rotated.map_err(|error| CommitError::Failed(error.into()))?;
        Ok(())
    }

    /// Bytes of the history's files.
    pub(crate) fn history_space(&self) -> u64 {
        self.history.disk_space()
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

/// Too many tables wait, so writing should wait too. `memtable` is the size of a table in
/// memory.
fn is_behind(table: &Keyspace, memtable: u64) -> bool {
    let waiting = table.sealed_memtable_count() as u64;
    // A full table starts to wait only when the database's thread reaches it. Until then it
    // grows.
    let grown = table.tree.active_memtable().size() / memtable;
    waiting + grown >= WAITING_TABLES || table.l0_table_count() >= UNMERGED_TABLES
}

fn open_once(path: &Path, settings: &DatabaseSettings) -> Result<Tables, StoreError> {
    let open = || -> fjall::Result<Tables> {
        let database = builder(path, settings.floors.clone()).open()?;
        let small = || options(SMALL_MEMTABLE);
        let history = || {
            options(settings.memtable)
                .with_kv_separation(Some(separation()))
                .compaction_strategy(Arc::new(left_to_the_merger()))
        };
        Ok(Tables {
            names: database.keyspace("names", small)?,
            topics: database.keyspace("topics", small)?,
            meta: database.keyspace("meta", small)?,
            history: database.keyspace(HISTORY, history)?,
            timeout: settings.timeout,
            memtable: settings.memtable,
            database,
        })
    };
    match at_low_priority(open) {
        Ok(opened) => opened.map_err(StoreError::from),
        Err(_) => Err(StoreError::Panicked),
    }
}

/// Runs `open` on a thread of lower priority, which the threads that it starts inherit.
/// An error is its panic.
fn at_low_priority<T: Send>(open: impl FnOnce() -> T + Send) -> std::thread::Result<T> {
    std::thread::scope(|scope| {
        let opening = scope.spawn(|| {
            if let Err(error) = rustix::process::nice(NICENESS) {
                tracing::debug!("cannot lower the priority of the database's thread: {error}");
            }
            open()
        });
        opening.join()
    })
}

fn builder(path: &Path, floors: Floors) -> DatabaseBuilder<Database> {
    let filter: Arc<dyn Factory> = Arc::new(floors);
    Database::builder(path)
        .manual_journal_persist(true)
        .max_journaling_size(MAX_JOURNALS)
        .cache_size(CACHE)
        .max_cached_files(Some(OPEN_FILES))
        .worker_threads(WORKERS)
        .with_compaction_filter_factories(Arc::new(move |table| {
            (table == HISTORY).then(|| filter.clone())
        }))
}

fn options(memtable: u64) -> KeyspaceCreateOptions {
    KeyspaceCreateOptions::default()
        .manual_journal_persist(true)
        .max_memtable_size(memtable)
}

/// How the database's own thread merges the history: not at all, because no table is that large.
/// The merger does.
fn left_to_the_merger() -> Leveled {
    const NEVER: u64 = 1 << 40;
    Leveled::default()
        .with_l0_threshold(u8::MAX)
        .with_table_target_size(NEVER)
}

fn separation() -> KvSeparationOptions {
    KvSeparationOptions::default()
        .separation_threshold(SEPARATED)
        .file_target_size(RECORD_FILE)
        .staleness_threshold(STALE)
        .age_cutoff(MOVED)
}

/// Removes what an interrupted first start leaves: a database without its version file.
/// It never held anything, and the next start could not create it again.
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
