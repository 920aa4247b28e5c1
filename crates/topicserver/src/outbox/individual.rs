//! Settings that one stream doesn't share with others of its form: ids for several topics, and an
//! end after a number of messages. The bytes of such a stream are encoded for it alone.

use bytes::Bytes;

use crate::outbox::batch::Batch;
use crate::outbox::events::last_number;
use crate::outbox::form::Form;
use crate::outbox::positions::{StreamPosition, StreamPositions};

/// The individual settings of a stream.
#[derive(Clone, Debug, Default)]
pub(crate) struct Individual {
    /// The positions in several topics, if the events have them as ids.
    pub(crate) positions: Option<StreamPositions>,
    /// The stream ends after this many more messages.
    pub(crate) remaining: Option<u64>,
}

/// Messages encoded for one stream, and its position after them.
pub(super) struct Encoded {
    pub(super) bytes: Bytes,
    count: u64,
    reached: Option<(usize, StreamPosition)>,
}

impl Individual {
    /// Whether the stream has individual settings.
    pub(crate) fn is_needed(&self) -> bool {
        self.positions.is_some() || self.remaining.is_some()
    }

    /// Encodes the messages of a batch that the stream still gets.
    pub(super) fn encode(&self, batch: &Batch, form: Form) -> Encoded {
        let remaining = self.remaining.unwrap_or(u64::MAX);
        let remaining = u32::try_from(remaining).unwrap_or(u32::MAX);
        let part = (batch.count() > remaining).then(|| batch.first(remaining));
        let batch = part.as_ref().unwrap_or(batch);
        let count = u64::from(batch.count());
        let index = self
            .positions
            .as_ref()
            .and_then(|positions| positions.find(batch));
        let (Some(positions), Some(index)) = (&self.positions, index) else {
            let bytes = batch.to_keep(form).clone();
            return Encoded {
                bytes,
                count,
                reached: None,
            };
        };
        let epoch = batch.epoch();
        let bytes = form.encode_at(batch.bytes(), &positions.id_parts(index, epoch));
        let reached = last_number(batch.bytes()).map(|seq| (index, StreamPosition { epoch, seq }));
        Encoded {
            bytes: bytes.into(),
            count,
            reached,
        }
    }

    /// Notes that the stream was sent these messages.
    pub(super) fn advance(&mut self, encoded: &Encoded) {
        if let (Some(positions), Some((index, position))) = (&mut self.positions, encoded.reached) {
            positions.advance(index, position);
        }
        if let Some(remaining) = &mut self.remaining {
            *remaining = remaining.saturating_sub(encoded.count);
        }
    }

    pub(super) fn is_complete(&self) -> bool {
        self.remaining == Some(0)
    }
}
