//! Making a connection: the name is looked up, then every address is tried.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, timeout_at};
use wire::Address;

use crate::link::Link;

/// Connecting usually takes less than this. A user interface says so when it takes
/// longer.
pub const SLOW: Duration = Duration::from_secs(1);

/// Where to connect, and how.
#[derive(Clone, Debug)]
pub struct Dialer {
    /// The server's or peer's address.
    pub address: Address,
    /// The longest that connecting may take, looking up the name included.
    pub timeout: Duration,
    /// The longest frame that is read, in bytes.
    pub max_frame: usize,
}

/// Why no connection was made.
#[derive(Clone, Debug, thiserror::Error)]
pub enum DialError {
    /// The name is unknown.
    #[error("can't find {host}: {source}")]
    NotFound {
        /// The host's name.
        host: String,
        /// What the system said.
        source: Arc<io::Error>,
    },
    /// No program listens there.
    #[error("{address} refused the connection")]
    Refused {
        /// Where.
        address: Address,
    },
    /// There was no answer in time.
    #[error("no answer from {address} within {} s", .timeout.as_secs_f64())]
    Timeout {
        /// Where.
        address: Address,
        /// How long the dialer has waited.
        timeout: Duration,
    },
    /// Anything else.
    #[error("can't connect to {address}: {source}")]
    Failed {
        /// Where.
        address: Address,
        /// What the system said.
        source: Arc<io::Error>,
    },
}

impl Dialer {
    /// Makes the connection.
    ///
    /// Cancel safe: nothing is left of an attempt that was given up.
    pub async fn dial(&self) -> Result<Link, DialError> {
        let deadline = Instant::now() + self.timeout;
        let addresses = timeout_at(deadline, self.look_up())
            .await
            .map_err(|_| self.timed_out())??;
        let count = addresses.len();
        let mut error = self.failed(io::ErrorKind::NotFound.into());
        for (index, address) in addresses.into_iter().enumerate() {
            // An address that doesn't answer must leave time for the others.
            let left = deadline.saturating_duration_since(Instant::now());
            let share = left / u32::try_from(count - index).unwrap_or(u32::MAX);
            match timeout_at(Instant::now() + share, connect(address)).await {
                Ok(Ok(stream)) => match Link::new(stream, self.max_frame) {
                    Ok(link) => return Ok(link),
                    Err(lost) => error = self.failed(lost),
                },
                Ok(Err(failed)) => error = self.failed(failed),
                Err(_) => error = self.timed_out(),
            }
        }
        Err(error)
    }

    async fn look_up(&self) -> Result<Vec<SocketAddr>, DialError> {
        let Address { host, port } = &self.address;
        match lookup_host((host.as_str(), *port)).await {
            Ok(addresses) => Ok(addresses.collect()),
            Err(source) => Err(DialError::NotFound {
                host: host.clone(),
                source: Arc::new(source),
            }),
        }
    }

    fn timed_out(&self) -> DialError {
        DialError::Timeout {
            address: self.address.clone(),
            timeout: self.timeout,
        }
    }

    /// The error of a connection that failed with `source`.
    pub fn failed(&self, source: io::Error) -> DialError {
        let address = self.address.clone();
        match source.kind() {
            io::ErrorKind::ConnectionRefused => DialError::Refused { address },
            io::ErrorKind::TimedOut => self.timed_out(),
            _ => DialError::Failed {
                address,
                source: Arc::new(source),
            },
        }
    }
}

/// Connects; never to itself. Where no program listens, a socket can connect to its own
/// port, if the system has chosen just that one for it.
async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    if stream.local_addr()? == stream.peer_addr()? {
        return Err(io::ErrorKind::ConnectionRefused.into());
    }
    Ok(stream)
}
