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
use std::time::{Duration, Instant};

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

/// The wait after a failure. Each group of messages asks for a merge while there are too many
/// tables, and what has failed mostly fails again at once.
const RETRY: Duration = Duration::from_secs(1);

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

/// How the attempts went so far.
#[derive(Default)]
struct Attempts {
    /// When the last one failed; `None` if it succeeded.
    failed: Option<Instant>,
}

impl Attempts {
    /// How long to wait until the next attempt.
    fn wait(&self, now: Instant) -> Option<Duration> {
        let left = (self.failed? + RETRY).saturating_duration_since(now);
        (!left.is_zero()).then_some(left)
    }

    /// Notes how an attempt went, and logs the first failure in a row.
    fn note<T>(&mut self, what: &str, result: Result<T, StoreError>) -> Option<T> {
        match result {
            Ok(done) => {
                self.failed = None;
                Some(done)
            }
            Err(error) => {
                if self.failed.replace(Instant::now()).is_none() {
                    tracing::warn!("can't {what}: {error}");
                }
                None
            }
        }
    }
}

fn run(shared: &Shared, state: &AtomicU8) {
    if let Err(error) = rustix::process::nice(NICENESS) {
        tracing::debug!("cannot lower the priority of the thread that merges: {error}");
    }
    let mut attempts = Attempts::default();
    loop {
        let asked = state.load(Ordering::Acquire);
        if asked & END != 0 {
            return;
        } else if asked & (MERGE | RECLAIM) == 0 {
            std::thread::park();
        } else if let Some(wait) = attempts.wait(Instant::now()) {
            std::thread::park_timeout(wait);
        } else if asked & MERGE != 0 {
            // Cleared first: whoever asks from now on may have seen more tables.
            state.fetch_or(MERGING, Ordering::AcqRel);
            state.fetch_and(!MERGE, Ordering::AcqRel);
            let merged = attempts.note("merge the history's tables", merge_some(shared));
            if merged == Some(true) {
                state.fetch_or(MERGE | REPLACED, Ordering::AcqRel);
            }
            state.fetch_and(!MERGING, Ordering::AcqRel);
        } else {
            attempts.note("give back the space of deleted messages", reclaim(shared));
            state.fetch_or(REPLACED, Ordering::AcqRel);
            state.fetch_and(!RECLAIM, Ordering::AcqRel);
        }
    }
}

/// Merges some tables. Returns whether there may be more to merge.
fn merge_some(shared: &Shared) -> Result<bool, StoreError> {
    // Readers take this lock too. While it is held, the database isn't closed.
    let tables = shared.tables.read();
    // If it is closed already, the writer tells so, and opens it again.
    tables.as_ref().map_or(Ok(false), Tables::merge_some)
}

fn reclaim(shared: &Shared) -> Result<(), StoreError> {
    let tables = shared.tables.read();
    let Ok(tables) = tables.as_ref() else {
        return Ok(());
    };
    let before = tables.history_space();
    tables.reclaim()?;
    tracing::debug!(before, after = tables.history_space(), "merged the history");
    Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_failure_the_next_attempt_waits() {
        let mut attempts = Attempts::default();
        assert_eq!(attempts.wait(Instant::now()), None);
        let before = Instant::now();
        assert_eq!(
            attempts.note::<bool>("try", Err(StoreError::Panicked)),
            None
        );
        let after = Instant::now();
        assert!(attempts.wait(before).is_some_and(|wait| wait >= RETRY));
        assert!(attempts.wait(after).is_some_and(|wait| wait <= RETRY));
        assert_eq!(attempts.wait(after + RETRY), None);
        // A row of failures goes on.
        assert_eq!(
            attempts.note::<bool>("try", Err(StoreError::Panicked)),
            None
        );
        assert!(attempts.wait(after).is_some());
        assert_eq!(attempts.note("try", Ok(true)), Some(true));
        assert_eq!(attempts.wait(before), None);
    }
}
