//! Guessing passwords is slowed, and nobody is locked out by it.
//!
//! Two things are counted. From one place (an IPv4 address or an IPv6 /64) ten failures at
//! one account are free; then each next try has to wait, twice as long each time, up to a
//! minute. And all places together have one failure a second at an account. A place from
//! which somebody has logged in to an account isn't bound by what others do to it: otherwise
//! others could keep him out.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::network::Network;

/// Failures from one place at one account that cost nothing: somebody who tries all of his
/// old passwords, on a keyboard with the wrong layout first.
const FREE_FAILURES: u32 = 10;

/// The wait after the next failure; each further one doubles it.
const FIRST_WAIT: Duration = Duration::from_secs(1);

/// The longest wait: a person who has found his password by then waits no longer.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// From all places together, an account has a failure each so often: 86,400 guesses a day
/// find only passwords that are in everybody's list.
const ACCOUNT_INTERVAL: Duration = Duration::from_secs(1);

/// So many of them may come at once: ten people with their free failures.
const ACCOUNT_BURST: u32 = 100;

/// After so long without a failure a place begins anew.
const FORGIVEN: Duration = Duration::from_secs(15 * 60);

/// For so long a place is known from which somebody has logged in.
const KNOWN: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Entries that are kept, of each kind, at about 100 bytes each.
const MAX_ENTRIES: usize = 65_536;

/// Counts failed logins.
#[derive(Default)]
pub(crate) struct Guessing {
    table: Mutex<Table>,
}

/// A login is to be tried later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many logins have failed; try again in {} s", self.seconds())]
pub(crate) struct TooManyAttempts {
    pub(crate) wait: Duration,
}

impl TooManyAttempts {
    /// Whole seconds, as they are told.
    pub(crate) fn seconds(&self) -> u64 {
        whole_seconds(self.wait)
    }
}

/// A wait as it is told: never shorter than it is, and at least a second.
pub(crate) fn whole_seconds(wait: Duration) -> u64 {
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    seconds.max(1)
}

/// A login that is being tried. Until it is said how it ended it counts as a failure, so
/// that many at once gain nothing; one that is given up counts as nothing.
pub(crate) struct Attempt {
    guessing: Arc<Guessing>,
    key: Key,
    is_failure: bool,
}

/// Where somebody is, and as whom he wants to log in.
type Key = (Network, Arc<str>);

#[derive(Default)]
struct Table {
    pairs: HashMap<Key, Pair>,
    accounts: HashMap<Arc<str>, Account>,
}

/// What happened from one place at one account.
struct Pair {
    failures: u32,
    /// When something happened last.
    last: Instant,
    /// Before that, nothing is tried.
    next: Instant,
    /// When somebody last logged in.
    success: Option<Instant>,
}

/// What happened at one account.
struct Account {
    /// When the burst is whole again.
    full_at: Instant,
}

impl Guessing {
    /// Lets a login be tried, or says when it may be.
    pub(crate) fn begin(
        self: &Arc<Self>,
        from: IpAddr,
        account: &str,
        now: Instant,
    ) -> Result<Attempt, TooManyAttempts> {
        let key = (Network::of_client(from), Arc::from(account));
        let mut table = self.table.lock();
        let Table { pairs, accounts } = &mut *table;
        let mut is_known = false;
        if let Some(pair) = pairs.get_mut(&key) {
            pair.forgive(now);
            if pair.next > now {
                let wait = pair.next - now;
                return Err(TooManyAttempts { wait });
            }
            is_known = pair.is_known(now);
        }
        if let Some(account) = accounts.get(&key.1).filter(|_| !is_known) {
            account.check(now)?;
        }
        make_room(pairs, |pair| !pair.is_over(now));
        make_room(accounts, |account| account.full_at > now);
        let new = || Account { full_at: now };
        accounts.entry(key.1.clone()).or_insert_with(new).add(now);
        let new = || Pair::new(now);
        pairs.entry(key.clone()).or_insert_with(new).add(now);
        Ok(Attempt {
            guessing: self.clone(),
            key,
            is_failure: false,
        })
    }
}

impl Attempt {
    /// The password was wrong.
    pub(crate) fn failed(mut self) {
        self.is_failure = true;
    }

    /// It was right.
    pub(crate) fn succeeded(self, now: Instant) {
        let mut table = self.guessing.table.lock();
        if let Some(pair) = table.pairs.get_mut(&self.key) {
            // What was given back is nothing, whatever came before.
            pair.failures = 1;
            pair.success = Some(now);
        }
        drop(table);
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if self.is_failure {
            return;
        }
        let mut table = self.guessing.table.lock();
        let Table { pairs, accounts } = &mut *table;
        let Some(pair) = pairs.get_mut(&self.key) else {
            return;
        };
        let last = pair.last;
        pair.failures = pair.failures.saturating_sub(1);
        pair.next = last;
        // What is given up at once shall not fill the tables.
        if pair.failures == 0 && pair.success.is_none() {
            pairs.remove(&self.key);
        }
        if let Some(account) = accounts.get_mut(&self.key.1) {
            let before = account.full_at.checked_sub(ACCOUNT_INTERVAL);
            account.full_at = before.unwrap_or(last);
            if account.full_at <= last {
                accounts.remove(&self.key.1);
            }
        }
    }
}

impl Pair {
    fn new(now: Instant) -> Self {
        Self {
            failures: 0,
            last: now,
            next: now,
            success: None,
        }
    }

    /// Nothing is left to be known of it.
    fn is_over(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.last) >= FORGIVEN && !self.is_known(now)
    }

    fn forgive(&mut self, now: Instant) {
        if now.saturating_duration_since(self.last) >= FORGIVEN {
            self.failures = 0;
        }
    }

    fn is_known(&self, now: Instant) -> bool {
        let success = self.success;
        success.is_some_and(|success| now.saturating_duration_since(success) < KNOWN)
    }

    fn add(&mut self, now: Instant) {
        self.failures = self.failures.saturating_add(1);
        self.last = now;
        self.next = match self.failures.checked_sub(FREE_FAILURES) {
            None => now,
            Some(more) => {
                let factor = 1_u32.checked_shl(more).unwrap_or(u32::MAX);
                now + FIRST_WAIT.saturating_mul(factor).min(LONGEST_WAIT)
            }
        };
    }
}

impl Account {
    fn check(&self, now: Instant) -> Result<(), TooManyAttempts> {
        let missing = self.full_at.saturating_duration_since(now);
        let room = ACCOUNT_INTERVAL * (ACCOUNT_BURST - 1);
        match missing.checked_sub(room) {
            None | Some(Duration::ZERO) => Ok(()),
            Some(wait) => Err(TooManyAttempts { wait }),
        }
    }

    fn add(&mut self, now: Instant) {
        self.full_at = self.full_at.max(now) + ACCOUNT_INTERVAL;
    }
}

/// Removes what means nothing any more, when there is too much; and if there is too much
/// still, everything: a table that takes no more would let nobody in.
fn make_room<K, V>(entries: &mut HashMap<K, V>, mut matters: impl FnMut(&V) -> bool) {
    if entries.len() >= MAX_ENTRIES {
        entries.retain(|_, entry| matters(entry));
        // Some room, or each of the next ones would have to look at all again.
        if entries.len() > MAX_ENTRIES / 2 {
            entries.clear();
        }
    }
}

#[cfg(test)]
mod tests;
