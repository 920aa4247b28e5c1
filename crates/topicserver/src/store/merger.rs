//! Merges the history's tables, on a thread of its own: when many are unmerged, and when much
//! has been deleted, so that unneeded files disappear.
//!
//! The database's own thread only writes tables. A table in memory that is full waits for that
//! thread, and the writer waits for the table, so neither may wait for a merge.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread::{JoinHandle, Thread};

use fjall::AbstractTree;
use fjall::compaction::Leveled;

use super::database::{NO_OLD_VERSIONS, Tables};
use super::error::StoreError;
use super::shared::Shared;

/// Unmerged tables at which they are merged. A merge also rewrites tables of the first level, so
/// few large ones cost less than many. A reader looks into each unmerged table.
const MERGED_TABLES: u8 = 12;

/// Bytes of a merged table. The first level has at most [`MERGED_TABLES`] of them, and each merge
/// into it rewrites them all, because new records of all topics lie between its old ones. So this
/// bounds a merge, however much is kept.
const MERGED_TABLE: u64 = 8 * 1024 * 1024;

/// The priority of the thread, as for `nice`. With 64 publishers × 1, p99 is 2.3 times that of
/// Redis at 5. At 15 the thread fell so far behind on a busy machine that publishers waited.
const NICENESS: i32 = 10;

/// How the thread merges.
fn strategy() -> Leveled {
    Leveled::default()
        .with_l0_threshold(MERGED_TABLES)
        .with_table_target_size(MERGED_TABLE)
}

/// The writer's handle to the thread. Dropping it ends the thread after its current work.
pub(crate) struct Merger {
    state: Arc<AtomicU8>,
    thread: Thread,
    handle: Option<JoinHandle<()>>,
}

/// Tables should be merged, as far as there are too many.
const MERGE: u8 = 1;
/// All tables should be merged, so that what has been deleted leaves the disk.
const RECLAIM: u8 = 2;
/// Files have been replaced, and the writer has not noticed yet.
const REPLACED: u8 = 4;
/// Tables are being merged.
const MERGING: u8 = 8;
/// The thread should end.
const END: u8 = 16;

impl Merger {
    pub(crate) fn start(shared: Arc<Shared>) -> io::Result<Self> {
        let state = Arc::new(AtomicU8::new(0));
        let seen = state.clone();
        let thread = std::thread::Builder::new().name("history merge".to_owned());
        let handle = thread.spawn(move || run(&shared, &seen))?;
        Ok(Self {
            state,
            thread: handle.thread().clone(),
            handle: Some(handle),
        })
    }

    /// Has tables merged if there are too many. Costs nothing if that is under way.
    pub(crate) fn merge(&self) {
        self.ask(MERGE);
    }

    /// Has all tables merged.
    pub(crate) fn reclaim(&self) {
        self.ask(RECLAIM);
    }

    /// Space is being reclaimed.
    pub(crate) fn is_reclaiming(&self) -> bool {
        self.state.load(Ordering::Acquire) & RECLAIM != 0
    }

    /// Nothing is merged, and the writer has noticed all that was.
    pub(crate) fn is_idle(&self) -> bool {
        self.state.load(Ordering::Acquire) == 0
    }

    /// Files may have been replaced since the last call.
    pub(crate) fn take_replaced(&self) -> bool {
        self.state.fetch_and(!REPLACED, Ordering::AcqRel) & REPLACED != 0
    }

    fn ask(&self, what: u8) {
        if self.state.fetch_or(what, Ordering::AcqRel) & what == 0 {
            self.thread.unpark();
        }
    }
}

impl Drop for Merger {
    fn drop(&mut self) {
        self.ask(END);
        if let Some(handle) = self.handle.take() {
            // A panic was caught by the database's own means, or there is nothing to save.
            let _ = handle.join();
        }
    }
}

fn run(shared: &Shared, state: &AtomicU8) {
    if let Err(error) = rustix::process::nice(NICENESS) {
        tracing::debug!("cannot lower the priority of the thread that merges: {error}");
    }
    loop {
        let asked = state.load(Ordering::Acquire);
        if asked & END != 0 {
            return;
        } else if asked & MERGE != 0 {
            // Cleared first: whoever asks from now on may have seen more tables.
            state.fetch_or(MERGING, Ordering::AcqRel);
            state.fetch_and(!MERGE, Ordering::AcqRel);
            if merge_some(shared) {
                state.fetch_or(MERGE | REPLACED, Ordering::AcqRel);
            }
            state.fetch_and(!MERGING, Ordering::AcqRel);
        } else if asked & RECLAIM != 0 {
            reclaim(shared);
            state.fetch_or(REPLACED, Ordering::AcqRel);
            state.fetch_and(!RECLAIM, Ordering::AcqRel);
        } else {
            std::thread::park();
        }
    }
}

/// Merges some tables. Returns whether there may be more to merge.
fn merge_some(shared: &Shared) -> bool {
    // Readers take this lock too. While it is held, the database isn't closed.
    let tables = shared.tables.read();
    let Ok(tables) = tables.as_ref() else {
        return false;
    };
    match tables.merge_some() {
        Ok(merged) => merged,
        Err(error) => {
            tracing::warn!("can't merge the history's tables: {error}");
            false
        }
    }
}

fn reclaim(shared: &Shared) {
    let tables = shared.tables.read();
    let Ok(tables) = tables.as_ref() else { return };
    let before = tables.history_space();
    match tables.reclaim() {
        Ok(()) => tracing::debug!(before, after = tables.history_space(), "merged the history"),
        Err(error) => tracing::warn!("can't give back the space of deleted messages: {error}"),
    }
}

impl Tables {
    /// There are so many unmerged tables of the history that some should be merged.
    pub(crate) fn has_tables_to_merge(&self) -> bool {
        self.history.l0_table_count() >= usize::from(MERGED_TABLES)
    }

    /// Merges some tables of the history, or moves them to the next level. Returns false if there
    /// was nothing to do.
    fn merge_some(&self) -> Result<bool, StoreError> {
        let tree = &self.history.tree;
        let levels = || [0, 1, 2, 3, 4, 5, 6].map(|level| tree.level_table_count(level));
        let before = levels();
        let merge = || tree.compact(Arc::new(strategy()), NO_OLD_VERSIONS);
        match catch_unwind(AssertUnwindSafe(merge)) {
            Ok(merged) => merged.map_err(fjall::Error::from)?,
            Err(_) => return Err(StoreError::Panicked),
        }
        Ok(levels() != before)
    }

    /// Writes the history's table in memory and merges all of its tables, so that files
    /// with only deleted records disappear. Blocks for as long as that takes.
    fn reclaim(&self) -> Result<(), StoreError> {
        self.write_table()?;
        // The first merge finds out what is still needed of each file, the second deletes files.
        let merge = || (0..2).try_for_each(|_| self.history.major_compact());
        match catch_unwind(AssertUnwindSafe(merge)) {
            Ok(merged) => Ok(merged?),
            Err(_) => Err(StoreError::Panicked),
        }
    }
}
