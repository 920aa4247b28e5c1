//! The address of a listening peer, as people type it: `IP:PORT`, `[v6]:PORT`, `NAME:PORT`, and
//! `unix:PATH` on this machine.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

/// The type under which servers announce themselves to the local network, by DNS-SD.
pub const SERVICE_TYPE: &str = "_natter._tcp.local.";

/// What stands before the path of a UNIX socket.
const UNIX: &str = "unix:";

/// A host (an IP address or a name that is looked up later) and a port; or a UNIX socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// An IPv4 or IPv6 address without brackets, or a host's name; `unix:PATH` of a UNIX socket.
    pub host: String,
    /// 1 to 65535; 0 of a UNIX socket.
    pub port: u16,
}

/// Why a text is no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// There is no `:PORT` at the end.
    #[error("{0:?} has no port; an address is written HOST:PORT, for example 192.168.1.5:2000")]
    NoPort(String),
    /// The text after the last colon is no port.
    #[error("{0:?} is no port in {1:?}; a port is a number from 1 to 65535")]
    BadPort(String, String),
    /// There is nothing before the port.
    #[error("{0:?} has no host; an address is written HOST:PORT, for example 192.168.1.5:2000")]
    NoHost(String),
    /// An IPv6 address whose end and port can't be told apart.
    #[error("an IPv6 address stands in brackets: [::1]:2000, not {0:?}")]
    NoBrackets(String),
    /// The text between the brackets is no IPv6 address.
    #[error("{0:?} is no IPv6 address in {1:?}")]
    BadIpv6(String, String),
    /// A UNIX socket without a path, or with one that can't be typed.
    #[error("{0:?} names no UNIX socket; write unix:PATH, for example unix:/run/natter/socket")]
    BadPath(String),
    /// A host with a character that no host has.
    #[error("{0:?} is no host's name in {1:?}")]
    BadHost(String, String),
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(path) = text.strip_prefix(UNIX)
            && !is_number(path)
        {
            return match path.is_empty() || path.chars().any(char::is_control) {
                true => Err(AddressError::BadPath(text.into())),
                false => Ok(Self {
                    host: text.into(),
                    port: 0,
                }),
            };
        }
        let Some((host, port)) = text.rsplit_once(':') else {
            return Err(AddressError::NoPort(text.into()));
        };
        if text.ends_with(']') {
            return Err(AddressError::NoPort(text.into()));
        }
        let host = read_host(host, text)?;
        Ok(Self {
            host,
            port: read_port(port, text)?,
        })
    }
}

impl Address {
    /// The path, if this is a UNIX socket.
    pub fn socket_path(&self) -> Option<&str> {
        self.host.strip_prefix(UNIX).filter(|_| self.port == 0)
    }
}

/// Whether this is a port, of a host that is called `unix`.
fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Reads a port: digits alone, so that `+80` and ` 80` are refused.
fn read_port(port: &str, whole: &str) -> Result<u16, AddressError> {
    let digits = port.bytes().all(|byte| byte.is_ascii_digit());
    match port.parse() {
        Ok(number) if digits && number > 0 => Ok(number),
        _ => Err(AddressError::BadPort(port.into(), whole.into())),
    }
}

fn read_host(host: &str, whole: &str) -> Result<String, AddressError> {
    if let Some(inner) = host.strip_prefix('[') {
        let inner = inner.strip_suffix(']').unwrap_or(inner);
        return read_ipv6(inner, whole);
    }
    if host.contains(':') {
        return Err(AddressError::NoBrackets(whole.into()));
    }
    if host.is_empty() {
        return Err(AddressError::NoHost(whole.into()));
    }
    if host
        .chars()
        .any(|c| c.is_whitespace() || c.is_control() || "[]/@\\".contains(c))
    {
        return Err(AddressError::BadHost(host.into(), whole.into()));
    }
    Ok(host.into())
}

/// An IPv6 address, with or without the zone that a link-local one needs.
fn read_ipv6(inner: &str, whole: &str) -> Result<String, AddressError> {
    let (address, _zone) = inner.split_once('%').unwrap_or((inner, ""));
    match address.parse::<Ipv6Addr>() {
        Ok(_) => Ok(inner.into()),
        Err(_) => Err(AddressError::BadIpv6(inner.into(), whole.into())),
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.socket_path().is_some() {
            f.write_str(&self.host)
        } else if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_people_type_and_writes_it_back() {
        for (text, host, port) in [
            ("192.168.1.5:2000", "192.168.1.5", 2000),
            ("[::1]:2000", "::1", 2000),
            ("[fe80::1%eth0]:1", "fe80::1%eth0", 1),
            ("name:65535", "name", 65535),
            ("lab-3.example.org:20000", "lab-3.example.org", 20000),
        ] {
            let address: Address = text.parse().unwrap();
            assert_eq!((address.host.as_str(), address.port), (host, port));
            assert_eq!(address.to_string(), text);
        }
    }

    #[test]
    fn a_unix_socket_is_an_address_too() {
        for text in [
            "unix:/run/natter/socket",
            "unix:./2000",
            "unix:a b:c#d",
            "unix:x",
        ] {
            let address: Address = text.parse().unwrap();
            assert_eq!(address.socket_path(), text.strip_prefix("unix:"));
            assert_eq!(address.to_string(), text);
        }
        let host: Address = "unix:2000".parse().unwrap();
        assert_eq!((host.socket_path(), host.port), (None, 2000));
        for text in ["unix:", "unix:/a\nb", "unix:\0"] {
            let error = text.parse::<Address>().unwrap_err();
            assert_eq!(error, AddressError::BadPath(text.into()));
        }
    }

    #[test]
    fn says_what_is_wrong_with_anything_else() {
        use AddressError as E;
        let error = |text: &str| text.parse::<Address>().unwrap_err();
        assert!(matches!(error("localhost"), E::NoPort(_)));
        assert!(matches!(error("[::1]"), E::NoPort(_)));
        assert!(matches!(error(""), E::NoPort(_)));
        assert!(matches!(error(":2000"), E::NoHost(_)));
        assert!(matches!(error("::1:2000"), E::NoBrackets(_)));
        assert!(matches!(error("[::g]:2000"), E::BadIpv6(..)));
        assert!(matches!(error("[name]:2000"), E::BadIpv6(..)));
        assert!(matches!(error("a b:2000"), E::BadHost(..)));
        assert!(matches!(
            error("http://host:80"),
            E::NoBrackets(_) | E::BadHost(..)
        ));
        for port in ["", "0", "65536", "+80", " 80", "-1", "80x", "٣"] {
            assert!(
                matches!(error(&format!("host:{port}")), E::BadPort(..)),
                "{port:?}"
            );
        }
    }
}
