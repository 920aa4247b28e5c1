//! Behind a trusted proxy: whom it forwards counts, by the PROXY protocol or by headers.
//! Everybody else who claims to forward somebody isn't believed.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use topicserver::Config;

use crate::common::{Bystanders, Client, LIMIT, TestServer, eventually, registration};
use crate::requests::{Http, Lines};

/// A server that trusts everything on this machine, and serves clients from everywhere.
fn trusting(config: Config) -> TestServer {
    TestServer::with(Config {
        trust_proxies: vec!["127.0.0.0/8".parse().unwrap()],
        open_to_all: true,
        ..config
    })
}

const LINE: &[u8] = b"PROXY TCP4 203.0.113.9 192.0.2.1 4711 80\r\n";

/// A header of version 2 that forwards 203.0.113.9:4711, with something behind the addresses.
fn binary() -> Vec<u8> {
    let addresses = [203, 0, 113, 9, 192, 0, 2, 1, 0x12, 0x67, 0, 80];
    let more = [4, 0, 2, b'n', b'o'];
    let fixed = [0x21, 0x11, 0, 17];
    [b"\r\n\r\n\0\r\nQUIT\n", &fixed[..], &addresses, &more].concat()
}

/// An extended registration under a name.
fn named(user: &str) -> Vec<u8> {
    format!("{{\"topics\":[\"lab\"],\"extended\":{{\"user\":\"{user}\"}}}}\n").into_bytes()
}

/// From where the server thinks that a user is connected.
fn place_of(server: &TestServer, user: &str) -> (String, String) {
    let mut client = server.connect();
    client.send(format!("{{\"extended\":{{\"lookup\":\"{user}\"}}}}\n").as_bytes());
    let line: serde_json::Value = serde_json::from_slice(&client.line()).unwrap();
    let found = &line["extended"]["found"];
    let part = |name: &str| found[name].as_str().unwrap().to_owned();
    (part("ip"), part("port"))
}

fn forwarded() -> (String, String) {
    ("203.0.113.9".to_owned(), "4711".to_owned())
}

#[test]
fn whom_a_proxy_forwards_is_who_is_connected() {
    for header in [LINE.to_vec(), binary()] {
        let server = trusting(Config::default());
        let mut alice = server.connect();
        alice.send(&[&header, &named("alice")[..]].concat());
        let line = alice.line();
        assert!(line.starts_with(b"{\"extended\":{\"registered\""));
        assert_eq!(place_of(&server, "alice"), forwarded());
    }
}

#[test]
fn a_header_may_come_byte_by_byte() {
    for header in [LINE.to_vec(), binary()] {
        let server = trusting(Config::default());
        let mut alice = server.connect();
        for byte in [&header, &named("alice")[..]].concat() {
            alice.send(&[byte]);
            std::thread::yield_now();
        }
        alice.line();
        assert_eq!(place_of(&server, "alice"), forwarded());
    }
}

#[test]
fn http_follows_a_header_as_well() {
    let server = trusting(Config::default());
    let mut classic = server.join(&["lab"]);
    for header in [LINE.to_vec(), binary()] {
        let mut http = Http::to(&server);
        assert!(http.send(&header));
        let answer = http.post("/lab", &[], b"hello");
        assert_eq!(answer.status, 200);
        let line = String::from_utf8(classic.line()).unwrap();
        assert!(line.contains("\"ip\":\"203.0.113.9\""), "{line}");
    }
}

#[test]
fn tls_is_recognised_behind_a_header() {
    let server = trusting(Config::default());
    let mut client = server.connect();
    client.send(&[LINE, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"].concat());
    client.expect_error("tls-not-supported");
}

#[test]
fn a_proxy_may_speak_for_itself_or_say_nothing() {
    let local = b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00";
    for header in [&b"PROXY UNKNOWN\r\n"[..], local, b"", b"\r\n\r\n"] {
        let server = trusting(Config::default());
        let mut alice = server.connect();
        alice.send(&[header, &named("alice")].concat());
        alice.line();
        let (ip, _) = place_of(&server, "alice");
        assert_eq!(ip, "127.0.0.1", "{header:?}");
    }
}

#[test]
fn a_header_from_anybody_else_is_an_error() {
    let server = TestServer::with(Config {
        trust_proxies: vec!["10.0.0.0/8".parse().unwrap()],
        ..Config::default()
    });
    let mut bystanders = Bystanders::on(&server);
    for header in [LINE.to_vec(), binary()] {
        let mut client = server.connect();
        client.send(&[&header, &registration(&["lab"])[..]].concat());
        let why = client.expect_error("not-json");
        assert!(why.contains("--trust-proxy"), "{why}");
        client.finish_sending();
        client.expect_end();
    }
    bystanders.talk();
}

#[test]
fn a_second_header_is_an_error_too() {
    // The client of a trusted proxy could write it.
    for (first, second) in [(LINE.to_vec(), binary()), (binary(), LINE.to_vec())] {
        let server = trusting(Config::default());
        let mut client = server.connect();
        client.send(&[first, second].concat());
        let why = client.expect_error("not-json");
        assert!(why.contains("once"), "{why}");
    }
}

#[test]
fn a_wrong_header_ends_its_connection_alone() {
    let server = trusting(Config::default());
    let mut bystanders = Bystanders::on(&server);
    for (wrong, reason) in [
        (&b"PROXY TCP4 203.0.113.9\r\n"[..], "two addresses"),
        (b"\r\n\r\n\0\r\nQUIT\n\x11\x11\0\0", "version"),
        (b"\r\n\r\n\0\r\nQUIT\n\x21\x12\0\0", "something else than"),
        (b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff", "at most"),
    ] {
        let mut client = server.connect();
        client.send(wrong);
        let why = client.expect_error("not-json");
        assert!(why.contains(reason), "{why}");
        client.finish_sending();
        client.expect_end();
    }
    bystanders.talk();
}

#[test]
fn a_header_must_be_finished_in_time() {
    let server = trusting(Config {
        registration_timeout: Duration::from_secs(1),
        ..Config::default()
    });
    for begun in [&LINE[..10], &binary()[..20], b""] {
        let mut client = server.connect();
        client.send(begun);
        client.expect_error("registration-timeout");
        client.finish_sending();
        client.expect_end();
    }
}

#[test]
fn a_connection_that_only_looks_whether_somebody_is_there_leaves_nothing() {
    let server = trusting(Config {
        max_connections: 1,
        ..Config::default()
    });
    for begun in [b"", &LINE[..10]] {
        let mut stream = TcpStream::connect(server.addr()).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream.write_all(begun).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).unwrap();
        assert!(rest.is_empty(), "{}", String::from_utf8_lossy(&rest));
    }
}

#[test]
fn connections_count_for_the_client_and_not_for_the_proxy() {
    let server = trusting(Config {
        max_connections_per_address: 1,
        ..Config::default()
    });
    let connect = |from: &str| {
        let mut client = server.connect();
        client.send(format!("PROXY TCP4 {from} 192.0.2.1 1 80\r\n").as_bytes());
        client
    };
    let mut first = connect("203.0.113.9");
    first.join(&["lab"]);
    let mut second = connect("203.0.113.10");
    second.join(&["lab"]);
    let mut third = connect("203.0.113.9");
    third.expect_error("too-many-connections");
    third.finish_sending();
    third.expect_end();
    drop(first);
    eventually("the place", || {
        let mut again = connect("203.0.113.9");
        again.send(b"{}");
        let line = String::from_utf8(again.line()).unwrap();
        line.contains("unknown-frame").then_some(())
    });
}

/// Who published last, as a classic client is told.
#[track_caller]
fn source_of(classic: &mut Client) -> String {
    let line: serde_json::Value = serde_json::from_slice(&classic.line()).unwrap();
    line["source"]["ip"].as_str().unwrap().to_owned()
}

#[test]
fn headers_count_if_the_proxy_is_trusted() {
    let server = TestServer::with(Config {
        trust_proxies: vec!["127.0.0.2".parse().unwrap()],
        open_to_all: true,
        ..Config::default()
    });
    let mut classic = server.join(&["lab"]);
    for (from, headers, expected) in [
        (
            "127.0.0.2",
            &["x-forwarded-for: 1.1.1.1, 203.0.113.9"][..],
            "203.0.113.9",
        ),
        (
            "127.0.0.2",
            &["forwarded: for=\"203.0.113.9:80\""],
            "203.0.113.9",
        ),
        ("127.0.0.2", &[], "127.0.0.2"),
        // Forged.
        ("127.0.0.3", &["x-forwarded-for: 203.0.113.9"], "127.0.0.3"),
        ("127.0.0.3", &["forwarded: for=203.0.113.9"], "127.0.0.3"),
        ("127.0.0.3", &["x-forwarded-for: unknown"], "127.0.0.3"),
    ] {
        let mut http = Http::from(from.parse().unwrap(), &server);
        let answer = http.post("/lab", headers, b"hello");
        assert_eq!(answer.status, 200, "{from} {headers:?}");
        assert_eq!(source_of(&mut classic), expected, "{from} {headers:?}");
    }
}

#[test]
fn a_client_from_outside_of_the_servers_network_is_refused_behind_a_proxy_too() {
    let server = TestServer::with(Config {
        trust_proxies: vec!["127.0.0.0/8".parse().unwrap()],
        ..Config::default()
    });
    for header in [LINE.to_vec(), binary()] {
        let mut client = server.connect();
        client.send(&[&header, &registration(&["lab"])[..]].concat());
        client.expect_error("protected");
        client.expect_end();
    }
    let post = |client: &str| {
        let header = format!("x-forwarded-for: {client}");
        Http::to(&server).post("/lab", &[&header], b"hello")
    };
    post("203.0.113.9").expect_problem(403, "protected");
    assert_eq!(post("192.168.1.9").status, 200);
}

#[test]
fn requests_of_several_clients_come_over_one_connection() {
    let server = trusting(Config::default());
    let mut classic = server.join(&["lab"]);
    let mut http = Http::to(&server);
    for client in ["203.0.113.9", "203.0.113.10", "2001:db8::9"] {
        let header = format!("x-forwarded-for: {client}");
        http.post("/lab", &[&header], b"hello");
        assert_eq!(source_of(&mut classic), client);
    }
}

#[test]
fn headers_that_disagree_or_say_nothing_are_refused() {
    let server = trusting(Config::default());
    for headers in [
        &["x-forwarded-for: unknown"][..],
        &["x-forwarded-for: 203.0.113.9", "forwarded: for=1.1.1.1"],
    ] {
        let mut http = Http::to(&server);
        let answer = http.post("/lab", headers, b"hello");
        answer.expect_problem(400, "bad-request");
        http.expect_end();
    }
}

#[test]
fn a_forwarded_websocket_is_its_clients() {
    let server = trusting(Config {
        max_connections_per_address: 1,
        ..Config::default()
    });
    let open = || {
        let mut http = Http::to(&server);
        let headers = [
            "connection: upgrade",
            "upgrade: websocket",
            "sec-websocket-version: 13",
            "sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==",
            "x-forwarded-for: 203.0.113.9",
        ];
        http.ask("GET", "/-/ws", &headers, b"");
        http
    };
    let mut first = open();
    assert_eq!(first.head().status, 101);
    // A text of less than 126 bytes, masked with nothing.
    let text = &named("alice");
    let length = 0x80 | u8::try_from(text.len()).unwrap();
    assert!(first.send(&[&[0x81, length, 0, 0, 0, 0], &text[..]].concat()));
    eventually("alice", || {
        let mut client = server.connect();
        client.send(b"{\"extended\":{\"lookup\":\"alice\"}}\n");
        let line = String::from_utf8(client.line()).unwrap();
        line.contains("\"ip\":\"203.0.113.9\"").then_some(())
    });
    let answer = open().answer();
    answer.expect_problem(503, "too-many-connections");
    drop(first);
    eventually("the place", || (open().head().status == 101).then_some(()));
}

#[test]
fn a_forwarded_stream_counts_for_its_client() {
    let server = trusting(Config {
        max_connections_per_address: 1,
        ..Config::default()
    });
    let from = "x-forwarded-for: 203.0.113.9";
    let _first = Lines::of(&server, "/lab", &[from]);
    let mut http = Http::to(&server);
    http.get("/lab", &[from])
        .expect_problem(503, "too-many-connections");
    // What isn't a stream doesn't count, and the connection goes on.
    assert_eq!(http.get("/lab?poll=1&before=9", &[from]).status, 200);
    let other = "x-forwarded-for: 203.0.113.10";
    let _second = Lines::of(&server, "/lab", &[other]);
}

/// Nothing of what is not trusted reaches the address under which a client is counted.
#[test]
fn an_untrusted_client_cannot_count_for_somebody_else() {
    let server = TestServer::with(Config {
        max_connections_per_address: 1,
        trust_proxies: vec!["127.0.0.9".parse().unwrap()],
        ..Config::default()
    });
    let address: SocketAddr = server.addr();
    let from = |ip: &str| Client::connect_from(ip.parse().unwrap(), address);
    let mut first = from("127.0.0.3");
    first.join(&["lab"]);
    let mut second = from("127.0.0.3");
    second.send(b"PROXY TCP4 203.0.113.9 192.0.2.1 1 80\r\n");
    second.expect_error("too-many-connections");
}
