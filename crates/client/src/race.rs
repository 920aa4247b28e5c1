//! Dials several servers, one after another, until one is connected: the next one when one has
//! failed, or hasn't answered for a moment.

use std::collections::VecDeque;
use std::future::pending;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use wire::Address;

use crate::dial::{DialError, Dialer, SLOW};
use crate::link::Link;
use crate::pool::Place;

/// How long a server has for itself before the next one is tried too: longer than connecting takes
/// on nearly every network, and short for somebody who waits.
const HEAD_START: Duration = Duration::from_secs(2);

/// See the module. Dropping it gives up all attempts.
pub(crate) struct Race {
    left: VecDeque<(Place, Dialer)>,
    attempts: JoinSet<(Place, Result<Link, DialError>)>,
    /// The server that was dialed last.
    last: Option<Address>,
    /// When connecting to that one takes unusually long.
    slow_at: Option<Instant>,
    /// When the next server is dialed.
    next_at: Option<Instant>,
}

/// What happens in a race.
pub(crate) enum Progress {
    /// Connecting to this server takes unusually long.
    Slow(Address),
    /// One server can't be reached.
    Failed(Place, DialError),
    /// One is connected.
    Connected(Place, Box<Link>),
    /// None is left, and none is connected.
    Over,
}

impl Race {
    /// A race of these servers, in this order.
    pub(crate) fn new(servers: impl IntoIterator<Item = (Place, Dialer)>) -> Self {
        Self {
            left: servers.into_iter().collect(),
            attempts: JoinSet::new(),
            last: None,
            slow_at: None,
            next_at: None,
        }
    }

    /// Whether a server is left that may still be connected.
    pub(crate) fn goes_on(&self) -> bool {
        !self.left.is_empty() || !self.attempts.is_empty()
    }

    /// What happens next.
    ///
    /// Cancel safe: the attempts go on.
    pub(crate) async fn next(&mut self) -> Progress {
        loop {
            if self.attempts.is_empty() {
                self.dial_next();
            }
            tokio::select! {
                attempt = self.attempts.join_next() => match attempt {
                    Some(Ok((place, Ok(link)))) => {
                        return Progress::Connected(place, Box::new(link));
                    }
                    Some(Ok((place, Err(error)))) => return Progress::Failed(place, error),
                    // The task is never cancelled, and doesn't panic.
                    Some(Err(_)) => {}
                    None => return Progress::Over,
                },
                () = until(self.slow_at) => {
                    self.slow_at = None;
                    if let Some(address) = self.last.clone() {
                        return Progress::Slow(address);
                    }
                }
                () = until(self.next_at) => self.dial_next(),
            }
        }
    }

    fn dial_next(&mut self) {
        let now = Instant::now();
        self.next_at = None;
        let Some((place, dialer)) = self.left.pop_front() else {
            return;
        };
        self.last = Some(dialer.address.clone());
        self.slow_at = Some(now + SLOW);
        self.next_at = (!self.left.is_empty()).then(|| now + HEAD_START);
        self.attempts
            .spawn(async move { (place, dialer.dial().await) });
    }
}

/// Waits until that time; for ever without one.
async fn until(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => pending().await,
    }
}
