//! Connections whose server may be killed or stopped at any moment. That one is lost, or that
//! nothing comes of it for a while, is no failure.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::{Message, WebSocket, client};

/// The silence after which a client tries another server.
pub const PATIENCE: Duration = Duration::from_secs(4);

/// A connection that carries frames.
pub enum Link {
    Tcp(BufReader<TcpStream>),
    WebSocket(Box<WebSocket<TcpStream>>),
}

/// How frames are carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    Tcp,
    WebSocket,
}

fn connect(addr: SocketAddr) -> Option<TcpStream> {
    let stream = TcpStream::connect_timeout(&addr, PATIENCE).ok()?;
    stream.set_nodelay(true).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    stream.set_write_timeout(Some(PATIENCE)).ok()?;
    Some(stream)
}

impl Link {
    pub fn connect(addr: SocketAddr, transport: Transport) -> Option<Self> {
        let stream = connect(addr)?;
        Some(match transport {
            Transport::Tcp => Self::Tcp(BufReader::new(stream)),
            Transport::WebSocket => {
                let (socket, _) = client(format!("ws://{addr}/-/ws"), stream).ok()?;
                Self::WebSocket(Box::new(socket))
            }
        })
    }

    /// Registers as an extended client: what was answered as `registered`.
    pub fn register(&mut self, topics: &[&str], options: &Value) -> Option<Value> {
        self.send(&[json!({"topics": topics, "extended": options})])?;
        loop {
            let answer = self.frame()?;
            if let Some(error) = error(&answer) {
                expect_away(&error);
                return None;
            }
            if let Some(registered) = answer["extended"].get("registered") {
                return Some(registered.clone());
            }
        }
    }

    /// None: the connection is lost, and nobody knows how much of it arrived.
    pub fn send(&mut self, frames: &[Value]) -> Option<()> {
        match self {
            Self::Tcp(stream) => {
                let lines: String = frames.iter().map(|frame| format!("{frame}\n")).collect();
                stream.get_mut().write_all(lines.as_bytes()).ok()
            }
            Self::WebSocket(socket) => {
                for frame in frames {
                    socket.write(Message::text(frame.to_string())).ok()?;
                }
                socket.flush().ok()
            }
        }
    }

    /// The next frame; none: the connection is lost, or too silent.
    pub fn frame(&mut self) -> Option<Value> {
        match self {
            Self::Tcp(stream) => line(stream).map(|line| parse(&line)),
            Self::WebSocket(socket) => {
                let began = Instant::now();
                // Pings come whether or not there are frames.
                while began.elapsed() < PATIENCE {
                    match socket.read().ok()? {
                        Message::Text(text) => return Some(parse(&text)),
                        Message::Close(_) => return None,
                        _ => {}
                    }
                }
                None
            }
        }
    }
}

/// The error that a frame tells: its code and its text. Extended clients get an event, others a
/// message.
pub fn error(frame: &Value) -> Option<String> {
    let event = &frame["extended"]["error"];
    if event.is_object() {
        let part = |name: &str| event[name].as_str().unwrap().to_owned();
        return Some(format!("{}: {}", part("code"), part("text")));
    }
    let is_error = frame["message"]["topic"] == "error";
    is_error.then(|| frame["message"]["text"].as_str().unwrap().to_owned())
}

/// An error that comes while servers are away.
#[track_caller]
pub fn expect_away(error: &str) {
    let (code, _) = error.split_once(':').unwrap();
    assert!(["no-quorum", "shutting-down"].contains(&code), "{error}");
}

fn parse(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("no JSON ({error}): {text}"))
}

/// A whole line.
fn line(stream: &mut BufReader<TcpStream>) -> Option<String> {
    let mut line = String::new();
    stream.read_line(&mut line).ok()?;
    let line = line.strip_suffix('\n')?;
    Some(line.strip_suffix('\r').unwrap_or(line).to_owned())
}

/// An event: its name, its id and its data.
#[derive(Debug, Default)]
pub struct Event {
    pub id: String,
    pub frame: Value,
}

/// A stream of events.
pub struct Events {
    stream: BufReader<TcpStream>,
    /// How often it has said when to come back: at its start, and before a server ends it that
    /// ends itself.
    retries: u32,
}

impl Events {
    /// The events of several topics after these places; `Err`: the status of a refusal.
    pub fn open(addr: SocketAddr, topics: &[&str], last: &str) -> Option<Result<Self, u16>> {
        let topics: Vec<_> = topics.iter().map(|one| format!("topic={one}")).collect();
        let mut stream = connect(addr)?;
        let last = match last.is_empty() {
            true => String::new(),
            false => format!("last-event-id: {last}\r\n"),
        };
        // By HTTP 1.0, without chunks.
        let request = format!(
            "GET /-/stream?{} HTTP/1.0\r\nhost: {addr}\r\naccept: text/event-stream\r\n{last}\r\n",
            topics.join("&")
        );
        stream.write_all(request.as_bytes()).ok()?;
        let mut stream = BufReader::new(stream);
        let status = status(&line(&mut stream)?);
        if status != 200 {
            return Some(Err(status));
        }
        while !line(&mut stream)?.is_empty() {}
        Some(Ok(Self { stream, retries: 0 }))
    }

    /// Whether the server has said that it ends.
    pub fn is_told_to_come_back(&self) -> bool {
        self.retries > 1
    }

    /// The next event; none: the stream is lost, or too silent.
    pub fn next(&mut self) -> Option<Event> {
        let mut event = Event::default();
        let began = Instant::now();
        // Comments come whether or not there are events.
        while began.elapsed() < PATIENCE {
            let line = line(&mut self.stream)?;
            match line.split_once(": ") {
                Some(("id", id)) => event.id = id.to_owned(),
                Some(("data", data)) => event.frame = parse(data),
                Some(("retry", _)) => self.retries += 1,
                None if line.is_empty() && !event.frame.is_null() => return Some(event),
                _ => {}
            }
        }
        None
    }
}

pub fn status(line: &str) -> u16 {
    let status = line.split(' ').nth(1).and_then(|word| word.parse().ok());
    status.unwrap_or_else(|| panic!("no status: {line}"))
}

/// Publishes by a request: the answer's status and body.
pub fn post(addr: SocketAddr, path: &str, body: &str) -> Option<(u16, Value)> {
    let mut stream = connect(addr)?;
    let length = body.len();
    let request =
        format!("POST {path} HTTP/1.0\r\nhost: {addr}\r\ncontent-length: {length}\r\n\r\n{body}");
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some((status(head), parse(body)))
}
