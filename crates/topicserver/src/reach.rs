//! Log lines at the start: which addresses to open, and who may read what there.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use crate::access::Access;
use crate::access::locality::{Interface, interfaces, is_private};

/// The most addresses that are logged.
const MOST_ADDRESSES: usize = 4;

/// Writes the log lines.
pub(crate) fn log(access: &Access, listening: Option<SocketAddr>, socket: Option<&Path>) {
    let own = interfaces();
    for address in listening.iter().flat_map(|at| addresses(&own, *at)) {
        tracing::info!("open http://{address}/ in a browser, or run: chat -topic {address} lab");
    }
    if let Some(path) = socket {
        let path = path.display();
        tracing::info!("on this machine, run: chat -topic unix:{path} lab");
    }
    if let Some(path) = access.path() {
        if others_can_read(path) {
            let path = path.display();
            tracing::warn!(
                "others on this machine can read {path}, which has the hashes of passwords and \
                 tokens in it: chmod 600 {path}"
            );
        }
        let rules = access.rules_for_everyone();
        let path = path.display();
        match rules.is_empty() {
            true => tracing::info!("{path} says who may do what; who isn't in it may do nothing"),
            false => tracing::info!(
                "{path} says who may do what; everyone who reaches this port may: {}",
                rules.join(", ")
            ),
        }
        return;
    }
    let Some(listening) = listening else {
        tracing::info!("everyone who may use the socket may read and write everything");
        return;
    };
    if !access.is_local_only() {
        tracing::warn!("everyone who reaches this port may read and write everything");
        return;
    }
    let public = public_networks(&own, listening);
    match public.is_empty() {
        true => tracing::info!(
            "everyone in the server's own network may read and write everything; others are \
             refused (--auth FILE says who may come in)"
        ),
        false => tracing::warn!(
            "everyone in {} may read and write everything, because this machine has a public \
             address there; use --auth FILE to say who may come in",
            Vec::from_iter(public).join(", ")
        ),
    }
}

/// Whether a file is open to other users of the machine, as far as the system says.
fn others_can_read(path: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::metadata(path).is_ok_and(|data| data.permissions().mode() & 0o044 != 0)
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        false
    }
}

/// The addresses of the server, those of its own network first.
fn addresses(own: &[Interface], listening: SocketAddr) -> Vec<SocketAddr> {
    let at = |ip| SocketAddr::new(ip, listening.port());
    if !listening.ip().is_unspecified() {
        return vec![listening];
    }
    // A link-local IPv6 address would need the name of its interface.
    let is_usable = |ip: IpAddr| match ip {
        IpAddr::V4(v4) => !v4.is_loopback() && !v4.is_link_local(),
        IpAddr::V6(v6) => !v6.is_loopback() && !v6.is_unicast_link_local(),
    };
    let usable = own
        .iter()
        .map(|own| own.address)
        .filter(|ip| is_usable(*ip));
    let mut usable: Vec<_> = usable.collect();
    // IPv4 addresses come first, because people can type them.
    usable.sort_by_key(|ip| (!is_private(*ip), ip.is_ipv6()));
    usable.truncate(MOST_ADDRESSES);
    usable.into_iter().map(at).collect()
}

/// The machine's networks with public addresses.
fn public_networks(own: &[Interface], listening: SocketAddr) -> BTreeSet<String> {
    let is_heard = |ip: IpAddr| listening.ip().is_unspecified() || listening.ip() == ip;
    let public = own
        .iter()
        .filter(|own| !is_private(own.address) && is_heard(own.address));
    public.map(|own| own.network.to_string()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interface(address: &str, length: u8) -> Interface {
        let address = address.parse().unwrap();
        Interface {
            address,
            network: crate::network::Network::new(address, length),
        }
    }

    #[test]
    fn the_addresses_that_people_use_come_first() {
        let own = [
            interface("127.0.0.1", 8),
            interface("fe80::1", 64),
            interface("2001:db8::7", 64),
            interface("203.0.113.7", 26),
            interface("192.168.1.5", 24),
        ];
        let listening = "[::]:20000".parse().unwrap();
        let named = addresses(&own, listening);
        let named: Vec<_> = named.iter().map(ToString::to_string).collect();
        assert_eq!(
            named,
            [
                "192.168.1.5:20000",
                "203.0.113.7:20000",
                "[2001:db8::7]:20000"
            ]
        );
        let public = Vec::from_iter(public_networks(&own, listening));
        assert_eq!(public, ["2001:db8::/64", "203.0.113.0/26"]);
        let listening = "127.0.0.1:20000".parse().unwrap();
        assert_eq!(addresses(&own, listening), [listening]);
        assert!(public_networks(&own, listening).is_empty());
    }
}
