//! An answer that looks complete is complete, however slowly it is read; and a client that
//! has only finished sending gets its answer.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use serde_json::json;
use socket2::{Domain, Socket, Type};
use topicserver::Config;

use crate::common::{LIMIT, TestServer, read_some};
use crate::requests::Http;

const TEXT: usize = 10_000;
const MESSAGES: usize = 1_000;

/// A reader that the machine pauses is cut off, too; one that is always cut off isn't paused.
const ATTEMPTS: usize = 5;

/// Deadlines that a reader of ten megabytes easily outlives.
fn server(write_timeout: u64) -> TestServer {
    let server = TestServer::with(Config {
        max_outbox: 64 * 1024,
        history_messages: 100_000,
        history_bytes: 64 * 1024 * 1024,
        drain_timeout: Duration::from_millis(150),
        write_timeout: Duration::from_millis(write_timeout),
        ..Config::default()
    });
    let mut sender = server.join(&["lab"]);
    for number in 0..MESSAGES {
        sender.say("lab", &format!("{number} {}", "x".repeat(TEXT)));
    }
    sender.sync();
    server
}

/// A connection with little room for what isn't read.
fn narrow(server: &TestServer) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(16 * 1024).unwrap();
    socket.connect(&server.addr().into()).unwrap();
    let stream: TcpStream = socket.into();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream
}

/// The ways to ask for all there is and no more.
fn requests(server: &TestServer) -> [(&'static str, Vec<u8>); 5] {
    let host = server.addr();
    let get = |version: &str, accept: &str| {
        format!("GET /lab?poll=1 HTTP/{version}\r\nhost: {host}\r\naccept: {accept}\r\n\r\n")
            .into_bytes()
    };
    let registration = json!({"topics": ["lab"], "extended": {"since": 0}});
    [
        ("lines", get("1.1", "*/*")),
        ("events", get("1.1", "text/event-stream")),
        ("lines, HTTP 1.0", get("1.0", "*/*")),
        ("events, HTTP 1.0", get("1.0", "text/event-stream")),
        ("TCP", registration.to_string().into_bytes()),
    ]
}

/// Asks, and says no more.
fn ask(server: &TestServer, request: &[u8]) -> TcpStream {
    let mut stream = narrow(server);
    stream.write_all(request).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    stream
}

/// Reads to the end, with a pause now and then, and an error if the connection was reset.
fn read_slowly(stream: &mut TcpStream, pause: Duration) -> std::io::Result<Vec<u8>> {
    let mut all = Vec::new();
    let mut bytes = vec![0; 256 * 1024];
    let mut unpaused = 0;
    loop {
        match read_some(stream, &mut bytes)? {
            0 => return Ok(all),
            count => all.extend_from_slice(&bytes[..count]),
        }
        if all.len() - unpaused > 512 * 1024 {
            unpaused = all.len();
            std::thread::sleep(pause);
        }
    }
}

fn count(answer: &[u8]) -> usize {
    memchr::memmem::find_iter(answer, b"\"message\"").count()
}

#[test]
fn who_reads_slowly_gets_everything() {
    // The whole takes longer than any deadline, and no pause does, but those of a busy machine.
    let server = server(1_500);
    for (name, request) in requests(&server) {
        let read = || {
            let mut stream = ask(&server, &request);
            let answer = read_slowly(&mut stream, Duration::from_millis(100)).ok();
            answer.filter(|answer| count(answer) == MESSAGES)
        };
        let answer = (0..ATTEMPTS).find_map(|_| read());
        let answer = answer.unwrap_or_else(|| panic!("{name} is cut off"));
        let is_chunked = name == "lines" || name == "events";
        assert_eq!(answer.ends_with(b"\r\n0\r\n\r\n"), is_chunked, "{name}");
        let head = memchr::memmem::find(&answer, b"\r\n\r\n").unwrap_or(0);
        let has_length = memchr::memmem::find(&answer[..head], b"content-length").is_some();
        assert!(
            !has_length,
            "{name}: {}",
            String::from_utf8_lossy(&answer[..head])
        );
    }
}

#[test]
fn who_is_cut_off_sees_it() {
    let server = server(200);
    for (name, request) in requests(&server) {
        let mut stream = ask(&server, &request);
        // Nothing is read until the server has given up.
        let mut first = [0; 1];
        stream.read_exact(&mut first).unwrap();
        crate::common::eventually("the connection to be closed", || {
            let health = Http::to(&server).get("/-/health", &[]).json();
            (health["connections"] == 1).then_some(())
        });
        match read_slowly(&mut stream, Duration::ZERO) {
            Ok(answer) => {
                assert!(name == "lines" || name == "events", "{name} seems complete");
                assert!(!answer.ends_with(b"0\r\n\r\n"), "{name} seems complete");
                assert!(count(&answer) < MESSAGES);
            }
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{name}"),
        }
    }
}

#[test]
fn who_has_only_finished_sending_is_answered() {
    let server = TestServer::start();
    let host = server.addr();
    let post = format!("POST /lab HTTP/1.1\r\nhost: {host}\r\ncontent-length: 2\r\n\r\nhi");
    let poll = format!("GET /lab?poll=1 HTTP/1.1\r\nhost: {host}\r\n\r\n");
    let both = format!("{post}{poll}");
    for (request, expected) in [
        (&post, vec!["\"seq\":1"]),
        (&poll, vec!["\"text\":\"hi\"", "\r\n0\r\n\r\n"]),
        (&both, vec!["\"seq\":2", "\"seq\":2,", "\r\n0\r\n\r\n"]),
    ] {
        let mut stream = ask(&server, request.as_bytes());
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let mut rest = answer.as_str();
        for part in expected {
            let at = rest.find(part);
            let at = at.unwrap_or_else(|| panic!("{request:?}: no {part:?} in {answer:?}"));
            rest = &rest[at + part.len()..];
        }
    }
}

#[test]
fn a_poll_that_the_servers_end_cuts_says_so() {
    let mut server = TestServer::with(Config {
        max_outbox: 1024 * 1024,
        drain_timeout: Duration::from_secs(10),
        history_messages: 100_000,
        history_bytes: 64 * 1024 * 1024,
        ..Config::default()
    });
    let mut sender = server.join(&["lab"]);
    for number in 0..MESSAGES {
        sender.say("lab", &format!("{number} {}", "x".repeat(TEXT)));
    }
    sender.sync();
    let request = format!(
        "GET /lab?poll=1 HTTP/1.1\r\nhost: {}\r\n\r\n",
        server.addr()
    );
    let mut stream = ask(&server, request.as_bytes());
    stream.read_exact(&mut [0; 1000]).unwrap();
    server.stop();
    // Others are told at once; then so is this one, behind what waits for it.
    while sender.next_line().is_some() {}
    let answer = read_slowly(&mut stream, Duration::ZERO).unwrap();
    let text = String::from_utf8_lossy(&answer);
    assert!(text.contains("shutting-down"), "{}", text.len());
    assert!(!text.ends_with("0\r\n\r\n"));
    assert!(count(&answer) < MESSAGES);
}
