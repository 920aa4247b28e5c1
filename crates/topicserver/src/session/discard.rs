//! A sink that discards the frames of a peer that isn't served.

use std::sync::Arc;

use wire::{FrameError, JsonStr, RegistrationOptions, Request, TopicName};

use crate::outbox::batch::Batch;
use crate::queues::QueueLimits;
use crate::session::input::FrameSink;
use crate::topic::publication::MessageId;

/// Discards every frame.
pub(crate) struct DiscardSink {
    pub(crate) queues: Arc<QueueLimits>,
}

impl FrameSink for DiscardSink {
    fn register(&mut self, _: Vec<TopicName>, _: Option<Box<RegistrationOptions>>) {}

    fn route(&mut self, _: &str, _: Option<&str>) -> Option<usize> {
        None
    }

    fn message_id(&mut self, id: &str, _: JsonStr<'_>) -> Box<MessageId> {
        Box::new(MessageId {
            id: id.into(),
            origin: 0,
            hash: 0,
        })
    }

    fn publish(&mut self, _: usize, _: Batch, _: Option<Box<MessageId>>) {}

    fn request(&mut self, _: Request) {}

    fn reject(&mut self, _: &FrameError) {}

    /// After one frame it is known what the peer speaks.
    fn has_room(&self) -> bool {
        false
    }

    fn queue_limits(&self) -> &Arc<QueueLimits> {
        &self.queues
    }
}
