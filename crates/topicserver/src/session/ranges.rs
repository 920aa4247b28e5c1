//! Requests for ranges of the history. They are answered one at a time, because an answer is
//! large and one read can bring a thousand requests.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::sync::oneshot;
use wire::TopicName;

use crate::gate::Gate;
use crate::outbox::SharedOutbox;
use crate::topic::range::LARGEST_ANSWER;

/// The requests of a connection.
#[derive(Default)]
pub(crate) struct Ranges {
    /// Resolves when the answer is in the outbox.
    open: Option<oneshot::Receiver<()>>,
    /// Requests that came in the same read.
    waiting: VecDeque<Range>,
}

/// A request for a range.
pub(crate) struct Range {
    pub(crate) topic: TopicName,
    pub(crate) before: Option<u64>,
    pub(crate) limit: Option<u64>,
}

impl Ranges {
    /// Adds a request, which [`poll`](Self::poll) sends to its topic.
    pub(crate) fn add(&mut self, range: Range) {
        self.waiting.push_back(range);
    }

    /// A request waits. It takes more than its frame did, so the next frames wait as they are.
    pub(crate) fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Resolves when every request was answered. Waits while the outbox has no room for the
    /// largest answer; its session is woken whenever something has gone out.
    pub(crate) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        gate: &Gate<'_>,
        asker: &SharedOutbox,
    ) -> Poll<()> {
        loop {
            if let Some(answered) = &mut self.open {
                // A topic that has ended answers nothing.
                let _ = ready!(Pin::new(answered).poll(cx));
                self.open = None;
            }
            if self.waiting.is_empty() {
                return Poll::Ready(());
            }
            if !asker.has_room_for(LARGEST_ANSWER) {
                return Poll::Pending;
            }
            let Some(range) = self.waiting.pop_front() else {
                return Poll::Ready(());
            };
            match gate.range(&range.topic, asker.clone(), range.before, range.limit) {
                Ok(answered) => self.open = Some(answered),
                Err(denied) => asker.send_error(denied.code, &denied.text, None),
            }
        }
    }
}
