//! The first bytes decide what a connection speaks.

use crate::common::{Bystanders, TestServer, message, registration};
use crate::requests::Http;

#[test]
fn json_and_http_arrive_on_the_same_port() {
    let server = TestServer::start();
    let mut classic = server.join(&["lab"]);
    let answer = Http::to(&server).post("/lab", &[], b"hello");
    assert_eq!(answer.status, 200);
    classic.expect("lab", "hello");
}

#[test]
fn a_request_may_come_byte_by_byte() {
    let server = TestServer::start();
    let mut http = Http::to(&server);
    let request = format!("GET /-/health HTTP/1.1\r\nhost: {}\r\n\r\n", server.addr());
    for byte in request.bytes() {
        assert!(http.send(&[byte]));
        std::thread::yield_now();
    }
    assert_eq!(http.answer().json()["status"], "ok");
}

#[test]
fn frames_may_begin_with_white_space_and_come_at_once() {
    let server = TestServer::start();
    let mut receiver = server.join(&["lab"]);
    let mut sender = server.connect();
    let mut bytes = b"\r\n\t ".to_vec();
    bytes.extend(registration(&["lab"]));
    bytes.extend(message("lab", "at once"));
    sender.send(&bytes);
    receiver.expect("lab", "at once");
    // What comes later is no request any more.
    sender.send(b"GET / HTTP/1.1\r\n\r\n");
    sender.expect_error("not-json");
    sender.expect_end();
}

#[test]
fn who_wants_tls_is_told_that_there_is_none() {
    let server = TestServer::start();
    let mut bystanders = Bystanders::on(&server);
    let mut client = server.connect();
    client.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03");
    let why = client.expect_error("tls-not-supported");
    assert!(why.contains("proxy"), "{why}");
    client.finish_sending();
    client.expect_end();
    bystanders.talk();
}

#[test]
fn what_only_looks_like_a_method_is_no_json() {
    let server = TestServer::start();
    let mut client = server.connect();
    client.send(b"GREETINGS\r\n");
    client.expect_error("not-json");
    client.expect_end();
}

#[test]
fn a_connection_may_ask_again_and_several_things_at_once() {
    let server = TestServer::start();
    let mut http = Http::to(&server);
    for number in 1..=3 {
        let answer = http.post("/lab", &[], format!("{number}").as_bytes());
        assert_eq!(answer.json()["seq"], number);
    }
    http.ask("POST", "/lab", &[], b"4");
    http.ask("POST", "/lab", &[], b"5");
    http.ask("GET", "/-/health", &[], b"");
    assert_eq!(http.answer().json()["seq"], 4);
    assert_eq!(http.answer().json()["seq"], 5);
    assert_eq!(http.answer().json()["status"], "ok");
}
