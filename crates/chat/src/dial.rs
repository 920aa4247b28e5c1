//! Making a connection: the name is looked up, then every address is tried.
//!
//! Owns nothing that lives on. Says what went wrong in the words the user reads.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, sleep, timeout_at};
use wire::Address;

use crate::link::Link;
use crate::notice::Notices;

/// When a connection takes longer than this, people want to know that it is
/// being made.
const PATIENCE: Duration = Duration::from_secs(1);

/// Whom to connect to, and how.
#[derive(Clone, Debug)]
pub(crate) struct Dialer {
    pub(crate) address: Address,
    /// The program that should be running there.
    pub(crate) expected: &'static str,
    /// For everything, looking up the name included.
    pub(crate) timeout: Duration,
    pub(crate) max_frame: usize,
    pub(crate) notices: Notices,
}

/// Why no connection was made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DialError {
    /// The name isn't known.
    #[error("can't find {host}: {source}; is the name right?")]
    NotFound {
        /// The host's name.
        host: String,
        /// What the system said.
        source: io::Error,
    },
    /// Nobody listens there.
    #[error("{address} refused the connection: is {expected} running there?")]
    Refused {
        /// What was typed.
        address: Address,
        /// The program that should be running there.
        expected: &'static str,
    },
    /// Nobody answered in time.
    #[error(
        "no answer from {address} within {} s: are the address and the network right? \
         (--connect-timeout waits longer)", .timeout.as_secs_f64()
    )]
    Timeout {
        /// What was typed.
        address: Address,
        /// How long was waited.
        timeout: Duration,
    },
    /// Anything else.
    #[error("can't connect to {address}: {source}; are the address and the network right?")]
    Failed {
        /// What was typed.
        address: Address,
        /// What the system said.
        source: io::Error,
    },
}

impl Dialer {
    /// Makes the connection; says so if that takes a while.
    pub(crate) async fn dial(&self) -> Result<Link, DialError> {
        let mut dialling = pin!(self.dial_quietly());
        tokio::select! {
            result = &mut dialling => return result,
            () = sleep(PATIENCE) => {
                self.notices.say(format_args!("still connecting to {}", self.address));
            }
        }
        dialling.await
    }

    async fn dial_quietly(&self) -> Result<Link, DialError> {
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
                source,
            }),
        }
    }

    fn timed_out(&self) -> DialError {
        DialError::Timeout {
            address: self.address.clone(),
            timeout: self.timeout,
        }
    }

    /// What to say of a connection that failed with `source`.
    pub(crate) fn failed(&self, source: io::Error) -> DialError {
        let address = self.address.clone();
        match source.kind() {
            io::ErrorKind::ConnectionRefused => DialError::Refused {
                address,
                expected: self.expected,
            },
            io::ErrorKind::TimedOut => self.timed_out(),
            _ => DialError::Failed { address, source },
        }
    }
}

/// Connects; never to itself. With nobody listening, a port of the range that
/// outgoing connections are given can be its own other end.
async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    if stream.local_addr()? == stream.peer_addr()? {
        return Err(io::ErrorKind::ConnectionRefused.into());
    }
    Ok(stream)
}
