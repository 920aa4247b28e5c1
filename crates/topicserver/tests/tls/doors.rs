//! Everything that the server speaks, within TLS.

use std::io::{Read, Write};

use serde_json::{Value, json};

use crate::common::{Bystanders, Client, Stream, TestServer, read_some};
use crate::requests::Http;
use crate::server;

#[test]
fn every_door_leads_to_the_same_topics() {
    let server = server::optional();
    let addr = server.addr();
    let mut plain = server.join(&["lab"]);
    let mut secure = server::join(addr, "lab");
    let mut extended = server::connect(addr);
    extended.register_extended(&["lab"], json!({"user": "alice"}));
    let mut events = Http::over_tls(addr);
    events.ask("GET", "/lab?last=0", &["accept: text/event-stream"], b"");
    assert_eq!(events.head().status, 200);
    let answer = Http::over_tls(addr).post("/lab", &[], b"by HTTP");
    assert_eq!(answer.json()["seq"], 1);
    for client in [&mut plain, &mut secure] {
        client.expect("lab", "by HTTP");
    }
    extended.expect_delivered("lab", "by HTTP", 1);
    let mut seen = String::new();
    while !seen.contains("by HTTP") {
        seen += &String::from_utf8(events.chunk().unwrap()).unwrap();
    }
    extended.say_with_id("lab", "by TLS", "1");
    extended.expect_ack("lab", "1");
    plain.expect("lab", "by TLS");
    secure.expect("lab", "by TLS");
    while !seen.contains("by TLS") {
        seen += &String::from_utf8(events.chunk().unwrap()).unwrap();
    }
    plain.say("lab", "in plain");
    secure.expect("lab", "in plain");
}

#[test]
fn a_large_answer_and_a_large_body_come_whole() {
    let server = server::optional();
    let mut http = Http::over_tls(server.addr());
    let lines = format!("{}\n", "x".repeat(900)).repeat(60);
    let answer = http.post("/lab?split=lines", &[], lines.as_bytes());
    assert_eq!(answer.status, 200, "{}", answer.text());
    let page = http.get("/", &["accept: text/html"]);
    let plain = Http::to(&server).get("/", &["accept: text/html"]);
    assert!(page.body.len() > 1_000);
    assert_eq!(page.body, plain.body);
    let history = Http::over_tls(server.addr()).get("/lab?last=100&poll=1", &[]);
    assert_eq!(history.text().lines().count(), 61);
    // Several requests at once, on one connection.
    for number in 0..50 {
        http.ask("POST", "/many", &[], format!("{number}").as_bytes());
    }
    for number in 1..=50 {
        assert_eq!(http.answer().json()["seq"], number);
    }
}

#[test]
fn a_pages_websocket_speaks_through_tls() {
    let server = server::optional();
    let mut other = server.join(&["lab"]);
    let mut stream = Stream::tls(server::socket(server.addr())).unwrap();
    let request = format!(
        "GET /-/ws HTTP/1.1\r\nhost: {0}\r\norigin: https://{0}\r\nconnection: upgrade\r\n\
         upgrade: websocket\r\nsec-websocket-version: 13\r\n\
         sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        server.addr()
    );
    // The first frames come with the request.
    let frames = [
        frame(br#"{"topics":["lab"]}"#),
        frame(br#"{"message":{"topic":"lab","text":"from a page"}}"#),
    ];
    stream
        .write_all(&[request.into_bytes(), frames.concat()].concat())
        .unwrap();
    other.expect("lab", "from a page");
    other.say("lab", "to a page");
    let mut seen = Vec::new();
    let text = b"to a page";
    while !seen.windows(text.len()).any(|part| part == text) {
        let mut bytes = [0; 4096];
        let count = read_some(&mut stream, &mut bytes).unwrap();
        assert!(count > 0);
        seen.extend(&bytes[..count]);
    }
    assert!(seen.starts_with(b"HTTP/1.1 101"));
    // The end in a frame means the same here: the server closes, with 1000.
    stream
        .write_all(&frame(br#"{"extended":{"end":{}}}"#))
        .unwrap();
    seen.clear();
    stream.read_to_end(&mut seen).unwrap();
    assert_eq!(seen, [0x88, 2, 3, 0xe8]);
}

/// A text message of a client's, masked with zeros.
fn frame(text: &[u8]) -> Vec<u8> {
    let head = [0x81, 0x80 | u8::try_from(text.len()).unwrap(), 0, 0, 0, 0];
    [&head, text].concat()
}

#[test]
fn records_of_any_length_carry_frames_of_any_length() {
    let server = server::optional();
    let mut receiver = server::join(server.addr(), "t");
    let mut sender = server::join(server.addr(), "t");
    // Around the length of a record, and several of them.
    for length in [1, 100, 16_300, 16_384, 16_385, 32_768, 65_000] {
        let text = "x".repeat(length);
        sender.say("t", &text);
        receiver.expect("t", &text);
    }
    // Each byte in a record of its own.
    for byte in crate::common::message("t", "byte by byte") {
        sender.send(&[byte]);
    }
    receiver.expect("t", "byte by byte");
}
