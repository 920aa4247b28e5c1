//! Rate limits, for each account; for clients without an account, for each address.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use wire::{ErrorCode, UserName};

use super::guessing::whole_seconds;
use super::principal::Principal;
use super::rate::{Bucket, Rate};
use crate::metrics::{self, Count};
use crate::network::Network;
use crate::peer;

/// Accounts and addresses that are remembered, at about 200 bytes each. All others share one
/// entry, because a forgotten owner would begin with full buckets.
const MAX_OWNERS: usize = 65_536;

/// How often, when there are so many, those with full buckets are removed.
const PURGE_INTERVAL: Duration = Duration::from_secs(1);

/// The limits of an owner. `None` means no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(super) messages: Option<Rate>,
    pub(super) bytes: Option<Rate>,
    pub(super) connections: Option<u32>,
    pub(super) new_topics: Option<Rate>,
}

/// A kind of limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limit {
    Messages,
    Bytes,
    Connections,
    NewTopics,
}

/// The owner of a bucket.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Owner {
    Account(UserName),
    /// An address, an IPv6 /64, or a user of the UNIX socket.
    Client(Network),
    /// All owners beyond the maximum.
    Others,
}

/// A limit is exceeded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Exceeded {
    pub(crate) limit: Limit,
    /// The rate, or the number, as the file has it.
    pub(crate) rate: String,
    pub(crate) of: Owner,
    /// After this time the same would be allowed; zero for connections.
    pub(crate) wait: Duration,
}

/// The buckets of all owners.
#[derive(Default)]
pub(crate) struct Limiter {
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    owners: HashMap<Owner, Arc<Owned>>,
    purged: Option<Instant>,
}

/// The buckets of one owner.
struct Owned {
    owner: Owner,
    used: Mutex<Used>,
}

#[derive(Default)]
struct Used {
    messages: Bucket,
    bytes: Bucket,
    new_topics: Bucket,
    connections: u32,
}

/// Measures what an owner does, on one connection or in one request.
#[derive(Clone)]
pub(crate) struct Meter {
    limits: Limits,
    owned: Arc<Owned>,
}

/// A counted connection. Dropping it ends the count.
pub(crate) struct ConnectionPermit(Arc<Owned>);

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        let mut used = self.0.used.lock();
        used.connections = used.connections.saturating_sub(1);
    }
}

impl Limits {
    /// These limits, with those of `general` where one is missing.
    pub(super) fn or(self, general: Self) -> Self {
        Self {
            messages: self.messages.or(general.messages),
            bytes: self.bytes.or(general.bytes),
            connections: self.connections.or(general.connections),
            new_topics: self.new_topics.or(general.new_topics),
        }
    }

    fn is_none(self) -> bool {
        self == Self::default()
    }
}

impl Owner {
    /// A client with an account is never counted by its address, because others may share the
    /// address.
    pub(crate) fn of(principal: &Principal, peer: IpAddr) -> Self {
        match principal.account() {
            Some(account) => Self::Account(account.clone()),
            None => Self::Client(Network::of_client(peer)),
        }
    }
}

impl Limiter {
    /// The meter of `owner`; `None` if nothing is limited.
    pub(crate) fn meter(&self, owner: Owner, limits: Limits, now: Instant) -> Option<Meter> {
        if limits.is_none() {
            return None;
        }
        let mut table = self.table.lock();
        let owned = match table.owners.get(&owner) {
            Some(owned) => owned.clone(),
            None => table.add(owner, now),
        };
        Some(Meter { limits, owned })
    }
}

impl Table {
    fn add(&mut self, owner: Owner, now: Instant) -> Arc<Owned> {
        let is_due = |purged: Instant| now.saturating_duration_since(purged) >= PURGE_INTERVAL;
        if self.owners.len() >= MAX_OWNERS && self.purged.is_none_or(is_due) {
            self.purged = Some(now);
            self.owners
                .retain(|_, owned| Arc::strong_count(owned) > 1 || owned.used.lock().matters(now));
        }
        let owner = match self.owners.len() < MAX_OWNERS {
            true => owner,
            false => Owner::Others,
        };
        let new = || {
            Arc::new(Owned {
                owner: owner.clone(),
                used: Mutex::default(),
            })
        };
        self.owners.entry(owner.clone()).or_insert_with(new).clone()
    }
}

impl Used {
    /// Whether forgetting the owner would give it more than it has.
    fn matters(&self, now: Instant) -> bool {
        let buckets = [&self.messages, &self.bytes, &self.new_topics];
        self.connections > 0 || buckets.iter().any(|bucket| !bucket.is_full(now))
    }
}

impl Meter {
    /// Whether both are of the same owner, by the same limits.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.owned, &other.owned) && self.limits == other.limits
    }

    /// Allows a publication as a whole, or refuses it.
    pub(crate) fn publish(&self, messages: u64, bytes: u64, now: Instant) -> Result<(), Exceeded> {
        let used = &mut *self.owned.used.lock();
        let kinds = self.kinds(used, messages, bytes);
        for (limit, rate, bucket, amount) in &kinds {
            if let Some(rate) = rate {
                self.check(*limit, rate, bucket, *amount, now)?;
            }
        }
        take(kinds, now);
        Ok(())
    }

    /// Counts what was published already. If it was too much, returns how long to wait.
    pub(crate) fn charge(&self, messages: u64, bytes: u64, now: Instant) -> Option<Exceeded> {
        let used = &mut *self.owned.used.lock();
        take(self.kinds(used, messages, bytes), now);
        let kinds = self.kinds(used, 1, 1);
        let exceeded = kinds.iter().filter_map(|(limit, rate, bucket, amount)| {
            let rate = rate.as_ref()?;
            self.check(*limit, rate, bucket, *amount, now).err()
        });
        exceeded.max_by_key(|exceeded| exceeded.wait)
    }

    /// Allows the creation of a topic, or refuses it.
    pub(crate) fn make_topic(&self, now: Instant) -> Result<(), Exceeded> {
        let Some(rate) = &self.limits.new_topics else {
            return Ok(());
        };
        let bucket = &mut self.owned.used.lock().new_topics;
        self.check(Limit::NewTopics, rate, bucket, 1, now)?;
        bucket.take(rate, 1, now);
        Ok(())
    }

    /// Counts a connection.
    pub(crate) fn connect(&self) -> Result<ConnectionPermit, Exceeded> {
        let mut used = self.owned.used.lock();
        match self.limits.connections {
            Some(max) if used.connections >= max => {
                Err(self.exceeded(Limit::Connections, max.to_string(), Duration::ZERO))
            }
            _ => {
                used.connections += 1;
                Ok(ConnectionPermit(self.owned.clone()))
            }
        }
    }

    fn kinds<'a>(&'a self, used: &'a mut Used, messages: u64, bytes: u64) -> [Kind<'a>; 2] {
        let Limits {
            messages: message_rate,
            bytes: byte_rate,
            ..
        } = &self.limits;
        [
            (Limit::Messages, message_rate, &mut used.messages, messages),
            (Limit::Bytes, byte_rate, &mut used.bytes, bytes),
        ]
    }

    fn check(
        &self,
        limit: Limit,
        rate: &Rate,
        bucket: &Bucket,
        amount: u64,
        now: Instant,
    ) -> Result<(), Exceeded> {
        let wait = bucket.wait(rate, amount, now);
        match wait.is_zero() {
            true => Ok(()),
            false => Err(self.exceeded(limit, rate.to_string(), wait)),
        }
    }

    fn exceeded(&self, limit: Limit, rate: String, wait: Duration) -> Exceeded {
        metrics::count(limit.counted_as(), 1);
        Exceeded {
            limit,
            rate,
            of: self.owned.owner.clone(),
            wait,
        }
    }
}

/// A kind of use, its rate if it has one, and how much of it.
type Kind<'a> = (Limit, &'a Option<Rate>, &'a mut Bucket, u64);

fn take(kinds: [Kind<'_>; 2], now: Instant) {
    for (_, rate, bucket, amount) in kinds {
        if let Some(rate) = rate {
            bucket.take(rate, amount, now);
        }
    }
}

impl Limit {
    /// As the metrics count it.
    fn counted_as(self) -> Count {
        match self {
            Self::Messages => Count::LimitedMessages,
            Self::Bytes => Count::LimitedBytes,
            Self::Connections => Count::LimitedConnections,
            Self::NewTopics => Count::LimitedNewTopics,
        }
    }

    /// As files and errors name it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Messages => "messages",
            Self::Bytes => "bytes",
            Self::Connections => "connections",
            Self::NewTopics => "new-topics",
        }
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Account(name) => write!(f, "account {name}"),
            Self::Client(network) => match peer::user_of(network.first()) {
                Some(uid) => write!(f, "user {uid} of this machine"),
                None if network.is_address() => write!(f, "address {network}"),
                None => write!(f, "network {network}"),
            },
            Self::Others => f.write_str("all other addresses together"),
        }
    }
}

impl Exceeded {
    pub(crate) fn code(&self) -> ErrorCode {
        match self.limit {
            Limit::Connections => ErrorCode::TooManyConnections,
            Limit::Messages | Limit::Bytes | Limit::NewTopics => ErrorCode::RateLimited,
        }
    }

    /// The wait in whole seconds; `None` where waiting doesn't help.
    pub(crate) fn retry_after(&self) -> Option<u64> {
        (self.limit != Limit::Connections).then(|| whole_seconds(self.wait))
    }
}

impl fmt::Display for Exceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            limit, rate, of, ..
        } = self;
        write!(f, "the limit of {} for {of} is {rate}; ", limit.as_str())?;
        match self.retry_after() {
            Some(seconds) => write!(f, "more is taken in {seconds} s"),
            None => f.write_str("close one first"),
        }
    }
}

#[cfg(test)]
mod tests;
