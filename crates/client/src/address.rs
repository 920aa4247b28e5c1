//! A server's address, and whether to use TLS, as people type it.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use wire::{Address, AddressError};

use crate::pin::{Pin, PinError};

/// The scheme for TLS.
const TLS: &str = "tls://";
/// The scheme for plain TCP.
const TCP: &str = "tcp://";

/// A server's address: `HOST:PORT`, `tcp://HOST:PORT`, `tls://HOST:PORT`, or
/// `tls://HOST:PORT#sha256:BASE64` with the fingerprint of its key (or more than one, each behind
/// a `#`); `unix:PATH` on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerAddress {
    /// Host and port.
    pub address: Address,
    /// Whether to use TLS.
    pub security: Security,
    /// The fingerprints of the keys that it may have, for a self-signed certificate.
    pub pins: Vec<Pin>,
}

/// Whether to use TLS with a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    /// Plain TCP; TLS if a secret is sent to another machine, or if the server requires it.
    Automatic,
    /// Plain TCP.
    Plain,
    /// TLS.
    Tls,
}

/// Why a text is no address of a server.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ServerAddressError {
    /// Host and port are wrong.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// The text after `#` is no fingerprint.
    #[error(transparent)]
    Pin(#[from] PinError),
    /// A scheme before a UNIX socket.
    #[error("{0:?} is a UNIX socket, over which no TLS is spoken: write {0}")]
    SocketWithScheme(String),
    /// A fingerprint without TLS.
    #[error("{0:?} has a fingerprint, which only TLS can check: write tls://{0}")]
    PinWithoutTls(String),
}

impl ServerAddress {
    /// Whether the address is certainly this machine's: what is sent there doesn't leave it.
    pub fn is_here(&self) -> bool {
        let host = &self.address.host;
        let ip = host.parse::<IpAddr>();
        let is_socket = self.address.socket_path().is_some();
        is_socket || host == "localhost" || ip.is_ok_and(|ip| ip.to_canonical().is_loopback())
    }

    /// Adds what another entry says about the same address.
    pub(crate) fn merge(&mut self, other: Self) {
        if self.security != Security::Tls && other.security != Security::Automatic {
            self.security = other.security;
        }
        let new = other.pins.into_iter();
        let new = new.filter(|pin| !self.pins.contains(pin));
        self.pins.extend(new.collect::<Vec<_>>());
    }
}

impl From<Address> for ServerAddress {
    fn from(address: Address) -> Self {
        let security = match address.socket_path() {
            Some(_) => Security::Plain,
            None => Security::Automatic,
        };
        Self {
            address,
            security,
            pins: Vec::new(),
        }
    }
}

impl FromStr for ServerAddress {
    type Err = ServerAddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (security, rest) = match (text.strip_prefix(TLS), text.strip_prefix(TCP)) {
            (Some(rest), _) => (Security::Tls, rest),
            (_, Some(rest)) => (Security::Plain, rest),
            (None, None) => (Security::Automatic, text),
        };
        if rest.starts_with("unix:") {
            let address: Address = rest.parse()?;
            let is_socket = address.socket_path().is_some();
            match is_socket && security != Security::Automatic {
                true => return Err(ServerAddressError::SocketWithScheme(rest.into())),
                false if is_socket => return Ok(address.into()),
                false => {}
            }
        }
        let mut parts = rest.split('#');
        let address = parts.next().unwrap_or_default();
        let pins: Vec<&str> = parts.collect();
        if !pins.is_empty() && security != Security::Tls {
            return Err(ServerAddressError::PinWithoutTls(rest.into()));
        }
        Ok(Self {
            pins: pins.into_iter().map(str::parse).collect::<Result<_, _>>()?,
            address: address.parse()?,
            security,
        })
    }
}

impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.security {
            _ if self.address.socket_path().is_some() => "",
            Security::Automatic => "",
            Security::Plain => TCP,
            Security::Tls => TLS,
        })?;
        write!(f, "{}", self.address)?;
        self.pins.iter().try_for_each(|pin| write!(f, "#{pin}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PIN: &str = "sha256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";

    #[test]
    fn addresses_are_written_as_they_are_read() {
        for (text, security) in [
            ("lab:20000", Security::Automatic),
            ("tcp://127.0.0.1:1", Security::Plain),
            ("tls://[fe80::1%eth0]:1", Security::Tls),
        ] {
            let server: ServerAddress = text.parse().expect(text);
            assert_eq!(
                (server.security, server.pins.len()),
                (security, 0),
                "{text}"
            );
            assert_eq!(server.to_string(), text);
        }
        let pin: Pin = PIN.parse().expect("a pin");
        for pins in [vec![pin], vec![pin, Pin::of_key(b"the next one")]] {
            let texts: String = pins.iter().map(|pin| format!("#{pin}")).collect();
            let text = format!("tls://lab:20000{texts}");
            let server: ServerAddress = text.parse().expect("right");
            assert_eq!(server.pins, pins);
            assert_eq!(server.to_string(), text);
        }
    }

    #[test]
    fn a_unix_socket_needs_no_tls() {
        let server: ServerAddress = "unix:/run/n#x".parse().expect("right");
        assert_eq!(server.address.socket_path(), Some("/run/n#x"));
        assert_eq!((server.security, server.pins.len()), (Security::Plain, 0));
        assert_eq!(server.to_string(), "unix:/run/n#x");
        for text in ["tls://unix:/run/n", "tcp://unix:/run/n"] {
            let error = text.parse::<ServerAddress>().expect_err(text);
            let expected = ServerAddressError::SocketWithScheme("unix:/run/n".into());
            assert_eq!(error, expected);
        }
        let host: ServerAddress = "tls://unix:2000".parse().expect("a host");
        assert_eq!(host.security, Security::Tls);
    }

    #[test]
    fn what_is_wrong_is_said() {
        let error = |text: &str| text.parse::<ServerAddress>().expect_err(text);
        assert_eq!(
            error(&format!("lab:1#{PIN}")),
            ServerAddressError::PinWithoutTls(format!("lab:1#{PIN}"))
        );
        assert!(matches!(
            error(&format!("tcp://lab:1#{PIN}")),
            ServerAddressError::PinWithoutTls(_)
        ));
        assert!(matches!(error("tls://lab:1#x"), ServerAddressError::Pin(_)));
        for text in [
            "tls://lab",
            "tls://",
            "TLS://lab:1",
            "tls:lab:1",
            "ssl://lab:1",
        ] {
            assert!(
                matches!(error(text), ServerAddressError::Address(_)),
                "{text}"
            );
        }
    }
}
