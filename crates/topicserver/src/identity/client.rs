//! Who is on a connection, as far as others, and the history, are to know.

use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use siphasher::sip::SipHasher13;
use wire::{ClientKey, Person, UserName};

/// Somebody on an extended connection.
#[derive(Debug)]
pub(crate) struct Identity {
    /// Under which messages are kept: never 0, which is a classic publisher's. It says
    /// which client it is, the same on a later connection if that has a key, and in its
    /// last bits which of the client's connections.
    pub(crate) publisher: u64,
    /// Under which ids are remembered.
    pub(crate) origin: u64,
    /// Others may have the same origin: it is only an address.
    pub(crate) is_shared: bool,
    /// It has said by a key which client it is.
    has_key: bool,
    /// The name.
    pub(crate) user: Option<UserName>,
    /// Where the connection comes from.
    ip: IpAddr,
    /// The port that was announced, or the connection's.
    port: u16,
}

/// The bits of a publisher that say which connection it is. Two connections of one client
/// are only taken for one if 65,535 others registered between them.
const CONNECTION_BITS: u32 = 16;

/// The connections that have registered so far.
static CONNECTIONS: AtomicU64 = AtomicU64::new(0);

/// Whether two publishers are the same client, maybe on different connections.
pub(crate) fn is_same_client(one: u64, other: u64) -> bool {
    one >> CONNECTION_BITS == other >> CONNECTION_BITS
}

/// The publisher that a client is on a new connection.
fn on_new_connection(client: u64) -> u64 {
    let connection = CONNECTIONS.fetch_add(1, Relaxed) & ((1 << CONNECTION_BITS) - 1);
    ((client >> CONNECTION_BITS << CONNECTION_BITS) | connection).max(1)
}

/// Hashes that can't be foreseen, because their key is a secret, and that are the
/// same as long as what they are kept with.
#[derive(Clone)]
pub(crate) struct Hashes {
    key: [u8; 16],
}

impl Hashes {
    pub(crate) fn new(key: [u8; 16]) -> Self {
        Self { key }
    }

    /// Hashes for as long as the server runs.
    pub(crate) fn random() -> Self {
        let mut key = [0; 16];
        key[..8].copy_from_slice(&random().to_le_bytes());
        key[8..].copy_from_slice(&random().to_le_bytes());
        Self { key }
    }

    /// Of a text; `kind` keeps texts of different meaning apart.
    pub(crate) fn of(&self, kind: &str, text: &[u8]) -> u64 {
        let mut hasher = SipHasher13::new_with_key(&self.key);
        (kind, text).hash(&mut hasher);
        hasher.finish()
    }

    /// Whose ids come from an address without a name or a key.
    pub(crate) fn origin_of(&self, ip: IpAddr) -> u64 {
        self.of("ip", ip.to_string().as_bytes())
    }
}

impl Identity {
    /// Who comes from `peer` with these. Ids are remembered for a client's key; for
    /// a name if there is no key; for an address if there is no name.
    pub(crate) fn new(
        hashes: &Hashes,
        peer: SocketAddr,
        user: Option<UserName>,
        client: Option<&ClientKey>,
        port: Option<u16>,
    ) -> Self {
        let key = client.map(|key| hashes.of("client", key.as_str().as_bytes()));
        let named = |name: &UserName| hashes.of("user", name.as_str().as_bytes());
        Self {
            publisher: on_new_connection(key.unwrap_or_else(random)),
            has_key: key.is_some(),
            is_shared: key.is_none() && user.is_none(),
            origin: key
                .or_else(|| user.as_ref().map(named))
                .unwrap_or_else(|| hashes.origin_of(peer.ip())),
            user,
            ip: peer.ip(),
            port: port.unwrap_or(peer.port()),
        }
    }

    /// The same as `known`, on the same connection, which says now who it is.
    pub(crate) fn going_on(self, known: Option<&Self>) -> Self {
        match known {
            // With a key it may be another client than without.
            Some(known) if self.is_client_of(known) || !self.has_key => Self {
                publisher: known.publisher,
                ..self
            },
            _ => self,
        }
    }

    /// Whether it is the same client, maybe on another connection.
    pub(crate) fn is_client_of(&self, other: &Self) -> bool {
        is_same_client(self.publisher, other.publisher)
    }

    /// As others are told; `None` of somebody without a name.
    pub(crate) fn person(&self) -> Option<Person<'_>> {
        Some(Person {
            user: self.user.as_ref()?.as_str().into(),
            ip: self.ip.to_string().into(),
            port: self.port.to_string().into(),
        })
    }
}

/// A number that can't be foreseen: the standard library seeds each of its hashers
/// with one.
pub(crate) fn random() -> u64 {
    #[expect(
        clippy::disallowed_methods,
        reason = "the standard library seeds it with a random number"
    )]
    RandomState::new().build_hasher().finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_with_a_key_is_the_same_when_it_comes_back() {
        let hashes = Hashes::random();
        let peer = |port| SocketAddr::from(([10, 0, 0, 1], port));
        let key = ClientKey::new;
        let identity = |port, user: Option<&str>, key: Option<&str>| {
            let user = user.map(|name| UserName::new(name).unwrap());
            let key = key.and_then(ClientKey::new);
            let identity = Identity::new(&hashes, peer(port), user, key.as_ref(), None);
            (identity.publisher >> CONNECTION_BITS, identity.origin)
        };
        assert_eq!(
            identity(1, Some("a"), Some("k")),
            identity(2, None, Some("k"))
        );
        let publisher = || Identity::new(&hashes, peer(1), None, key("k").as_ref(), None).publisher;
        assert_ne!(publisher(), publisher());
        let (named, again) = (identity(1, Some("a"), None), identity(2, Some("a"), None));
        assert_eq!(named.1, again.1);
        assert_ne!(named.0, again.0);
        assert_eq!(identity(1, None, None).1, identity(2, None, None).1);
        assert_ne!(
            identity(1, Some("k"), None).1,
            identity(1, None, Some("k")).1
        );
    }
}
