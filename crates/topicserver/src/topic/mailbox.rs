//! The queue of a topic's task: bounded in bytes, emptied in batches.
//!
//! A publisher puts in what it has already read, and learns whether the mailbox is full. If so,
//! it reads no more until there is room. So nothing is dropped, and a publisher that is too fast
//! is slowed by its own socket.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use parking_lot::{Mutex, MutexGuard};

use crate::queues::{Kind, QueueLimits};

/// Bytes of a mailbox that are not counted in the sum of all queues: a topic takes 1.5 KB in any
/// case, and all processors share the memory of the sum, so each small message would wait for it.
const UNCOUNTED: usize = 2 * 1024;

/// A queue with one consumer and many producers. `C` is a command.
pub(crate) struct Mailbox<C> {
    /// The limits in bytes of this mailbox, and of all mailboxes together.
    limits: Arc<QueueLimits>,
    /// Makes the vector for commands when there is none.
    room: fn() -> Vec<C>,
    state: Mutex<State<C>>,
}

/// What a producer does after the mailbox has taken its command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Backpressure {
    /// There is room for more.
    Proceed,
    /// The mailbox is full: wait with [`poll_room`](Mailbox::poll_room) before the next
    /// command.
    Wait,
}

struct State<C> {
    commands: Vec<C>,
    /// Bytes that wait, as their producers counted them.
    bytes: usize,
    /// Bytes that are counted in the sum of all queues: of the commands that wait, and of those
    /// that the consumer is handling.
    counted: usize,
    /// Wakes the consumer, when it waits for commands.
    taker: Option<Waker>,
    /// Wakes the producers that wait for room.
    putters: Vec<Waker>,
}

impl<C> Mailbox<C> {
    pub(crate) fn new(limits: Arc<QueueLimits>, room: fn() -> Vec<C>) -> Self {
        Self {
            limits,
            room,
            state: Mutex::new(State {
                commands: Vec::new(),
                bytes: 0,
                counted: 0,
                taker: None,
                putters: Vec::new(),
            }),
        }
    }

    /// Puts in a command that counts as this many bytes, even if the mailbox is full.
    pub(crate) fn put(&self, command: C, bytes: usize) -> Backpressure {
        let mut state = self.state.lock();
        if state.commands.capacity() == 0 {
            state.commands = (self.room)();
        }
        state.commands.push(command);
        state.bytes += bytes;
        let more = bytes.min(state.bytes.saturating_sub(UNCOUNTED));
        if more > 0 {
            self.limits.add(Kind::Mailbox, state.counted, more);
            state.counted += more;
        }
        let backpressure = match self.has_room(&state) {
            true => Backpressure::Proceed,
            false => Backpressure::Wait,
        };
        let taker = state.taker.take();
        drop(state);
        if let Some(taker) = taker {
            taker.wake();
        }
        backpressure
    }

    /// Waits until the mailbox isn't full.
    pub(crate) fn poll_room(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.state.lock();
        if self.has_room(&state) {
            return Poll::Ready(());
        }
        add_putter(&mut state, cx);
        Poll::Pending
    }

    /// Whether more may be put in. An empty mailbox always has room, because nothing would wake a
    /// producer that waits for it.
    fn has_room(&self, state: &State<C>) -> bool {
        state.bytes == 0 || state.bytes < self.limits.allowed_mailbox()
    }

    /// Has a producer woken with those that wait for room, whether there is any or not.
    pub(crate) fn wait(&self, cx: &Context<'_>) {
        add_putter(&mut self.state.lock(), cx);
    }

    /// Wakes all producers that wait.
    pub(crate) fn wake_putters(&self) {
        let putters = std::mem::take(&mut self.state.lock().putters);
        putters.into_iter().for_each(Waker::wake);
    }

    /// Takes all commands into `batch`; waits while there are none. An empty `batch` says that
    /// the commands taken before are handled.
    pub(crate) async fn take(&self, batch: &mut Vec<C>) {
        std::future::poll_fn(|cx| self.poll_take(cx, batch)).await;
    }

    fn poll_take(&self, cx: &mut Context<'_>, batch: &mut Vec<C>) -> Poll<()> {
        let mut state = self.state.lock();
        if state.commands.is_empty() {
            self.count(&mut state, 0);
            state.taker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        self.empty(state, batch);
        Poll::Ready(())
    }

    /// Adds what waits to `batch`, and doesn't wait.
    pub(crate) fn take_more(&self, batch: &mut Vec<C>) {
        self.empty(self.state.lock(), batch);
    }

    fn empty(&self, mut state: MutexGuard<'_, State<C>>, batch: &mut Vec<C>) {
        if batch.is_empty() {
            let waiting = state.bytes.saturating_sub(UNCOUNTED);
            self.count(&mut state, waiting);
            // The two vectors are swapped, so neither side allocates.
            std::mem::swap(&mut state.commands, batch);
        } else {
            batch.append(&mut state.commands);
        }
        state.bytes = 0;
        let putters = std::mem::take(&mut state.putters);
        drop(state);
        putters.into_iter().for_each(Waker::wake);
    }

    /// The commands taken before are handled: counts only this many bytes.
    fn count(&self, state: &mut State<C>, bytes: usize) {
        let done = state.counted.saturating_sub(bytes);
        if done > 0 {
            self.limits.remove(Kind::Mailbox, state.counted, done);
            state.counted -= done;
        }
    }

    /// How many producers wait for room.
    pub(crate) fn putters(&self) -> usize {
        self.state.lock().putters.len()
    }

    /// Whether no command waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.state.lock().commands.is_empty()
    }
}

fn add_putter<C>(state: &mut State<C>, cx: &Context<'_>) {
    let mut known = state.putters.iter();
    if !known.any(|known| known.will_wake(cx.waker())) {
        state.putters.push(cx.waker().clone());
    }
}

impl<C> Drop for Mailbox<C> {
    fn drop(&mut self) {
        let state = self.state.get_mut();
        self.limits
            .remove(Kind::Mailbox, state.counted, state.counted);
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    fn mailbox(limit: usize) -> Mailbox<u32> {
        Mailbox::new(QueueLimits::of_one(limit), Vec::new)
    }

    fn take(mailbox: &Mailbox<u32>) -> Option<Vec<u32>> {
        let mut batch = Vec::new();
        let mut cx = Context::from_waker(Waker::noop());
        mailbox
            .poll_take(&mut cx, &mut batch)
            .is_ready()
            .then_some(batch)
    }

    #[test]
    fn everything_that_waits_is_taken_in_one_batch_in_order() {
        let mailbox = mailbox(100);
        (0..5).for_each(|n| assert_eq!(mailbox.put(n, 1), Backpressure::Proceed));
        assert!(!mailbox.is_empty());
        assert_eq!(take(&mailbox), Some(vec![0, 1, 2, 3, 4]));
        assert_eq!(take(&mailbox), None);
        assert!(mailbox.is_empty());
    }

    #[test]
    fn what_comes_later_can_be_added_to_a_batch() {
        let mailbox = mailbox(1);
        let mut batch: Vec<u32> = Vec::new();
        mailbox.take_more(&mut batch);
        assert!(batch.is_empty());
        assert_eq!(mailbox.put(1, 1), Backpressure::Wait);
        mailbox.take_more(&mut batch);
        assert_eq!(mailbox.put(2, 1), Backpressure::Wait);
        mailbox.take_more(&mut batch);
        assert_eq!(batch, [1, 2]);
        assert!(
            mailbox
                .poll_room(&mut Context::from_waker(Waker::noop()))
                .is_ready()
        );
    }

    #[test]
    fn a_full_mailbox_takes_what_was_read_and_says_that_it_is_full() {
        let mailbox = mailbox(100);
        let mut cx = Context::from_waker(Waker::noop());
        assert_eq!(mailbox.put(1, 99), Backpressure::Proceed);
        assert!(mailbox.poll_room(&mut cx).is_ready());
        assert_eq!(mailbox.put(2, 50), Backpressure::Wait);
        assert!(mailbox.poll_room(&mut cx).is_pending());
        assert_eq!(take(&mailbox), Some(vec![1, 2]));
        assert!(mailbox.poll_room(&mut cx).is_ready());
    }

    #[test]
    fn what_waits_and_what_is_dealt_with_counts_among_all_queues() {
        let limits = QueueLimits::new(1 << 20, 100_000, 200_000);
        let mut cx = Context::from_waker(Waker::noop());
        let one = Mailbox::new(limits.clone(), Vec::new);
        let other = Mailbox::new(limits.clone(), Vec::new);
        assert_eq!(one.put(1, UNCOUNTED), Backpressure::Proceed);
        assert_eq!(limits.queued(), 0);
        assert_eq!(one.put(2, 30_000), Backpressure::Wait);
        assert_eq!(limits.queued(), 30_000);
        // This mailbox has half of what all mailboxes may have.
        assert_eq!(other.put(3, 10_000), Backpressure::Proceed);
        assert_eq!(other.put(4, 10_000), Backpressure::Wait);
        assert!(limits.poll_mailboxes(&mut cx).is_ready());
        assert_eq!(other.put(5, 10_000), Backpressure::Wait);
        assert!(limits.poll_mailboxes(&mut cx).is_pending());
        assert_eq!(take(&one), Some(vec![1, 2]));
        // The mailbox is empty, but its commands are still being handled.
        assert!(one.poll_room(&mut cx).is_ready());
        assert!(limits.poll_mailboxes(&mut cx).is_pending());
        assert_eq!(take(&one), None);
        assert!(limits.poll_mailboxes(&mut cx).is_ready());
        let mut batch = vec![0];
        other.take_more(&mut batch);
        assert_eq!(limits.queued(), 30_000 - UNCOUNTED);
        drop((one, other));
        assert_eq!(limits.queued(), 0);
    }

    #[tokio::test]
    async fn both_sides_that_wait_are_woken() {
        let mailbox = Arc::new(mailbox(1));
        let taker = tokio::spawn({
            let mailbox = mailbox.clone();
            async move {
                let mut taken = Vec::new();
                let mut batch = Vec::new();
                while taken.len() < 100 {
                    mailbox.take(&mut batch).await;
                    taken.append(&mut batch);
                }
                taken
            }
        });
        for n in 0..100 {
            if mailbox.put(n, 1) == Backpressure::Wait {
                std::future::poll_fn(|cx| mailbox.poll_room(cx)).await;
            }
        }
        assert_eq!(taker.await.unwrap(), (0..100).collect::<Vec<_>>());
    }
}
