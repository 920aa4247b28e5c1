//! Returns disk space: a thread that merges the history's tables when much has been
//! deleted, so that unneeded files disappear.
//!
//! While much is written the database merges by itself, and this thread has nothing to
//! do. The thread never writes messages: only the writer does.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread::{JoinHandle, Thread};

use super::shared::Shared;

/// The writer's handle to the thread. Dropping it ends the thread after its current work.
pub(crate) struct Reclaimer {
    state: Arc<AtomicU8>,
    thread: Thread,
    handle: Option<JoinHandle<()>>,
}

/// Nothing to do.
const IDLE: u8 = 0;
/// The thread should merge, or merges.
const ASKED: u8 = 1;
/// The merge has ended, and the writer has not noticed yet.
const DONE: u8 = 2;
/// The thread should end.
const ENDING: u8 = 3;

impl Reclaimer {
    pub(crate) fn start(shared: Arc<Shared>) -> io::Result<Self> {
        let state = Arc::new(AtomicU8::new(IDLE));
        let seen = state.clone();
        let thread = std::thread::Builder::new().name("history space".to_owned());
        let handle = thread.spawn(move || run(&shared, &seen))?;
        Ok(Self {
            state,
            thread: handle.thread().clone(),
            handle: Some(handle),
        })
    }

    /// Asks the thread to merge.
    pub(crate) fn begin(&self) {
        self.state.store(ASKED, Ordering::Release);
        self.thread.unpark();
    }

    /// The thread has nothing to do, and no result waits for the writer.
    pub(crate) fn is_idle(&self) -> bool {
        self.state.load(Ordering::Acquire) == IDLE
    }

    /// The merge has ended since the last call.
    pub(crate) fn take_done(&self) -> bool {
        let taken = self
            .state
            .compare_exchange(DONE, IDLE, Ordering::AcqRel, Ordering::Acquire);
        taken.is_ok()
    }
}

impl Drop for Reclaimer {
    fn drop(&mut self) {
        self.state.store(ENDING, Ordering::Release);
        self.thread.unpark();
        if let Some(handle) = self.handle.take() {
            // A panic was caught by the database's own means, or there is nothing to save.
            let _ = handle.join();
        }
    }
}

fn run(shared: &Shared, state: &AtomicU8) {
    loop {
        match state.load(Ordering::Acquire) {
            ENDING => return,
            ASKED => {
                reclaim(shared);
                // The writer may have told it to end meanwhile.
                let _ = state.compare_exchange(ASKED, DONE, Ordering::AcqRel, Ordering::Acquire);
            }
            _ => std::thread::park(),
        }
    }
}

fn reclaim(shared: &Shared) {
    // Readers take this lock too. While it is held, the database isn't closed.
    let tables = shared.tables.read();
    let Ok(tables) = tables.as_ref() else { return };
    let before = tables.history_space();
    match tables.reclaim() {
        Ok(()) => tracing::debug!(before, after = tables.history_space(), "merged the history"),
        Err(error) => tracing::warn!("can't give back the space of deleted messages: {error}"),
    }
}
