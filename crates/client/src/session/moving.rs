//! What a server that is ending asks for: to come back at a moment of our own within a time, so
//! that not all of its clients come at once; perhaps to other servers.

use std::time::{Duration, Instant};

use wire::{Address, Reconnect};

use crate::secret;

/// The longest time that a client waits for its moment: a server that asks for more is not
/// waited for.
const LONGEST: Duration = Duration::from_secs(10 * 60);

/// Servers that are tried, of those that are named.
const MOST_SERVERS: usize = 16;

/// A moment at which to leave the server, and where to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Move {
    /// When.
    pub(crate) at: Instant,
    /// To which of these servers, in this order; to the same address if there are none.
    pub(crate) servers: Vec<Address>,
}

impl Move {
    /// What the server has asked for just now.
    pub(super) fn asked(told: &Reconnect<'_>, now: Instant) -> Self {
        let within = Duration::from_millis(told.within).min(LONGEST);
        let servers = told.servers.iter().filter_map(|server| server.parse().ok());
        let mut servers: Vec<Address> = servers.take(MOST_SERVERS).collect();
        if !servers.is_empty() {
            // Whose clients come to the first of them depends on chance, too.
            let first = secret::number() as usize % servers.len();
            servers.rotate_left(first);
        }
        let at = now + within.mul_f64(secret::fraction());
        Self { at, servers }
    }
}
