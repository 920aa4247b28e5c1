//! Disconnects a reader that is too slow: a classic client, because an extended one catches up
//! from the history.

use wire::ErrorCode;

use crate::outbox::Outbox;
use crate::outbox::state::State;
use crate::outbox::transport::Transport;

impl<T: Transport + ?Sized> Outbox<T> {
    /// Closes the connection of a slow reader, because its own queue is full, or because all
    /// queues together are. In the second case what it has queued is dropped.
    pub(super) fn close_too_slow(&self, state: &mut State, waiting: usize) {
        let (own, limit) = (state.queued() + waiting, self.limits.per_connection());
        if own > limit {
            let text = format!(
                "{own} bytes wait for you and no more than {limit} may; read faster, or register \
                 for less"
            );
            return self.close_locked(state, ErrorCode::SlowReader, &text, None);
        }
        let (all, most) = (self.limits.queued(), self.limits.all());
        let dropped = state
            .queue
            .as_mut()
            .map_or(0, |queue| queue.drop_unwritten());
        let text = format!(
            "{all} bytes wait for all connections together and no more than {most} may, so {} \
             bytes for you were dropped; read faster, or come back later",
            dropped + waiting
        );
        self.close_locked(state, ErrorCode::QueuesFull, &text, None);
    }
}
