//! Sending to a stream whose bytes are encoded for it alone.

use crate::outbox::Outbox;
use crate::outbox::batch::Batch;
use crate::outbox::individual::Individual;
use crate::outbox::positions::StreamPosition;
use crate::outbox::state::{Stage, State};
use crate::outbox::transport::Transport;

impl<T: Transport + ?Sized> Outbox<T> {
    /// Sets the position after which the peer gets each topic. Returns the positions as an
    /// event's id, if its form has ids.
    pub(crate) fn set_positions<'a>(
        &self,
        mut starts: impl Iterator<Item = (&'a str, StreamPosition)>,
    ) -> Option<String> {
        let mut state = self.state.lock();
        if !state.form.has_ids() {
            return None;
        }
        let individual = state.individual.as_mut();
        match individual.and_then(|individual| individual.positions.as_mut()) {
            Some(positions) => {
                starts.for_each(|(topic, position)| positions.set(topic, position));
                Some(positions.id())
            }
            None => starts.next().map(|(_, position)| position.to_string()),
        }
    }

    /// Sends as many batches as there is room for to a stream with individual settings, and
    /// returns their number.
    pub(super) fn try_send_individual<'a>(
        &self,
        state: &mut State,
        individual: &mut Individual,
        batches: impl Iterator<Item = &'a Batch> + Clone,
    ) -> usize {
        for (index, batch) in batches.clone().enumerate() {
            let encoded = individual.encode(batch, state.form);
            let waiting = encoded.bytes.len();
            if state.queue.is_some() && state.queued() + waiting > self.limits.allowed_outbox() {
                state.is_wanted = true;
                return index;
            }
            individual.advance(&encoded);
            self.send_line(state, encoded.bytes);
            if individual.is_complete() {
                self.finish_locked(state, None);
            }
            if state.stage != Stage::Open {
                break;
            }
        }
        // For a connection that is closing, all batches count as sent.
        batches.count()
    }
}
