//! What one stream doesn't have in common with others of its form: the ids of several
//! topics, and an end after so many messages. Its bytes are made for it alone.

use bytes::Bytes;

use crate::outbox::Outbox;
use crate::outbox::batch::Batch;
use crate::outbox::events::last_number;
use crate::outbox::form::Form;
use crate::outbox::places::{Place, Places};
use crate::outbox::state::{Stage, State};
use crate::outbox::transport::Transport;

/// What a stream has for itself.
#[derive(Clone, Debug, Default)]
pub(crate) struct Individual {
    /// Where it is in each of several topics, if its events say that.
    pub(crate) places: Option<Places>,
    /// It ends after so many more messages.
    pub(crate) remaining: Option<u64>,
}

/// Messages as one stream gets them, and where it is then.
struct Encoded {
    bytes: Bytes,
    count: u64,
    reached: Option<(usize, Place)>,
}

impl Individual {
    /// Whether the stream has anything for itself.
    pub(crate) fn is_needed(&self) -> bool {
        self.places.is_some() || self.remaining.is_some()
    }

    /// The messages of a batch that the stream still gets.
    fn encode(&self, batch: &Batch, form: Form) -> Encoded {
        let remaining = self.remaining.unwrap_or(u64::MAX);
        let remaining = u32::try_from(remaining).unwrap_or(u32::MAX);
        let part = (batch.count() > remaining).then(|| batch.first(remaining));
        let batch = part.as_ref().unwrap_or(batch);
        let count = u64::from(batch.count());
        let index = self.places.as_ref().and_then(|places| places.find(batch));
        let (Some(places), Some(index)) = (&self.places, index) else {
            let bytes = batch.to_keep(form).clone();
            return Encoded {
                bytes,
                count,
                reached: None,
            };
        };
        let epoch = batch.epoch();
        let bytes = form.encode_at(batch.bytes(), &places.id_parts(index, epoch));
        let reached = last_number(batch.bytes()).map(|seq| (index, Place { epoch, seq }));
        Encoded {
            bytes: bytes.into(),
            count,
            reached,
        }
    }

    /// The stream has got this.
    fn advance(&mut self, encoded: &Encoded) {
        if let (Some(places), Some((index, place))) = (&mut self.places, encoded.reached) {
            places.advance(index, place);
        }
        if let Some(remaining) = &mut self.remaining {
            *remaining = remaining.saturating_sub(encoded.count);
        }
    }

    fn is_complete(&self) -> bool {
        self.remaining == Some(0)
    }
}

impl<T: Transport + ?Sized> Outbox<T> {
    /// Notes from where the peer gets each of its topics, and returns that as an event's
    /// id, if its form has ids.
    pub(crate) fn set_places<'a>(
        &self,
        mut starts: impl Iterator<Item = (&'a str, Place)>,
    ) -> Option<String> {
        let mut state = self.state.lock();
        if !state.form.has_ids() {
            return None;
        }
        let individual = state.individual.as_mut();
        match individual.and_then(|individual| individual.places.as_mut()) {
            Some(places) => {
                starts.for_each(|(topic, place)| places.set(topic, place));
                Some(places.id())
            }
            None => starts.next().map(|(_, place)| place.to_string()),
        }
    }

    /// Sends as many batches as there is room for to a stream whose bytes are its own, and
    /// tells their number.
    pub(super) fn offer_individual<'a>(
        &self,
        state: &mut State,
        individual: &mut Individual,
        batches: impl Iterator<Item = &'a Batch> + Clone,
    ) -> usize {
        for (index, batch) in batches.clone().enumerate() {
            let encoded = individual.encode(batch, state.form);
            let waiting = encoded.bytes.len();
            if state.queue.is_some() && state.queued() + waiting > self.limits.allowed() {
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
        // To a connection that is about to be closed, everything is as good as sent.
        batches.count()
    }
}
