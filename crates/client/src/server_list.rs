//! The addresses of one service, as people type them: one server, or several that are equal.

use std::fmt;
use std::str::FromStr;

use crate::address::{Security, ServerAddress, ServerAddressError};

/// The addresses of one or more servers that are one service: `a:20000,tls://b:20000#sha256:…`.
/// At least one, none twice, and each with a scheme and fingerprints of its own.
///
/// Either all other machines are spoken to over TLS, or none: who could keep a client from the
/// one with TLS would otherwise read along at the next. So where one address says `tls://`, the
/// bare ones mean that too, and `tcp://` to another machine is an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerList(Vec<ServerAddress>);

/// Why a text has no addresses of servers.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ServerListError {
    /// The only address is wrong.
    #[error(transparent)]
    Single(#[from] ServerAddressError),
    /// One of several addresses is wrong.
    #[error("address {number} of {of}: {source}")]
    OneOf {
        /// Which one, from 1.
        number: usize,
        /// Of how many.
        of: usize,
        /// Why.
        source: ServerAddressError,
    },
    /// There is nothing between two commas, or at an end.
    #[error("address {number} of {of} is empty: there is a comma too many")]
    Empty {
        /// Which one, from 1.
        number: usize,
        /// Of how many.
        of: usize,
    },
    /// One address is for TLS and another one for plain text.
    #[error(
        "{plain} is plain text and {secure} is TLS: who can keep you from the one reads along at \
         the other; write tls:// before all of them, or before none"
    )]
    Mixed {
        /// An address for plain text.
        plain: String,
        /// An address for TLS.
        secure: String,
    },
}

impl ServerList {
    /// The list of these servers. Fails if there is none, with [`ServerListError::Empty`].
    pub fn new(servers: impl IntoIterator<Item = ServerAddress>) -> Result<Self, ServerListError> {
        let mut list: Vec<ServerAddress> = Vec::new();
        for server in servers {
            match list.iter_mut().find(|one| one.address == server.address) {
                Some(same) => same.merge(server),
                None => list.push(server),
            }
        }
        if list.is_empty() {
            return Err(ServerListError::Empty { number: 1, of: 1 });
        }
        let secure = list.iter().find(|one| one.security == Security::Tls);
        let is_elsewhere = |one: &&ServerAddress| !one.is_here();
        let mut plain = list.iter().filter(is_elsewhere);
        let plain = plain.find(|one| one.security == Security::Plain);
        if let (Some(secure), Some(plain)) = (secure, plain) {
            return Err(ServerListError::Mixed {
                plain: plain.to_string(),
                secure: secure.to_string(),
            });
        }
        if secure.is_some() {
            let open = |one: &&mut ServerAddress| one.security == Security::Automatic;
            let open = list.iter_mut().filter(open);
            open.for_each(|one| one.security = Security::Tls);
        }
        Ok(Self(list))
    }

    /// The servers. There is at least one.
    pub fn iter(&self) -> std::slice::Iter<'_, ServerAddress> {
        self.0.iter()
    }

    /// The addresses alone, for people: without schemes and fingerprints.
    pub fn addresses(&self) -> String {
        let addresses = self.iter().map(|server| server.address.to_string());
        addresses.collect::<Vec<_>>().join(",")
    }

    /// The texts of the addresses in a list, with what is wrong about the list itself.
    pub fn split(text: &str) -> Result<Vec<&str>, ServerListError> {
        let texts: Vec<&str> = text.split(',').map(str::trim).collect();
        let of = texts.len();
        match texts.iter().position(|text| text.is_empty() && of > 1) {
            Some(at) => Err(ServerListError::Empty { number: at + 1, of }),
            None => Ok(texts),
        }
    }
}

impl ServerListError {
    /// What is wrong with an address of a list.
    pub fn in_list(source: ServerAddressError, at: usize, of: usize) -> Self {
        match of {
            1 => Self::Single(source),
            of => Self::OneOf {
                number: at + 1,
                of,
                source,
            },
        }
    }
}

impl From<ServerAddress> for ServerList {
    fn from(server: ServerAddress) -> Self {
        Self(vec![server])
    }
}

impl<'a> IntoIterator for &'a ServerList {
    type Item = &'a ServerAddress;
    type IntoIter = std::slice::Iter<'a, ServerAddress>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl FromStr for ServerList {
    type Err = ServerListError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let texts = Self::split(text)?;
        let of = texts.len();
        let server = |(at, text): (usize, &str)| {
            text.parse()
                .map_err(|source| ServerListError::in_list(source, at, of))
        };
        let servers: Vec<_> = texts
            .into_iter()
            .enumerate()
            .map(server)
            .collect::<Result<_, _>>()?;
        Self::new(servers)
    }
}

impl fmt::Display for ServerList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, server) in self.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            write!(f, "{comma}{server}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PIN: &str = "sha256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";

    fn list(text: &str) -> ServerList {
        text.parse().expect(text)
    }

    #[test]
    fn each_address_has_its_own_scheme_and_fingerprint() {
        let text = format!("tls://a:1#{PIN},tls://[::1]:2");
        let servers = list(&text);
        assert_eq!(servers.to_string(), text);
        let pins: Vec<_> = servers.iter().map(|server| server.pins.len()).collect();
        assert_eq!(pins, [1, 0]);
        assert_eq!(list("a:1 , b:2").to_string(), "a:1,b:2");
        assert_eq!(list("a:1,b:2,a:1").to_string(), "a:1,b:2");
        assert_eq!(list("unix:/run/n,a:1").to_string(), "unix:/run/n,a:1");
        let servers = list(&format!("a:1,tls://a:1#{PIN}"));
        assert_eq!(servers.to_string(), format!("tls://a:1#{PIN}"));
    }

    #[test]
    fn where_one_is_over_tls_none_is_plain() {
        assert_eq!(list("a:1,tls://b:2").to_string(), "tls://a:1,tls://b:2");
        assert_eq!(list("tcp://a:1,b:2").to_string(), "tcp://a:1,b:2");
        let here = "unix:/run/n,tcp://127.0.0.1:1,tcp://[::1]:1,tcp://localhost:1,tls://b:2";
        assert_eq!(list(here).to_string(), here);
        let error = "tls://a:1,tcp://b:2".parse::<ServerList>();
        let expected = ServerListError::Mixed {
            plain: "tcp://b:2".into(),
            secure: "tls://a:1".into(),
        };
        assert_eq!(error, Err(expected));
    }

    #[test]
    fn the_wrong_one_is_named() {
        let error = |text: &str| text.parse::<ServerList>().expect_err(text).to_string();
        assert!(error("a").starts_with("\"a\" has no port"));
        assert!(error("a:1,b,c:1").starts_with("address 2 of 3: \"b\" has no port"));
        assert!(error("a:1,tls://b:1#x").starts_with("address 2 of 2: \"x\" is no fingerprint"));
        assert!(error("a:1,,b:1").starts_with("address 2 of 3 is empty"));
        assert!(error("a:1,").starts_with("address 2 of 2 is empty"));
        assert!(error("").starts_with("\"\" has no port"));
    }
}
