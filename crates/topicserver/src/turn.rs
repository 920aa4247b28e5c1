//! How long a task may work before other tasks of its thread run, and whose turn is next.

use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tokio_util::sync::PollSemaphore;

/// It is so long that the switch costs little, and so short that nobody notices one.
const TURN: Duration = Duration::from_micros(100);

/// The time since the first call of [`is_over`](Self::is_over).
#[derive(Default)]
pub(crate) struct Turn {
    began: Option<Instant>,
}

impl Turn {
    /// Whether the task should yield. After true, a new turn begins.
    pub(crate) fn is_over(&mut self) -> bool {
        self.began.get_or_insert_with(Instant::now).elapsed() >= TURN
    }
}

/// The turns after the first of peers that cause much work. Half of the threads give them at
/// once, one at least. So another task waits for one of these peers, and not for all of them.
pub(crate) struct Turns(Arc<Semaphore>);

/// A turn that somebody waits for, or has.
pub(crate) struct NextTurn {
    turns: PollSemaphore,
    permit: Option<OwnedSemaphorePermit>,
}

impl Turns {
    /// The turns of this runtime's threads.
    pub(crate) fn new() -> Self {
        let threads = Handle::try_current().map_or(1, |runtime| runtime.metrics().num_workers());
        Self(Arc::new(Semaphore::new((threads / 2).max(1))))
    }

    /// Gets in line.
    pub(crate) fn next(&self) -> NextTurn {
        NextTurn {
            turns: PollSemaphore::new(self.0.clone()),
            permit: None,
        }
    }
}

impl NextTurn {
    /// Waits for the turn. It lasts until this is dropped.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.permit.is_none() {
            // The semaphore is never closed.
            self.permit = ready!(self.turns.poll_acquire(cx));
        }
        Poll::Ready(())
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    #[test]
    fn a_turn_is_over_after_its_time() {
        let mut turn = Turn::default();
        assert!(!turn.is_over());
        while !turn.is_over() {}
        assert!(turn.began.is_some_and(|began| began.elapsed() >= TURN));
        assert!(turn.is_over());
    }

    #[test]
    fn turns_are_given_in_order() {
        let turns = Turns(Arc::new(Semaphore::new(1)));
        let [mut first, mut second, mut third] = [(); 3].map(|()| turns.next());
        let mut cx = Context::from_waker(Waker::noop());
        assert!(first.poll(&mut cx).is_ready());
        assert!(second.poll(&mut cx).is_pending());
        assert!(third.poll(&mut cx).is_pending());
        // It stays with the one who has it.
        assert!(first.poll(&mut cx).is_ready());
        drop(first);
        assert!(third.poll(&mut cx).is_pending());
        assert!(second.poll(&mut cx).is_ready());
        // One who no longer waits isn't waited for.
        drop((second, third));
        assert!(turns.next().poll(&mut cx).is_ready());
    }
}
