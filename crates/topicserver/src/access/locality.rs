//! Which addresses are the server's own network: the private ones, and the networks in
//! which the machine's interfaces are.

use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::network::Network;
use crate::peer;

/// How long the list of interfaces is used for a peer that isn't in it. Networks and prefixes
/// change, and reading the list takes only some microseconds.
const FRESH: Duration = Duration::from_secs(1);

/// In an IPv6 network a machine can take any address of a /64.
const SHORTEST_V6: u8 = 64;

/// Why a client outside the network isn't served, and what to do about it.
pub(crate) const REFUSAL: &str = "this server asks nobody for a password, so it serves only its \
    own network; start it with --auth FILE to say who may come in, or with --open-to-all";

/// Knows the networks of the machine.
#[derive(Default)]
pub(crate) struct Locality(Mutex<Own>);

#[derive(Default)]
struct Own {
    networks: Vec<Network>,
    read: Option<Instant>,
}

/// An address of the machine, and its network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Interface {
    pub(crate) address: IpAddr,
    pub(crate) network: Network,
}

impl Locality {
    /// Whether a peer at this address is in the server's own network. Whoever uses the UNIX
    /// socket is on its machine.
    pub(crate) fn is_local(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        peer::user_of(peer).is_some() || is_private(peer) || self.is_own(peer)
    }

    fn is_own(&self, peer: IpAddr) -> bool {
        let mut own = self.0.lock();
        let has = |own: &Own| own.networks.iter().any(|network| network.contains(peer));
        if has(&own) {
            return true;
        }
        let now = Instant::now();
        if own.read.is_some_and(|read| now - read < FRESH) {
            return false;
        }
        own.read = Some(now);
        own.networks = interfaces().iter().map(|own| own.network).collect();
        has(&own)
    }
}

/// Whether the address isn't a public one: loopback, private, link-local, and the shared
/// addresses of providers and overlay networks.
pub(crate) fn is_private(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let [first, second, ..] = v4.octets();
            let is_shared = first == 100 && (64..128).contains(&second);
            v4.is_loopback() || v4.is_private() || v4.is_link_local() || is_shared
        }
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unicast_link_local() || v6.is_unique_local(),
    }
}

/// The network of an interface: at most a /64 of IPv6, and with a wrong mask only the address
/// itself.
fn network_of(address: IpAddr, mask: IpAddr) -> Network {
    let ones = match mask {
        IpAddr::V4(mask) => mask.to_bits().leading_ones(),
        IpAddr::V6(mask) => mask.to_bits().leading_ones(),
    };
    let ones = u8::try_from(ones).unwrap_or(u8::MAX);
    match address {
        IpAddr::V4(_) if ones == 0 => Network::new(address, 32),
        IpAddr::V4(_) => Network::new(address, ones),
        IpAddr::V6(_) => Network::new(address, ones.max(SHORTEST_V6)),
    }
}

/// The machine's addresses; none if the system doesn't list them.
#[cfg(unix)]
pub(crate) fn interfaces() -> Vec<Interface> {
    use nix::net::if_::InterfaceFlags;
    use nix::sys::socket::SockaddrStorage;

    let ip = |address: &SockaddrStorage| {
        let v4 = address.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
        v4.or_else(|| address.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip())))
    };
    let Ok(all) = nix::ifaddrs::getifaddrs() else {
        return Vec::new();
    };
    let up = all.filter(|one| one.flags.contains(InterfaceFlags::IFF_UP));
    up.filter_map(|one| {
        let address = ip(one.address.as_ref()?)?;
        let all_ones = IpAddr::V6(Ipv6Addr::from_bits(u128::MAX));
        let mask = one.netmask.as_ref().and_then(ip).unwrap_or(all_ones);
        let network = network_of(address, mask);
        Some(Interface { address, network })
    })
    .collect()
}

#[cfg(not(unix))]
pub(crate) fn interfaces() -> Vec<Interface> {
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn private_addresses_are_local_and_those_of_the_internet_are_not() {
        for address in [
            "127.0.0.1",
            "127.9.9.9",
            "::1",
            "10.1.2.3",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "169.254.3.4",
            "100.64.0.1",
            "100.127.255.255",
            "fe80::1",
            "fd12::1",
            "::ffff:192.168.1.1",
        ] {
            assert!(is_private(ip(address)), "{address}");
        }
        for address in [
            "8.8.8.8",
            "172.32.0.1",
            "100.63.255.255",
            "100.128.0.0",
            "192.169.0.1",
            "2001:db8::1",
            "::ffff:8.8.8.8",
            "0.0.0.0",
            "::",
        ] {
            assert!(!is_private(ip(address)), "{address}");
        }
    }

    #[test]
    fn an_interfaces_network_is_local_and_no_wrong_mask_makes_it_the_internet() {
        let network = |address, mask| network_of(ip(address), ip(mask));
        let office = network("203.0.113.9", "255.255.255.192");
        assert!(office.contains(ip("203.0.113.1")));
        assert!(!office.contains(ip("203.0.113.64")));
        assert!(!network("203.0.113.9", "0.0.0.0").contains(ip("203.0.113.8")));
        let home = network("2001:db8::9", "ffff:ffff::");
        assert!(home.contains(ip("2001:db8::ffff")));
        assert!(!home.contains(ip("2001:db8:0:1::9")));
    }

    #[cfg(unix)]
    #[test]
    fn the_machine_has_its_loopback_address() {
        let all = interfaces();
        assert!(all.iter().any(|own| own.address.is_loopback()), "{all:?}");
        assert!(Locality::default().is_local(ip("127.0.0.1")));
    }
}
