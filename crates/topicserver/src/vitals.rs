//! Whether a server still does what it is there for, for a watchdog: a process that is there
//! and does nothing is worse than one that has ended, because nobody starts another.

use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

use crate::store::Store;

/// Where the accept loop is asked.
pub(crate) type Pings = mpsc::Receiver<oneshot::Sender<()>>;

/// Asks the parts of a server, without which nothing goes on, whether they do.
pub struct Vitals {
    accepting: mpsc::Sender<oneshot::Sender<()>>,
    store: Option<Store>,
    /// What the worker threads had done when they were last looked at.
    workers: Vec<Work>,
}

/// What isn't well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unwell {
    /// Nobody accepts connections.
    #[error("the accept loop doesn't answer")]
    Accepting,
    /// Nobody writes the history.
    #[error("the thread that writes the history doesn't answer")]
    Writing,
    /// A worker thread has been in one task since it was last looked at.
    #[error("worker thread {0} is stuck in a task")]
    Worker(usize),
}

/// What a worker thread has done, as its runtime counts it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Work {
    /// Odd while the thread sleeps.
    parked: u64,
    /// Grows from task to task.
    busy: Duration,
}

impl Work {
    /// Whether the thread has been in one task since it was like `before`.
    fn is_stuck(self, before: Self) -> bool {
        self == before && self.parked.is_multiple_of(2) && !self.busy.is_zero()
    }
}

impl Vitals {
    /// The other end is for the accept loop.
    pub(crate) fn new(store: Option<Store>) -> (Self, Pings) {
        let (accepting, pings) = mpsc::channel(1);
        let vitals = Self {
            accepting,
            store,
            workers: Vec::new(),
        };
        (vitals, pings)
    }

    /// Resolves when all parts have answered, which may be never: give it a deadline. A worker
    /// thread is compared with what it was at the last check.
    pub async fn check(&mut self) -> Result<(), Unwell> {
        let (done, answer) = oneshot::channel();
        let asked = self.accepting.send(done).await;
        asked.map_err(|_| Unwell::Accepting)?;
        answer.await.map_err(|_| Unwell::Accepting)?;
        if let Some(store) = &self.store {
            store.ping().await.map_err(|_| Unwell::Writing)?;
        }
        self.check_workers()
    }

    fn check_workers(&mut self) -> Result<(), Unwell> {
        let metrics = Handle::current().metrics();
        let work = |worker| Work {
            parked: metrics.worker_park_unpark_count(worker),
            busy: metrics.worker_total_busy_duration(worker),
        };
        let now: Vec<_> = (0..metrics.num_workers()).map(work).collect();
        let before = std::mem::replace(&mut self.workers, now.clone());
        let mut pairs = now.into_iter().zip(before);
        match pairs.position(|(now, before)| now.is_stuck(before)) {
            Some(worker) => Err(Unwell::Worker(worker)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_is_stuck_that_neither_sleeps_nor_ends_a_task() {
        let work = |parked, millis| Work {
            parked,
            busy: Duration::from_millis(millis),
        };
        assert!(work(4, 10).is_stuck(work(4, 10)));
        assert!(!work(5, 10).is_stuck(work(5, 10)), "it sleeps");
        assert!(!work(4, 11).is_stuck(work(4, 10)), "it works");
        assert!(!work(6, 10).is_stuck(work(4, 10)), "it slept meanwhile");
    }

    #[tokio::test]
    async fn an_accept_loop_that_has_gone_is_noticed() {
        let (mut vitals, mut pings) = Vitals::new(None);
        let answering = tokio::spawn(async move {
            let ping = pings.recv().await.unwrap();
            ping.send(()).unwrap();
        });
        assert_eq!(vitals.check().await, Ok(()));
        answering.await.unwrap();
        assert_eq!(vitals.check().await, Err(Unwell::Accepting));
    }
}
