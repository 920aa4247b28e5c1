//! Networks: an address and how many of its bits count.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Addresses that begin with the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    first: IpAddr,
    /// Bits that count.
    length: u8,
}

/// Why a text is no network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no network; one is an address and the bits of it that count, as in 192.168.7.0/24"
)]
pub struct NetworkError(String);

impl Network {
    /// The network of an address, of which so many bits count; all of them if there aren't
    /// so many.
    pub(crate) fn new(address: IpAddr, length: u8) -> Self {
        let address = address.to_canonical();
        let length = length.min(bits(address));
        let first = match address {
            IpAddr::V4(v4) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0);
                IpAddr::V4(Ipv4Addr::from_bits(v4.to_bits() & mask))
            }
            IpAddr::V6(v6) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0);
                IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & mask))
            }
        };
        Self { first, length }
    }

    /// Whether this address is in it.
    pub(crate) fn contains(self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        bits(address) == bits(self.first) && Self::new(address, self.length) == self
    }

    /// How many bits count: of two networks that have an address, the one with more of them
    /// says more.
    pub(crate) fn length(self) -> u8 {
        self.length
    }
}

fn bits(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

impl std::str::FromStr for Network {
    type Err = NetworkError;

    /// A lone address is a network of one.
    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let error = || NetworkError(text.to_owned());
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| error())?;
        let most = bits(address);
        let length = match length {
            None => most,
            Some(length) => length.parse().map_err(|_| error())?,
        };
        if length > most {
            return Err(error());
        }
        // An IPv4 address that is written as IPv6 counts its bits as IPv6 does.
        let mapped = most - bits(address.to_canonical());
        Ok(Self::new(address, length.saturating_sub(mapped)))
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_has_the_addresses_that_begin_as_it_does() {
        for (network, inside, outside) in [
            ("192.168.7.0/24", "192.168.7.255", "192.168.8.0"),
            ("192.168.7.9/24", "::ffff:192.168.7.1", "::1"),
            ("10.0.0.1", "10.0.0.1", "10.0.0.2"),
            ("2001:db8::/32", "2001:db8:1::1", "2001:db9::"),
            ("::ffff:10.0.0.0/104", "10.1.2.3", "11.0.0.0"),
        ] {
            let network: Network = network.parse().unwrap();
            assert!(network.contains(inside.parse().unwrap()), "{network}");
            assert!(!network.contains(outside.parse().unwrap()), "{network}");
        }
        let all: Network = "0.0.0.0/0".parse().unwrap();
        assert!(all.contains("8.8.8.8".parse().unwrap()));
        for text in ["", "x", "10.0.0.0/33", "10.0.0.0/", "10.0.0/8", "::/129"] {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
    }
}
