//! The address of an outbox's peer.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering::Relaxed};

/// An address that changes once, early, when a proxy has named the client. It is kept in parts,
/// because a `SocketAddr` is larger by half and would need a lock.
pub(super) struct PeerAddress {
    /// The address as IPv6: its upper and its lower half.
    high: AtomicU64,
    low: AtomicU64,
    port: AtomicU16,
}

impl PeerAddress {
    pub(super) fn new(peer: SocketAddr) -> Self {
        let (high, low) = halves(peer.ip());
        Self {
            high: AtomicU64::new(high),
            low: AtomicU64::new(low),
            port: AtomicU16::new(peer.port()),
        }
    }

    /// The address. An IPv4-mapped address is given as IPv4.
    pub(super) fn get(&self) -> SocketAddr {
        let (high, low) = (self.high.load(Relaxed), self.low.load(Relaxed));
        let bits = u128::from(high) << 64 | u128::from(low);
        let ip = Ipv6Addr::from_bits(bits).to_canonical();
        SocketAddr::new(ip, self.port.load(Relaxed))
    }

    pub(super) fn set(&self, peer: SocketAddr) {
        let (high, low) = halves(peer.ip());
        self.high.store(high, Relaxed);
        self.low.store(low, Relaxed);
        self.port.store(peer.port(), Relaxed);
    }
}

fn halves(ip: IpAddr) -> (u64, u64) {
    let bits = match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    }
    .to_bits();
    ((bits >> 64) as u64, bits as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_comes_back_as_it_was_and_ipv4_as_ipv4() {
        for (given, expected) in [
            ("10.0.0.1:1", "10.0.0.1:1"),
            ("[::ffff:10.0.0.1]:65535", "10.0.0.1:65535"),
            ("[2001:db8::1:2]:0", "[2001:db8::1:2]:0"),
            ("[::1]:7", "[::1]:7"),
        ] {
            let (given, expected) = (given.parse().unwrap(), expected.parse().unwrap());
            let address = PeerAddress::new(given);
            assert_eq!(address.get(), expected);
            let other = PeerAddress::new(([1, 2, 3, 4], 5).into());
            other.set(given);
            assert_eq!(other.get(), expected);
        }
    }
}
