//! A server's address, and whether to use TLS, as people type it.

use std::fmt;
use std::str::FromStr;

use wire::{Address, AddressError};

use crate::pin::{Pin, PinError};

/// The scheme for TLS.
const TLS: &str = "tls://";
/// The scheme for plain TCP.
const TCP: &str = "tcp://";

/// A server's address: `HOST:PORT`, `tcp://HOST:PORT`, `tls://HOST:PORT`, or
/// `tls://HOST:PORT#sha256:BASE64` with the fingerprint of its key; `unix:PATH` on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerAddress {
    /// Host and port.
    pub address: Address,
    /// Whether to use TLS.
    pub security: Security,
    /// The fingerprint of its key, for a self-signed certificate.
    pub pin: Option<Pin>,
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

impl From<Address> for ServerAddress {
    fn from(address: Address) -> Self {
        let security = match address.socket_path() {
            Some(_) => Security::Plain,
            None => Security::Automatic,
        };
        Self {
            address,
            security,
            pin: None,
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
        let (address, pin) = match rest.split_once('#') {
            Some(_) if security != Security::Tls => {
                return Err(ServerAddressError::PinWithoutTls(rest.into()));
            }
            Some((address, pin)) => (address, Some(pin.parse()?)),
            None => (rest, None),
        };
        Ok(Self {
            address: address.parse()?,
            security,
            pin,
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
        match self.pin {
            Some(pin) => write!(f, "#{pin}"),
            None => Ok(()),
        }
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
            assert_eq!((server.security, server.pin), (security, None), "{text}");
            assert_eq!(server.to_string(), text);
        }
        let text = format!("tls://lab:20000#{PIN}");
        let server: ServerAddress = text.parse().expect("right");
        assert_eq!(server.pin, PIN.parse().ok());
        assert_eq!(server.to_string(), text);
    }

    #[test]
    fn a_unix_socket_needs_no_tls() {
        let server: ServerAddress = "unix:/run/n#x".parse().expect("right");
        assert_eq!(server.address.socket_path(), Some("/run/n#x"));
        assert_eq!((server.security, server.pin), (Security::Plain, None));
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
