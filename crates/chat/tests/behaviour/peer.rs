//! The other end of a connection, held by the test itself.

use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::process::LIMIT;

/// A socket that speaks in frames, or in whatever the test wants.
pub(crate) struct Peer {
    stream: TcpStream,
    reader: BufReader<TcpStream>,
    /// The sequence number of the last message; each that is read and wants to be
    /// acknowledged gets the next one.
    pub(crate) seq: u64,
}

impl Peer {
    pub(crate) fn new(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream.set_write_timeout(Some(LIMIT)).unwrap();
        let reader = BufReader::new(stream.try_clone().unwrap());
        Self {
            stream,
            reader,
            seq: 0,
        }
    }

    /// Connects to that port of this machine.
    pub(crate) fn connect(port: u16) -> Self {
        Self::new(TcpStream::connect(("127.0.0.1", port)).unwrap())
    }

    /// Waits for a connection.
    pub(crate) fn accept(listener: &TcpListener) -> Self {
        listener.set_nonblocking(true).unwrap();
        let deadline = Instant::now() + LIMIT;
        loop {
            match listener.accept() {
                Ok((stream, _)) => {
                    stream.set_nonblocking(false).unwrap();
                    return Self::new(stream);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    assert!(Instant::now() < deadline, "nobody called");
                    std::thread::sleep(Duration::from_millis(2));
                }
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// Waits for a client of a topic, and for its registration, which is answered
    /// if it is an extended one.
    pub(crate) fn accept_registered(listener: &TcpListener, topic: &str) -> Self {
        let (mut peer, registration) = Self::accept_registration(listener);
        assert_eq!(registration["topics"], json!([topic]), "{registration}");
        if registration.get("extended").is_some() {
            let state = json!({"epoch": "e1", "seq": 0});
            peer.tells(&json!({"registered": {"topics": {topic: state}}}));
        }
        peer
    }

    /// Waits for a client and for its registration, and leaves the answer to the
    /// test.
    pub(crate) fn accept_registration(listener: &TcpListener) -> (Self, Value) {
        let mut peer = Self::accept(listener);
        let registration = peer.read();
        assert!(registration.get("topics").is_some(), "{registration}");
        (peer, registration)
    }

    /// Sends what a server says beside messages.
    pub(crate) fn tells(&mut self, event: &Value) {
        self.sends(format!("{}\n", json!({"extended": event})).as_bytes());
    }

    /// Acknowledges a message that was read.
    pub(crate) fn acknowledges(&mut self, frame: &Value, seq: u64) {
        let (id, topic) = (&frame["extended"]["id"], &frame["message"]["topic"]);
        assert!(id.is_string(), "{frame}");
        self.tells(&json!({"ack": {"id": id, "topic": topic, "seq": seq}}));
    }

    /// Sends a message as an extended server does.
    pub(crate) fn delivers(&mut self, seq: u64, topic: &str, text: &str) {
        let envelope = json!({"seq": seq, "time": 1_763_796_000_123_u64, "user": "bob"});
        let message = json!({"topic": topic, "text": text});
        let frame = json!({"extended": envelope, "source": {}, "message": message});
        self.sends(format!("{frame}\n").as_bytes());
    }

    /// Sends a message as the specification shows it.
    pub(crate) fn says(&mut self, topic: &str, text: &str) {
        let end = json!({"ip": "192.168.1.1", "port": "2000"});
        let message = json!({"topic": topic, "text": text});
        let frame = json!({"source": end, "destination": end, "message": message});
        self.sends(frame.to_string().as_bytes());
    }

    /// Sends bytes.
    pub(crate) fn sends(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// Sends bytes, as long as somebody takes them.
    pub(crate) fn try_sends(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// The next frame; it is acknowledged if it wants to be.
    pub(crate) fn frame(&mut self) -> Value {
        let frame = self.read();
        if frame["extended"].get("id").is_some() {
            self.seq += 1;
            self.acknowledges(&frame, self.seq);
        }
        frame
    }

    /// The next frame, which stands on a line of its own.
    pub(crate) fn read(&mut self) -> Value {
        let mut line = String::new();
        self.reader.read_line(&mut line).unwrap();
        assert!(line.ends_with('\n'), "{line:?}");
        serde_json::from_str(&line).unwrap()
    }

    /// The next frame, a message: topic and text.
    pub(crate) fn message(&mut self) -> (String, String) {
        let frame = self.frame();
        let part = |name: &str| frame["message"][name].as_str().unwrap().to_owned();
        (part("topic"), part("text"))
    }

    /// The next message's text.
    pub(crate) fn text(&mut self) -> String {
        self.message().1
    }

    /// Waits until the other side sends nothing more; all that still came.
    pub(crate) fn rest(&mut self) -> String {
        let mut rest = String::new();
        self.reader.read_to_string(&mut rest).unwrap();
        rest
    }

    /// Sends nothing more.
    pub(crate) fn shuts_down(&self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }

    /// Closes the connection with a reset.
    pub(crate) fn resets(self) {
        let socket = socket2::SockRef::from(&self.stream);
        socket.set_linger(Some(Duration::ZERO)).unwrap();
    }

    /// This end and the other, as frames name them.
    pub(crate) fn ends(&self) -> (Value, Value) {
        let end = |address: std::net::SocketAddr| json!({"ip": address.ip(), "port": address.port().to_string()});
        (
            end(self.stream.local_addr().unwrap()),
            end(self.stream.peer_addr().unwrap()),
        )
    }
}

/// A listening socket of this machine, and how to address it.
pub(crate) fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    (listener, address)
}

/// An address of this machine that doesn't answer: its backlog is full, and what
/// comes on top is dropped.
#[cfg(target_os = "linux")]
pub(crate) struct Silent {
    pub(crate) address: String,
    _listener: socket2::Socket,
    _callers: Vec<TcpStream>,
}

#[cfg(target_os = "linux")]
impl Silent {
    pub(crate) fn new() -> Self {
        use socket2::{Domain, Socket, Type};
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let any = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
        listener.bind(&any.into()).unwrap();
        listener.listen(0).unwrap();
        let address = listener.local_addr().unwrap().as_socket().unwrap();
        let patience = Duration::from_millis(200);
        let call = || TcpStream::connect_timeout(&address, patience);
        let callers = std::iter::from_fn(|| call().ok()).take(64).collect();
        Self {
            address: address.to_string(),
            _listener: listener,
            _callers: callers,
        }
    }
}
