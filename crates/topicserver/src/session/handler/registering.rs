//! A registration in a cluster: its answer takes a moment, and longer while servers fail.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use serde_json::value::RawValue;
use tokio::time::{Sleep, sleep};
use wire::Event;

use crate::cluster::quorum::{notice, refusal};
use crate::outbox::Outbox;
use crate::outbox::transport::Transport;
use crate::session::handler::Handler;
use crate::topic::registration::RegistrationReply;

/// The silence after which the peer is pinged. A client that doesn't know the server takes it for
/// one without the extended protocol when it says nothing for long: natter's own after 5 s.
const PING_AFTER: Duration = Duration::from_secs(2);

/// A registration that isn't answered yet. Nothing is read meanwhile: what the peer sends next
/// comes after the answer.
pub(super) struct Registering {
    answer: Arc<RegistrationReply>,
    /// Until the peer is pinged, which happens once.
    quiet: Option<Pin<Box<Sleep>>>,
}

impl Registering {
    pub(super) fn new(answer: Arc<RegistrationReply>) -> Self {
        Self {
            answer,
            quiet: Some(Box::pin(sleep(PING_AFTER))),
        }
    }

    /// Waits until the answer is in the outbox.
    pub(super) fn poll_answered(
        &mut self,
        cx: &mut Context<'_>,
        outbox: &Outbox<dyn Transport>,
        is_listener: bool,
    ) -> Poll<()> {
        if self.answer.poll_sent(cx).is_ready() {
            return Poll::Ready(());
        }
        if let Some(quiet) = &mut self.quiet
            && quiet.as_mut().poll(cx).is_ready()
        {
            self.quiet = None;
            if !is_listener {
                outbox.send_reply(Event::Ping(RawValue::TRUE).to_line());
            }
        }
        Poll::Pending
    }
}

impl Handler {
    /// Tells a peer that has just registered that there is no quorum, if that is known: the others
    /// were told when it was lost.
    pub(super) fn tell_of_lost_quorum(&self) {
        let Some(part) = self.state().cluster() else {
            return;
        };
        let tell = |is_there| {
            let event = Event::Notice(notice(is_there)).to_line();
            self.outbox().tell(&event, refusal(is_there));
        };
        if part.quorum().is_there() {
            return;
        }
        tell(false);
        // Everybody may have been told just before that it is back.
        if part.quorum().is_there() {
            tell(true);
        }
    }
}
