//! Whoever is gone is freed: within a second of FIN or RST, and the system asks after
//! those who say nothing, in every state of every transport.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use socket2::{Domain, SockRef, Socket, Type};
use topicserver::Config;

use crate::common::{Client, LIMIT, TestServer, read_some};
use crate::requests::Http;
use crate::websocket_frames::{client_frame, upgrade};

/// How a peer goes.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Going {
    /// It closes, or says that nothing more comes.
    Fin,
    /// It resets the connection.
    Reset,
}

/// A state of a transport: what has been sent, and what must have come.
struct Case {
    name: &'static str,
    sent: Vec<u8>,
    /// Read before the peer goes; empty: nothing comes.
    awaited: &'static str,
    /// Of so much that its peer doesn't read, some waits in the server.
    is_stalled: bool,
    /// A peer that only finishes sending is still there.
    stays_after_fin: bool,
}

#[expect(clippy::too_many_lines, reason = "it is a table")]
fn cases(host: SocketAddr) -> Vec<Case> {
    let get = |path: &str, rest: &str| {
        format!("GET {path} HTTP/1.1\r\nhost: {host}\r\n{rest}\r\n").into_bytes()
    };
    let case = |name, sent: Vec<u8>, awaited| Case {
        name,
        sent,
        awaited,
        is_stalled: false,
        stays_after_fin: false,
    };
    let stalled = |case| Case {
        is_stalled: true,
        ..case
    };
    let registered = "registered";
    let join = b"{\"topics\":[\"quiet\"],\"extended\":{}}\n".to_vec();
    let events = "accept: text/event-stream\r\n";
    let socket = |frames: &[Vec<u8>]| [upgrade(host), frames.concat()].concat();
    let joined = client_frame(0x81, &join);
    vec![
        case("nothing said", vec![], ""),
        case("TCP: half a frame", b"{\"topics\":".to_vec(), ""),
        case("TCP: registered", join.clone(), registered),
        case(
            "TCP: registered, half a frame",
            [&join[..], b"{\"mess"].concat(),
            registered,
        ),
        case(
            "HTTP: half a head",
            b"GET /quiet HTTP/1.1\r\nho".to_vec(),
            "",
        ),
        case(
            "HTTP: half a body",
            format!("POST /quiet HTTP/1.1\r\nhost: {host}\r\ncontent-length: 9\r\n\r\nha").into(),
            "",
        ),
        case("HTTP: between requests", get("/-/health", ""), "status"),
        case("lines", get("/quiet", ""), registered),
        case(
            "lines: a stray byte",
            [get("/quiet", ""), b"x".to_vec()].concat(),
            registered,
        ),
        case(
            "lines: a request behind it",
            [get("/quiet", ""), get("/-/health", "")].concat(),
            registered,
        ),
        case(
            "lines: an unsent body",
            get("/quiet", "content-length: 9\r\n"),
            registered,
        ),
        case("events", get("/quiet", events), registered),
        case(
            "events: a stray byte",
            [get("/quiet", events), b"x".to_vec()].concat(),
            registered,
        ),
        stalled(case("lines: stalled", get("/busy", ""), registered)),
        stalled(case("events: stalled", get("/busy", events), registered)),
        Case {
            stays_after_fin: true,
            ..stalled(case("poll: stalled", get("/busy?poll=1", ""), registered))
        },
        case("WebSocket: nothing said", socket(&[]), "101 "),
        case("WebSocket: half a head", socket(&[vec![0x81]]), "101 "),
        case(
            "WebSocket: registered",
            socket(std::slice::from_ref(&joined)),
            registered,
        ),
        case(
            "WebSocket: half a message",
            socket(&[joined.clone(), client_frame(0x01, b"{\"mess")]),
            registered,
        ),
        stalled(case(
            "WebSocket: stalled",
            socket(&[client_frame(
                0x81,
                b"{\"topics\":[\"busy\"],\"extended\":{}}",
            )]),
            registered,
        )),
        stalled(case(
            "WebSocket: stalled, with something unread",
            socket(&[
                client_frame(0x81, b"{\"topics\":[\"busy\"],\"extended\":{}}"),
                client_frame(0x89, b"are you there?"),
            ]),
            registered,
        )),
    ]
}

fn connect(server: &TestServer, case: &Case) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    if case.is_stalled {
        socket.set_recv_buffer_size(4096).unwrap();
    }
    socket.connect(&server.addr().into()).unwrap();
    let mut stream: TcpStream = socket.into();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream.write_all(&case.sent).unwrap();
    let mut came = Vec::new();
    while !String::from_utf8_lossy(&came).contains(case.awaited) {
        let mut bytes = [0; 1024];
        let count = read_some(&mut stream, &mut bytes).unwrap();
        assert!(count > 0, "{}: ended", case.name);
        came.extend_from_slice(&bytes[..count]);
    }
    stream
}

fn connections(asker: &mut Http) -> u64 {
    let health = asker.get("/-/health", &[]).json();
    health["connections"].as_u64().unwrap()
}

/// Fills what readers of `busy` don't read, until the server has to keep some of it.
fn fill(sender: &mut Client) {
    let text = "x".repeat(60_000);
    for _ in 0..150 {
        sender.say("busy", &text);
    }
    sender.sync();
}

fn server() -> TestServer {
    TestServer::with(Config {
        // Less than a message: one that waits fills it.
        max_outbox: 16 * 1024,
        history_messages: 1000,
        history_bytes: 64 * 1024 * 1024,
        ..Config::default()
    })
}

#[test]
fn who_goes_is_freed_within_a_second_in_every_state_of_every_door() {
    for going in [Going::Fin, Going::Reset] {
        let server = server();
        let mut sender = server.join(&["busy"]);
        // Polls are about what was said before.
        fill(&mut sender);
        let mut asker = Http::to(&server);
        let cases: Vec<_> = cases(server.addr())
            .into_iter()
            .filter(|case| going != Going::Fin || !case.stays_after_fin)
            .collect();
        let mut peers: Vec<_> = cases.iter().map(|case| connect(&server, case)).collect();
        fill(&mut sender);
        let there = 2 + cases.len() as u64;
        let start = Instant::now();
        while connections(&mut asker) != there {
            assert!(start.elapsed() < LIMIT, "not all of {there} are there");
        }
        for (number, case) in cases.iter().enumerate() {
            let peer = peers.pop_front_of(number, going);
            let left = there - number as u64 - 1;
            let start = Instant::now();
            while connections(&mut asker) != left {
                let waited = start.elapsed();
                let name = case.name;
                assert!(
                    waited < Duration::from_secs(1),
                    "{name}, {going:?}: {waited:?}"
                );
                std::thread::yield_now();
            }
            drop(peer);
        }
    }
}

/// Lets one peer go, and keeps of it what must not be closed by us.
trait PopFront {
    fn pop_front_of(&mut self, number: usize, going: Going) -> Option<TcpStream>;
}

impl PopFront for Vec<TcpStream> {
    fn pop_front_of(&mut self, number: usize, going: Going) -> Option<TcpStream> {
        match going {
            Going::Fin => {
                let stream = self[number].try_clone().unwrap();
                stream.shutdown(Shutdown::Write).unwrap();
                Some(stream)
            }
            Going::Reset => {
                let stream = &self[number];
                SockRef::from(stream)
                    .set_linger(Some(Duration::ZERO))
                    .unwrap();
                // Closing is what resets: the place is taken by one that is nowhere.
                let nowhere = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
                drop(std::mem::replace(&mut self[number], nowhere.into()));
                None
            }
        }
    }
}

/// A peer that vanishes says nothing more; the system asks after it, whatever the state.
/// Its timers are told in /proc/net/tcp: 1 is a retransmission, 2 asks whether the peer is
/// there, 4 asks whether it has room again.
#[cfg(target_os = "linux")]
#[test]
fn the_system_asks_after_who_vanishes_in_every_state_of_every_door() {
    let server = server();
    let mut sender = server.join(&["busy"]);
    fill(&mut sender);
    let cases = cases(server.addr());
    let peers: Vec<_> = cases.iter().map(|case| connect(&server, case)).collect();
    fill(&mut sender);
    for (case, peer) in cases.iter().zip(&peers) {
        let local = format!("0100007F:{:04X}", server.addr().port());
        let remote = format!("0100007F:{:04X}", peer.local_addr().unwrap().port());
        let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
        let ours = table.lines().find(|line| {
            let mut fields = line.split_whitespace().skip(1);
            fields.next() == Some(&local) && fields.next() == Some(&remote)
        });
        let ours = ours.unwrap_or_else(|| panic!("{}: no socket", case.name));
        let timer = ours.split_whitespace().nth(5).unwrap();
        let expected: &[&str] = if case.is_stalled {
            &["01", "04"]
        } else {
            &["02"]
        };
        assert!(expected.contains(&&timer[..2]), "{}: {ours}", case.name);
    }
}
