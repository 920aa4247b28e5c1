//! Blocks of IP addresses, as options and files name them.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// A block of IP addresses: `192.168.7.0/24`, `2001:db8::/32`, or one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Network {
    /// The first address of the block. IPv4 is never written as IPv6.
    address: IpAddr,
    /// The number of bits that all addresses of the block have in common.
    prefix: u8,
}

/// Why a text is no block of addresses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// There is no address in it.
    #[error(
        "{0:?} is no network; one is written as 192.168.7.0/24, 2001:db8::/32, or as one IP \
         address"
    )]
    Address(Box<str>),
    /// The part behind the slash.
    #[error("{0:?} is not the length of a prefix; it is 0 to {1} here")]
    Prefix(Box<str>, u8),
    /// The address has bits behind the prefix.
    #[error(
        "{0}/{1} is an address in a network; write {net} for the network, or {0} for the address",
        net = Network::new(*.0, *.1)
    )]
    NotFirst(IpAddr, u8),
}

impl Network {
    /// Providers give each customer at least a /64 of IPv6, and a machine can use any address
    /// in it.
    const CUSTOMER_PREFIX: u8 = 64;

    /// The network that counts as one client: an IPv4 address, or an IPv6 /64.
    pub(crate) fn of_client(ip: IpAddr) -> Self {
        match ip.to_canonical() {
            IpAddr::V4(ip) => Self::new(ip.into(), 32),
            IpAddr::V6(ip) => Self::new(ip.into(), Self::CUSTOMER_PREFIX),
        }
    }

    /// The block with this prefix that `address` is in.
    pub(crate) fn new(address: IpAddr, prefix: u8) -> Self {
        let (address, prefix) = match address {
            IpAddr::V4(ip) => {
                let prefix = prefix.min(32);
                let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
                (Ipv4Addr::from_bits(ip.to_bits() & mask).into(), prefix)
            }
            IpAddr::V6(ip) => {
                let prefix = prefix.min(128);
                let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
                (Ipv6Addr::from_bits(ip.to_bits() & mask).into(), prefix)
            }
        };
        Self { address, prefix }
    }

    /// How many bits the addresses have in common: of two blocks that contain an address,
    /// the one with the longer prefix says more.
    pub(crate) fn length(self) -> u8 {
        self.prefix
    }

    /// Whether there is one address in the block.
    pub(crate) fn is_address(self) -> bool {
        self.prefix == if self.address.is_ipv4() { 32 } else { 128 }
    }

    /// Its first address.
    pub(crate) fn first(&self) -> IpAddr {
        self.address
    }

    /// Whether an address is in the block, IPv4 also when it is written as IPv6.
    pub(crate) fn contains(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        ip.is_ipv4() == self.address.is_ipv4() && Self::new(ip, self.prefix) == *self
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let wrong = |_| NetworkError::Address(text.into());
        let ip: IpAddr = address.parse().map_err(wrong)?;
        let ip = ip.to_canonical();
        let longest = if ip.is_ipv4() { 32 } else { 128 };
        let length = match prefix {
            None => longest,
            Some(prefix) => prefix
                .parse()
                .ok()
                .filter(|length| *length <= longest)
                .ok_or_else(|| NetworkError::Prefix(prefix.into(), longest))?,
        };
        let network = Self::new(ip, length);
        if network.address != ip {
            return Err(NetworkError::NotFirst(ip, length));
        }
        Ok(network)
    }
}

/// A block of one address is written as this address.
impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.is_address() {
            true => write!(f, "{}", self.address),
            false => write!(f, "{}/{}", self.address, self.prefix),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> Network {
        text.parse().unwrap()
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_network_contains_what_has_its_prefix() {
        for (block, inside, outside) in [
            ("192.168.7.0/24", "192.168.7.255", "192.168.8.0"),
            ("10.0.0.0/8", "::ffff:10.1.2.3", "11.0.0.0"),
            ("127.0.0.1", "127.0.0.1", "127.0.0.2"),
            ("2001:db8::/32", "2001:db8:ffff::1", "2001:db9::"),
            ("::1", "::1", "127.0.0.1"),
            ("0.0.0.0/0", "203.0.113.9", "2001:db8::1"),
            ("::/0", "2001:db8::1", "203.0.113.9"),
            ("::ffff:10.1.2.3", "10.1.2.3", "10.1.2.4"),
        ] {
            assert!(network(block).contains(ip(inside)), "{block} {inside}");
            assert!(!network(block).contains(ip(outside)), "{block} {outside}");
        }
    }

    #[test]
    fn a_network_is_written_as_it_is_read() {
        for text in [
            "192.168.7.0/24",
            "127.0.0.1",
            "2001:db8::/32",
            "::1",
            "::/0",
        ] {
            assert_eq!(network(text).to_string(), text);
        }
        assert_eq!(network("127.0.0.1/32").to_string(), "127.0.0.1");
    }

    #[test]
    fn what_is_wrong_with_a_network_is_said() {
        let error = |text: &str| text.parse::<Network>().unwrap_err().to_string();
        assert!(error("lab/24").contains("\"lab/24\" is no network"));
        assert!(error("").contains("is no network"));
        assert!(error("10.0.0.0/33").contains("0 to 32"));
        assert!(error("::/129").contains("0 to 128"));
        assert!(error("10.0.0.0/").contains("0 to 32"));
        assert_eq!(
            error("192.168.7.5/24"),
            "192.168.7.5/24 is an address in a network; write 192.168.7.0/24 for the network, or \
             192.168.7.5 for the address"
        );
    }

    #[test]
    fn one_client_is_an_address_or_a_slash_64() {
        let of = |text| Network::of_client(ip(text)).to_string();
        assert_eq!(of("203.0.113.9"), "203.0.113.9");
        assert_eq!(of("::ffff:203.0.113.9"), "203.0.113.9");
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64");
        assert_eq!(of("2001:db8:1:2::"), of("2001:db8:1:2:ffff::"));
    }
}
