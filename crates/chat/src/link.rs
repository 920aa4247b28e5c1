//! One connection: frames in, frames out.
//!
//! A link owns its socket. Its two directions are apart, so that both can be
//! waited for at once; every wait is cancel safe, which the types guarantee by
//! keeping what has been read or written so far. Never dials, prints or decides.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use wire::{
    Endpoint, Envelope, ErrorCode, Event, Limits, Message, Received, Scan, ScanError, Scanner,
    Value,
};

/// What one read may bring: some hundred messages, or one of the longest.
const READ: usize = 64 * 1024;
/// When a connection is refused: how long its peer has to take the reason.
const FAREWELL: Duration = Duration::from_secs(1);
/// A peer whose machine or network vanished says nothing. Asked after this long
/// of silence, then every `PROBE_INTERVAL`, it is given up after a minute or two.
const PROBE_AFTER: Duration = Duration::from_secs(30);
/// See [`PROBE_AFTER`].
const PROBE_INTERVAL: Duration = Duration::from_secs(10);

/// A connection to a peer or a server.
#[derive(Debug)]
pub(crate) struct Link {
    /// What the other side says.
    pub(crate) incoming: Incoming,
    /// What we say.
    pub(crate) outgoing: Outgoing,
    local: SocketAddr,
    remote: SocketAddr,
}

/// How a connection was lost.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LinkError {
    /// The connection failed.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// What came is no stream of frames.
    #[error("what came is no frame ({code}: {0})", code = .0.code())]
    Scan(#[from] ScanError),
    /// The stream ended within a frame.
    #[error("it ended in the middle of a frame")]
    Unfinished,
    /// The stream ended, and shouldn't have.
    #[error("the other side closed it")]
    Closed,
    /// The server said why it ends it.
    #[error("{0}")]
    Told(String),
    /// Nothing was heard for too long, though it was asked.
    #[error("nothing was heard of the other side any more")]
    Silent,
}

impl Link {
    /// Takes a connected stream; fails if it has been reset meanwhile.
    pub(crate) fn new(stream: TcpStream, max_frame: usize) -> io::Result<Self> {
        // A person's line should be on its way at once, not with the next one.
        stream.set_nodelay(true)?;
        let probes = socket2::TcpKeepalive::new()
            .with_time(PROBE_AFTER)
            .with_interval(PROBE_INTERVAL);
        socket2::SockRef::from(&stream).set_tcp_keepalive(&probes)?;
        let (local, remote) = (stream.local_addr()?, stream.peer_addr()?);
        let (read, write) = stream.into_split();
        Ok(Self {
            incoming: Incoming::new(read, max_frame),
            outgoing: Outgoing::new(write),
            local: canonical(local),
            remote: canonical(remote),
        })
    }

    /// The other end. One that came by IPv4 is shown as IPv4.
    pub(crate) fn remote(&self) -> SocketAddr {
        self.remote
    }

    /// Our end and the other, as a frame's `source` and `destination`.
    pub(crate) fn endpoints(&self) -> (Endpoint, Endpoint) {
        (self.local.into(), self.remote.into())
    }

    /// Tells the peer why it isn't talked to, in the form that every client
    /// prints, then closes the connection: our side first, and the socket only
    /// when the peer has closed too or the time is over. A socket closed with
    /// unread bytes would be reset, and the reason lost.
    pub(crate) async fn refuse(mut self, code: ErrorCode, reason: &str) {
        let (source, destination) = self.endpoints();
        let text = &format!("{code}: {reason}");
        let topic = ErrorCode::TOPIC;
        let line = Message {
            source,
            destination,
            topic,
            text,
        }
        .to_line();
        let farewell = async {
            // Half a frame on its way would swallow the reason.
            if !self.outgoing.is_busy() {
                self.outgoing.half.write_all(&line).await?;
            }
            self.outgoing.half.shutdown().await?;
            while self.incoming.discard().await? > 0 {}
            io::Result::Ok(())
        };
        // A peer that is gone already, or doesn't listen, can't be told.
        let _ = tokio::time::timeout(FAREWELL, farewell).await;
    }
}

/// An IPv4 address that was mapped into IPv6, as IPv4.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// One frame that came.
#[derive(Debug)]
pub(crate) enum Said<'a> {
    /// A message.
    Message(Letter<'a>),
    /// What a server says beside messages.
    Event(Event<'a>),
}

/// A message that came, and what came with it.
#[derive(Debug)]
pub(crate) struct Letter<'a> {
    /// What is shown.
    pub(crate) message: Received<'a>,
    bytes: &'a [u8],
    value: Value,
}

impl Letter<'_> {
    /// The whole frame, as it came.
    pub(crate) fn frame(&self) -> &[u8] {
        &self.bytes[self.value.start..self.value.end]
    }

    /// What the server has written on it, if it is one that does.
    pub(crate) fn envelope(&self) -> Envelope {
        Envelope::read(self.bytes, &self.value)
    }
}

/// Frames in.
#[derive(Debug)]
pub(crate) struct Incoming {
    half: OwnedReadHalf,
    scanner: Scanner,
    /// Bytes that were read; those before `consumed` are done with.
    buffer: Vec<u8>,
    consumed: usize,
    /// The buffer ends within a frame.
    partial: bool,
}

impl Incoming {
    fn new(half: OwnedReadHalf, max_frame: usize) -> Self {
        let limits = Limits {
            max_frame,
            ..Limits::default()
        };
        Self {
            half,
            scanner: Scanner::new(limits),
            buffer: Vec::new(),
            consumed: 0,
            partial: false,
        }
    }

    /// Reads what has arrived: the number of bytes, 0 at the end of the stream.
    ///
    /// Cancel safe: what was read is in the buffer.
    pub(crate) async fn fill(&mut self) -> io::Result<usize> {
        self.buffer.drain(..self.consumed);
        self.consumed = 0;
        self.buffer.reserve(READ);
        self.half.read_buf(&mut self.buffer).await
    }

    /// The next frame of what was read. What is none is passed over. After an
    /// error the stream can't be read on.
    pub(crate) fn next_frame(&mut self) -> Result<Option<Said<'_>>, ScanError> {
        loop {
            let bytes = &self.buffer[self.consumed..];
            let value = match self.scanner.scan(bytes)? {
                Scan::Value(value) => value,
                Scan::Partial => {
                    self.partial = true;
                    return Ok(None);
                }
                Scan::Blank => {
                    self.partial = false;
                    self.consumed = self.buffer.len();
                    return Ok(None);
                }
            };
            self.consumed += value.end;
            if let Ok(message) = Received::read(bytes, &value) {
                return Ok(Some(Said::Message(Letter {
                    message,
                    bytes,
                    value,
                })));
            }
            if let Ok(event) = Event::read(bytes, &value) {
                return Ok(Some(Said::Event(event)));
            }
        }
    }

    /// A frame has begun, and its end hasn't come.
    pub(crate) fn is_partial(&self) -> bool {
        self.partial
    }

    /// Reads and forgets: the number of bytes, 0 at the end of the stream.
    async fn discard(&mut self) -> io::Result<usize> {
        self.buffer.clear();
        self.buffer.reserve(READ);
        self.half.read_buf(&mut self.buffer).await
    }
}

/// Frames out, each in one write if the connection takes it.
#[derive(Debug)]
pub(crate) struct Outgoing {
    half: OwnedWriteHalf,
    /// The frame that is being written; empty when none is.
    frame: Vec<u8>,
    /// Bytes of it that are written.
    written: usize,
}

impl Outgoing {
    fn new(half: OwnedWriteHalf) -> Self {
        Self {
            half,
            frame: Vec::new(),
            written: 0,
        }
    }

    /// A frame is being written.
    pub(crate) fn is_busy(&self) -> bool {
        !self.frame.is_empty()
    }

    /// Writes what comes before everything else. A connection that was just made
    /// has room for it.
    pub(crate) async fn write_first(&mut self, frame: &[u8]) -> io::Result<()> {
        self.half.write_all(frame).await
    }

    /// Takes the next frame, when none is being written.
    pub(crate) fn begin(&mut self, frame: Vec<u8>) {
        self.frame = frame;
        self.written = 0;
    }

    /// Writes what the connection takes; true when the frame is complete.
    ///
    /// Cancel safe: what was written is counted.
    pub(crate) async fn write_on(&mut self) -> io::Result<bool> {
        self.written += self.half.write(&self.frame[self.written..]).await?;
        let complete = self.written == self.frame.len();
        if complete {
            self.frame.clear();
        }
        Ok(complete)
    }

    /// Tells the other side that nothing more will come.
    pub(crate) async fn shutdown(&mut self) {
        // One that is gone already shows when it is read.
        let _ = self.half.shutdown().await;
    }

    /// An error that has been reported for the connection and that no read or
    /// write has met.
    pub(crate) fn take_error(&self) -> Option<io::Error> {
        self.half.as_ref().take_error().ok().flatten()
    }
}
