//! What must be true of NATS before a server relies on it.

use std::error::Error as _;
use std::time::Duration;

use async_nats::{ConnectError, ConnectErrorKind, ServerAddr};
use tokio::time::{Instant, sleep};

use super::super::bus::Link;
use super::super::error::EngineError;
use super::connection::Connection;
use super::credentials;
use super::flushing::{self, Watched};
use super::streams::{self, Wanted};
use super::subject::Names;
use super::version;
use crate::config::{ClusterConfig, ClusterDurability, NatsUrl};

/// For how long a NATS server may be starting.
const CONNECT_PATIENCE: Duration = Duration::from_secs(10);
/// The time between two tries.
const PAUSE: Duration = Duration::from_millis(200);
/// Records have at most half of it.
const LEAST_PAYLOAD: usize = 512 * 1024;
/// Replicas unless somebody says otherwise.
const REPLICAS: usize = 3;
/// Where servers agree on their secret.
const SECRET: &str = "secret";

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
    tls_cause(error).is_some()
        || matches!(
            error.kind(),
            Authentication | AuthorizationViolation | ServerParse | Tls
        )
}

/// Why TLS has failed, if that is the reason. async-nats has it as an error of the socket.
fn tls_cause(error: &ConnectError) -> Option<&rustls::Error> {
    let mut cause = error.source();
    while let Some(error) = cause {
        let within = error.downcast_ref::<std::io::Error>();
        let within = within.and_then(std::io::Error::get_ref);
        let within = within.and_then(|within| within.downcast_ref::<rustls::Error>());
        if let Some(tls) = within.or_else(|| error.downcast_ref()) {
            return Some(tls);
        }
        cause = error.source();
    }
    None
}

fn unreachable(config: &ClusterConfig, error: &ConnectError) -> EngineError {
    let servers = listed(&config.servers);
    if let Some(cause) = tls_cause(error) {
        let cause = cause.to_string();
        return EngineError::Tls { servers, cause };
    }
    match error.kind() {
        ConnectErrorKind::Authentication | ConnectErrorKind::AuthorizationViolation => {
            let login = credentials::named(config);
            EngineError::Login { servers, login }
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

/// Sees that NATS keeps what is promised with it. Returns the servers that have to be asked again
/// while it is promised.
pub(super) async fn check(
    config: &ClusterConfig,
    connection: &Connection,
) -> Result<Watched, EngineError> {
    let info = connection.client().server_info();
    version::check(&format!("{}:{}", info.host, info.port), &info.version)?;
    if info.max_payload < LEAST_PAYLOAD {
        let bytes = info.max_payload;
        return Err(EngineError::Payload { bytes });
    }
    match config.durability {
        ClusterDurability::Flushed => flushing::check(config).await,
        ClusterDurability::Replicated => Ok(Watched::default()),
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
