//! A connection whose server may be killed at any moment.

use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::net::{SocketAddr, TcpStream};

use serde_json::{Value, json};

use super::{LIMIT, Stream};

/// A connection; that it is lost is no failure.
pub struct Frail {
    reader: BufReader<Stream>,
    line: Vec<u8>,
}

impl Frail {
    /// None: nobody listens there any more.
    pub fn connect(addr: SocketAddr) -> Option<Self> {
        let stream = TcpStream::connect_timeout(&addr, LIMIT).ok()?;
        stream.set_nodelay(true).ok()?;
        stream.set_read_timeout(Some(LIMIT)).ok()?;
        stream.set_write_timeout(Some(LIMIT)).ok()?;
        Some(Self {
            reader: BufReader::new(Stream::over(stream).ok()?),
            line: Vec::new(),
        })
    }

    /// Registers as an extended client: what was answered as `registered`.
    pub fn register(&mut self, topics: &[&str], options: &Value) -> Option<Value> {
        let frame = json!({"topics": topics, "extended": options});
        self.send(format!("{frame}\n").as_bytes())?;
        let answer = self.frame()?;
        match &answer["extended"]["registered"] {
            Value::Null => panic!("waiting for registered, got {answer}"),
            registered => Some(registered.clone()),
        }
    }

    /// None: the connection is lost, and nobody knows how much of it arrived.
    pub fn send(&mut self, bytes: &[u8]) -> Option<()> {
        match self.reader.get_mut().write_all(bytes) {
            Err(error) if is_late(error.kind()) => panic!("the server took nothing: {error}"),
            written => written.ok(),
        }
    }

    /// The next frame; none: the connection is lost, perhaps within a frame.
    pub fn frame(&mut self) -> Option<Value> {
        self.line.clear();
        match self.reader.read_until(b'\n', &mut self.line) {
            Ok(_) if self.line.ends_with(b"\n") => {
                let shown = String::from_utf8_lossy(&self.line);
                let frame = serde_json::from_slice(&self.line);
                Some(frame.unwrap_or_else(|error| panic!("no JSON ({error}): {shown}")))
            }
            Err(error) if is_late(error.kind()) => panic!("waiting for a frame: {error}"),
            _ => None,
        }
    }
}

fn is_late(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut)
}
