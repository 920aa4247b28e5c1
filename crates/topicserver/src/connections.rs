//! Counts connections, in all and for each address, and reaches all of them when the server ends.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use slab::Slab;
use tokio::sync::Notify;
use wire::{ErrorCode, Event, Reconnect};

use crate::metrics::{self, Count};
use crate::outbox::transport::Transport;
use crate::outbox::{Outbox, SharedOutbox};

/// Where connections are closed one after another: those of this time are closed together.
const CLOSING_STEP: Duration = Duration::from_millis(5);

/// Connections that are asked to come back before other tasks run.
const ASKED_AT_ONCE: usize = 64;

/// The key of a connection. No system has descriptors for more.
pub(crate) type Key = u32;

/// All connections and their limits.
pub(crate) struct Connections {
    table: Mutex<Table>,
    /// Notified when the last connection has ended.
    emptied: Notify,
}

#[derive(Default)]
struct Table {
    max: usize,
    max_per_address: usize,
    outboxes: Slab<Option<Weak<Outbox<dyn Transport>>>>,
    /// Why all connections are closed, new ones included.
    closing: Option<(ErrorCode, Arc<str>)>,
    per_address: HashMap<IpAddr, usize>,
}

impl Table {
    /// Counts a connection of this address, unless the address has as many as it may.
    fn enter(&mut self, peer: IpAddr) -> Result<(), Refusal> {
        let max = self.max_per_address;
        let here = self.per_address.entry(peer).or_default();
        if *here >= max {
            metrics::count(Count::RefusedAddressFull, 1);
            return Err(Refusal::AddressFull(max));
        }
        *here += 1;
        Ok(())
    }

    /// Uncounts a connection of this address.
    fn leave(&mut self, peer: IpAddr) {
        if let Some(here) = self.per_address.get_mut(&peer) {
            *here -= 1;
            if *here == 0 {
                self.per_address.remove(&peer);
            }
        }
    }
}

/// Why a connection is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("the server has {0} connections and takes no more; try again later")]
    Full(usize),
    #[error("your address has {0} connections and may have no more; close some")]
    AddressFull(usize),
}

impl Connections {
    pub(crate) fn new(max: usize, max_per_address: usize) -> Self {
        let table = Table {
            max,
            max_per_address,
            ..Table::default()
        };
        Self {
            table: Mutex::new(table),
            emptied: Notify::new(),
        }
    }

    /// Changes the limits. Connections beyond them stay.
    pub(crate) fn set_limits(&self, max: usize, max_per_address: usize) {
        let mut table = self.table.lock();
        table.max = max;
        table.max_per_address = max_per_address;
    }

    /// Counts a new connection and gives it a key. `peer` is `None` while the client of a proxy's
    /// connection is unknown.
    pub(crate) fn admit(&self, peer: Option<IpAddr>) -> Result<Key, Refusal> {
        let mut table = self.table.lock();
        let next = Key::try_from(table.outboxes.vacant_key());
        let Some(key) = next.ok().filter(|_| table.outboxes.len() < table.max) else {
            metrics::count(Count::RefusedServerFull, 1);
            return Err(Refusal::Full(table.max));
        };
        if let Some(peer) = peer {
            table.enter(peer)?;
        }
        table.outboxes.insert(None);
        Ok(key)
    }

    /// Counts an existing connection for its client's address.
    pub(crate) fn assign(&self, peer: IpAddr) -> Result<(), Refusal> {
        self.table.lock().enter(peer)
    }

    /// Undoes [`assign`](Self::assign).
    pub(crate) fn unassign(&self, peer: IpAddr) {
        self.table.lock().leave(peer);
    }

    /// Lets a connection be reached when the server ends.
    pub(crate) fn set_outbox(&self, key: Key, outbox: &SharedOutbox) {
        let mut table = self.table.lock();
        table.outboxes[key as usize] = Some(Arc::downgrade(outbox));
        let closing = table.closing.clone();
        drop(table);
        if let Some((code, text)) = closing {
            outbox.close(code, &text);
        }
    }

    /// Forgets a connection from `peer`.
    pub(crate) fn remove(&self, key: Key, peer: Option<IpAddr>) {
        let mut table = self.table.lock();
        table.outboxes.remove(key as usize);
        if let Some(peer) = peer {
            table.leave(peer);
        }
        if table.outboxes.is_empty() {
            self.emptied.notify_one();
        }
    }

    /// How many connections there are.
    pub(crate) fn count(&self) -> usize {
        self.table.lock().outboxes.len()
    }

    /// Closes all of them over this time, and those that come later at once, each after what
    /// waits for it.
    pub(crate) async fn close_all(&self, code: ErrorCode, text: &str, spread: Duration) {
        let began = Instant::now();
        self.table.lock().closing = Some((code, text.into()));
        let outboxes = self.outboxes();
        let count = outboxes.len().max(1);
        for (index, outbox) in outboxes.into_iter().enumerate() {
            let due = spread.mul_f64(index as f64 / count as f64);
            let early = due.saturating_sub(began.elapsed());
            if early >= CLOSING_STEP {
                tokio::time::sleep(early).await;
            }
            outbox.close(code, text);
        }
    }

    /// Tells all of them what has changed: extended ones with this event, and classic ones with
    /// an error, if there is one.
    pub(crate) async fn tell(&self, event: &Event<'_>, error: Option<(ErrorCode, &str)>) {
        let event = event.to_line();
        for some in self.outboxes().chunks(ASKED_AT_ONCE) {
            some.iter().for_each(|outbox| outbox.tell(&event, error));
            tokio::task::yield_now().await;
        }
    }

    /// Asks the extended ones to come back at a moment of their own within this time, at one of
    /// these servers if any are named.
    pub(crate) async fn ask_to_reconnect(&self, within: Duration, servers: &[String]) {
        let within = u64::try_from(within.as_millis()).unwrap_or(u64::MAX);
        let servers = servers
            .iter()
            .map(|server| server.as_str().into())
            .collect();
        let hint = Event::Reconnect(Reconnect { within, servers }).to_line();
        for some in self.outboxes().chunks(ASKED_AT_ONCE) {
            some.iter().for_each(|outbox| outbox.send_hint(&hint));
            tokio::task::yield_now().await;
        }
    }

    /// Has each connection check its permissions again.
    pub(crate) fn recheck_all(&self) {
        for outbox in self.outboxes() {
            outbox.set_stale();
        }
    }

    /// How many connections have queued bytes that their sockets don't take.
    pub(crate) fn count_waiting(&self) -> usize {
        let waits = |outbox: &SharedOutbox| outbox.is_waiting();
        self.outboxes().into_iter().filter(waits).count()
    }

    fn outboxes(&self) -> Vec<SharedOutbox> {
        let table = self.table.lock();
        let outboxes = table.outboxes.iter();
        outboxes
            .filter_map(|(_, outbox)| outbox.as_ref()?.upgrade())
            .collect()
    }

    /// Resolves when there is no connection.
    pub(crate) async fn emptied(&self) {
        while self.count() > 0 {
            self.emptied.notified().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn places_are_bounded_in_all_and_per_address_and_given_back() {
        let connections = Connections::new(3, 2);
        let (one, two) = (Some(ip("10.0.0.1")), Some(ip("10.0.0.2")));
        let first = connections.admit(one).unwrap();
        connections.admit(one).unwrap();
        assert_eq!(connections.admit(one), Err(Refusal::AddressFull(2)));
        connections.admit(two).unwrap();
        let third = Some(ip("10.0.0.3"));
        assert_eq!(connections.admit(third), Err(Refusal::Full(3)));
        connections.remove(first, one);
        assert!(connections.admit(one).is_ok());
    }

    #[test]
    fn limits_can_change_and_end_nobody() {
        let connections = Connections::new(3, 3);
        let one = Some(ip("10.0.0.1"));
        let keys = [(); 3].map(|()| connections.admit(one).unwrap());
        connections.set_limits(2, 1);
        connections.remove(keys[0], one);
        assert_eq!(connections.count(), 2);
        assert_eq!(connections.admit(one), Err(Refusal::Full(2)));
        connections.set_limits(3, 2);
        assert_eq!(connections.admit(one), Err(Refusal::AddressFull(2)));
        connections.set_limits(3, 3);
        assert!(connections.admit(one).is_ok());
    }

    #[test]
    fn a_forwarded_connection_counts_for_the_address_that_it_is_from() {
        let connections = Connections::new(3, 1);
        let client = ip("203.0.113.9");
        let keys = [(); 3].map(|()| connections.admit(None).unwrap());
        assert_eq!(connections.admit(None), Err(Refusal::Full(3)));
        connections.assign(client).unwrap();
        assert_eq!(connections.assign(client), Err(Refusal::AddressFull(1)));
        connections.remove(keys[0], Some(client));
        connections.assign(client).unwrap();
        connections.unassign(client);
        assert!(connections.table.lock().per_address.is_empty());
        connections.remove(keys[1], None);
        assert_eq!(connections.count(), 1);
    }

    #[test]
    fn an_address_that_has_no_connections_is_forgotten() {
        let connections = Connections::new(3, 2);
        let peer = Some(ip("10.0.0.1"));
        let key = connections.admit(peer).unwrap();
        connections.remove(key, peer);
        assert!(connections.table.lock().per_address.is_empty());
    }
}
