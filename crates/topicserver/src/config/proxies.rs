//! Which proxies are trusted.

use std::net::IpAddr;
use std::str::FromStr;

use clap::Args;

use super::Config;
use crate::network::{Network, NetworkError};
use crate::peer;

/// What an entry for the UNIX socket begins with.
const LOCAL: &str = "unix:";

/// Proxies that are believed when they say whom they forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrustedProxy {
    /// Those at these addresses.
    Network(Network),
    /// Those on the UNIX socket: of the user with this number, or of everybody who may use it.
    Local(Option<u32>),
}

/// Why a text names no proxy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TrustedProxyError {
    /// It is no network.
    #[error("{0}; a proxy on the UNIX socket is written as unix:")]
    Network(#[from] NetworkError),
    /// It is no user.
    #[error(
        "{0:?} is no number of a user; unix:33 is a proxy on the UNIX socket that user 33 runs, \
         and unix: is everybody there"
    )]
    User(Box<str>),
}

impl FromStr for TrustedProxy {
    type Err = TrustedProxyError;

    fn from_str(text: &str) -> Result<Self, TrustedProxyError> {
        match text.strip_prefix(LOCAL) {
            None => Ok(Self::Network(text.parse()?)),
            Some("") => Ok(Self::Local(None)),
            Some(user) => {
                let wrong = |_| TrustedProxyError::User(user.into());
                Ok(Self::Local(Some(user.parse().map_err(wrong)?)))
            }
        }
    }
}

impl TrustedProxy {
    fn is_at(self, ip: IpAddr) -> bool {
        match (self, peer::user_of(ip)) {
            (Self::Network(network), None) => network.contains(ip),
            (Self::Local(trusted), Some(user)) => trusted.is_none_or(|trusted| trusted == user),
            _ => false,
        }
    }
}

impl Config {
    /// Whether this is the address of a trusted proxy. By default none is trusted, because every
    /// client can claim to forward another one.
    pub(crate) fn trusts_proxy(&self, ip: IpAddr) -> bool {
        self.trust_proxies.iter().any(|proxy| proxy.is_at(ip))
    }
}

// No doc comment: clap would show it as the program's description.
#[derive(Clone, Debug, Args)]
pub(super) struct ProxyOptions {
    /// Believe the proxies at this address or in this network when they say whom they forward,
    /// by the PROXY protocol (version 1 or 2) or by the headers Forwarded and X-Forwarded-For;
    /// unix: stands for everybody on the UNIX socket, and unix:33 for user 33 there. Can be given
    /// several times
    #[arg(long = "trust-proxy", value_name = "NETWORK")]
    trust_proxies: Vec<TrustedProxy>,
}

impl ProxyOptions {
    pub(super) fn apply(&self, config: &mut Config) {
        config.trust_proxies.clone_from(&self.trust_proxies);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_trusted_where_it_is_named_and_nowhere_else() {
        let user = |uid: u32| peer::of_user(uid).ip();
        let ip = |text: &str| -> IpAddr { text.parse().unwrap() };
        for (named, trusted, others) in [
            ("127.0.0.1", ip("127.0.0.1"), [ip("127.0.0.2"), user(0)]),
            ("::/0", ip("2001:db8::1"), [ip("127.0.0.1"), user(33)]),
            ("0.0.0.0/0", ip("127.0.0.1"), [ip("::1"), user(33)]),
            ("unix:", user(33), [ip("127.0.0.1"), ip("::1")]),
            ("unix:33", user(33), [user(34), ip("127.0.0.1")]),
        ] {
            let config = Config {
                trust_proxies: vec![named.parse().unwrap()],
                ..Config::default()
            };
            assert!(config.trusts_proxy(trusted), "{named}");
            for other in others {
                assert!(!config.trusts_proxy(other), "{named}: {other}");
            }
        }
    }

    #[test]
    fn what_is_no_proxy_is_told_in_words() {
        let error = |text: &str| text.parse::<TrustedProxy>().unwrap_err().to_string();
        assert!(error("nginx").contains("written as unix:"));
        for user in ["/run/natter/socket", "www-data", "-1", "4294967296"] {
            let said = error(&format!("unix:{user}"));
            assert!(
                said.contains("no number of a user") && said.contains(user),
                "{said}"
            );
        }
    }
}
