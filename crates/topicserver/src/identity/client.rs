//! Who is on a connection, as far as others, and the history, are to know.

use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::net::{IpAddr, SocketAddr};

use siphasher::sip::SipHasher13;
use wire::{ClientKey, Person, UserName};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Somebody on an extended connection.
#[derive(Debug)]
pub(crate) struct Identity {
    /// Under which messages are kept: never 0, which is a classic publisher's. The
    /// same on a later connection of the same client, if that has a key.
    pub(crate) publisher: u64,
    /// Under which ids are remembered.
    pub(crate) origin: u64,
    /// Others may have the same origin: it isn't a key.
    pub(crate) is_shared: bool,
    /// The name.
    pub(crate) user: Option<UserName>,
    /// Where the connection comes from.
    ip: IpAddr,
    /// The port that was announced, or the connection's.
    port: u16,
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

    /// Of what a message says, to notice another text. It is made for each message with an
    /// id, and nobody gains anything by foreseeing it: fast.
    pub(crate) fn of_text(&self, text: &[u8]) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.key;
        let seed = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
        xxh3_64_with_seed(text, seed)
    }

    /// Whose ids come from an address without a name or a key.
    pub(crate) fn origin_of(&self, ip: IpAddr) -> u64 {
        self.of("ip", ip.to_string().as_bytes())
    }
}

impl Identity {
    /// Who comes from `peer` with these. Ids are remembered for a client's key, which only
    /// that client knows; without one, for the name at the address.
    pub(crate) fn new(
        hashes: &Hashes,
        peer: SocketAddr,
        user: Option<UserName>,
        client: Option<&ClientKey>,
        port: Option<u16>,
    ) -> Self {
        let key = client.map(|key| hashes.of("client", key.as_str().as_bytes()));
        let ip = peer.ip();
        let named = |name: &UserName| hashes.of("user", format!("{ip} {name}").as_bytes());
        Self {
            publisher: key.unwrap_or_else(random).max(1),
            is_shared: key.is_none(),
            origin: key
                .or_else(|| user.as_ref().map(named))
                .unwrap_or_else(|| hashes.origin_of(peer.ip())),
            user,
            ip: peer.ip(),
            port: port.unwrap_or(peer.port()),
        }
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
}
