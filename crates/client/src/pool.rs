//! The servers that a client can use, and in which order it tries them.
//!
//! Knows the addresses that the program has given, and those that a server has named. Neither
//! dials nor waits.

use crate::address::ServerAddress;
use crate::dial::{Dialer, Payload, Protection};
use crate::secret;
use crate::tls::{Proof, ProvenBy, Tls};

/// Which server of the pool: given ones keep their place.
pub(crate) type Place = usize;

/// See the module.
#[derive(Debug)]
pub(crate) struct Pool {
    /// Those that the program has given, then those that a server has named.
    servers: Vec<Server>,
    /// The one that was connected last, or is tried first.
    current: Place,
    /// What carries the connection to that one.
    carrier: Carrier,
    payload: Payload,
}

/// A server, and how it is dialed.
#[derive(Clone, Debug)]
struct Server {
    dialer: Dialer,
    /// The TLS settings for a server that refuses plain text.
    upgrade: Option<Tls>,
    origin: Origin,
    /// It was tried in this round.
    is_tried: bool,
    /// It isn't tried any more.
    is_refused: bool,
}

/// What carries a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Carrier {
    /// A network, where others may read and forge what is said.
    Network,
    /// A network, within TLS.
    Tls,
    /// Nothing but this machine.
    Machine,
}

/// Who has chosen a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    /// The program.
    Given,
    /// Another server.
    Named,
}

impl Pool {
    /// Those servers, in a random order: so clients with the same list spread over the servers,
    /// also when one of these dies.
    pub(crate) fn new(given: Vec<(Dialer, Option<Tls>)>, payload: Payload) -> Self {
        let server = |(dialer, upgrade)| Server {
            dialer,
            upgrade,
            origin: Origin::Given,
            is_tried: false,
            is_refused: false,
        };
        let mut servers: Vec<_> = given.into_iter().map(server).collect();
        for last in (1..servers.len()).rev() {
            let one = secret::number() as usize % (last + 1);
            servers.swap(one, last);
        }
        Self {
            servers,
            current: 0,
            carrier: Carrier::Network,
            payload,
        }
    }

    /// How the current server is dialed.
    pub(crate) fn current(&self) -> &Dialer {
        &self.servers[self.current].dialer
    }

    /// How a server is dialed.
    pub(crate) fn dialer(&self, place: Place) -> &Dialer {
        &self.servers[place].dialer
    }

    /// A connection was made to this server.
    pub(crate) fn connected(&mut self, place: Place, carrier: Carrier) {
        self.tried(place);
        self.current = place;
        self.carrier = carrier;
    }

    /// A connection to this server was made, or failed.
    pub(crate) fn tried(&mut self, place: Place) {
        self.servers[place].is_tried = true;
    }

    /// The current server was tried in this round.
    pub(crate) fn tried_current(&mut self) {
        self.tried(self.current);
    }

    /// From here on, no server was tried.
    pub(crate) fn begin_round(&mut self) {
        for server in &mut self.servers {
            server.is_tried = false;
        }
    }

    /// Whether there is another server that was not tried in this round.
    pub(crate) fn has_more(&self) -> bool {
        let is_new = |server: &Server| !server.is_tried && !server.is_refused;
        self.servers.iter().any(is_new)
    }

    /// The servers to try: first those that were not tried in this round, from the one after the
    /// current one on. That one comes last.
    pub(crate) fn next(&self) -> Vec<Place> {
        self.sorted(|place, server| (server.is_tried, place == self.current, !server.is_given()))
    }

    /// The servers to try, the current one first.
    pub(crate) fn again(&self) -> Vec<Place> {
        self.sorted(|place, server| (place != self.current, !server.is_given()))
    }

    /// The servers to try when the current one is ending: those that it has named, then the others
    /// that were given.
    pub(crate) fn elsewhere(&self) -> Vec<Place> {
        self.sorted(|place, server| (place == self.current, server.is_given()))
    }

    /// The servers that can be tried, in the order of a key; those with the same key from the one
    /// after the current one on.
    fn sorted<K: Ord>(&self, key: impl Fn(Place, &Server) -> K) -> Vec<Place> {
        let count = self.servers.len();
        let behind = (0..count).map(|step| (self.current + 1 + step) % count);
        let can_be = behind.filter(|place| !self.servers[*place].is_refused);
        let mut places: Vec<_> = can_be.collect();
        places.sort_by_key(|place| key(*place, &self.servers[*place]));
        places
    }

    /// The current server names others, in the place of those that were named before.
    pub(crate) fn name(&mut self, named: &[ServerAddress]) {
        let current = self.servers[self.current].clone();
        let is_kept = |place: &Place| *place == self.current || self.servers[*place].is_given();
        let kept: Vec<_> = (0..self.servers.len()).filter(is_kept).collect();
        let place = kept.iter().position(|place| *place == self.current);
        self.servers = kept
            .into_iter()
            .map(|at| self.servers[at].clone())
            .collect();
        self.current = place.unwrap_or_default();
        if self.payload == Payload::Secret && self.carrier == Carrier::Network {
            // Whoever reads along could have forged the names, to be sent the credential.
            return;
        }
        for address in named {
            let is_it = |server: &Server| server.dialer.address == address.address;
            // Another machine doesn't know what listens on this one.
            let is_strange = address.is_here() && self.carrier != Carrier::Machine;
            if !is_strange && !self.servers.iter().any(is_it) {
                let server = current.named(address, self.payload, self.carrier);
                self.servers.push(server);
            }
        }
    }

    /// The server isn't tried any more: it would fail again, unless trust or options are changed.
    pub(crate) fn refuse(&mut self, place: Place) {
        self.servers[place].is_refused = true;
    }

    /// Whether no server is left that the program has given.
    pub(crate) fn is_hopeless(&self) -> bool {
        let mut given = self.servers.iter().filter(|server| server.is_given());
        given.all(|server| server.is_refused)
    }

    /// Leaves the current server for good, if another server has named it. Returns whether that
    /// is so: then its refusal is none of the service's.
    pub(crate) fn drop_named(&mut self) -> bool {
        if self.servers[self.current].is_given() {
            return false;
        }
        self.servers.remove(self.current);
        // The last one, after which the first one comes.
        self.current = self.servers.len() - 1;
        true
    }

    /// Speaks TLS with the current server, which refuses plain text, if its address leaves that
    /// open; and from now on with all whose addresses do, so that keeping a client from one server
    /// doesn't lead it to plain text. Returns whether that is a change.
    pub(crate) fn upgrade(&mut self) -> bool {
        if self.servers[self.current].upgrade.is_none() {
            return false;
        }
        for server in &mut self.servers {
            if let Some(tls) = server.upgrade.take() {
                server.dialer.protection = Protection::Tls(tls);
            }
        }
        true
    }

    /// The current server has proven who it is. A key that was accepted at first use must stay
    /// the same from now on.
    pub(crate) fn secured(&mut self, proof: Proof) {
        let server = &mut self.servers[self.current];
        if proof.by == ProvenBy::FirstUse
            && let Protection::Tls(tls) | Protection::TlsToOthers(tls) =
                &mut server.dialer.protection
        {
            tls.pin(proof.key);
        }
    }
}

impl Server {
    fn is_given(&self) -> bool {
        self.origin == Origin::Given
    }

    /// Another server, which this one has named. It is protected no less.
    fn named(&self, other: &ServerAddress, payload: Payload, carrier: Carrier) -> Self {
        let upgrade = self.upgrade.as_ref();
        let upgrade = upgrade.map(|tls| tls.for_named(&other.pins));
        let protection = match &self.dialer.protection {
            Protection::Tls(tls) => Protection::Tls(tls.for_named(&other.pins)),
            Protection::TlsToOthers(tls) if carrier == Carrier::Tls => {
                Protection::Tls(tls.for_named(&other.pins))
            }
            Protection::TlsToOthers(tls) => Protection::TlsToOthers(tls.for_named(&other.pins)),
            // It was named within this machine, whatever may be sent elsewhere in plain text.
            Protection::Plain if payload == Payload::Secret => Protection::PlainWithinMachine,
            Protection::Plain => Protection::Plain,
            Protection::PlainWithinMachine => Protection::PlainWithinMachine,
        };
        let dialer = Dialer {
            address: other.address.clone(),
            protection,
            ..self.dialer.clone()
        };
        Self {
            dialer,
            upgrade,
            origin: Origin::Named,
            // It is tried at once only if this connection stands for a while: servers that end it
            // and name one another would be dialled in turns without a pause.
            is_tried: true,
            is_refused: false,
        }
    }
}

#[cfg(test)]
mod tests;
