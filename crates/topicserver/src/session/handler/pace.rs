//! The rate of a connection: one that publishes more than its limit is read later.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use tokio::time::Sleep;

use crate::access::{ConnectionPermit, Exceeded, Meter};
use crate::session::handler::Handler;

/// How often a peer is told that it is slowed.
const TOLD_EVERY: Duration = Duration::from_secs(60);

/// The limits of a connection.
pub(super) struct Pace {
    meter: Meter,
    /// Counts the connection, from its registration on.
    permit: Option<ConnectionPermit>,
    /// Until when nothing is read.
    wait: Option<Pin<Box<Sleep>>>,
    /// When the peer was last told that it is slowed.
    told: Option<Instant>,
}

/// Whether one more connection is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Permit {
    Granted,
    /// There are too many. The peer was told so, and the connection ends.
    Refused,
}

impl Pace {
    /// Waits until the peer may be read again.
    pub(super) fn poll_wait(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(wait) = &mut self.wait {
            ready!(wait.as_mut().poll(cx));
            self.wait = None;
        }
        Poll::Ready(())
    }
}

impl Handler {
    /// Sets the meter that measures what the peer does.
    pub(super) fn set_meter(&mut self, meter: Option<Meter>) {
        let Some(extended) = &mut self.extended else {
            return;
        };
        let old = extended.pace.take();
        let Some(meter) = meter else {
            return;
        };
        let is_counted = old.as_ref().is_some_and(|pace| pace.permit.is_some());
        extended.pace = match old {
            Some(pace) if pace.meter.is_same(&meter) => Some(pace),
            old => Some(Box::new(Pace {
                meter,
                permit: None,
                wait: None,
                told: old.and_then(|pace| pace.told),
            })),
        };
        if is_counted || self.is_registered() {
            self.take_permit();
        }
    }

    /// Keeps a permit that was taken before, so that the connection isn't counted twice.
    pub(crate) fn set_permit(&mut self, permit: Option<ConnectionPermit>) {
        let extended = self.extended.as_mut();
        if let Some(pace) = extended.and_then(|extended| extended.pace.as_mut())
            && permit.is_some()
        {
            pace.permit = permit;
        }
    }

    /// Counts the connection, where connections are limited, unless it is counted already.
    pub(super) fn take_permit(&mut self) -> Permit {
        let extended = self.extended.as_mut();
        let Some(pace) = extended.and_then(|extended| extended.pace.as_mut()) else {
            return Permit::Granted;
        };
        if pace.permit.is_some() {
            return Permit::Granted;
        }
        match pace.meter.connect() {
            Ok(permit) => {
                pace.permit = Some(permit);
                Permit::Granted
            }
            Err(exceeded) => {
                self.note(&exceeded);
                self.outbox().close(exceeded.code(), &exceeded.to_string());
                Permit::Refused
            }
        }
    }

    /// Counts what the peer has published. If it was too much, the peer is read later, and is
    /// told so at most once a minute.
    pub(super) fn charge(&mut self, messages: u32, bytes: usize) {
        let extended = self.extended.as_mut();
        let Some(pace) = extended.and_then(|extended| extended.pace.as_mut()) else {
            return;
        };
        let now = Instant::now();
        let Some(exceeded) = pace.meter.charge(messages.into(), bytes as u64, now) else {
            return;
        };
        pace.wait = Some(Box::pin(tokio::time::sleep(exceeded.wait)));
        let is_due = |told: Instant| now.saturating_duration_since(told) >= TOLD_EVERY;
        if pace.told.is_none_or(is_due) {
            pace.told = Some(now);
            self.note(&exceeded);
            let (code, limit) = (exceeded.code(), exceeded.limit.as_str());
            let outbox = self.outbox();
            outbox.send_exceeded(code, &exceeded.to_string(), None, limit);
        }
    }

    fn note(&self, exceeded: &Exceeded) {
        let (state, peer) = (self.state(), self.outbox().peer());
        state.log_peer_error(peer, exceeded.code(), &exceeded.to_string());
    }
}
