//! WebSocket by the book, on a real socket: RFC 6455, and the cases of the Autobahn suite
//! by their numbers. `websocket/reader/tests.rs` has more of them, without a socket.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use topicserver::Config;

use crate::common::{Bystanders, LIMIT, TestServer, read_some};
use crate::requests::Http;

const KEY: &str = "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==";

/// The request for a WebSocket.
pub fn upgrade(host: SocketAddr) -> Vec<u8> {
    format!(
        "GET /-/ws HTTP/1.1\r\nhost: {host}\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\n{KEY}\r\n\r\n"
    )
    .into_bytes()
}

/// A frame as a client sends it; `head` are the final bit, the reserved ones and the opcode.
pub fn client_frame(head: u8, payload: &[u8]) -> Vec<u8> {
    const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
    let mut frame = vec![head];
    match payload.len() {
        short @ 0..=125 => frame.push(0x80 | short as u8),
        medium @ 126..=0xffff => {
            frame.push(0x80 | 126);
            frame.extend((medium as u16).to_be_bytes());
        }
        long => {
            frame.push(0x80 | 127);
            frame.extend((long as u64).to_be_bytes());
        }
    }
    frame.extend(MASK);
    frame.extend(
        payload
            .iter()
            .zip(MASK.iter().cycle())
            .map(|(byte, mask)| byte ^ mask),
    );
    frame
}

fn close(code: u16, reason: &[u8]) -> Vec<u8> {
    client_frame(0x88, &[&code.to_be_bytes(), reason].concat())
}

/// A WebSocket of which every byte is seen.
struct Raw {
    stream: TcpStream,
}

impl Raw {
    /// Sends the request, and these frames with it.
    fn with(server: &TestServer, frames: &[u8]) -> Self {
        let mut stream = TcpStream::connect(server.addr()).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream
            .write_all(&[upgrade(server.addr()), frames.to_vec()].concat())
            .unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(read_byte(&mut stream));
        }
        let head = String::from_utf8(head).unwrap();
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        assert!(head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{head}");
        Self { stream }
    }

    fn join(server: &TestServer, topic: &str) -> Self {
        let registration = format!("{{\"topics\":[\"{topic}\"],\"extended\":{{}}}}");
        let mut raw = Self::with(server, &client_frame(0x81, registration.as_bytes()));
        assert!(raw.text().contains("registered"));
        raw
    }

    fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// The next frame: its first byte and what it carries.
    fn frame(&mut self) -> (u8, Vec<u8>) {
        let (head, short) = (read_byte(&mut self.stream), read_byte(&mut self.stream));
        let length = match short {
            0..=125 => usize::from(short),
            126 => {
                let mut bytes = [0; 2];
                self.stream.read_exact(&mut bytes).unwrap();
                usize::from(u16::from_be_bytes(bytes))
            }
            other => panic!("no length of ours: {other}"),
        };
        let mut payload = vec![0; length];
        self.stream.read_exact(&mut payload).unwrap();
        (head, payload)
    }

    #[track_caller]
    fn text(&mut self) -> String {
        let (head, payload) = self.frame();
        assert_eq!(head, 0x81, "{payload:?}");
        String::from_utf8(payload).unwrap()
    }

    /// The last frame must be a closing with this code, and then the connection ends.
    /// Returns its reason.
    #[track_caller]
    fn expect_close(&mut self, case: &str, code: u16) -> String {
        let (head, payload) = loop {
            match self.frame() {
                (0x81, _) => {}
                other => break other,
            }
        };
        assert_eq!(head, 0x88, "{case}");
        assert_eq!(payload[..2], code.to_be_bytes(), "{case}");
        let start = Instant::now();
        assert_eq!(
            read_some(&mut self.stream, &mut [0; 1]).unwrap(),
            0,
            "{case}"
        );
        assert!(start.elapsed() < Duration::from_secs(1), "{case}");
        String::from_utf8(payload[2..].to_vec()).unwrap()
    }
}

fn read_byte(stream: &mut TcpStream) -> u8 {
    let mut byte = [0];
    stream.read_exact(&mut byte).unwrap();
    byte[0]
}

fn message(topic: &str, text: &str) -> Vec<u8> {
    format!("{{\"message\":{{\"topic\":\"{topic}\",\"text\":\"{text}\"}}}}").into_bytes()
}

#[test]
fn a_violation_is_closed_with_its_code_and_a_reason() {
    let server = TestServer::start();
    let mut bystanders = Bystanders::on(&server);
    let long = vec![b'x'; 126];
    let too_long = vec![b'x'; 70_000];
    for (case, frames, code) in [
        ("3.2", client_frame(0xc1, b"{}"), 1002),
        ("4.1.1", client_frame(0x83, b""), 1002),
        ("4.2.3", client_frame(0x8d, b"x"), 1002),
        ("no mask", b"\x81\x02{}".to_vec(), 1002),
        ("2.5", client_frame(0x89, &long), 1002),
        ("5.1", client_frame(0x09, b"x"), 1002),
        ("5.9", client_frame(0x80, b"x"), 1002),
        (
            "5.18",
            [client_frame(0x01, b"{"), client_frame(0x81, b"}")].concat(),
            1002,
        ),
        ("6.3.1", client_frame(0x81, b"{\"a\":\"\xff\"}"), 1007),
        ("6.4.1", client_frame(0x01, b"{\"a\":\"\xf4\x90"), 1007),
        ("7.3.2", client_frame(0x88, b"x"), 1002),
        ("7.5.1", close(1000, b"\xff"), 1007),
        ("7.9.1", close(0, b""), 1002),
        ("7.9.4", close(1005, b""), 1002),
        ("7.9.9", close(2999, b""), 1002),
        ("9.1", client_frame(0x81, &too_long), 1009),
        (
            "bytes that are no text",
            client_frame(0x82, b"{\"a\":\"\xff\"}"),
            1003,
        ),
        ("no JSON", client_frame(0x81, b"nonsense"), 1008),
    ] {
        let mut raw = Raw::join(&server, "lab");
        raw.send(&frames);
        let reason = raw.expect_close(case, code);
        assert!(!reason.is_empty(), "{case}");
    }
    bystanders.talk();
}

#[test]
fn a_closing_is_answered_with_its_code() {
    let server = TestServer::start();
    for (case, frame, code) in [
        ("7.3.1", client_frame(0x88, b""), 1000),
        ("7.3.3", close(1000, b""), 1000),
        ("7.3.5", close(1000, &[b'x'; 123]), 1000),
        ("7.7.2", close(1001, b"bye"), 1001),
        ("7.7.13", close(4999, b""), 4999),
    ] {
        let mut raw = Raw::join(&server, "lab");
        raw.send(&frame);
        raw.expect_close(case, code);
    }
}

#[test]
fn what_was_said_before_the_closing_counts() {
    let server = TestServer::start();
    let mut classic = server.join(&["lab"]);
    let mut raw = Raw::join(&server, "lab");
    let said = "{\"extended\":{\"id\":\"1\"},\"message\":{\"topic\":\"lab\",\"text\":\"bye\"}}";
    let frames = [
        client_frame(0x81, said.as_bytes()),
        close(1000, b""),
        client_frame(0x81, b"{}"),
    ];
    raw.send(&frames.concat());
    classic.expect("lab", "bye");
    assert!(raw.text().contains("\"ack\""));
    raw.expect_close("7.1.3", 1000);
}

#[test]
fn fragments_are_one_message_whatever_comes_between() {
    let server = TestServer::start();
    let mut classic = server.join(&["lab"]);
    let mut raw = Raw::join(&server, "lab");
    let whole = message("lab", "\u{20ac}");
    // Each byte is a fragment: the character is cut, too.
    let (last, first) = whole.split_last().unwrap();
    for (number, byte) in first.iter().enumerate() {
        raw.send(&client_frame(u8::from(number == 0), &[*byte]));
        if number % 10 == 0 {
            raw.send(&client_frame(0x89, b"between"));
            assert_eq!(raw.frame(), (0x8a, b"between".to_vec()));
        }
    }
    raw.send(&client_frame(0x80, &[*last]));
    classic.expect("lab", "\u{20ac}");
}

#[test]
fn pings_are_answered_and_what_comes_with_the_request_is_read() {
    let server = TestServer::start();
    let full = vec![b'x'; 125];
    let frames = [
        client_frame(0x89, b""),
        client_frame(0x8a, b"?"),
        client_frame(0x89, &full),
    ];
    let mut raw = Raw::with(&server, &frames.concat());
    assert_eq!(raw.frame(), (0x8a, Vec::new()));
    assert_eq!(raw.frame(), (0x8a, full));
}

#[test]
fn half_a_message_has_a_deadline_though_its_sender_pings() {
    let server = TestServer::with(Config {
        frame_timeout: Duration::from_secs(2),
        ..Config::default()
    });
    for half in [
        client_frame(0x01, b""),
        client_frame(0x01, b"{\"mess"),
        vec![0x81, 0xff],
    ] {
        let mut raw = Raw::join(&server, "lab");
        raw.send(&half);
        // Within a frame, a ping would be a part of it.
        if half[1] != 0xff {
            for _ in 0..5 {
                raw.send(&client_frame(0x89, b"p"));
                assert_eq!(raw.frame(), (0x8a, b"p".to_vec()));
            }
        }
        assert!(raw.text().contains("unfinished-frame"));
        assert_eq!(raw.expect_close("half a message", 1008), "unfinished-frame");
    }
}

#[test]
fn a_message_that_was_slow_and_is_complete_costs_nothing() {
    let server = TestServer::with(Config {
        frame_timeout: Duration::from_secs(2),
        ..Config::default()
    });
    let mut raw = Raw::join(&server, "lab");
    // White space makes no frame, but it is a whole message.
    raw.send(&client_frame(0x01, b" "));
    raw.send(&client_frame(0x89, b"1"));
    raw.frame();
    raw.send(&client_frame(0x80, b" "));
    std::thread::sleep(Duration::from_millis(2_500));
    raw.send(&client_frame(0x89, b"2"));
    assert_eq!(raw.frame(), (0x8a, b"2".to_vec()));
}

#[test]
fn a_request_that_is_none_for_a_websocket_is_told_why() {
    let server = TestServer::start();
    let all = [
        "connection: keep-alive, Upgrade",
        "upgrade: WebSocket",
        "sec-websocket-version: 13",
        KEY,
    ];
    for (left_out, status) in [(0, 400), (1, 400), (2, 426), (3, 400)] {
        let mut headers = all.to_vec();
        headers.remove(left_out);
        let answer = Http::to(&server).get("/-/ws", &headers);
        answer.expect_problem(status, "bad-request");
    }
    let mut old = all;
    old[2] = "sec-websocket-version: 8";
    let answer = Http::to(&server).get("/-/ws", &old);
    answer.expect_problem(426, "bad-request");
    assert_eq!(answer.header("sec-websocket-version"), Some("13"));
    let mut bad = all;
    bad[3] = "sec-websocket-key: short";
    Http::to(&server)
        .get("/-/ws", &bad)
        .expect_problem(400, "bad-request");
}
