//! Limits by account and by address: publishers are slowed or refused, and told why.

use std::time::{Duration, Instant};

use serde_json::json;
use topicserver::Config;

use crate::accounts::{Accounts, bearer, token};
use crate::common::{Client, TestServer, message};
use crate::frames::{Frames, Transport};
use crate::requests::Http;

/// Everybody may do everything, within these limits.
fn limited(everyone: &str, more: &str) -> Accounts {
    let all = "allow = [\"read write who list *\"]";
    let (_, alice) = token("alice");
    Accounts::new(&format!(
        "[everyone]\n{all}\nlimits = {{ {everyone} }}\n[users.alice]\n{all}\n{more}\n\
         {alice}user = \"alice\"\n"
    ))
}

fn post(server: &TestServer, from: &str, headers: &[&str], path: &str) -> crate::requests::Answer {
    let mut http = Http::from(from.parse().unwrap(), server);
    http.post(path, headers, b"hello")
}

#[test]
fn http_is_refused_with_the_name_of_the_limit() {
    let accounts = limited("messages = \"2/h burst 3\"", "");
    let server = accounts.serve();
    for _ in 0..3 {
        assert_eq!(post(&server, "127.0.0.2", &[], "/lab").status, 200);
    }
    let answer = post(&server, "127.0.0.2", &[], "/lab");
    let text = answer.expect_problem(429, "rate-limited");
    assert!(
        text.contains("messages for address 127.0.0.2 is 2/h"),
        "{text}"
    );
    let error = &answer.json()["error"];
    assert_eq!(error["limit"], "messages");
    assert_eq!(error["rate"], "2/h");
    assert_eq!(error["of"], "address 127.0.0.2");
    let seconds = error["retry_after"].as_u64().unwrap();
    assert!((1795..=1800).contains(&seconds), "{seconds}");
    let header = answer.header("retry-after").unwrap();
    assert_eq!(header, seconds.to_string());
    // Neither its neighbours nor those who have logged in are concerned.
    assert_eq!(post(&server, "127.0.0.3", &[], "/lab").status, 200);
    let alice = bearer(&token("alice").0);
    for _ in 0..5 {
        assert_eq!(post(&server, "127.0.0.2", &[&alice], "/lab").status, 200);
    }
}

#[test]
fn an_account_is_limited_wherever_it_comes_from() {
    let accounts = limited("", "limits = { bytes = \"1kB/h\" }");
    let server = accounts.serve();
    let alice = bearer(&token("alice").0);
    let from = |number: usize| format!("127.0.0.{}", number + 2);
    let statuses: Vec<_> = (0..20)
        .map(|number| post(&server, &from(number), &[&alice], "/lab").status)
        .collect();
    let served = statuses.iter().filter(|status| **status == 200).count();
    assert!((2..15).contains(&served), "{statuses:?}");
    let answer = post(&server, "127.0.0.99", &[&alice], "/lab");
    assert_eq!(answer.json()["error"]["of"], "account alice");
    assert_eq!(answer.json()["error"]["limit"], "bytes");
    assert_eq!(post(&server, "127.0.0.99", &[], "/lab").status, 200);
}

#[test]
fn a_publisher_over_its_rate_is_slowed_and_told_once_and_loses_nothing() {
    let accounts = limited("messages = \"100/s burst 200\"", "");
    let server = accounts.serve();
    for transport in [Transport::Tcp, Transport::WebSocket] {
        let topic = format!("{transport:?}");
        let mut reader = server.join(&[&topic]);
        let mut frames = Frames::to(&server, transport);
        frames.send(json!({"topics": [topic], "extended": {}}));
        assert!(frames.frame()["extended"]["registered"].is_object());
        let start = Instant::now();
        for number in 0..500 {
            let text = number.to_string();
            frames.send(json!({"message": {"topic": topic, "text": text}}));
        }
        for number in 0..500 {
            reader.expect(&topic, &number.to_string());
        }
        let error = frames.frame()["extended"]["error"].clone();
        assert_eq!(error["code"], "rate-limited", "{error}");
        let text = error["text"].as_str().unwrap();
        assert!(text.contains("address 127.0.0.1 is 100/s"), "{text}");
        // What was read at once has gone on at once; what comes now is read when the 300
        // beyond the burst would have been allowed. It is told once, not with each message.
        frames.send(json!({"message": {"topic": topic, "text": "later"}}));
        frames.send(json!({"extended": {"ping": 1}}));
        reader.expect(&topic, "later");
        assert_eq!(frames.frame()["extended"]["pong"], 1);
        let time = start.elapsed();
        assert!(time >= Duration::from_millis(2900), "{time:?}");
    }
}

#[test]
fn a_classic_publisher_is_slowed_and_told_too() {
    let accounts = limited("messages = \"50/s\"", "");
    let server = accounts.serve();
    let mut reader = server.join(&["lab"]);
    let mut classic = server.join(&["lab"]);
    let start = Instant::now();
    for number in 0..150 {
        classic.send(&message("lab", &number.to_string()));
    }
    for number in 0..150 {
        reader.expect("lab", &number.to_string());
    }
    let text = classic.expect_error("rate-limited");
    assert!(text.contains("50/s"), "{text}");
    // Its next frame is read when there is room for one again.
    classic.say("lab", "next");
    reader.expect("lab", "next");
    assert!(
        start.elapsed() >= Duration::from_secs(2),
        "{:?}",
        start.elapsed()
    );
    // It receives meanwhile.
    for number in 0..100 {
        classic.send(&message("lab", &number.to_string()));
    }
    reader.say("lab", "to whom is slowed");
    while classic.message().1 != "to whom is slowed" {}
}

#[test]
fn connections_are_refused_by_every_door_and_given_back() {
    let accounts = limited("connections = 2", "limits = { connections = 1 }");
    let server = accounts.serve();
    let one = server.join(&["lab"]);
    let mut listening = Http::to(&server);
    listening.ask("GET", "/lab", &[], b"");
    assert_eq!(listening.head().status, 200);
    // A classic client, one over a WebSocket, and a stream.
    let mut classic = server.connect();
    classic.register(&["lab"]);
    let text = classic.expect_error("too-many-connections");
    assert!(text.contains("address 127.0.0.1 is 2"), "{text}");
    classic.finish_sending();
    classic.expect_end();
    for path in ["/lab", "/-/ws"] {
        let mut http = Http::to(&server);
        let headers = [
            "connection: upgrade",
            "upgrade: websocket",
            "sec-websocket-version: 13",
            "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==",
        ];
        let headers = if path == "/lab" { &[][..] } else { &headers };
        http.ask("GET", path, headers, b"");
        let answer = http.answer();
        answer.expect_problem(429, "too-many-connections");
        assert_eq!(answer.json()["error"]["limit"], "connections");
        assert_eq!(answer.header("retry-after"), None);
        // What is no connection of its own goes on.
        assert_eq!(http.post("/lab", &[], b"hi").status, 200);
    }
    // An account has its own places.
    let auth = token("alice").0;
    let mut alice = Frames::to(&server, Transport::Tcp);
    alice.send(json!({"topics": ["lab"], "extended": {"auth": auth}}));
    assert!(alice.frame()["extended"]["authenticated"].is_object());
    assert!(alice.frame()["extended"]["registered"].is_object());
    let mut second = Frames::to(&server, Transport::Tcp);
    second.send(json!({"topics": ["lab"], "extended": {"auth": auth}}));
    assert!(second.frame()["extended"]["authenticated"].is_object());
    let error = &second.frame()["extended"]["error"];
    assert_eq!(error["code"], "too-many-connections");
    drop(one);
    crate::common::eventually("a place", || {
        let mut client = server.connect();
        client.register(&["lab"]);
        client.send(b"{}");
        (client.message().1.starts_with("unknown-frame")).then_some(())
    });
}

#[test]
fn somebody_who_logs_in_gives_back_the_place_of_his_address() {
    let accounts = limited("connections = 1", "");
    let server = accounts.serve();
    let mut frames = Frames::to(&server, Transport::Tcp);
    frames.send(json!({"topics": ["lab"], "extended": {}}));
    assert!(frames.frame()["extended"]["registered"].is_object());
    frames.log_in(&token("alice").0);
    frames.send(json!({"extended": {"ping": 1}}));
    assert_eq!(frames.frame()["extended"]["pong"], 1);
    let _other = server.join(&["lab"]);
}

#[test]
fn new_topics_have_a_rate_by_every_door() {
    let accounts = limited("new-topics = \"3/h\"", "");
    let server = accounts.serve();
    let mut client = server.connect();
    client.join(&["one", "two"]);
    assert_eq!(post(&server, "127.0.0.1", &[], "/three").status, 200);
    let answer = post(&server, "127.0.0.1", &[], "/four");
    answer.expect_problem(429, "rate-limited");
    assert_eq!(answer.json()["error"]["limit"], "new-topics");
    // What is there already is none.
    assert_eq!(post(&server, "127.0.0.1", &[], "/one").status, 200);
    client.expect("one", "hello");
    client.register(&["five"]);
    let text = client.expect_error("rate-limited");
    assert!(text.contains("new-topics"), "{text}");
    // The connection goes on.
    client.say("one", "x");
    client.sync();
    // A program is told which limit it is: others refuse no registration.
    let mut extended = server.connect();
    extended.register_extended(&["one"], json!({}));
    extended.register(&["six"]);
    let error = extended.expect_extended_error("rate-limited");
    assert_eq!(error["limit"], "new-topics");
}

#[test]
fn a_change_of_limits_reaches_those_who_are_connected() {
    let accounts = limited("messages = \"1/h\"", "");
    let server = accounts.serve();
    let mut reader = server.join(&["lab"]);
    let mut frames = Frames::to(&server, Transport::Tcp);
    frames.send(json!({"topics": ["lab"], "extended": {}}));
    assert!(frames.frame()["extended"]["registered"].is_object());
    frames.send(json!({"message": {"topic": "lab", "text": "first"}}));
    reader.expect("lab", "first");
    assert_eq!(frames.frame()["extended"]["error"]["code"], "rate-limited");
    frames.send(json!({"message": {"topic": "lab", "text": "second"}}));
    accounts.write("[everyone]\nallow = [\"read write *\"]\n");
    // It doesn't wait for the hour that it had to wait before.
    reader.expect("lab", "second");
}

#[test]
fn behind_a_proxy_the_forwarded_address_is_limited() {
    let accounts = limited("messages = \"1/h\"", "");
    let server = TestServer::with(Config {
        trust_proxies: vec!["127.0.0.1".parse().unwrap()],
        ..accounts.config()
    });
    let from = |client: &str| {
        let header = format!("x-forwarded-for: {client}");
        post(&server, "127.0.0.1", &[&header], "/lab")
    };
    assert_eq!(from("203.0.113.9").status, 200);
    let answer = from("203.0.113.9");
    answer.expect_problem(429, "rate-limited");
    assert_eq!(answer.json()["error"]["of"], "address 203.0.113.9");
    assert_eq!(from("203.0.113.10").status, 200);
    assert_eq!(from("2001:db8:1:2::1").status, 200);
    let neighbour = from("2001:db8:1:2::2");
    neighbour.expect_problem(429, "rate-limited");
    let of = neighbour.json()["error"]["of"].clone();
    assert_eq!(of, "network 2001:db8:1:2::/64");
    // Forged by somebody who isn't trusted, it makes no difference.
    let forged = ["x-forwarded-for: 203.0.113.77"];
    assert_eq!(post(&server, "127.0.0.5", &forged, "/lab").status, 200);
    let answer = post(
        &server,
        "127.0.0.5",
        &["x-forwarded-for: 203.0.113.78"],
        "/lab",
    );
    assert_eq!(answer.json()["error"]["of"], "address 127.0.0.5");
    // Over PROXY, too.
    let mut client = server.connect();
    client.send(b"PROXY TCP4 203.0.113.9 192.0.2.1 1 80\r\n");
    client.join(&["lab"]);
    client.say("lab", "x");
    let text = client.expect_error("rate-limited");
    assert!(text.contains("address 203.0.113.9"), "{text}");
}
