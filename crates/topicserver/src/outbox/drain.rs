//! Draining an outbox: writing what is queued when the socket takes more.

use std::io;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use crate::outbox::Outbox;
use crate::outbox::queue::Queue;
use crate::outbox::state::{Stage, State};
use crate::outbox::transport::Transport;

/// The state of an outbox after draining.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Drain {
    /// Nothing is queued.
    Empty,
    /// The socket is full.
    Waiting {
        /// Some bytes were written before the socket was full.
        progress: bool,
    },
    /// The connection is lost.
    Broken(io::ErrorKind),
}

impl<T: Transport + ?Sized> Outbox<T> {
    pub(super) fn queue_of<'a>(&self, state: &'a mut State) -> &'a mut Queue {
        let new = || Box::new(Queue::new(self.limits.clone()));
        state.queue.get_or_insert_with(new)
    }

    /// Counts bytes that the transport has taken and the socket hasn't: they are queued in front
    /// of everything else. The session is woken only if nothing was queued before. Otherwise it
    /// waits for the socket already, and waking it would have the topic offer again what has just
    /// been refused.
    pub(super) fn count_unsent(&self, state: &mut State) {
        let unsent = self.transport.unsent();
        if unsent > 0 {
            let is_first = state.queue.is_none();
            self.queue_of(state).set_unsent(unsent);
            if is_first {
                self.wake(state);
            }
        }
    }

    /// Writes what is queued. The session is woken when there is more.
    pub(crate) fn poll_drain(&self, cx: &mut Context<'_>) -> Drain {
        let mut state = self.state.lock();
        let mut progress = false;
        loop {
            if let Stage::Broken(kind) = state.stage {
                return Drain::Broken(kind);
            }
            if state.queue.is_none() {
                state.wait(cx.waker());
                self.has_work.store(state.expected > 0, Ordering::Release);
                return Drain::Empty;
            }
            match state.write_to(&self.transport) {
                Ok(()) => progress = true,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    match self.transport.poll_writable(cx) {
                        Poll::Ready(Ok(())) => {}
                        Poll::Ready(Err(error)) => self.break_off(&mut state, &error),
                        Poll::Pending => {
                            state.wait(cx.waker());
                            return Drain::Waiting { progress };
                        }
                    }
                }
                Err(error) => self.break_off(&mut state, &error),
            }
        }
    }
}
