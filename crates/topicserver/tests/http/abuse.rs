//! Those who mean no good: each is bounded and told, and the others go on talking.

use std::time::Duration;

use topicserver::Config;

use crate::common::{Bystanders, TestServer, eventually};
use crate::requests::Http;

fn connections(server: &TestServer) -> u64 {
    let health = Http::to(server).get("/-/health", &[]).json();
    health["connections"].as_u64().unwrap()
}

#[test]
fn headers_that_are_too_long_are_told_and_closed() {
    let server = TestServer::start();
    let mut bystanders = Bystanders::on(&server);
    let host = server.addr();
    let long = format!(
        "GET / HTTP/1.1\r\nhost: {host}\r\nx: {}\r\n\r\n",
        "y".repeat(40_000)
    );
    let many = format!(
        "GET / HTTP/1.1\r\nhost: {host}\r\n{}\r\n",
        "x: y\r\n".repeat(200)
    );
    let path = format!(
        "GET /{} HTTP/1.1\r\nhost: {host}\r\n\r\n",
        "y".repeat(80_000)
    );
    for request in [long, many, path] {
        let mut http = Http::to(&server);
        http.send(request.as_bytes());
        let status = http.answer().status;
        assert!([414, 431].contains(&status), "{status}");
        http.expect_end();
    }
    bystanders.talk();
}

#[test]
fn headers_within_the_limit_are_taken() {
    let server = TestServer::start();
    let cookie = format!("cookie: {}", "y".repeat(14_000));
    assert_eq!(Http::to(&server).get("/-/health", &[&cookie]).status, 200);
}

#[test]
fn headers_that_never_end_have_a_deadline() {
    let server = TestServer::with(Config {
        registration_timeout: Duration::from_secs(2),
        ..Config::default()
    });
    let mut bystanders = Bystanders::on(&server);
    let mut slow = Http::to(&server);
    slow.send(b"GET / HTTP/1.1\r\nhost: localhost\r\n");
    // A byte now and then is no excuse.
    let mut is_there = true;
    for _ in 0..600 {
        is_there = is_there && slow.send(b"x");
        std::thread::sleep(Duration::from_millis(5));
    }
    slow.expect_end();
    // Nor is a request that was finished before.
    let mut idle = Http::to(&server);
    assert_eq!(idle.get("/-/health", &[]).status, 200);
    idle.expect_end();
    bystanders.talk();
}

#[test]
fn half_a_request_and_then_nothing_is_no_message() {
    let server = TestServer::start();
    let mut classic = server.join(&["lab"]);
    for half in [
        "P",
        "POST /lab",
        "POST /lab HTTP/1.1\r\nhost: localhost\r\ncontent-length: 10\r\n\r\nhalf",
        "POST /lab HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhel",
    ] {
        let mut http = Http::to(&server);
        http.send(half.as_bytes());
        drop(http);
    }
    // This connection, the reader's, and none of the others.
    eventually("the others to be gone", || {
        (connections(&server) == 2).then_some(())
    });
    classic.sync();
}

#[test]
fn what_two_readers_could_take_differently_is_refused() {
    let server = TestServer::start();
    let mut classic = server.join(&["lab"]);
    let hidden = "POST /lab HTTP/1.1\r\nhost: localhost\r\ncontent-length: 3\r\n\r\nhid";
    for (shape, head) in [
        ("two lengths", "content-length: 0\r\ncontent-length: 60"),
        ("a list of lengths", "content-length: 0, 60"),
        ("a signed length", "content-length: +60"),
        ("a length in hexadecimal", "content-length: 0x3c"),
        ("an unknown coding", "transfer-encoding: xchunked"),
        ("a coding twice", "transfer-encoding: chunked, identity"),
        ("a space before the colon", "content-length : 60"),
        ("a folded line", "x: y\r\n content-length: 60"),
        (
            "two hosts",
            "host: localhost\r\nhost: evil.example\r\ncontent-length: 0",
        ),
    ] {
        let mut http = Http::to(&server);
        let host = if shape == "two hosts" {
            ""
        } else {
            "host: localhost\r\n"
        };
        http.send(format!("POST /smuggled HTTP/1.1\r\n{host}{head}\r\n\r\n{hidden}").as_bytes());
        let status = http.answer().status;
        assert!((400..500).contains(&status), "{shape}: {status}");
        http.expect_end();
    }
    // Both a length and a coding: the coding counts, and what follows is a request of
    // its own or the connection's end; never a part of the body.
    let mut http = Http::to(&server);
    let both = "POST /lab HTTP/1.1\r\nhost: localhost\r\ncontent-length: 60\r\n\
                transfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n";
    http.send(both.as_bytes());
    if http.answer().status == 200 {
        classic.expect("lab", "ok");
    }
    classic.sync();
}

#[test]
fn nonsense_that_begins_like_a_request_is_told_and_closed() {
    let server = TestServer::start();
    let mut bystanders = Bystanders::on(&server);
    for nonsense in [
        "GET \r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        "GET / \0\r\n\r\n",
        "GET nowhere HTTP/1.1\r\nhost: localhost\r\n\r\n",
        "POST {\"topics\":[\"lab\"]}\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "CONNECT evil.example:80 HTTP/1.1\r\nhost: evil.example\r\n\r\n",
    ] {
        let mut http = Http::to(&server);
        http.send(nonsense.as_bytes());
        if nonsense.starts_with("PRI") {
            continue;
        }
        let status = http.answer().status;
        assert!((400..600).contains(&status), "{nonsense:?}: {status}");
    }
    bystanders.talk();
}

#[test]
fn a_thousand_idle_connections_disturb_nobody() {
    let server = TestServer::start();
    let mut bystanders = Bystanders::on(&server);
    let mut idle: Vec<_> = (0..1000).map(|_| Http::to(&server)).collect();
    for http in &mut idle {
        assert_eq!(http.get("/-/health", &[]).status, 200);
    }
    assert_eq!(connections(&server), 1003);
    bystanders.talk();
    for http in idle.iter_mut().step_by(100) {
        assert_eq!(http.get("/-/health", &[]).status, 200);
    }
    drop(idle);
    eventually("the idle ones to be gone", || {
        (connections(&server) == 3).then_some(())
    });
}

#[test]
fn a_connection_counts_once_whatever_it_does() {
    let server = TestServer::with(Config {
        max_connections: 2,
        ..Config::default()
    });
    let mut first = Http::to(&server);
    first.ask("GET", "/lab", &[], b"");
    assert_eq!(first.head().status, 200);
    first.chunk();
    let mut second = Http::to(&server);
    assert_eq!(second.get("/-/health", &[]).json()["connections"], 2);
    let mut third = Http::to(&server);
    let line = third.line();
    assert!(line.contains("too-many-connections"), "{line}");
}
