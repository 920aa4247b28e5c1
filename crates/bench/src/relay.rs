//! The bare relay: the least that a server with one write per receiver can
//! do. It reads once and sends what it has read once to every other
//! connection of the group; it parses nothing and keeps no topics.

use anyhow::{Context, Result, ensure};
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};

/// As much as one read takes.
const READ_BUFFER: usize = 64 * 1024;
/// Maximum bytes queued per connection, which is disconnected beyond it.
const UNSENT_LIMIT: usize = 64 * 1024 * 1024;
/// Longer than the generator's join storm, where the system allows it.
const BACKLOG: i32 = 4096;
const LISTENER: Token = Token(usize::MAX);

/// One connection, until it ends.
struct Peer {
    stream: TcpStream,
    /// What its socket has not taken yet.
    unsent: Vec<u8>,
}

struct Relay {
    poll: Poll,
    listener: TcpListener,
    /// By order of arrival; a place is never used again.
    peers: Vec<Option<Peer>>,
    /// Consecutive connections that hear one another; 0 stands for all.
    group: usize,
    buffer: Vec<u8>,
}

/// Runs a relay on a loopback port (0: any) until the process is ended, and
/// says on standard output where it listens.
pub(crate) fn run(port: u16, group: usize) -> Result<()> {
    let mut relay = Relay::bind(port, group)?;
    let address = relay.listener.local_addr().context("reading the address")?;
    crate::output::say(address)?;
    let mut events = Events::with_capacity(1024);
    loop {
        if let Err(error) = relay.poll.poll(&mut events, None)
            && error.kind() != ErrorKind::Interrupted
        {
            return Err(error).context("waiting for connections");
        }
        for event in &events {
            if event.token() == LISTENER {
                relay.accept()?;
                continue;
            }
            let Token(index) = event.token();
            if event.is_writable() {
                relay.flush(index);
            }
            if event.is_readable() {
                relay.forward(index);
            }
        }
    }
}

impl Relay {
    fn bind(port: u16, group: usize) -> Result<Self> {
        ensure!(
            group != 1,
            "a group of 1 has nobody to relay to: use 0 or 2 and more"
        );
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)
            .context("opening a socket")?;
        socket
            .set_reuse_address(true)
            .context("setting SO_REUSEADDR")?;
        socket
            .set_nonblocking(true)
            .context("setting up the socket")?;
        socket
            .bind(&address.into())
            .with_context(|| format!("binding {address}: choose another port"))?;
        socket.listen(BACKLOG).context("listening")?;
        let mut listener = TcpListener::from_std(socket.into());
        let poll = Poll::new().context("opening a poll")?;
        poll.registry()
            .register(&mut listener, LISTENER, Interest::READABLE)
            .context("watching the listener")?;
        Ok(Self {
            poll,
            listener,
            peers: Vec::new(),
            group,
            buffer: vec![0; READ_BUFFER],
        })
    }

    fn accept(&mut self) -> Result<()> {
        loop {
            match self.listener.accept() {
                Ok((mut stream, _)) => {
                    stream.set_nodelay(true).context("setting TCP_NODELAY")?;
                    let token = Token(self.peers.len());
                    let interest = Interest::READABLE | Interest::WRITABLE;
                    self.poll
                        .registry()
                        .register(&mut stream, token, interest)
                        .context("watching a connection")?;
                    self.peers.push(Some(Peer {
                        stream,
                        unsent: Vec::new(),
                    }));
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::ConnectionAborted => {}
                Err(error) => return Err(error).context("accepting a connection"),
            }
        }
    }

    /// One read, then one send to each other member of the group.
    fn forward(&mut self, from: usize) {
        loop {
            let Some(peer) = &mut self.peers[from] else {
                return;
            };
            let read = match peer.stream.read(&mut self.buffer) {
                Ok(read) if read > 0 => read,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                _ => {
                    self.peers[from] = None;
                    return;
                }
            };
            let range = match self.group {
                0 => 0..self.peers.len(),
                size => {
                    let start = from - from % size;
                    start..self.peers.len().min(start + size)
                }
            };
            for to in range {
                if to != from {
                    deliver(&mut self.peers[to], &self.buffer[..read]);
                }
            }
            if read < self.buffer.len() {
                return;
            }
        }
    }

    fn flush(&mut self, index: usize) {
        let place = &mut self.peers[index];
        if place.as_ref().is_some_and(|peer| !peer.unsent.is_empty()) {
            deliver(place, &[]);
        }
    }
}

/// Sends what the socket takes now and queues the rest. A connection that fails or falls
/// too far behind is closed.
fn deliver(place: &mut Option<Peer>, bytes: &[u8]) {
    let Some(peer) = place else { return };
    let sent = if peer.unsent.is_empty() {
        send(&mut peer.stream, bytes).inspect(|&sent| {
            peer.unsent.extend_from_slice(&bytes[sent..]);
        })
    } else {
        peer.unsent.extend_from_slice(bytes);
        send(&mut peer.stream, &peer.unsent).inspect(|&sent| drop(peer.unsent.drain(..sent)))
    };
    if sent.is_err() || peer.unsent.len() > UNSENT_LIMIT {
        *place = None;
    }
}

fn send(stream: &mut TcpStream, bytes: &[u8]) -> std::io::Result<usize> {
    match stream.write(bytes) {
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(0),
        other => other,
    }
}
