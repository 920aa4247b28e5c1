//! Finds topic servers on this network, by multicast DNS with DNS-SD. Anybody on the network can
//! answer, with anything: what is found is bounded, shown without its control characters, and
//! trusted in nothing.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use client::{Pin, Security, ServerAddress};
use mdns_sd::{ResolvedService, ScopedIp, ServiceDaemon, ServiceEvent};
use tokio::time::{Instant, timeout_at};
use wire::{Address, SERVICE_TYPE};

use crate::output::sanitize::push_name;
use crate::output::shell::Word;

/// The most servers that are listed: more than a network has, and few enough to be read.
const MAX_FOUND: usize = 32;

/// The most characters of a name that are shown: as many as fit in a label.
const MAX_NAME: usize = 63;

/// Why the network can't be asked.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub(crate) struct DiscoveryError(#[from] mdns_sd::Error);

/// A server that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// What it calls itself.
    name: String,
    server: ServerAddress,
    /// What it says is the fingerprint of its key.
    fingerprint: Option<Pin>,
}

/// Asks the network, and waits this long for answers.
pub(crate) async fn find(time: Duration) -> Result<Vec<Found>, DiscoveryError> {
    let deadline = Instant::now() + time;
    let daemon = ServiceDaemon::new()?;
    let events = daemon.browse(SERVICE_TYPE)?;
    let mut found = BTreeMap::new();
    while let Ok(Ok(event)) = timeout_at(deadline, events.recv_async()).await {
        match event {
            ServiceEvent::ServiceResolved(service) => {
                let is_known = found.contains_key(&service.fullname);
                if let Some(server) = read(&service)
                    && (is_known || found.len() < MAX_FOUND)
                {
                    found.insert(service.fullname, server);
                }
            }
            ServiceEvent::ServiceRemoved(_, name) => drop(found.remove(&name)),
            _ => {}
        }
    }
    // Its thread ends by itself.
    let _ = daemon.shutdown();
    Ok(found.into_values().collect())
}

/// What an answer says; `None` if nobody could join there.
fn read(service: &ResolvedService) -> Option<Found> {
    let best = service.addresses.iter().min_by_key(|ip| rank(ip))?;
    let name = service.fullname.strip_suffix(SERVICE_TYPE)?;
    let name = unescaped(name.strip_suffix('.')?);
    let address = Address {
        host: best.to_string(),
        port: service.port,
    };
    let text = |key| service.txt_properties.get_property_val_str(key);
    let has_tls = text("tls") == Some("1");
    Some(Found {
        name: name.chars().take(MAX_NAME).collect(),
        server: ServerAddress {
            security: match has_tls {
                true => Security::Tls,
                false => Security::Automatic,
            },
            // It proves nothing: whoever forges the answer forges this.
            pins: Vec::new(),
            // An address that couldn't be typed is no address.
            address: address.to_string().parse().ok()?,
        },
        fingerprint: text("fp")
            .filter(|_| has_tls)
            .and_then(|fp| fp.parse().ok()),
    })
}

/// The address that people can use best comes first: those that other machines reach before this
/// machine's own, and IPv4 before IPv6, because people can type it.
fn rank(ip: &ScopedIp) -> (bool, bool, bool, IpAddr) {
    let address = ip.to_ip_addr();
    let is_link_local = match address {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    (
        address.is_loopback(),
        is_link_local,
        address.is_ipv6(),
        address,
    )
}

/// A name as it was before dots and backslashes in it were marked.
fn unescaped(name: &str) -> String {
    let (mut text, mut is_marked) = (String::new(), false);
    for c in name.chars() {
        if c == '\\' && !is_marked {
            is_marked = true;
        } else {
            text.push(c);
            is_marked = false;
        }
    }
    text
}

impl fmt::Display for Found {
    /// Lines for a person, with the command that joins.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut name = String::new();
        push_name(&mut name, &self.name);
        let tls = match self.server.security {
            Security::Tls => "over TLS",
            Security::Automatic | Security::Plain => "without TLS",
        };
        writeln!(f, "{name} at {}, {tls}", self.server.address)?;
        if let Some(fingerprint) = self.fingerprint {
            writeln!(f, "  says that its key is {fingerprint}")?;
        }
        let server = self.server.to_string();
        writeln!(f, "  chat -topic {} TOPIC", Word(server))
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use mdns_sd::ServiceInfo;

    use super::*;

    const PIN: &str = "sha256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";

    fn service(name: &str, addresses: &str, properties: &[(&str, &str)]) -> ResolvedService {
        let host = "lab-natter.local.";
        let info = ServiceInfo::new(SERVICE_TYPE, name, host, addresses, 20000, properties);
        info.expect("right").as_resolved_service()
    }

    fn shown(name: &str, addresses: &str, properties: &[(&str, &str)]) -> String {
        let found = read(&service(name, addresses, properties));
        found.expect("found").to_string()
    }

    #[test]
    fn a_server_is_shown_with_the_command_that_joins_it() {
        assert_eq!(
            shown("lab:20000", "192.0.2.7", &[("v", "1"), ("tls", "0")]),
            "lab:20000 at 192.0.2.7:20000, without TLS\n  chat -topic 192.0.2.7:20000 TOPIC\n"
        );
        let tls = [("v", "1"), ("tls", "1"), ("fp", PIN)];
        assert_eq!(
            shown("lab:20000", "2001:db8::7", &tls),
            format!(
                "lab:20000 at [2001:db8::7]:20000, over TLS\n  says that its key is {PIN}\n  \
                 chat -topic 'tls://[2001:db8::7]:20000' TOPIC\n"
            )
        );
    }

    #[test]
    fn a_fingerprint_is_shown_and_never_trusted() {
        for fp in ["", "sha256:x", "\u{1b}[2J", PIN] {
            let found = read(&service("a", "192.0.2.7", &[("tls", "1"), ("fp", fp)]));
            let found = found.expect("found");
            assert_eq!(found.fingerprint, fp.parse().ok());
            assert_eq!(found.server.pins, []);
        }
        let plain = read(&service("a", "192.0.2.7", &[("fp", PIN)])).expect("found");
        assert_eq!(plain.fingerprint, None);
    }

    #[test]
    fn a_hostile_name_controls_nothing() {
        let name = "\u{1b}]0;x\u{7}\n chat: done\u{202e}";
        let shown = shown(name, "192.0.2.7", &[]);
        assert!(
            shown.starts_with("\\u001b]0;x\\u0007\\n chat: done\\u202e at "),
            "{shown}"
        );
        let found = read(&service("a.b\\c", "192.0.2.7", &[])).expect("found");
        assert_eq!(found.name, "a.b\\c");
        let mut long = service("a", "192.0.2.7", &[]);
        long.fullname = format!("{}.{SERVICE_TYPE}", "x".repeat(10_000));
        assert_eq!(read(&long).expect("found").name.len(), MAX_NAME);
        let mut other = service("a", "192.0.2.7", &[]);
        other.fullname = "a._other._tcp.local.".into();
        assert_eq!(read(&other), None);
        let mut nowhere = service("a", "192.0.2.7", &[]);
        nowhere.port = 0;
        assert_eq!(read(&nowhere), None);
        nowhere.addresses.clear();
        assert_eq!(read(&nowhere), None);
    }

    #[test]
    fn the_address_that_people_can_use_comes_first() {
        let mut all: Vec<ScopedIp> = [
            IpAddr::from(Ipv4Addr::LOCALHOST),
            IpAddr::from(Ipv6Addr::LOCALHOST),
            "fe80::1".parse().expect("an address"),
            "169.254.0.1".parse().expect("an address"),
            "2001:db8::7".parse().expect("an address"),
            "192.0.2.7".parse().expect("an address"),
        ]
        .map(ScopedIp::from)
        .into();
        all.sort_by_key(rank);
        let order: Vec<_> = all.iter().map(|ip| ip.to_ip_addr().to_string()).collect();
        assert_eq!(
            order,
            [
                "192.0.2.7",
                "2001:db8::7",
                "169.254.0.1",
                "fe80::1",
                "127.0.0.1",
                "::1"
            ]
        );
    }
}
