//! One connection: frames in, frames out.
//!
//! A link owns its socket. Its two halves are separate, so that a caller can wait for
//! both at once. Every wait is cancel safe, because the types keep what has been read
//! or written so far. It never dials, prints or decides.

mod halves;

use std::io;
#[cfg(unix)]
use std::net::Ipv4Addr;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use wire::{Endpoint, ErrorCode, Message, ScanError};

use crate::frame::{Frame, FrameBuffer};
use crate::tls::Proof;
use halves::{ReadHalf, WriteHalf};

/// How long the peer of a refused connection has to read the reason.
const LINGER: Duration = Duration::from_secs(1);
/// A peer whose machine or network vanished sends nothing. The system probes it after
/// this long of silence, then every `PROBE_INTERVAL`, and gives it up after a minute
/// or two.
const PROBE_AFTER: Duration = Duration::from_secs(30);
/// See [`PROBE_AFTER`].
const PROBE_INTERVAL: Duration = Duration::from_secs(10);

/// A connection to a peer or a server.
#[derive(Debug)]
pub struct Link {
    /// What the other side sends.
    pub reader: FrameReader,
    /// What this side sends.
    pub writer: FrameWriter,
    local: SocketAddr,
    remote: SocketAddr,
    /// How the server has proven who it is, over TLS.
    proof: Option<Proof>,
}

/// How a connection was lost.
#[derive(Clone, Debug, thiserror::Error)]
pub enum LinkError {
    /// The connection failed.
    #[error("{0}")]
    Io(Arc<io::Error>),
    /// What arrived is no stream of frames.
    #[error("it sent something that is no frame ({code}: {0})", code = .0.code())]
    Scan(#[from] ScanError),
    /// The stream ended within a frame.
    #[error("it ended within a frame")]
    Unfinished,
    /// Within TLS: the connection ended without `close_notify`. The program has crashed, or an
    /// attacker on the network has cut the connection.
    #[error("it was cut off")]
    Cut,
    /// The stream ended, and shouldn't have.
    #[error("the other side closed it")]
    Closed,
}

impl From<io::Error> for LinkError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::Cut,
            _ => Self::Io(Arc::new(error)),
        }
    }
}

impl Link {
    /// Takes a connected stream. Fails if the peer has reset it meanwhile.
    pub fn new(stream: TcpStream, max_frame: usize) -> io::Result<Self> {
        tune(&stream)?;
        let (local, remote) = (stream.local_addr()?, stream.peer_addr()?);
        let (read, write) = stream.into_split();
        Ok(Self {
            reader: FrameReader::new(ReadHalf::Plain(read), max_frame),
            writer: FrameWriter::new(WriteHalf::Plain(write)),
            local: canonical(local),
            remote: canonical(remote),
            proof: None,
        })
    }

    /// Takes a stream within TLS, whose socket is [tuned](tune).
    pub(crate) fn within_tls(
        stream: TlsStream<TcpStream>,
        proof: Proof,
        max_frame: usize,
    ) -> io::Result<Self> {
        let (socket, _) = stream.get_ref();
        let (local, remote) = (socket.local_addr()?, socket.peer_addr()?);
        let (read, write) = tokio::io::split(stream);
        Ok(Self {
            reader: FrameReader::new(ReadHalf::Tls(read), max_frame),
            writer: FrameWriter::new(WriteHalf::Tls(write)),
            local: canonical(local),
            remote: canonical(remote),
            proof: Some(proof),
        })
    }

    /// Takes a connected UNIX socket. Frames have only addresses, so both ends are this machine.
    #[cfg(unix)]
    pub(crate) fn over_socket(stream: tokio::net::UnixStream, max_frame: usize) -> Self {
        let here = (Ipv4Addr::LOCALHOST, 0).into();
        let (read, write) = stream.into_split();
        Self {
            reader: FrameReader::new(ReadHalf::Unix(read), max_frame),
            writer: FrameWriter::new(WriteHalf::Unix(write)),
            local: here,
            remote: here,
            proof: None,
        }
    }

    /// How the server has proven who it is; `None` without TLS.
    pub fn proof(&self) -> Option<Proof> {
        self.proof
    }

    /// The peer's address; an IPv4 address is one also on an IPv6 socket.
    pub fn remote(&self) -> SocketAddr {
        self.remote
    }

    /// This end and the other, as a frame's `source` and `destination`.
    pub fn endpoints(&self) -> (Endpoint, Endpoint) {
        (self.local.into(), self.remote.into())
    }

    /// Sends the peer the reason, in the form that every client prints, then closes
    /// the connection: this side first, and the socket only when the peer has closed
    /// too or the time is over. Closing a socket with unread bytes would reset it,
    /// and the peer would lose the reason.
    pub async fn refuse(mut self, code: ErrorCode, reason: &str) {
        let (source, destination) = self.endpoints();
        let text = &code.to_text(reason);
        let topic = ErrorCode::TOPIC;
        let line = Message {
            source,
            destination,
            topic,
            text,
        }
        .to_line();
        let lingering_close = async {
            // The reason within another frame would be unreadable.
            if !self.writer.is_busy() {
                self.writer.half.write_all(&line).await?;
            }
            self.writer.half.shutdown().await?;
            while self.reader.discard().await? > 0 {}
            io::Result::Ok(())
        };
        // A peer that is gone, or doesn't read, misses the reason.
        let _ = tokio::time::timeout(LINGER, lingering_close).await;
    }
}

/// Sets the socket options of every connection.
pub(crate) fn tune(stream: &TcpStream) -> io::Result<()> {
    // A line is sent at once, not together with the next one.
    stream.set_nodelay(true)?;
    let probes = socket2::TcpKeepalive::new()
        .with_time(PROBE_AFTER)
        .with_interval(PROBE_INTERVAL);
    socket2::SockRef::from(stream).set_tcp_keepalive(&probes)
}

/// An IPv4 address that was mapped into IPv6, as IPv4.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// The reading half of a connection.
#[derive(Debug)]
pub struct FrameReader {
    half: ReadHalf,
    buffer: FrameBuffer,
}

impl FrameReader {
    fn new(half: ReadHalf, max_frame: usize) -> Self {
        let buffer = FrameBuffer::new(max_frame);
        Self { half, buffer }
    }

    /// Reads what has arrived: the number of bytes, 0 at the end of the stream.
    ///
    /// Cancel safe: what was read is in the buffer.
    pub async fn fill(&mut self) -> io::Result<usize> {
        self.half.read(self.buffer.space()).await
    }

    /// The next frame of what was read. Values that are no known frame are skipped.
    /// After an error the stream has no next frame.
    pub fn next_frame(&mut self) -> Result<Option<Frame<'_>>, ScanError> {
        self.buffer.next_frame()
    }

    /// A frame has begun, and its end hasn't arrived.
    pub fn is_partial(&self) -> bool {
        self.buffer.is_partial()
    }

    /// Reads and discards. Returns the number of bytes, 0 at the end of the stream.
    async fn discard(&mut self) -> io::Result<usize> {
        self.half.read(self.buffer.clear()).await
    }
}

/// Whether a frame is completely written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// A part of it is written.
    Partly,
    /// All of it is written.
    Completely,
}

/// The writing half of a connection: each frame is one write if the connection takes
/// it.
#[derive(Debug)]
pub struct FrameWriter {
    half: WriteHalf,
    /// The frame that is being written; empty when none is.
    frame: Vec<u8>,
    /// Bytes of it that are written.
    written: usize,
}

impl FrameWriter {
    fn new(half: WriteHalf) -> Self {
        Self {
            half,
            frame: Vec::new(),
            written: 0,
        }
    }

    /// A frame is being written.
    pub fn is_busy(&self) -> bool {
        !self.frame.is_empty()
    }

    /// Writes a single frame. Not cancel safe.
    pub async fn write_all(&mut self, frame: &[u8]) -> io::Result<()> {
        self.half.write_all(frame).await
    }

    /// Begins the next frame. The caller waits until none is being written.
    pub fn begin(&mut self, frame: Vec<u8>) {
        self.frame = frame;
        self.written = 0;
    }

    /// Writes what the connection takes of the frame.
    ///
    /// Cancel safe: what was written is counted.
    pub async fn write_on(&mut self) -> io::Result<Written> {
        if self.written < self.frame.len() {
            self.written += self.half.write(&self.frame[self.written..]).await?;
        }
        if self.written < self.frame.len() {
            return Ok(Written::Partly);
        }
        self.half.flush().await?;
        self.frame.clear();
        Ok(Written::Completely)
    }

    /// Closes this direction: the other side reads the end of the stream.
    pub async fn shutdown(&mut self) {
        // Reading shows whether the other side is gone.
        let _ = self.half.shutdown().await;
    }

    /// An error of the connection that no read or write has returned.
    pub fn take_error(&self) -> Option<io::Error> {
        self.half.take_error()
    }
}
