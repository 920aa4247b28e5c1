//! A registration that isn't answered at once: a password is checked, a name is claimed, or the
//! topics of a cluster wait for its log. Nothing is read meanwhile: what the peer sends next comes
//! after the answer.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use serde_json::value::RawValue;
use tokio::time::{Sleep, sleep};
use wire::Event;

use crate::cluster::quorum::{notice, refusal};
use crate::session::handler::Handler;
use crate::topic::registration::RegistrationReply;

/// The silence after which the peer is pinged. A client that doesn't know the server takes it for
/// one without the extended protocol when it says nothing for long: natter's own after 5 s.
const PING_AFTER: Duration = Duration::from_secs(2);

/// A registration that waits.
#[derive(Default)]
pub(super) struct Registering {
    /// In a cluster: for the topics' answer.
    pub(super) answer: Option<Arc<RegistrationReply>>,
    ping: Ping,
}

/// Whether the peer was pinged.
#[derive(Default)]
enum Ping {
    #[default]
    NotNeeded,
    Later(Pin<Box<Sleep>>),
    Sent,
}

impl Handler {
    /// Waits until the peer's registration is answered.
    pub(super) fn poll_registered(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.poll_answered(cx).is_pending() {
            self.ping_late(cx);
            return Poll::Pending;
        }
        if let Some(extended) = &mut self.extended
            && extended.registering.is_some()
        {
            extended.registering = None;
        }
        Poll::Ready(())
    }

    fn poll_answered(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        ready!(self.poll_login(cx));
        let extended = self.extended.as_ref();
        match extended.and_then(|extended| extended.registering.as_ref()) {
            Some(Registering {
                answer: Some(answer),
                ..
            }) => answer.poll_sent(cx),
            _ => Poll::Ready(()),
        }
    }

    /// Pings the peer once when it has waited for long.
    fn ping_late(&mut self, cx: &mut Context<'_>) {
        let Some(extended) = &mut self.extended else {
            return;
        };
        let ping = &mut extended.registering.get_or_insert_default().ping;
        if let Ping::NotNeeded = ping {
            *ping = Ping::Later(Box::pin(sleep(PING_AFTER)));
        }
        let Ping::Later(later) = ping else {
            return;
        };
        if later.as_mut().poll(cx).is_ready() {
            *ping = Ping::Sent;
            // Streams have signs of life of their own.
            if !extended.is_listener {
                self.send_reply(Event::Ping(RawValue::TRUE).to_line());
            }
        }
    }

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
