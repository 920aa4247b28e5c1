//! What must be true of NATS before a server relies on it.

use std::collections::BTreeSet;
use std::time::Duration;

use async_nats::{ConnectError, ConnectErrorKind, ServerAddr};
use tokio::time::{Instant, sleep};

use super::super::bus::Link;
use super::super::error::EngineError;
use super::connection::Connection;
use super::credentials;
use super::monitor;
use super::streams::{self, Wanted};
use super::subject::Names;
use crate::config::{ClusterConfig, ClusterDurability, NatsUrl};

/// For how long a NATS server may be starting.
const CONNECT_PATIENCE: Duration = Duration::from_secs(10);
/// The time between two tries.
const PAUSE: Duration = Duration::from_millis(200);
/// Records have at most half of it.
const LEAST_PAYLOAD: usize = 512 * 1024;
/// Before that, two servers could append behind the same record.
const OLDEST: Version = Version([2, 11, 0]);
/// Before that, servers could lose messages when their clocks were set, or their disks were full.
const ADVISED: Version = Version([2, 12, 7]);
/// Replicas unless somebody says otherwise.
const REPLICAS: usize = 3;
/// Where servers agree on their secret.
const SECRET: &str = "secret";

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Version([u32; 3]);

impl Version {
    /// The three numbers at the beginning.
    fn read(text: &str) -> Option<Self> {
        let text = text.strip_prefix('v').unwrap_or(text);
        let mut numbers = text.split(['.', '-', '+']).map(str::parse);
        let mut next = || numbers.next()?.ok();
        Some(Self([next()?, next()?, next()?]))
    }
}

/// Connects to one of the NATS servers.
pub(super) async fn connect(
    config: &ClusterConfig,
    names: &Names,
) -> Result<Connection, EngineError> {
    let end = Instant::now() + CONNECT_PATIENCE;
    let connection = loop {
        let options = credentials::options(config)?.name(format!("natter {}", config.name));
        match Connection::open(options, addresses(config)?, names).await {
            Ok(connection) => break connection,
            Err(error) if is_final(&error) || Instant::now() >= end => {
                return Err(unreachable(config, &error));
            }
            Err(_) => sleep(PAUSE).await,
        }
    };
    let mut link = connection.link();
    let up = link.wait_for(|link| *link == Link::Up);
    match tokio::time::timeout_at(end, up).await {
        Ok(Ok(_)) => {}
        _ => return Err(EngineError::Silent),
    }
    Ok(connection)
}

/// Trying again doesn't help.
fn is_final(error: &ConnectError) -> bool {
    use ConnectErrorKind::{Authentication, AuthorizationViolation, ServerParse, Tls};
    matches!(
        error.kind(),
        Authentication | AuthorizationViolation | ServerParse | Tls
    )
}

fn unreachable(config: &ClusterConfig, error: &ConnectError) -> EngineError {
    let servers = listed(&config.servers);
    match error.kind() {
        ConnectErrorKind::Authentication | ConnectErrorKind::AuthorizationViolation => {
            EngineError::Login { servers }
        }
        _ => EngineError::Unreachable {
            servers,
            cause: error.to_string(),
        },
    }
}

fn listed(servers: &[NatsUrl]) -> String {
    let servers: Vec<_> = servers.iter().map(NatsUrl::to_string).collect();
    servers.join(", ")
}

/// The servers as async-nats takes them: it writes their URLs into its log, so these have no
/// password.
fn addresses(config: &ClusterConfig) -> Result<Vec<ServerAddr>, EngineError> {
    let address = |url: &NatsUrl| {
        let parsed: Result<ServerAddr, _> = url.to_string().parse();
        parsed.map_err(|error| EngineError::Unreachable {
            servers: url.to_string(),
            cause: error.to_string(),
        })
    };
    config.servers.iter().map(address).collect()
}

/// Sees that NATS keeps what is promised with it.
pub(super) async fn check(
    config: &ClusterConfig,
    connection: &Connection,
) -> Result<(), EngineError> {
    let info = connection.client().server_info();
    check_version(&format!("{}:{}", info.host, info.port), &info.version)?;
    if info.max_payload < LEAST_PAYLOAD {
        let bytes = info.max_payload;
        return Err(EngineError::Payload { bytes });
    }
    match config.durability {
        ClusterDurability::Flushed => check_flushed(config).await,
        ClusterDurability::Replicated => Ok(()),
    }
}

fn check_version(server: &str, text: &str) -> Result<(), EngineError> {
    match Version::read(text) {
        Some(version) if version >= ADVISED => Ok(()),
        Some(version) if version >= OLDEST => {
            tracing::warn!(
                "the NATS server at {server} has version {text}; from 2.12.7 on, fewer failures \
                 lose messages"
            );
            Ok(())
        }
        _ => Err(EngineError::Version {
            server: server.to_owned(),
            version: text.to_owned(),
        }),
    }
}

/// Every server with JetStream must flush what it acknowledges.
async fn check_flushed(config: &ClusterConfig) -> Result<(), EngineError> {
    if config.monitors.is_empty() {
        return Err(EngineError::NoMonitor);
    }
    let mut seen = BTreeSet::new();
    let mut all = 1;
    for monitor in &config.monitors {
        let report = monitor::look(monitor).await?;
        check_version(monitor.authority(), &report.version)?;
        if !report.has_jetstream {
            continue;
        }
        if !report.is_flushing {
            let monitor = monitor.authority().to_owned();
            return Err(EngineError::NotFlushed { monitor });
        }
        all = all.max(report.cluster_size);
        seen.insert(report.server);
    }
    match seen.len() {
        0 => Err(EngineError::NoJetStream),
        seen if seen < all => Err(EngineError::FewMonitors { seen, all }),
        _ => Ok(()),
    }
}

/// What the streams are made with.
pub(super) fn wanted(
    config: &ClusterConfig,
    connection: &Connection,
    keep_age: Duration,
) -> Wanted {
    let info = connection.client().server_info();
    let servers = match info.cluster {
        Some(_) => info.connect_urls.len().max(config.servers.len()),
        None => 1,
    };
    let replicas = config.replicas.unwrap_or(servers.min(REPLICAS));
    if replicas < REPLICAS {
        tracing::warn!(
            "each message is on {replicas} NATS servers; the death of one stops the cluster. Three \
             go on"
        );
    }
    Wanted {
        keep_age,
        replicas,
        is_replicas_given: config.replicas.is_some(),
    }
}

/// A secret of the cluster's servers. The first of them makes it.
pub(super) async fn secret(
    connection: &Connection,
    names: &Names,
) -> Result<[u8; 16], EngineError> {
    let mut proposal = [0; 16];
    getrandom::fill(&mut proposal).map_err(|error| EngineError::Stream {
        stream: names.meta_stream(),
        cause: error.to_string(),
    })?;
    let proposal = proposal.to_vec().into();
    let secret = streams::agreed(connection, names, SECRET, proposal).await?;
    let secret = <[u8; 16]>::try_from(&secret[..]);
    secret.map_err(|_| EngineError::OtherStream(names.meta_stream()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_servers_are_refused() {
        for (version, is_accepted) in [
            ("2.9.10", false),
            ("2.10.29", false),
            ("2.11.0", true),
            ("2.11.0-RC.1", true),
            ("2.12.7", true),
            ("v2.15.1", true),
            ("3.0.0", true),
            ("2", false),
            ("", false),
        ] {
            assert_eq!(
                check_version("a:1", version).is_ok(),
                is_accepted,
                "{version}"
            );
        }
    }
}
