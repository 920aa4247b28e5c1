//! Tickets: who has logged in gets one for a page of another site, whose `EventSource` or
//! `WebSocket` can't send a header. It stands in the address, so it is good once and for a
//! moment: what is in an address is kept in logs and histories.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};

use super::guessing::whole_seconds;
use super::login_error::LoginError;
use super::principal::Principal;

/// What every ticket begins with, so that scanners for leaked secrets recognise one.
const PREFIX: &str = "ntk_";

/// Tickets that are given out within their lifetime, at about 250 bytes each.
const MAX_TICKETS: usize = 10_000;

/// The same of one account, or of one token of nobody: 33 visitors a second of a site that
/// fetches a ticket for each of them.
const MAX_OF_ONE: usize = 1_000;

/// The tickets that are good.
pub(super) struct Tickets {
    lifetime: Mutex<Duration>,
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    /// Those that weren't used yet. The ticket itself isn't kept.
    unused: HashMap<[u8; 32], Principal>,
    /// All that were given out within their lifetime, those that expire first in front.
    given: VecDeque<Given>,
    /// How many of those were given to whom.
    owned: HashMap<Arc<str>, usize>,
}

struct Given {
    until: Instant,
    hash: [u8; 32],
    owner: Arc<str>,
}

impl Tickets {
    pub(super) fn new(lifetime: Duration) -> Self {
        Self {
            lifetime: Mutex::new(lifetime),
            table: Mutex::default(),
        }
    }

    pub(super) fn lifetime(&self) -> Duration {
        *self.lifetime.lock()
    }

    /// From now on tickets are good for so long. Those that were given before stay as they are.
    pub(super) fn set_lifetime(&self, lifetime: Duration) {
        *self.lifetime.lock() = lifetime;
    }

    /// Gives somebody a ticket.
    pub(super) fn give(&self, principal: &Principal, now: Instant) -> Result<String, LoginError> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(|_| LoginError::NoRandomness)?;
        let ticket = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes));
        let owner: Arc<str> = match (principal.account(), principal.token()) {
            (Some(account), _) => format!("account {account}"),
            (None, token) => format!("token {}", token.unwrap_or_default()),
        }
        .into();
        let mut table = self.table.lock();
        table.expire(now);
        let owned = table.owned.get(&owner).copied().unwrap_or_default();
        if table.given.len() >= MAX_TICKETS || owned >= MAX_OF_ONE {
            let first = table.given.front().map_or(now, |given| given.until);
            let wait = whole_seconds(first.saturating_duration_since(now));
            return Err(LoginError::TooManyTickets(wait));
        }
        table.owned.insert(owner.clone(), owned + 1);
        let hash = hash(&ticket);
        table.unused.insert(hash, principal.clone());
        let until = now + self.lifetime();
        // At the end, if the lifetime has not become shorter.
        let place = table.given.partition_point(|given| given.until <= until);
        table.given.insert(place, Given { until, hash, owner });
        Ok(ticket)
    }

    /// Whose ticket it is. From now on it is nobody's.
    pub(super) fn take(&self, ticket: &str, now: Instant) -> Result<Principal, LoginError> {
        let mut table = self.table.lock();
        table.expire(now);
        let principal = table.unused.remove(&hash(ticket));
        principal.ok_or(LoginError::Ticket(self.lifetime().as_secs()))
    }
}

impl Table {
    fn expire(&mut self, now: Instant) {
        while self.given.front().is_some_and(|given| given.until <= now) {
            let Some(Given { hash, owner, .. }) = self.given.pop_front() else {
                return;
            };
            self.unused.remove(&hash);
            if let Some(owned) = self.owned.get_mut(&owner) {
                *owned -= 1;
                if *owned == 0 {
                    self.owned.remove(&owner);
                }
            }
        }
    }
}

fn hash(ticket: &str) -> [u8; 32] {
    Sha256::digest(ticket.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::principal::Proof;

    const LIFETIME: Duration = Duration::from_secs(30);

    fn somebody(name: &str) -> Principal {
        let name = wire::UserName::new(name).unwrap();
        Principal::new(Some(name), Proof::Address, None)
    }

    #[test]
    fn a_ticket_is_good_once_and_for_a_while() {
        let tickets = Tickets::new(LIFETIME);
        let now = Instant::now();
        let give = || tickets.give(&somebody("alice"), now).unwrap();
        let (one, other) = (give(), give());
        assert_ne!(one, other);
        assert!(one.starts_with(PREFIX) && one.len() > 40);
        let almost = now + LIFETIME - Duration::from_millis(1);
        let taken = tickets.take(&one, almost).unwrap();
        assert_eq!(taken.account().unwrap().as_str(), "alice");
        let refused = Err(LoginError::Ticket(30));
        for (ticket, at) in [(&*one, almost), (&*other, now + LIFETIME), ("", now)] {
            let taken = tickets.take(ticket, at).map(drop);
            assert_eq!(taken, refused, "{ticket}");
        }
        let table = tickets.table.lock();
        assert!(table.unused.is_empty() && table.given.is_empty() && table.owned.is_empty());
    }

    #[test]
    fn a_shorter_lifetime_is_that_of_the_next_ticket() {
        let tickets = Tickets::new(LIFETIME);
        let now = Instant::now();
        let give = || tickets.give(&somebody("alice"), now).unwrap();
        let long = give();
        tickets.set_lifetime(LIFETIME / 2);
        let short = [give(), give()];
        tickets.take(&short[0], now).unwrap();
        let later = now + LIFETIME / 2;
        tickets.take(&short[1], later).map(drop).unwrap_err();
        tickets.take(&long, later).unwrap();
    }

    #[test]
    fn there_are_only_so_many_of_one_and_of_all() {
        let tickets = Tickets::new(LIFETIME);
        let now = Instant::now();
        for _ in 0..MAX_OF_ONE {
            let ticket = tickets.give(&somebody("alice"), now).unwrap();
            // Used or not, they count.
            tickets.take(&ticket, now).unwrap();
        }
        let more = |name: &str, at| tickets.give(&somebody(name), at).map(drop);
        let refused = Err(LoginError::TooManyTickets(30));
        assert_eq!(more("alice", now), refused);
        for number in MAX_OF_ONE..MAX_TICKETS {
            let name = format!("user-{}", number / MAX_OF_ONE);
            more(&name, now).unwrap();
        }
        assert_eq!(more("bob", now), refused);
        more("alice", now + LIFETIME).unwrap();
    }
}
