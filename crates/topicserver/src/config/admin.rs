//! Where administrators reach a server.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::Args;

use super::Config;
use super::parse::{Bytes, Seconds, ValueError, seconds, size};

impl Config {
    /// By default a server that ends does so at once: nobody waits for a balancer that isn't
    /// there.
    pub const DEFAULT_DRAIN_ANNOUNCE: Duration = Duration::ZERO;
    /// By default all connections are closed at once, as one server's clients have nowhere else
    /// to go.
    pub const DEFAULT_DRAIN_SPREAD: Duration = Duration::ZERO;
    /// 32 MiB of history a second: two gibibytes a minute, and less than half of what a slow disk
    /// reads, so that the messages that are being stored have the rest.
    pub const DEFAULT_BACKUP_RATE: u64 = 32 * 1024 * 1024;
    /// Below this, a step would take longer than a reader waits.
    pub const LOWEST_BACKUP_RATE: u64 = 64 * 1024;
}

/// How many bytes of history are read per second for somebody who copies it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackupRate(Bytes);

impl BackupRate {
    /// Bytes per second.
    pub fn bytes(self) -> u64 {
        self.0.0
    }
}

impl Default for BackupRate {
    fn default() -> Self {
        Self(Bytes(Config::DEFAULT_BACKUP_RATE))
    }
}

impl FromStr for BackupRate {
    type Err = BackupRateError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = size(Config::LOWEST_BACKUP_RATE);
        parse(text).map(Self).map_err(BackupRateError)
    }
}

impl std::fmt::Display for BackupRate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// This is no rate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BackupRateError(ValueError);

/// Where the admin listener is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AdminAddress {
    /// An address and a port; port 0 lets the system choose one.
    Tcp(SocketAddr),
    /// The path of a UNIX socket.
    Unix(PathBuf),
}

/// This is no place for an admin listener.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is ADDRESS:PORT, as in 127.0.0.1:20001, or unix:PATH, as in unix:/run/natter/admin")]
pub struct AdminAddressError;

impl FromStr for AdminAddress {
    type Err = AdminAddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.strip_prefix("unix:") {
            Some("") => Err(AdminAddressError),
            Some(path) => Ok(Self::Unix(path.into())),
            None => text.parse().map(Self::Tcp).map_err(|_| AdminAddressError),
        }
    }
}

impl std::fmt::Display for AdminAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

// No doc comment: clap would show it as the program's description.
#[derive(Clone, Debug, Args)]
pub(super) struct AdminOptions {
    /// Serve metrics, statistics and commands to administrators here: an address with a port, or
    /// unix:PATH. Whoever reaches it may end the server, so keep it to this machine
    #[arg(long, value_name = "ADDRESS")]
    admin: Option<AdminAddress>,

    /// When the server is to end, say so on /-/ready for so long before anything else: a load
    /// balancer then sends no new clients
    #[arg(long, value_name = "TIME", value_parser = seconds(0),
          default_value_t = Seconds::of(Config::DEFAULT_DRAIN_ANNOUNCE))]
    drain_announce: Seconds,

    /// When the server ends, close its connections one after another over so long, and not all at
    /// once: so their clients don't reach the next server all at once
    #[arg(long, value_name = "TIME", value_parser = seconds(0),
          default_value_t = Seconds::of(Config::DEFAULT_DRAIN_SPREAD))]
    drain_spread: Seconds,
}

impl AdminOptions {
    pub(super) fn apply(&self, config: &mut Config) {
        config.admin.clone_from(&self.admin);
        config.drain_announce = self.drain_announce.into();
        config.drain_spread = self.drain_spread.into();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_a_size_with_a_lower_bound() {
        let bytes = |text: &str| text.parse().map(BackupRate::bytes);
        assert_eq!(bytes("1MiB"), Ok(1 << 20));
        assert_eq!(bytes(&BackupRate::default().to_string()), Ok(32 << 20));
        let error = bytes("1KiB").unwrap_err().to_string();
        assert!(error.contains("64KiB"), "{error}");
        assert!(bytes("fast").is_err());
    }

    #[test]
    fn a_place_is_an_address_with_a_port_or_a_path() {
        for text in ["127.0.0.1:20001", "[::1]:0", "unix:/run/natter/admin"] {
            let address: AdminAddress = text.parse().unwrap();
            assert_eq!(address.to_string(), text);
        }
        for text in ["", "20001", "127.0.0.1", "localhost:20001", "unix:"] {
            assert_eq!(
                text.parse::<AdminAddress>(),
                Err(AdminAddressError),
                "{text}"
            );
        }
    }
}
