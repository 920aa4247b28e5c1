//! Who is connected: how many in all and from each address, and a way to reach
//! everyone when the server ends.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use slab::Slab;
use tokio::sync::Notify;
use wire::ErrorCode;

use crate::outbox::{Outbox, SharedOutbox};
use crate::transport::Transport;

/// All connections and their limits.
pub(crate) struct Connections {
    max: usize,
    max_per_address: usize,
    table: Mutex<Table>,
    /// Told when the last connection has gone.
    emptied: Notify,
}

#[derive(Default)]
struct Table {
    outboxes: Slab<Option<Weak<Outbox<dyn Transport>>>>,
    per_address: HashMap<IpAddr, usize>,
}

/// A connection's place among the others. Dropping it gives the place back.
pub(crate) struct Place {
    connections: Arc<Connections>,
    peer: SocketAddr,
    key: usize,
}

/// Why a connection isn't taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("the server has {0} connections and takes no more; try again later")]
    Full(usize),
    #[error("your address has {0} connections and may have no more; close some")]
    AddressFull(usize),
}

impl Connections {
    pub(crate) fn new(max: usize, max_per_address: usize) -> Arc<Self> {
        Arc::new(Self {
            max,
            max_per_address,
            table: Mutex::default(),
            emptied: Notify::new(),
        })
    }

    /// Gives a new connection its place.
    pub(crate) fn admit(self: &Arc<Self>, peer: SocketAddr) -> Result<Place, Refusal> {
        let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
        let mut table = self.table.lock();
        if table.outboxes.len() >= self.max {
            return Err(Refusal::Full(self.max));
        }
        let here = table.per_address.entry(peer.ip()).or_default();
        if *here >= self.max_per_address {
            return Err(Refusal::AddressFull(self.max_per_address));
        }
        *here += 1;
        let key = table.outboxes.insert(None);
        Ok(Place {
            connections: self.clone(),
            peer,
            key,
        })
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.table.lock().outboxes.len()
    }

    /// Closes all of them, after what waits for each.
    pub(crate) fn close_all(&self, code: ErrorCode, text: &str) {
        let outboxes: Vec<_> = self
            .table
            .lock()
            .outboxes
            .iter()
            .filter_map(|(_, outbox)| outbox.as_ref()?.upgrade())
            .collect();
        for outbox in outboxes {
            outbox.close(code, text);
        }
    }

    /// Resolves when there are none.
    pub(crate) async fn emptied(&self) {
        while self.len() > 0 {
            self.emptied.notified().await;
        }
    }
}

impl Place {
    /// The peer's address, IPv4 as IPv4.
    pub(crate) fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// Lets the connection be reached when the server ends.
    pub(crate) fn set_outbox(&self, outbox: &SharedOutbox) {
        let mut table = self.connections.table.lock();
        table.outboxes[self.key] = Some(Arc::downgrade(outbox));
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut table = self.connections.table.lock();
        table.outboxes.remove(self.key);
        let ip = self.peer.ip();
        if let Some(here) = table.per_address.get_mut(&ip) {
            *here -= 1;
            if *here == 0 {
                table.per_address.remove(&ip);
            }
        }
        if table.outboxes.is_empty() {
            self.connections.emptied.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(ip: &str) -> SocketAddr {
        SocketAddr::new(ip.parse().unwrap(), 1)
    }

    #[test]
    fn places_are_bounded_in_all_and_per_address_and_given_back() {
        let connections = Connections::new(3, 2);
        let first = connections.admit(peer("::ffff:10.0.0.1")).unwrap();
        let _second = connections.admit(peer("10.0.0.1")).unwrap();
        let refusal = connections.admit(peer("10.0.0.1")).err();
        assert_eq!(refusal, Some(Refusal::AddressFull(2)));
        let _third = connections.admit(peer("10.0.0.2")).unwrap();
        let refusal = connections.admit(peer("10.0.0.3")).err();
        assert_eq!(refusal, Some(Refusal::Full(3)));
        drop(first);
        assert!(connections.admit(peer("10.0.0.1")).is_ok());
    }

    #[test]
    fn an_address_that_has_no_connections_is_forgotten() {
        let connections = Connections::new(3, 2);
        drop(connections.admit(peer("10.0.0.1")));
        assert!(connections.table.lock().per_address.is_empty());
    }
}
