//! Which proxies are trusted.

use std::net::IpAddr;

use clap::Args;

use super::Config;
use crate::network::Network;
use crate::peer;

impl Config {
    /// Whether this is the address of a trusted proxy. By default none is trusted, because every
    /// client can claim to forward another one. Peers of the UNIX socket never are.
    pub(crate) fn trusts_proxy(&self, ip: IpAddr) -> bool {
        let mut trusted = self.trust_proxies.iter();
        peer::user_of(ip).is_none() && trusted.any(|network| network.contains(ip))
    }
}

// No doc comment: clap would show it as the program's description.
#[derive(Clone, Debug, Args)]
pub(super) struct ProxyOptions {
    /// Believe the proxies at this address or in this network when they say whom they forward,
    /// by the PROXY protocol (version 1 or 2) or by the headers Forwarded and X-Forwarded-For.
    /// Can be given several times
    #[arg(long = "trust-proxy", value_name = "NETWORK")]
    trust_proxies: Vec<Network>,
}

impl ProxyOptions {
    pub(super) fn apply(&self, config: &mut Config) {
        config.trust_proxies.clone_from(&self.trust_proxies);
    }
}
