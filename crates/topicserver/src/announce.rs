//! Announces the server to the local network, by multicast DNS with DNS-SD (RFC 6762, RFC 6763).
//! `chat -find` lists what is announced. Nobody can check what is said there, so it is only a hint.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use mdns_sd::{DaemonEvent, IfKind, Receiver, ServiceDaemon, ServiceInfo};
use wire::SERVICE_TYPE;

/// The most bytes of the machine's name that are announced: with a port and our own name they
/// fit in a label of 63.
const MAX_HOST: usize = 40;

/// How long the end of the server waits for the withdrawal to be sent. It takes milliseconds.
const WITHDRAWAL: Duration = Duration::from_secs(1);

/// The version of what is announced.
const VERSION: &str = "1";

/// What is announced.
pub(crate) struct Facts<'a> {
    pub(crate) listening: SocketAddr,
    /// The machine's name.
    pub(crate) host: Option<&'a str>,
    /// TLS is spoken.
    pub(crate) has_tls: bool,
    /// The fingerprint of a key whose certificate is self-signed.
    pub(crate) fingerprint: Option<String>,
}

/// Why nothing is announced.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AnnounceError {
    #[error("the server listens on {0}, which no other machine can reach")]
    Loopback(IpAddr),
    #[error("the server has no port")]
    NoPort,
    #[error("{0}")]
    System(#[from] mdns_sd::Error),
}

/// An announcement. It is made again when the machine's addresses change.
pub(crate) struct Announcement {
    daemon: ServiceDaemon,
    events: Receiver<DaemonEvent>,
}

impl Announcement {
    /// Announces a server.
    pub(crate) fn start(facts: &Facts<'_>) -> Result<Self, AnnounceError> {
        let info = describe(facts)?;
        let daemon = ServiceDaemon::new()?;
        let events = daemon.monitor()?;
        if is_v4_only(facts.listening) {
            daemon.disable_interface(IfKind::IPv6)?;
        }
        tracing::info!("announcing {} on the local network", info.get_fullname());
        daemon.register(info)?;
        Ok(Self { daemon, events })
    }

    /// Logs for ever what happens to it.
    pub(crate) async fn watch(&self) {
        while let Ok(event) = self.events.recv_async().await {
            match event {
                DaemonEvent::NameChange(change) => {
                    tracing::info!(
                        "another server has that name; announcing {}",
                        change.new_name
                    );
                }
                DaemonEvent::Error(error) => {
                    tracing::warn!(%error, "the server can't be announced everywhere");
                }
                _ => {}
            }
        }
        std::future::pending::<()>().await;
    }

    /// Tells the network that the server is no longer there.
    pub(crate) async fn withdraw(self) {
        // Ending it says so of everything that was announced.
        if let Ok(ended) = self.daemon.shutdown() {
            let _ = tokio::time::timeout(WITHDRAWAL, ended.recv_async()).await;
        }
    }
}

/// The records. The host's name in them is one of our own: another responder on this machine,
/// such as avahi, has the machine's.
fn describe(facts: &Facts<'_>) -> Result<ServiceInfo, AnnounceError> {
    let (ip, port) = (facts.listening.ip(), facts.listening.port());
    if ip.to_canonical().is_loopback() {
        return Err(AnnounceError::Loopback(ip));
    }
    let host = host_label(facts.host);
    let (name, own_host) = (
        format!("{host}:{port}"),
        format!("{host}-natter-{port}.local."),
    );
    let tls = if facts.has_tls { "1" } else { "0" };
    let mut properties = vec![("v", VERSION), ("tls", tls)];
    if let Some(fingerprint) = &facts.fingerprint {
        properties.push(("fp", fingerprint));
    }
    let new = |addresses: &str| {
        ServiceInfo::new(
            SERVICE_TYPE,
            &name,
            &own_host,
            addresses,
            port,
            &properties[..],
        )
    };
    if ip.is_unspecified() {
        return Ok(new("")?.enable_addr_auto());
    }
    let mut info = new(&ip.to_string())?;
    info.set_interfaces(vec![IfKind::Addr(ip)]);
    Ok(info)
}

/// Whether nobody is served over IPv6.
fn is_v4_only(listening: SocketAddr) -> bool {
    listening.ip().to_canonical().is_ipv4()
}

/// The first label of the machine's name.
fn host_label(name: Option<&str>) -> &str {
    let label = name.and_then(|name| name.split('.').next());
    let label = label.filter(|label| !label.is_empty()).unwrap_or("natter");
    &label[..label.floor_char_boundary(MAX_HOST)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(listening: &str) -> Facts<'static> {
        Facts {
            listening: listening.parse().unwrap(),
            host: Some("lab-box.example"),
            has_tls: true,
            fingerprint: Some("sha256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=".into()),
        }
    }

    #[test]
    fn a_server_is_announced_with_its_port_and_as_much_as_helps_to_join() {
        let info = describe(&facts("[::]:20000")).unwrap();
        assert_eq!(info.get_fullname(), "lab-box:20000._natter._tcp.local.");
        assert_eq!(info.get_hostname(), "lab-box-natter-20000.local.");
        assert_eq!(info.get_port(), 20000);
        assert!(info.is_addr_auto());
        for (key, value) in [
            ("v", "1"),
            ("tls", "1"),
            ("fp", "sha256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="),
        ] {
            assert_eq!(info.get_property_val_str(key), Some(value));
        }
        let plain = Facts {
            has_tls: false,
            fingerprint: None,
            ..facts("0.0.0.0:1")
        };
        let info = describe(&plain).unwrap();
        assert_eq!(info.get_property_val_str("tls"), Some("0"));
        assert_eq!(info.get_property_val_str("fp"), None);
    }

    #[test]
    fn only_what_is_listened_on_is_announced() {
        let info = describe(&facts("192.0.2.7:20000")).unwrap();
        assert!(!info.is_addr_auto());
        let announced: Vec<_> = info.get_addresses_v4().into_iter().collect();
        assert_eq!(announced, [&std::net::Ipv4Addr::new(192, 0, 2, 7)]);
        for (listening, v4_only) in [
            ("0.0.0.0:1", true),
            ("192.0.2.7:1", true),
            ("[::ffff:192.0.2.7]:1", true),
            ("[::]:1", false),
            ("[2001:db8::7]:1", false),
        ] {
            assert_eq!(
                is_v4_only(listening.parse().unwrap()),
                v4_only,
                "{listening}"
            );
        }
        for loopback in ["127.0.0.1:1", "[::1]:1", "[::ffff:127.0.0.2]:1"] {
            let error = describe(&facts(loopback)).unwrap_err();
            assert!(matches!(error, AnnounceError::Loopback(_)), "{error}");
        }
    }

    #[test]
    fn every_host_has_a_label_that_fits() {
        assert_eq!(host_label(None), "natter");
        assert_eq!(host_label(Some(".x")), "natter");
        let long = "é".repeat(60);
        assert_eq!(host_label(Some(&long)), "é".repeat(20));
        let facts = Facts {
            host: Some(&long),
            ..facts("[::]:65535")
        };
        let info = describe(&facts).unwrap();
        let labels = [info.get_fullname(), info.get_hostname()];
        assert!(
            labels
                .iter()
                .all(|name| name.split('.').all(|label| label.len() <= 63))
        );
    }
}
