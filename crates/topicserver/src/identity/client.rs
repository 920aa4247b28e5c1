//! The identity of a connection, for other clients and for the history.

use std::hash::{Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use siphasher::sip::SipHasher13;
use wire::{ClientKey, Person, UserName};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::peer;

/// The client of an extended connection.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    /// The publisher's number in the history. Never 0, which stands for classic publishers. The
    /// lowest bits are the number of the connection, the others that of the client. A client with
    /// a key has the same number on every connection.
    pub(crate) publisher: u64,
    /// The number under which ids are remembered.
    pub(crate) origin: u64,
    /// Other clients may have the same origin, because it doesn't come from a key.
    pub(crate) is_shared: bool,
    /// The client has sent a key.
    has_key: bool,
    /// The name.
    pub(crate) user: Option<UserName>,
    /// The account that it has proven to own.
    pub(crate) account: Option<UserName>,
    /// The address of the connection.
    ip: IpAddr,
    /// The port that was announced, or the connection's.
    port: u16,
}

/// The bits of a publisher's number that say which connection it is. Two connections of one
/// client are taken for one only if 65,535 others registered between them.
const CONNECTION_BITS: u32 = 16;

/// Whether two publishers are the same client, maybe on different connections.
pub(crate) fn is_same_client(one: u64, other: u64) -> bool {
    one >> CONNECTION_BITS == other >> CONNECTION_BITS
}

/// The publisher's number of a client on the connection with this number.
fn publisher_of(client: u64, connection: u64) -> u64 {
    let connection = connection & ((1 << CONNECTION_BITS) - 1);
    ((client >> CONNECTION_BITS << CONNECTION_BITS) | connection).max(1)
}

/// The operating system gives no random numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the operating system gives no random numbers: {0}")]
pub struct NoRandomness(#[from] getrandom::Error);

/// Keyed hashes. The key is secret, so clients cannot predict them.
pub(crate) struct Hashes {
    /// The key of hashes that are stored; it lives as long as the store.
    key: [u8; 16],
    /// The key of other hashes; it lives as long as the server runs.
    run_key: [u8; 16],
    /// Connections that have registered so far.
    connections: AtomicU64,
}

impl Hashes {
    /// Hashes with a key that was kept. Fails if the system gives no random numbers for the key
    /// of this run.
    pub(crate) fn new(key: [u8; 16]) -> Result<Self, NoRandomness> {
        Ok(Self {
            key,
            run_key: random_key()?,
            connections: AtomicU64::new(0),
        })
    }

    /// Hashes for as long as the server runs.
    pub(crate) fn random() -> Result<Self, NoRandomness> {
        Self::new(random_key()?)
    }

    /// The same for a server of a cluster: two connections of one client, at two servers, are to
    /// have different numbers, so each server begins to count somewhere else.
    pub(crate) fn in_cluster(self) -> Self {
        let [a, b, ..] = self.run_key;
        let begin = u64::from(u16::from_le_bytes([a, b]));
        Self {
            connections: AtomicU64::new(begin),
            ..self
        }
    }

    /// The hash of a text. `kind` separates texts of different meaning.
    pub(crate) fn of(&self, kind: &str, text: &[u8]) -> u64 {
        hash(&self.key, (kind, text))
    }

    /// An unpredictable number for a connection without a client key. It differs from
    /// one run of the server to the next, because the history may outlive the run.
    fn of_connection(&self, number: u64) -> u64 {
        hash(&self.run_key, number)
    }

    /// The hash of a message's text, to notice another text. It is made for each message with an
    /// id, so it is a fast one. Predicting it gains nothing.
    pub(crate) fn of_text(&self, text: &[u8]) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.key;
        let seed = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
        xxh3_64_with_seed(text, seed)
    }

    /// The number of a client, the same on all servers of a cluster.
    pub(crate) fn client_of(&self, key: &ClientKey) -> u64 {
        self.of("client", key.as_str().as_bytes()) >> CONNECTION_BITS
    }

    /// The origin of ids from an address without a name or a key.
    pub(crate) fn origin_of(&self, ip: IpAddr) -> u64 {
        self.of("ip", ip.to_string().as_bytes())
    }
}

impl Identity {
    /// The identity of a connection from `peer`. Ids belong to the client key, which only that
    /// client knows; without a key to the name at the address.
    pub(crate) fn new(
        hashes: &Hashes,
        peer: SocketAddr,
        user: Option<UserName>,
        client: Option<&ClientKey>,
        port: Option<u16>,
    ) -> Self {
        let key = client.map(|key| hashes.of("client", key.as_str().as_bytes()));
        let number = hashes.connections.fetch_add(1, Relaxed);
        let ip = peer.ip();
        let named = |name: &UserName| hashes.of("user", format!("{ip} {name}").as_bytes());
        Self {
            publisher: publisher_of(key.unwrap_or_else(|| hashes.of_connection(number)), number),
            has_key: key.is_some(),
            is_shared: key.is_none(),
            origin: key
                .or_else(|| user.as_ref().map(named))
                .unwrap_or_else(|| hashes.origin_of(peer.ip())),
            user,
            account: None,
            ip: peer.ip(),
            port: port.unwrap_or(peer.port()),
        }
    }

    /// What a record of the cluster's log says of a publisher; `None` of a classic one.
    pub(crate) fn of_publisher(
        publisher: u64,
        user: Option<UserName>,
        account: Option<UserName>,
    ) -> Option<Self> {
        (publisher != 0 || user.is_some()).then_some(Self {
            publisher,
            origin: 0,
            is_shared: true,
            has_key: false,
            user,
            account,
            ip: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            port: 0,
        })
    }

    /// The same identity, with the account that it has proven to own.
    pub(crate) fn with_account(self, account: Option<UserName>) -> Self {
        Self { account, ..self }
    }

    /// The identity of a connection that registers again, after it was `known`.
    pub(crate) fn going_on(self, known: Option<&Self>) -> Self {
        match known {
            // With a key it may be another client than before without one.
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

    /// The description for other clients; `None` without a name.
    pub(crate) fn person(&self) -> Option<Person<'_>> {
        Some(Person {
            user: self.user.as_ref()?.as_str().into(),
            ip: peer::named(self.ip).to_string().into(),
            port: self.port.to_string().into(),
        })
    }
}

fn hash(key: &[u8; 16], value: impl Hash) -> u64 {
    let mut hasher = SipHasher13::new_with_key(key);
    value.hash(&mut hasher);
    hasher.finish()
}

/// 16 bytes from the operating system.
fn random_key() -> Result<[u8; 16], NoRandomness> {
    let mut key = [0; 16];
    getrandom::fill(&mut key)?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_with_a_key_is_the_same_when_it_comes_back() {
        let hashes = Hashes::random().unwrap();
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

    #[test]
    fn connections_without_a_key_have_other_numbers_in_each_run_of_the_server() {
        let numbers = |key| {
            let hashes = Hashes::new(key).unwrap();
            let peer = SocketAddr::from(([10, 0, 0, 1], 7));
            let number = || Identity::new(&hashes, peer, None, None, None).publisher;
            [number(), number(), number()]
        };
        let kept = [7; 16];
        let mut all = [numbers(kept), numbers(kept)].concat();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 6, "each of two runs gives three of its own");
    }

    #[test]
    fn a_secret_has_no_source_but_the_operating_system() {
        // The standard library's hashers are keyed once per thread and then count up:
        // one of their keys gives away the next.
        let mut folders = vec![std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src")];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|kind| kind == "rs") {
                    let text = std::fs::read_to_string(&path).unwrap();
                    assert!(!text.contains(concat!("Random", "State")), "{path:?}");
                }
            }
        }
    }
}
