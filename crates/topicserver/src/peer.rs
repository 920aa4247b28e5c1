//! The addresses of peers. A peer of the UNIX socket has a user instead of an address: here the
//! user gets an address, so that limits, locality and accounts need no second kind of peer.
//!
//! The address is a multicast address of a reserved scope. No packet comes from one, and a proxy
//! that forwards one is refused, so nobody else can have it. One user is one IPv6 /64, which is
//! what counts as one client.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The upper 32 bits of such an address. The next 32 are the user's number; the others are 0.
const BLOCK: u128 = 0xff0f_756e;

/// The address of a peer on the UNIX socket that runs as this user.
pub(crate) fn of_user(uid: u32) -> SocketAddr {
    let bits = BLOCK << 96 | u128::from(uid) << 64;
    SocketAddr::new(Ipv6Addr::from_bits(bits).into(), 0)
}

/// The user of a peer on the UNIX socket; `None` for every other peer.
pub(crate) fn user_of(ip: IpAddr) -> Option<u32> {
    let IpAddr::V6(ip) = ip else {
        return None;
    };
    let bits = ip.to_bits();
    let is_user = bits >> 96 == BLOCK && bits as u64 == 0;
    is_user.then_some((bits >> 64) as u32)
}

/// The address as frames name it: for a peer on the UNIX socket, that it is on this machine.
pub(crate) fn named(ip: IpAddr) -> IpAddr {
    match user_of(ip) {
        Some(_) => Ipv4Addr::LOCALHOST.into(),
        None => ip,
    }
}

/// The same, with the port.
pub(crate) fn endpoint(peer: SocketAddr) -> SocketAddr {
    SocketAddr::new(named(peer.ip()), peer.port())
}

/// A peer as logs name it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shown(pub(crate) SocketAddr);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match user_of(self.0.ip()) {
            Some(uid) => write!(f, "unix user {uid}"),
            None => self.0.fmt(f),
        }
    }
}

impl serde::Serialize for Shown {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_has_an_address_that_no_other_peer_can_have() {
        for uid in [0, 1, 1000, 65_534, u32::MAX] {
            let peer = of_user(uid);
            assert!(peer.ip().is_multicast(), "{peer}");
            assert_eq!(user_of(peer.ip()), Some(uid));
            assert_eq!(user_of(peer.ip().to_canonical()), Some(uid));
            assert_eq!(Shown(peer).to_string(), format!("unix user {uid}"));
            assert_eq!(endpoint(peer).to_string(), "127.0.0.1:0");
        }
        for other in [
            "127.0.0.1:7",
            "[::1]:7",
            "[ff0f:756e:0:1::1]:7",
            "[ff0e:756e::]:7",
        ] {
            let peer: SocketAddr = other.parse().unwrap();
            assert_eq!(user_of(peer.ip()), None);
            assert_eq!(Shown(peer).to_string(), other);
            assert_eq!(endpoint(peer), peer);
        }
    }
}
