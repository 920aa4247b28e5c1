//! How a server ends that others come to take the place of.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::common::{Process, eventually};
use crate::exposition::{Metrics, admin};
use crate::requests::Http;

#[test]
fn a_server_that_is_to_end_says_so_first_and_goes_on_meanwhile() {
    let options = ["--admin", "127.0.0.1:0", "--drain-announce", "3600"];
    let mut server = Process::start(&options);
    let mut client = server.join(&["t"]);
    let ready = |path: &str| {
        let mut http = Http::at(server.v4());
        let request = format!("GET {path} HTTP/1.1\r\nhost: balancer.example\r\n\r\n");
        assert!(http.send(request.as_bytes()));
        let answer = http.answer();
        (answer.status, answer.text().trim_end().to_owned())
    };
    assert_eq!(
        ready("/-/ready"),
        (200, r#"{"ready":true,"durability":"memory"}"#.to_owned())
    );
    server.signal("TERM");
    let refused = eventually("the announcement", || {
        let (status, text) = ready("/-/ready");
        (status == 503).then_some(text)
    });
    assert_eq!(
        refused,
        r#"{"ready":false,"because":["draining"],"durability":"memory"}"#
    );
    assert_eq!(ready("/-/health").0, 200, "it is alive");
    assert_eq!(Metrics::of(&server).get("natter_draining"), 1.0);
    // Those who are here, and those who come, notice nothing.
    let mut late = server.join(&["t"]);
    late.say("t", "still here");
    client.expect("t", "still here");
    server.signal("TERM");
    assert_eq!(server.wait().code(), Some(128 + 15), "twice means at once");
}

/// A thousand clients that lose their server at once all come to the next one at once.
#[test]
fn connections_are_closed_one_after_another_over_the_time_that_is_asked_for() {
    const CLIENTS: usize = 200;
    const SPREAD: Duration = Duration::from_secs(2);
    let mut server = Process::start(&["--drain-spread", "2", "--drain-timeout", "5"]);
    let mut publisher = server.join(&["t"]);
    let clients: Vec<_> = (0..CLIENTS).map(|_| server.join(&["t"])).collect();
    publisher.say("t", "before");
    publisher.sync();
    let began = Instant::now();
    server.signal("TERM");
    let ended: Vec<_> = clients
        .into_iter()
        .map(|mut client| {
            std::thread::spawn(move || {
                client.expect("t", "before");
                client.expect_error("shutting-down");
                began.elapsed()
            })
        })
        .collect();
    let mut ended: Vec<_> = ended.into_iter().map(|one| one.join().unwrap()).collect();
    ended.sort();
    assert_eq!(server.wait().code(), Some(0));
    let (early, late) = (ended[CLIENTS / 10], ended[CLIENTS * 9 / 10]);
    assert!(late - early >= SPREAD / 2, "{early:?} to {late:?}");
    let busiest = (0..20)
        .map(|part| {
            let from = SPREAD / 20 * part;
            let within = |time: &&Duration| **time >= from && **time < from + SPREAD / 20;
            ended.iter().filter(within).count()
        })
        .max();
    assert!(busiest.unwrap() <= CLIENTS / 4, "{busiest:?}: {ended:?}");
}

/// A WebSocket that sends this frame first.
fn websocket(server: &Process, frame: &str) -> Http {
    let mut http = Http::at(server.v4());
    let headers = [
        "connection: upgrade",
        "upgrade: websocket",
        "sec-websocket-version: 13",
        "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==",
    ];
    http.ask("GET", "/-/ws", &headers, b"");
    assert_eq!(http.head().status, 101);
    // A text message, masked with nothing.
    let length = u8::try_from(frame.len()).unwrap();
    assert!(length < 126);
    let head = [0x81, 0x80 | length, 0, 0, 0, 0];
    assert!(http.send(&[&head, frame.as_bytes()].concat()));
    http
}

#[test]
fn extended_clients_are_asked_to_come_back_and_others_notice_nothing_new() {
    let mut server = Process::start(&["--drain-spread", "1"]);
    let mut classic = server.join(&["t"]);
    let mut extended = server.connect();
    extended.register_extended(&["t"], json!({}));
    let mut socket = websocket(&server, r#"{"topics":["t"],"extended":{}}"#);
    let mut stream = Http::at(server.v4());
    stream.ask("GET", "/t", &["accept: text/event-stream"], b"");
    assert_eq!(stream.head().status, 200);
    eventually("everyone to be there", || {
        let who = Http::at(server.v4()).get("/-/topics/t/who", &[]).json();
        (who["members"]["count"] == 4).then_some(())
    });
    server.signal("TERM");
    assert_eq!(extended.expect_event("reconnect"), json!({"within": 1000}));
    extended.expect_extended_error("shutting-down");
    classic.expect_error("shutting-down");
    let text = String::from_utf8_lossy(&socket.read_to_the_end()).into_owned();
    let (before, after) = text
        .split_once(r#"{"extended":{"reconnect":{"within":1000}}}"#)
        .unwrap();
    assert!(
        before.contains("registered") && after.contains("shutting-down"),
        "{text}"
    );
    let text = String::from_utf8(stream.read_to_the_end()).unwrap();
    assert!(
        text.contains("retry: ") && !text.contains("reconnect"),
        "{text}"
    );
    assert_eq!(server.wait().code(), Some(0));
    server.wait_for("4 connections are closed over 1s");

    // Where all are closed at once, there is no time to choose a moment in.
    let mut server = Process::start(&[]);
    let mut extended = server.connect();
    extended.register_extended(&["t"], json!({}));
    server.signal("TERM");
    extended.expect_extended_error("shutting-down");
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn counters_only_grow_while_a_server_drains() {
    let options = ["--admin", "127.0.0.1:0", "--drain-spread", "2"];
    let mut server = Process::start(&options);
    let _clients: Vec<_> = (0..50).map(|_| server.join(&["t"])).collect();
    let address = admin(&server);
    let mut before = Metrics::of(&server);
    server.signal("TERM");
    let mut looks = 0;
    while let Ok(stream) = std::net::TcpStream::connect(address) {
        drop(stream);
        let Some(now) = Metrics::try_of(address) else {
            break;
        };
        for (name, value) in &before.values {
            let family = name.split('{').next().unwrap();
            if family.ends_with("_total") || family.ends_with("_bucket") {
                assert!(now.get(name) >= *value, "{name}");
            }
        }
        before = now;
        looks += 1;
    }
    assert!(looks > 2, "{looks}");
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn readers_of_event_streams_are_told_to_come_back_at_different_times() {
    let mut server = Process::start(&[]);
    let headers = ["accept: text/event-stream"];
    let open = |_| {
        let mut http = Http::at(server.v4());
        http.ask("GET", "/t", &headers, b"");
        assert_eq!(http.head().status, 200);
        http
    };
    let streams: Vec<_> = (0..20).map(open).collect();
    server.signal("TERM");
    let last_retry = |mut http: Http| {
        let text = String::from_utf8(http.read_to_the_end()).unwrap();
        assert!(text.contains("shutting-down"), "{text}");
        let mut retries = text.lines().filter_map(|line| line.strip_prefix("retry: "));
        retries.next_back().unwrap().parse::<u32>().unwrap()
    };
    let mut retries: Vec<_> = streams.into_iter().map(last_retry).collect();
    assert!(
        retries.iter().all(|retry| (1_000..5_000).contains(retry)),
        "{retries:?}"
    );
    retries.sort_unstable();
    retries.dedup();
    assert!(retries.len() > 10, "{retries:?}");
    assert_eq!(server.wait().code(), Some(0));
}
