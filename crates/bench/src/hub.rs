//! The generator's connections: one thread, one poll, one read buffer for
//! all, and a decoder per connection. Knows bytes and payloads, not what they
//! mean; a connection that the server closes is an error, unless the workload
//! counts those.

use crate::protocols::{Codec, Decoder, shown};
use crate::tls::Session;
use anyhow::{Context, Result, bail, ensure};
use mio::event::Event;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::thread::ScopedJoinHandle;
use std::time::{Duration, Instant};

/// As much as one read takes: a burst of 32 messages of 8 KiB in one go.
const READ_BUFFER: usize = 256 * 1024;
/// Events of one poll; more wait for the next.
const EVENTS: usize = 1024;
/// A server that hasn't answered a handshake by then has failed.
const OPENING_LIMIT: Duration = Duration::from_secs(10);

/// Connections whose handshakes are done at the same time, each by a thread.
const OPENING_AT_ONCE: usize = 64;

/// The generator's monotonic clock, in nanoseconds since the run began.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock(Instant);

impl Clock {
    /// A clock that starts at 0 now.
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    /// Nanoseconds since the start.
    pub(crate) fn now(self) -> u64 {
        u64::try_from(self.0.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

/// One connection of the generator.
struct Member {
    stream: TcpStream,
    /// Its encryption, if the server is spoken to so.
    tls: Option<Session>,
    decoder: Decoder,
    /// What is being written; empty nearly always.
    unsent: Vec<u8>,
    /// Bytes at the beginning of `unsent` that the socket has taken: moving the rest
    /// down after every write would cost more than writing large messages does.
    written: usize,
}

/// What all connections are read with.
struct ReadContext {
    buffer: Vec<u8>,
    /// The text of what was read, where that was encrypted.
    text: Vec<u8>,
    /// What the server is owed by the connection being read.
    answers: Vec<u8>,
    codec: &'static dyn Codec,
    clock: Clock,
}

/// Why a connection can't go on.
enum HubError {
    /// It was closed or refused.
    Closed(std::io::Error),
    /// What arrived on it is wrong, and so is the whole run.
    Wrong(anyhow::Error),
}

impl From<std::io::Error> for HubError {
    fn from(error: std::io::Error) -> Self {
        Self::Closed(error)
    }
}

/// All connections of one run to one server.
pub(crate) struct Hub {
    poll: Poll,
    events: Events,
    members: Vec<Member>,
    context: ReadContext,
    address: SocketAddr,
    /// Connections that the server closed; `None` where that is an error.
    closed: Option<Vec<usize>>,
    /// So many connections follow.
    expected: usize,
    /// Those whose handshake is done already.
    opened: Vec<std::net::TcpStream>,
    /// How this server is spoken to.
    pub(crate) codec: &'static dyn Codec,
    /// The clock that stamps are written and read by.
    pub(crate) clock: Clock,
}

impl Hub {
    /// No connections yet to the server at `address`.
    pub(crate) fn new(codec: &'static dyn Codec, address: SocketAddr) -> Result<Self> {
        let clock = Clock::start();
        Ok(Self {
            poll: Poll::new().context("opening the generator's poll")?,
            events: Events::with_capacity(EVENTS),
            members: Vec::new(),
            context: ReadContext {
                buffer: vec![0; READ_BUFFER],
                text: Vec::new(),
                answers: Vec::new(),
                codec,
                clock,
            },
            address,
            closed: None,
            expected: 0,
            opened: Vec::new(),
            codec,
            clock,
        })
    }

    /// The connections that follow go to this address.
    pub(crate) fn turn_to(&mut self, address: SocketAddr) {
        self.address = address;
    }

    /// From now on a connection that the server closes or refuses is only
    /// noted.
    pub(crate) fn tolerate_closing(&mut self) {
        self.closed = Some(Vec::new());
    }

    /// The connections that were closed since the last call, where tolerated.
    pub(crate) fn take_closed(&mut self) -> Vec<usize> {
        self.closed.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Connects and waits for it: the server accepts in the order of the calls.
    pub(crate) fn connect(&mut self) -> Result<usize> {
        let mut stream = match self.codec.opening() {
            Some(request) => self.take_opened(&request)?,
            None => std::net::TcpStream::connect(self.address)
                .with_context(|| self.refused("connecting"))?,
        };
        self.expected = self.expected.saturating_sub(1);
        let tls = match self.codec.is_encrypted() {
            true => Some(Session::begin(&mut stream).with_context(|| self.refused("securing"))?),
            false => None,
        };
        stream
            .set_nonblocking(true)
            .context("setting up a socket")?;
        stream.set_nodelay(true).context("setting TCP_NODELAY")?;
        self.adopt(TcpStream::from_std(stream), tls)
    }

    /// So many connections follow at least.
    pub(crate) fn expect(&mut self, connections: usize) {
        self.expected = connections;
    }

    /// A connection whose handshake is done. Several are opened at a time: a server that looks
    /// at its WebSockets every 200 ms, as Mosquitto does, would keep a thousand waiting for
    /// minutes.
    fn take_opened(&mut self, request: &str) -> Result<std::net::TcpStream> {
        if let Some(stream) = self.opened.pop() {
            return Ok(stream);
        }
        let address = self.address;
        let connect = || -> Result<std::net::TcpStream> {
            let mut stream = std::net::TcpStream::connect(address)?;
            open(&mut stream, request)?;
            Ok(stream)
        };
        let count = self.expected.clamp(1, OPENING_AT_ONCE);
        let opened = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..count).map(|_| scope.spawn(connect)).collect();
            let join = |thread: ScopedJoinHandle<'_, _>| {
                thread
                    .join()
                    .unwrap_or_else(|_| bail!("opening has panicked"))
            };
            threads.into_iter().map(join).collect::<Result<Vec<_>>>()
        });
        self.opened = opened.with_context(|| self.refused("opening"))?;
        self.opened.pop().with_context(|| self.refused("opening"))
    }

    /// Begins to connect; what is sent meanwhile follows once connected.
    pub(crate) fn begin_connect(&mut self) -> Result<usize> {
        let stream =
            TcpStream::connect(self.address).with_context(|| self.refused("connecting"))?;
        self.adopt(stream, None)
    }

    fn refused(&self, what: &str) -> String {
        let (count, address) = (self.members.len(), self.address);
        format!("{what} connection {count} to {address}")
    }

    fn adopt(&mut self, mut stream: TcpStream, tls: Option<Session>) -> Result<usize> {
        let member = self.members.len();
        // A reset instead of a farewell: no port of the machine is held for a
        // minute after the run.
        socket2::SockRef::from(&stream)
            .set_linger(Some(Duration::ZERO))
            .context("setting SO_LINGER")?;
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.poll
            .registry()
            .register(&mut stream, Token(member), interest)
            .context("watching a socket")?;
        self.members.push(Member {
            stream,
            tls,
            decoder: Decoder::default(),
            unsent: Vec::new(),
            written: 0,
        });
        Ok(member)
    }

    /// A second handle to a connection's socket, for a thread that only writes.
    pub(crate) fn writer(&self, member: usize) -> Result<std::net::TcpStream> {
        let copy = socket2::SockRef::from(&self.members[member].stream)
            .try_clone()
            .context("copying a socket")?;
        Ok(copy.into())
    }

    /// Whether the server hasn't taken all that was sent on this connection.
    pub(crate) fn is_sending(&self, member: usize) -> bool {
        !self.members[member].unsent.is_empty()
    }

    /// Reads nothing more from this connection, ever.
    pub(crate) fn stop_reading(&mut self, member: usize) -> Result<()> {
        self.poll
            .registry()
            .deregister(&mut self.members[member].stream)
            .context("letting a socket go")
    }

    /// Sends `bytes` in one write, or what the socket doesn't take later.
    pub(crate) fn send(&mut self, member: usize, bytes: &[u8]) -> Result<()> {
        let member = &mut self.members[member];
        match member.queue(bytes).and_then(|()| member.flush()) {
            // Reading it will give the same error, and there it is dealt with.
            Err(_) if self.closed.is_some() => Ok(()),
            other => other.context("writing to the server"),
        }
    }

    /// Waits at most `timeout` for something to arrive and hands each payload
    /// to `deliver`, with the connection's number and the time of its read.
    pub(crate) fn turn(
        &mut self,
        timeout: Duration,
        deliver: &mut impl FnMut(usize, u64, &[u8]) -> Result<()>,
    ) -> Result<()> {
        if let Err(error) = self.poll.poll(&mut self.events, Some(timeout))
            && error.kind() != ErrorKind::Interrupted
        {
            return Err(error).context("waiting for the server");
        }
        for event in &self.events {
            let Token(index) = event.token();
            let member = &mut self.members[index];
            let served = member.serve(event, &mut self.context, &mut |now, payload| {
                deliver(index, now, payload)
            });
            match (served, &mut self.closed) {
                (Ok(()), _) => {}
                (Err(HubError::Closed(_)), Some(closed)) => {
                    // Nothing more is heard of it.
                    let _ = self.poll.registry().deregister(&mut member.stream);
                    closed.push(index);
                }
                (Err(HubError::Closed(error)), None) => {
                    return Err(error).with_context(|| format!("connection {index} was lost"));
                }
                (Err(HubError::Wrong(error)), _) => return Err(error),
            }
        }
        Ok(())
    }
}

impl Member {
    /// Writes what is left over and reads what has arrived.
    fn serve(
        &mut self,
        event: &Event,
        context: &mut ReadContext,
        deliver: &mut impl FnMut(u64, &[u8]) -> Result<()>,
    ) -> Result<(), HubError> {
        if event.is_writable() && !self.unsent.is_empty() {
            self.flush()?;
        }
        while event.is_readable() {
            let Some(read) = self.read(&mut context.buffer)? else {
                break;
            };
            let now = context.clock.now();
            let mut text = &context.buffer[..read];
            if let Some(tls) = &mut self.tls {
                context.text.clear();
                tls.open(text, &mut context.text)?;
                text = &context.text;
            }
            self.decoder
                .feed(context.codec, text, &mut context.answers, &mut |payload| {
                    deliver(now, payload)
                })
                .map_err(HubError::Wrong)?;
            if !context.answers.is_empty() {
                self.queue(&context.answers)?;
                context.answers.clear();
                self.flush()?;
            }
            // A short read has emptied the socket: the next arrival is a new
            // event.
            if read < context.buffer.len() {
                break;
            }
        }
        Ok(())
    }

    /// Bytes read, `None` when there are none now.
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<Option<usize>> {
        loop {
            match self.stream.read(buffer) {
                Ok(0) => {
                    let why = "the server closed it: see its log for the reason";
                    return Err(std::io::Error::new(ErrorKind::UnexpectedEof, why));
                }
                Ok(read) => return Ok(Some(read)),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if not_now(error.kind()) => return Ok(None),
                Err(error) => return Err(error),
            }
        }
    }

    /// Enters what is to be written next.
    fn queue(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        if self.written > self.unsent.len() / 2 {
            self.unsent.drain(..self.written);
            self.written = 0;
        }
        match &mut self.tls {
            Some(tls) => tls.seal(bytes, &mut self.unsent)?,
            None => self.unsent.extend_from_slice(bytes),
        }
        Ok(())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        while self.written < self.unsent.len() {
            match self.stream.write(&self.unsent[self.written..]) {
                Ok(written) => self.written += written,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if not_now(error.kind()) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        self.unsent.clear();
        self.written = 0;
        Ok(())
    }
}

/// Sends a handshake and waits for the answer, byte by byte: what follows it is the codec's.
fn open(stream: &mut std::net::TcpStream, request: &str) -> Result<()> {
    stream.set_read_timeout(Some(OPENING_LIMIT))?;
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        answer.push(byte[0]);
    }
    let is_open = answer.starts_with(b"HTTP/1.1 101");
    ensure!(is_open, "the server answered {}", shown(&answer));
    Ok(())
}

/// Nothing is wrong: the socket isn't ready, or still connecting.
fn not_now(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::WouldBlock | ErrorKind::NotConnected)
}
