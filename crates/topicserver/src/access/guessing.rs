//! Slows the guessing of passwords, without locking anybody out.
//!
//! Two things are counted. From one network (an IPv4 address or an IPv6 /64) ten failures at one
//! account are free; then each further attempt has to wait, twice as long each time, up to a
//! minute. All networks together have one failure a second at an account. A network from which
//! somebody has logged in to the account is free of the second limit: otherwise attackers could
//! lock the owner out.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::network::Network;

/// Failures from one network at one account that are free: a user may try several old passwords,
/// some with the wrong keyboard layout.
const FREE_FAILURES: u32 = 10;

/// The wait after the next failure; each further one doubles it.
const FIRST_WAIT: Duration = Duration::from_secs(1);

/// The longest wait, for a person who has found the password meanwhile.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// From all networks together, one failure is allowed per interval: 86,400 guesses a day find
/// only very common passwords.
const ACCOUNT_INTERVAL: Duration = Duration::from_secs(1);

/// This many may come at once: the free failures of ten people.
const ACCOUNT_BURST: u32 = 100;

/// After this time without a failure the count of a network begins anew.
const FORGIVEN: Duration = Duration::from_secs(15 * 60);

/// How long a network is remembered from which somebody has logged in.
const KNOWN: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Entries that are kept, of each kind, at about 100 bytes each.
const MAX_ENTRIES: usize = 65_536;

/// Counts failed logins.
#[derive(Default)]
pub(crate) struct Guessing {
    table: Mutex<Table>,
}

/// The login must be tried again later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many logins have failed; try again in {} s", self.seconds())]
pub(crate) struct TooManyAttempts {
    pub(crate) wait: Duration,
}

impl TooManyAttempts {
    /// The wait in whole seconds, as the client gets it.
    pub(crate) fn seconds(&self) -> u64 {
        whole_seconds(self.wait)
    }
}

/// A wait in whole seconds, rounded up, at least one.
pub(crate) fn whole_seconds(wait: Duration) -> u64 {
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    seconds.max(1)
}

/// A login that is being tried. It counts as a failure until its result is known, so that many at
/// once gain nothing. A login that is given up doesn't count.
pub(crate) struct Attempt {
    guessing: Arc<Guessing>,
    key: Key,
    is_failure: bool,
}

/// The network of a client, and the account to which it wants to log in.
type Key = (Network, Arc<str>);

#[derive(Default)]
struct Table {
    pairs: HashMap<Key, Pair>,
    accounts: HashMap<Arc<str>, Account>,
}

/// The attempts from one network at one account.
struct Pair {
    failures: u32,
    /// When the last attempt was.
    last: Instant,
    /// Before this no attempt is allowed.
    next: Instant,
    /// When the last login succeeded.
    success: Option<Instant>,
}

/// The attempts at one account.
struct Account {
    /// When the burst is whole again.
    full_at: Instant,
}

impl Guessing {
    /// Allows an attempt, or returns when to try again.
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

    /// The password was right.
    pub(crate) fn succeeded(self, now: Instant) {
        let mut table = self.guessing.table.lock();
        if let Some(pair) = table.pairs.get_mut(&self.key) {
            // An attempt that was given back leaves no failure.
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
        // Attempts that are given up at once should not fill the tables.
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

    /// Whether the entry has no effect any more.
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

/// When there are too many entries, removes those without effect. If there are still too many,
/// removes all: a table that takes no more would let nobody in.
fn make_room<K, V>(entries: &mut HashMap<K, V>, mut matters: impl FnMut(&V) -> bool) {
    if entries.len() >= MAX_ENTRIES {
        entries.retain(|_, entry| matters(entry));
        // Makes some room, or each of the next attempts would check all entries again.
        if entries.len() > MAX_ENTRIES / 2 {
            entries.clear();
        }
    }
}

#[cfg(test)]
mod tests;
