//! The identity of a connection: what other clients and the history know of it.

use std::hash::{Hash, Hasher};
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use siphasher::sip::SipHasher13;
use wire::{ClientKey, Person, UserName};

/// The client of an extended connection.
#[derive(Debug)]
pub(crate) struct Identity {
    /// The publisher's number in the history. Never 0, which stands for classic publishers.
    /// A client with a key has the same number on every connection.
    pub(crate) publisher: u64,
    /// The number under which ids are remembered.
    pub(crate) origin: u64,
    /// The origin is only an address, which other clients may share.
    pub(crate) is_shared: bool,
    /// The name.
    pub(crate) user: Option<UserName>,
    /// Where the connection comes from.
    ip: IpAddr,
    /// The port that was announced, or the connection's.
    port: u16,
}

/// The operating system has no random numbers to give.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the operating system gives no random numbers: {0}")]
pub struct NoRandomness(#[from] getrandom::Error);

/// Keyed hashes. The key is secret, so clients cannot predict them.
pub(crate) struct Hashes {
    /// Lives as long as what the hashes are kept with.
    key: [u8; 16],
    /// Lives as long as the server runs.
    run_key: [u8; 16],
    /// Connections without a client key so far.
    connections: AtomicU64,
}

impl Hashes {
    /// Hashes with a key that was kept. Fails if the system has no random numbers for
    /// what must differ from one run of the server to the next.
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

    /// Of a text; `kind` keeps texts of different meaning apart.
    pub(crate) fn of(&self, kind: &str, text: &[u8]) -> u64 {
        hash(&self.key, (kind, text))
    }

    /// An unpredictable number for a connection without a client key. It differs from
    /// one run of the server to the next, because the history may outlive the run.
    fn of_next_connection(&self) -> u64 {
        hash(&self.run_key, self.connections.fetch_add(1, Relaxed))
    }

    /// The origin of ids from an address without a name or a key.
    pub(crate) fn origin_of(&self, ip: IpAddr) -> u64 {
        self.of("ip", ip.to_string().as_bytes())
    }
}

impl Identity {
    /// The identity of a connection from `peer`. Ids belong to the client key, without a key
    /// to the name, and without a name to the address.
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
            publisher: key.unwrap_or_else(|| hashes.of_next_connection()).max(1),
            is_shared: key.is_none() && user.is_none(),
            origin: key
                .or_else(|| user.as_ref().map(named))
                .unwrap_or_else(|| hashes.origin_of(peer.ip())),
            user,
            ip: peer.ip(),
            port: port.unwrap_or(peer.port()),
        }
    }

    /// What others are told; `None` without a name.
    pub(crate) fn person(&self) -> Option<Person<'_>> {
        Some(Person {
            user: self.user.as_ref()?.as_str().into(),
            ip: self.ip.to_string().into(),
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
        let identity = |port, user: Option<&str>, key: Option<&str>| {
            let user = user.map(|name| UserName::new(name).unwrap());
            let key = key.and_then(ClientKey::new);
            let peer = SocketAddr::from(([10, 0, 0, 1], port));
            let identity = Identity::new(&hashes, peer, user, key.as_ref(), None);
            (identity.publisher, identity.origin)
        };
        assert_eq!(
            identity(1, Some("a"), Some("k")),
            identity(2, None, Some("k"))
        );
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
