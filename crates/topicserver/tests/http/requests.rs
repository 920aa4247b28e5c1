//! HTTP as it goes over the wire, written and read by hand: nothing that a library
//! would put right stays hidden.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};

use serde_json::Value;
use socket2::{Domain, Socket, Type};

use crate::common::{LIMIT, Stream, TestServer};

/// A connection on which requests are made, one after another.
pub struct Http {
    stream: BufReader<Stream>,
    host: String,
}

/// An answer without its body, or with it.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// A connection from a given address of this machine.
pub fn stream_from(from: IpAddr, addr: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::new(from, 0).into()).unwrap();
    socket.connect_timeout(&addr.into(), LIMIT).unwrap();
    socket.into()
}

impl Http {
    pub fn to(server: &TestServer) -> Self {
        Self::at(server.addr())
    }

    pub fn at(addr: SocketAddr) -> Self {
        Self::over(TcpStream::connect_timeout(&addr, LIMIT).unwrap(), addr)
    }

    /// From a given address of this machine.
    pub fn from(from: IpAddr, server: &TestServer) -> Self {
        let addr = server.addr();
        Self::over(stream_from(from, addr), addr)
    }

    /// Over a connection to the server at `addr`.
    pub fn over(stream: TcpStream, addr: SocketAddr) -> Self {
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream.set_write_timeout(Some(LIMIT)).unwrap();
        Self::with(Stream::over(stream).unwrap(), addr)
    }

    /// The same, encrypted whatever the suite is.
    pub fn over_tls(addr: SocketAddr) -> Self {
        let stream = TcpStream::connect_timeout(&addr, LIMIT).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream.set_write_timeout(Some(LIMIT)).unwrap();
        Self::with(Stream::tls(stream).unwrap(), addr)
    }

    fn with(stream: Stream, addr: SocketAddr) -> Self {
        Self {
            stream: BufReader::new(stream),
            host: addr.to_string(),
        }
    }

    /// Sends bytes as they are; false if the server has hung up.
    pub fn send(&mut self, bytes: &[u8]) -> bool {
        self.stream.get_mut().write_all(bytes).is_ok()
    }

    /// Sends a request; `headers` are whole lines.
    pub fn ask(&mut self, method: &str, path: &str, headers: &[&str], body: &[u8]) {
        let mut head = format!("{method} {path} HTTP/1.1\r\nhost: {}\r\n", self.host);
        for header in headers {
            head += &format!("{header}\r\n");
        }
        if !body.is_empty() || method == "POST" {
            head += &format!("content-length: {}\r\n", body.len());
        }
        let request = [head.as_bytes(), b"\r\n", body].concat();
        assert!(self.send(&request), "the server has hung up");
    }

    /// Makes a request and reads the whole answer.
    #[track_caller]
    pub fn get(&mut self, path: &str, headers: &[&str]) -> Answer {
        self.ask("GET", path, headers, b"");
        self.answer()
    }

    /// Publishes.
    #[track_caller]
    pub fn post(&mut self, path: &str, headers: &[&str], body: &[u8]) -> Answer {
        self.ask("POST", path, headers, body);
        self.answer()
    }

    /// The next answer with its body.
    #[track_caller]
    pub fn answer(&mut self) -> Answer {
        let mut answer = self.head();
        if answer.header("transfer-encoding") == Some("chunked") {
            while let Some(chunk) = self.chunk() {
                answer.body.extend(chunk);
            }
        } else if let Some(length) = answer.header("content-length") {
            answer.body = vec![0; length.parse().unwrap()];
            self.stream.read_exact(&mut answer.body).unwrap();
        }
        answer
    }

    /// The next answer up to its body.
    #[track_caller]
    pub fn head(&mut self) -> Answer {
        let status = self.line();
        let mut words = status.split(' ');
        assert_eq!(words.next(), Some("HTTP/1.1"), "{status}");
        let status = words.next().unwrap().parse().unwrap();
        let mut headers = Vec::new();
        loop {
            let line = self.line();
            let Some((name, value)) = line.split_once(':') else {
                assert_eq!(line, "");
                break;
            };
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        Answer {
            status,
            headers,
            body: Vec::new(),
        }
    }

    /// A line without its end.
    #[track_caller]
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        self.stream.read_line(&mut line).unwrap();
        assert!(line.ends_with('\n'), "the connection ended after {line:?}");
        line.trim_end_matches(['\r', '\n']).to_owned()
    }

    /// A piece of a body that comes in pieces; `None` after the last one.
    #[track_caller]
    pub fn chunk(&mut self) -> Option<Vec<u8>> {
        let length = usize::from_str_radix(&self.line(), 16).unwrap();
        let mut chunk = vec![0; length];
        self.stream.read_exact(&mut chunk).unwrap();
        assert_eq!(self.line(), "");
        (length > 0).then_some(chunk)
    }

    /// Everything until the connection ends.
    pub fn read_to_the_end(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        // A reset is an end too.
        let _ = self.stream.read_to_end(&mut rest);
        rest
    }

    /// The connection must have ended, with or without a farewell.
    #[track_caller]
    pub fn expect_end(&mut self) {
        let mut rest = Vec::new();
        match self.stream.read_to_end(&mut rest) {
            Ok(_) => assert!(rest.is_empty(), "{}", String::from_utf8_lossy(&rest)),
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
        }
    }
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let (_, value) = headers.find(|(known, _)| known == name)?;
        Some(value)
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| {
            panic!("no JSON: {error}: {}", String::from_utf8_lossy(&self.body))
        })
    }

    /// It must be this error.
    #[track_caller]
    pub fn expect_problem(&self, status: u16, code: &str) -> String {
        let answer = self.json();
        assert_eq!(self.status, status, "{answer}");
        assert_eq!(answer["error"]["code"], code, "{answer}");
        let text = answer["error"]["text"].as_str().unwrap().to_owned();
        assert!(!text.is_empty());
        text
    }
}

/// What a stream brings, line by line, however it is cut into chunks.
pub struct Lines {
    http: Http,
    rest: Vec<u8>,
}

impl Lines {
    /// Begins a stream.
    #[track_caller]
    pub fn of(server: &TestServer, path: &str, headers: &[&str]) -> Self {
        Self::at(server.addr(), path, headers)
    }

    /// The same of a server at an address.
    #[track_caller]
    pub fn at(addr: SocketAddr, path: &str, headers: &[&str]) -> Self {
        let mut http = Http::at(addr);
        http.ask("GET", path, headers, b"");
        let head = http.head();
        assert_eq!(head.status, 200);
        Self {
            http,
            rest: Vec::new(),
        }
    }

    /// The next line without its end; `None` at the end of the stream.
    #[track_caller]
    pub fn next(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<_> = self.rest.drain(..=end).collect();
                return Some(String::from_utf8(line[..end].to_vec()).unwrap());
            }
            match self.http.chunk() {
                Some(chunk) => self.rest.extend(chunk),
                None => {
                    assert!(self.rest.is_empty());
                    return None;
                }
            }
        }
    }

    /// The next line as JSON.
    #[track_caller]
    pub fn frame(&mut self) -> Value {
        serde_json::from_str(&self.next().expect("the stream ended")).unwrap()
    }

    /// The stream must have ended without its last chunk: it isn't complete.
    #[track_caller]
    pub fn expect_cut(&mut self) {
        assert!(self.rest.is_empty());
        self.http.expect_end();
    }

    /// The next event: its lines up to the blank one, by their names.
    #[track_caller]
    pub fn event(&mut self) -> Vec<(String, String)> {
        let mut fields = Vec::new();
        loop {
            let line = self.next().expect("the stream ended");
            match line.split_once(": ") {
                Some((name, value)) => fields.push((name.to_owned(), value.to_owned())),
                None if line.is_empty() => return fields,
                None => fields.push((line, String::new())),
            }
        }
    }
}

/// The field of an event.
pub fn field<'a>(event: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let mut fields = event.iter();
    fields
        .find(|(known, _)| known == name)
        .map(|(_, value)| value.as_str())
}
