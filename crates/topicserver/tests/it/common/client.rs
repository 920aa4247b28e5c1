//! A classic client that waits for what it expects, but not for ever.

use std::io::{ErrorKind, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::{Value, json};
use socket2::{Domain, SockRef, Socket, Type};

use super::{LIMIT, Stream, read_some};

/// A connection to a server, and what came from it and hasn't been looked at.
pub struct Client {
    stream: Stream,
    received: Vec<u8>,
    /// What was handed out of `received`.
    taken: usize,
}

/// A message frame as the specification writes it, on a line of its own.
pub fn message(topic: &str, text: &str) -> Vec<u8> {
    let frame = json!({
        "source": {"ip": "192.168.1.1", "port": "2000"},
        "destination": {"ip": "192.168.1.5", "port": "2032"},
        "message": {"topic": topic, "text": text},
    });
    format!("{frame}\n").into_bytes()
}

/// A registration frame as the specification writes it, on a line of its own.
pub fn registration(topics: &[&str]) -> Vec<u8> {
    let frame = json!({"source": {"ip": "192.168.1.1", "port": "2000"}, "topics": topics});
    format!("{frame}\n").into_bytes()
}

impl Client {
    pub fn connect(addr: SocketAddr) -> Self {
        #[cfg(unix)]
        if let Some(path) = super::socket_of(addr.port()).filter(|_| super::is_over_unix()) {
            return Self::local(&path);
        }
        Self::over(TcpStream::connect_timeout(&addr, LIMIT).expect("can't connect"))
    }

    /// Connects to a UNIX socket.
    #[cfg(unix)]
    pub fn local(path: &std::path::Path) -> Self {
        Self::with(Stream::plain(super::connect_local(path)))
    }

    /// Connects from a given address of this machine.
    pub fn connect_from(from: IpAddr, addr: SocketAddr) -> Self {
        let socket = Socket::new(Domain::for_address(addr), Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::new(from, 0).into()).unwrap();
        socket.connect_timeout(&addr.into(), LIMIT).unwrap();
        Self::over(socket.into())
    }

    /// Connects with little room for what it doesn't read.
    pub fn connect_narrow(addr: SocketAddr) -> Self {
        let socket = Socket::new(Domain::for_address(addr), Type::STREAM, None).unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        socket.connect_timeout(&addr.into(), LIMIT).unwrap();
        Self::over(socket.into())
    }

    fn over(socket: TcpStream) -> Self {
        Self::with(Stream::over(prepared(socket)).expect("a handshake"))
    }

    pub fn with(stream: Stream) -> Self {
        Self {
            stream,
            received: Vec::new(),
            taken: 0,
        }
    }

    /// The same connection, to be used by another thread for writing.
    pub fn writer(&self) -> Self {
        Self::with(self.stream.clone())
    }

    pub fn send(&mut self, bytes: &[u8]) {
        self.stream
            .write_all(bytes)
            .expect("the server took nothing");
    }

    /// Sends to a peer that may hang up: false when it has.
    pub fn try_send(&mut self, bytes: &[u8]) -> bool {
        match self.stream.write_all(bytes) {
            Ok(()) => true,
            Err(error) if is_gone(error.kind()) => false,
            Err(error) => panic!("the server took nothing: {error}"),
        }
    }

    pub fn register(&mut self, topics: &[&str]) {
        self.send(&registration(topics));
    }

    pub fn say(&mut self, topic: &str, text: &str) {
        self.send(&message(topic, text));
    }

    /// Registers, and returns when that has taken effect: nobody may have sent
    /// anything there yet.
    pub fn join(&mut self, topics: &[&str]) {
        self.register(topics);
        self.sync();
    }

    /// Returns when the server has handled all that was sent before: frames of
    /// one connection are handled in order, and `{}` is answered.
    #[track_caller]
    pub fn sync(&mut self) {
        self.send(b"{}");
        self.expect_error("unknown-frame");
    }

    /// The next line, without its end.
    #[track_caller]
    pub fn line(&mut self) -> Vec<u8> {
        self.next_line()
            .unwrap_or_else(|| panic!("the stream ended where a frame should have come"))
    }

    /// The next line, without its end; `None` at the stream's end. Half a line
    /// before the end is a failure.
    #[track_caller]
    pub fn next_line(&mut self) -> Option<Vec<u8>> {
        let mut searched = self.taken;
        loop {
            let unsearched = &self.received[searched..];
            if let Some(length) = unsearched.iter().position(|byte| *byte == b'\n') {
                let line = self.received[self.taken..searched + length].to_vec();
                self.taken = searched + length + 1;
                return Some(line);
            }
            searched = self.received.len() - self.taken;
            self.received.drain(..self.taken);
            self.taken = 0;
            if self.fill() == 0 {
                let half = String::from_utf8_lossy(&self.received);
                assert!(half.is_empty(), "the stream ended within a frame: {half}");
                return None;
            }
        }
    }

    /// The next line of a connection that may have been reset: `None` then.
    #[track_caller]
    pub fn next_line_or_reset(&mut self) -> Option<Vec<u8>> {
        while !self.received[self.taken..].contains(&b'\n') {
            let mut bytes = [0; 64 * 1024];
            match read_some(&mut self.stream, &mut bytes) {
                // A reset may come within a line.
                Err(error) if is_gone(error.kind()) => return None,
                Ok(0) => break,
                read => self.received.extend_from_slice(&bytes[..read.unwrap()]),
            }
        }
        self.next_line()
    }

    /// The next frame's topic and text.
    #[track_caller]
    pub fn message(&mut self) -> (String, String) {
        parts(&self.line())
    }

    /// The same for a connection that may have been reset: `None` then.
    #[track_caller]
    pub fn message_or_reset(&mut self) -> Option<(String, String)> {
        self.next_line_or_reset().map(|line| parts(&line))
    }

    /// The next frame must be this message.
    #[track_caller]
    pub fn expect(&mut self, topic: &str, text: &str) {
        assert_eq!(self.message(), (topic.to_owned(), text.to_owned()));
    }

    /// The next frame must tell of this error. Returns its explanation.
    #[track_caller]
    pub fn expect_error(&mut self, code: &str) -> String {
        let (topic, text) = self.message();
        assert_eq!(topic, "error", "waiting for {code}, got {text:?}");
        match text.split_once(": ") {
            Some((told, why)) if told == code && !why.is_empty() => why.to_owned(),
            _ => panic!("waiting for the error {code}, was told {text:?}"),
        }
    }

    /// The server must have closed the connection, in order.
    #[track_caller]
    pub fn expect_end(&mut self) {
        if let Some(line) = self.next_line() {
            panic!(
                "the connection should have ended, but {} came",
                String::from_utf8_lossy(&line)
            );
        }
    }

    /// All texts up to the stream's end.
    #[track_caller]
    pub fn texts_to_the_end(&mut self) -> Vec<(String, String)> {
        std::iter::from_fn(|| self.next_line())
            .map(|line| parts(&line))
            .collect()
    }

    /// Sends no more, and goes on receiving.
    pub fn finish_sending(&self) {
        self.stream.finish().unwrap();
    }

    /// Goes with a reset instead of a farewell.
    pub fn reset(self) {
        let socket = SockRef::from(self.stream.socket());
        socket.set_linger(Some(Duration::ZERO)).unwrap();
    }

    pub fn local_addr(&self) -> SocketAddr {
        self.stream.socket().local_addr().unwrap()
    }

    /// Reads once; 0 at the end.
    #[track_caller]
    fn fill(&mut self) -> usize {
        let mut bytes = [0; 64 * 1024];
        match read_some(&mut self.stream, &mut bytes) {
            Ok(count) => {
                self.received.extend_from_slice(&bytes[..count]);
                count
            }
            Err(error) => panic!("waiting for a frame or the stream's end: {error}"),
        }
    }
}

fn prepared(socket: TcpStream) -> TcpStream {
    socket.set_nodelay(true).unwrap();
    socket.set_read_timeout(Some(LIMIT)).unwrap();
    socket.set_write_timeout(Some(LIMIT)).unwrap();
    socket
}

fn is_gone(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::BrokenPipe
            | ErrorKind::ConnectionReset
            | ErrorKind::ConnectionAborted
            // An end of TLS that the server didn't announce.
            | ErrorKind::UnexpectedEof
    )
}

/// A message's topic and text.
#[track_caller]
fn parts(line: &[u8]) -> (String, String) {
    let shown = String::from_utf8_lossy(line);
    let frame: Value = serde_json::from_slice(line)
        .unwrap_or_else(|error| panic!("a line that isn't JSON ({error}): {shown}"));
    let part = |name| match frame["message"][name].as_str() {
        Some(part) => part.to_owned(),
        None => panic!("no message: {shown}"),
    };
    (part("topic"), part("text"))
}
