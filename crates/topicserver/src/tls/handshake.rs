//! The beginning of a connection that speaks TLS, up to its first encrypted byte.

use std::io;
use std::net::Shutdown;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use rustls::server::UnbufferedServerConnection;
use socket2::SockRef;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use crate::linger;
use crate::socket::Socket;
use crate::tls::records::{Processed, begins_with_record, process};

/// The most bytes of an unfinished handshake message: more than the longest that TLS allows.
const LONGEST_FLIGHT: usize = 72 * 1024;

/// How long a peer has to read why its handshake failed.
const LINGER: Duration = Duration::from_secs(1);

/// How long sending the alert is tried.
const ALERT_TIMEOUT: Duration = Duration::from_secs(1);

/// Why a handshake fails.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HandshakeError {
    /// The peer sent something invalid, or wants something unsupported.
    #[error("the TLS handshake failed: {0}")]
    Failed(rustls::Error),
    #[error("the TLS handshake was not finished within {} s", .0.as_secs())]
    Late(Duration),
    #[error("the TLS handshake is longer than {LONGEST_FLIGHT} bytes")]
    TooLong,
    /// The peer has gone.
    #[error("the connection ended within the TLS handshake: {0}")]
    Gone(io::Error),
}

/// A connection whose handshake is done.
pub(super) struct Accepted {
    pub(super) connection: UnbufferedServerConnection,
    /// Bytes after the handshake that aren't decrypted yet.
    pub(super) rest: Vec<u8>,
    /// Text that came with the end of the handshake.
    pub(super) received: Vec<u8>,
    /// How the peer's stream has ended, if it has.
    pub(super) end: Option<Ending>,
}

/// How a stream can have ended with the end of the handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// The peer says that it has sent everything.
    CloseNotify,
    /// The stream can't be decrypted any further.
    Broken,
}

/// Answers a client's handshake, of which the beginning was read already.
pub(super) async fn accept(
    config: Arc<ServerConfig>,
    computing: &Semaphore,
    socket: &TcpStream,
    first: &[u8],
) -> Result<Accepted, HandshakeError> {
    let connection = UnbufferedServerConnection::new(config).map_err(HandshakeError::Failed)?;
    let mut accepted = Accepted {
        connection,
        rest: first.to_vec(),
        received: Vec::new(),
        end: None,
    };
    loop {
        let mut outgoing = Vec::new();
        let failure = accepted.compute(computing, &mut outgoing).await;
        if let Some(error) = failure {
            let alert = send(socket, &outgoing);
            // A peer that doesn't take the alert isn't waited for.
            let _ = tokio::time::timeout(ALERT_TIMEOUT, alert).await;
            // The records that were complete count.
            if !accepted.connection.is_handshaking() {
                accepted.end = Some(Ending::Broken);
                return Ok(accepted);
            }
            return Err(HandshakeError::Failed(error));
        }
        send(socket, &outgoing)
            .await
            .map_err(HandshakeError::Gone)?;
        if !accepted.connection.is_handshaking() {
            return Ok(accepted);
        }
        if accepted.rest.len() > LONGEST_FLIGHT {
            return Err(HandshakeError::TooLong);
        }
        receive(socket, &mut accepted.rest)
            .await
            .map_err(HandshakeError::Gone)?;
    }
}

impl Accepted {
    /// Processes the bytes that have come. The part that takes a core for long is done by a
    /// limited number of tasks at once: a task with a permit yields first, and other tasks wait
    /// for one.
    async fn compute(
        &mut self,
        computing: &Semaphore,
        outgoing: &mut Vec<u8>,
    ) -> Option<rustls::Error> {
        let permit = match begins_with_record(&self.rest) {
            // The semaphore is never closed.
            true => computing.acquire().await.ok(),
            false => None,
        };
        if permit.is_some() {
            tokio::task::yield_now().await;
        }
        let received = &mut self.received;
        let take = |text: &[u8]| received.extend_from_slice(text);
        let Processed {
            used,
            has_ended,
            failure,
        } = process(&mut self.connection, &mut self.rest, outgoing, take);
        self.rest.drain(..used);
        self.end = self.end.or(has_ended.then_some(Ending::CloseNotify));
        failure
    }
}

/// Writes all bytes.
async fn send(socket: &TcpStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        socket.writable().await?;
        match socket.try_write(bytes) {
            Ok(count) => bytes = &bytes[count..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Reads once.
async fn receive(socket: &TcpStream, bytes: &mut Vec<u8>) -> io::Result<()> {
    loop {
        socket.readable().await?;
        bytes.reserve(4096);
        match socket.try_read_buf(bytes) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}

/// Ends a connection whose handshake failed, so that its peer can read why.
pub(super) async fn hang_up(socket: &TcpStream) {
    let _ = SockRef::from(socket).shutdown(Shutdown::Write);
    linger::discard(Socket::Tcp(socket), LINGER).await;
}
