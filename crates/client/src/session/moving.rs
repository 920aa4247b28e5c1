//! What a server that is ending asks for: to come back at a moment of our own within a time, so
//! that not all of its clients come at once; perhaps to other servers.

use std::time::{Duration, Instant};

use wire::Reconnect;

use super::Session;
use crate::address::ServerAddress;
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
    pub(crate) servers: Vec<ServerAddress>,
}

impl Move {
    /// What the server has asked for just now.
    pub(super) fn asked(told: &Reconnect<'_>, now: Instant) -> Self {
        let within = Duration::from_millis(told.within).min(LONGEST);
        let mut servers = addresses(&told.servers);
        if !servers.is_empty() {
            // Whose clients come to the first of them depends on chance, too.
            let first = secret::number() as usize % servers.len();
            servers.rotate_left(first);
        }
        let at = now + within.mul_f64(secret::fraction());
        Self { at, servers }
    }
}

/// The addresses that a server names: `HOST:PORT`, with fingerprints behind it or without. Others
/// are left out. Above all a path: no server knows what listens on sockets of this machine.
fn addresses<T: AsRef<str>>(named: &[T]) -> Vec<ServerAddress> {
    let address = |text: &T| format!("tls://{}", text.as_ref()).parse().ok();
    let addresses = named.iter().filter_map(address);
    addresses.take(MOST_SERVERS).collect()
}

impl Session {
    /// The server names others by which it can be reached, too.
    pub(super) fn on_named_servers<T: AsRef<str>>(&mut self, named: Option<&[T]>) {
        if let Some(named) = named {
            self.named = Some(addresses(named));
        }
    }

    /// The other servers that the server has named since the last call, if it has.
    pub(crate) fn take_named(&mut self) -> Option<Vec<ServerAddress>> {
        self.named.take()
    }

    /// From now on the session stays where it is, whatever a server asks for.
    pub(crate) fn stay(&mut self) {
        self.stays = true;
    }

    /// Whether there is another server to go to if the next one doesn't answer.
    pub(crate) fn has_alternative(&mut self, has_one: bool) {
        self.has_alternative = has_one;
    }

    /// When to leave the server, because it has asked for that.
    pub(crate) fn leaves_at(&self) -> Option<Instant> {
        self.moving.as_ref().map(|moving| moving.at)
    }

    /// When and where to come back, if the server has asked for it.
    pub(crate) fn take_move(&mut self) -> Option<Move> {
        self.moving.take()
    }
}
