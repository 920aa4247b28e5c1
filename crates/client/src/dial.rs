//! Making a connection: the name is looked up, then its addresses are raced, as RFC 8305
//! ("Happy Eyeballs") has it: the next one is tried when one has failed, or hasn't answered
//! for a moment, and the first connection wins. Over it TLS is spoken, if that was asked for.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpStream, lookup_host};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout_at};
use wire::Address;

use crate::link::{Link, tune};
use crate::tls::{Tls, TlsError};

/// Connecting usually takes less than this. A user interface says so when it takes
/// longer.
pub const SLOW: Duration = Duration::from_secs(1);

/// How long an address has for itself before the next one is tried too: RFC 8305's.
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// Makes connections to one address.
#[derive(Clone, Debug)]
pub struct Dialer {
    /// The server's or peer's address.
    pub address: Address,
    /// The longest that connecting may take, looking up the name included.
    pub timeout: Duration,
    /// The longest frame that is read, in bytes.
    pub max_frame: usize,
    /// What protects the connection.
    pub protection: Protection,
}

/// What protects a connection.
#[derive(Clone, Debug)]
pub enum Protection {
    /// Nothing: plain TCP.
    Plain,
    /// Plain TCP that carries a secret, so it must not leave this machine.
    PlainWithinMachine,
    /// TLS.
    Tls(Tls),
    /// TLS, unless the connection stays within this machine.
    TlsToOthers(Tls),
}

/// What is sent over a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payload {
    /// No credential.
    Public,
    /// A credential.
    Secret,
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
    /// The server can't be spoken to over TLS.
    #[error("no TLS with {address}: {source}")]
    Tls {
        /// Where.
        address: Address,
        /// Why.
        source: Box<TlsError>,
    },
    /// A secret would be sent to another machine over plain TCP.
    #[error("a secret isn't sent to {address} over plain TCP")]
    SecretInPlain {
        /// Where.
        address: Address,
    },
}

impl DialError {
    /// Whether another attempt fails too, unless the trust or the options are changed.
    pub fn is_final(&self) -> bool {
        match self {
            Self::Tls { source, .. } => source.is_final(),
            Self::SecretInPlain { .. } => true,
            _ => false,
        }
    }
}

impl Dialer {
    /// Makes the connection.
    ///
    /// Cancel safe: nothing is left of an attempt that was given up.
    pub async fn dial(&self) -> Result<Link, DialError> {
        let deadline = Instant::now() + self.timeout;
        if let Some(path) = self.address.socket_path() {
            return timeout_at(deadline, self.dial_socket(path))
                .await
                .unwrap_or_else(|_| Err(self.timed_out()));
        }
        let addresses = timeout_at(deadline, self.look_up())
            .await
            .map_err(|_| self.timed_out())??;
        match timeout_at(deadline, race(interleaved(addresses))).await {
            Ok(Ok(stream)) => timeout_at(deadline, self.protect(stream))
                .await
                .unwrap_or_else(|_| Err(self.timed_out())),
            Ok(Err(failed)) => Err(self.failed(failed)),
            Err(_) => Err(self.timed_out()),
        }
    }

    /// Connects to a UNIX socket. Nobody else can read what goes over it.
    #[cfg(unix)]
    async fn dial_socket(&self, path: &str) -> Result<Link, DialError> {
        let stream = tokio::net::UnixStream::connect(path).await;
        let link = stream.map(|stream| Link::over_socket(stream, self.max_frame));
        link.map_err(|error| self.failed(error))
    }

    #[cfg(not(unix))]
    async fn dial_socket(&self, _: &str) -> Result<Link, DialError> {
        Err(self.failed(io::ErrorKind::Unsupported.into()))
    }

    /// Makes a connection of frames from a stream, after the TLS handshake if there is one.
    async fn protect(&self, stream: TcpStream) -> Result<Link, DialError> {
        let failed = |error| self.failed(error);
        let peer = stream.peer_addr().map_err(failed)?.ip();
        let tls = match &self.protection {
            Protection::Plain => None,
            Protection::Tls(tls) => Some(tls),
            _ if peer.to_canonical().is_loopback() => None,
            Protection::TlsToOthers(tls) => Some(tls),
            Protection::PlainWithinMachine => {
                let address = self.address.clone();
                return Err(DialError::SecretInPlain { address });
            }
        };
        let Some(tls) = tls else {
            return Link::new(stream, self.max_frame).map_err(failed);
        };
        tune(&stream).map_err(failed)?;
        match tls.connect(&self.address.host, stream).await {
            Ok((stream, proof)) => Link::within_tls(stream, proof, self.max_frame).map_err(failed),
            Err(error) => Err(DialError::Tls {
                address: self.address.clone(),
                source: Box::new(error),
            }),
        }
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

/// The addresses with the two families alternating, so that if one family doesn't work, only half
/// of the attempts are lost.
fn interleaved(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let is_first_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (first, second): (Vec<_>, Vec<_>) = addresses
        .into_iter()
        .partition(|address| address.is_ipv6() == is_first_v6);
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    let mut all = Vec::new();
    loop {
        let (one, other) = (first.next(), second.next());
        if one.is_none() && other.is_none() {
            return all;
        }
        all.extend(one.into_iter().chain(other));
    }
}

/// Makes the first connection that can be made, or says why the last one can't.
///
/// Cancel safe: dropping it gives up all attempts.
async fn race(addresses: Vec<SocketAddr>) -> io::Result<TcpStream> {
    let mut left = addresses.into_iter();
    let mut attempts = JoinSet::new();
    let mut failed = io::ErrorKind::NotFound.into();
    loop {
        match left.next() {
            Some(address) => drop(attempts.spawn(connect(address))),
            None if attempts.is_empty() => return Err(failed),
            None => {}
        }
        let is_last = left.len() == 0;
        tokio::select! {
            Some(attempt) = attempts.join_next() => match attempt {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => failed = error,
                // The task is never cancelled.
                Err(_) => {}
            },
            () = sleep(ATTEMPT_DELAY), if !is_last => {}
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

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        let address = |text: &&str| text.parse().expect("an address");
        texts.iter().map(address).collect()
    }

    #[test]
    fn the_families_take_turns() {
        let mixed = addresses(&[
            "[::1]:1",
            "[::2]:1",
            "[::3]:1",
            "127.0.0.1:1",
            "127.0.0.2:1",
        ]);
        let turns = addresses(&[
            "[::1]:1",
            "127.0.0.1:1",
            "[::2]:1",
            "127.0.0.2:1",
            "[::3]:1",
        ]);
        assert_eq!(interleaved(mixed), turns);
        assert_eq!(interleaved(Vec::new()), []);
    }

    /// An address that answers nothing: its listener's queue is full.
    #[cfg(target_os = "linux")]
    fn silent() -> (std::net::TcpListener, Vec<std::net::TcpStream>) {
        let any: SocketAddr = "127.0.0.1:0".parse().expect("an address");
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)
            .expect("a socket");
        socket.bind(&any.into()).expect("bound");
        socket.listen(0).expect("listening");
        let listener: std::net::TcpListener = socket.into();
        let address = listener.local_addr().expect("an address");
        let short = Duration::from_millis(200);
        let connect = || std::net::TcpStream::connect_timeout(&address, short).ok();
        let waiting: Vec<_> = std::iter::from_fn(connect).take(8).collect();
        (listener, waiting)
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn an_address_that_is_silent_costs_a_moment_and_one_that_refuses_nothing() {
        let (silent, _waiting) = silent();
        let silent = silent.local_addr().expect("an address");
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("bound");
        let good = listener.local_addr().expect("an address");
        let refusing = {
            let closed = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
            closed.local_addr().expect("an address")
        };
        let began = Instant::now();
        let stream = race(vec![silent, refusing, good]).await.expect("connected");
        assert_eq!(stream.peer_addr().expect("an address"), good);
        let took = began.elapsed();
        assert!(
            took >= ATTEMPT_DELAY && took < 3 * ATTEMPT_DELAY,
            "{took:?}"
        );
        let began = Instant::now();
        race(vec![refusing, good]).await.expect("connected");
        assert!(began.elapsed() < ATTEMPT_DELAY);
        let error = race(vec![refusing]).await.expect_err("refused");
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    }
}
