//! `POST /TOPIC`.

use std::time::Duration;

use serde_json::{Value, json};
use topicserver::Config;

use crate::common::{Bystanders, TestServer};
use crate::requests::{Http, Lines};

const JSON: &str = "content-type: application/json";

#[test]
fn a_body_is_a_message_for_everyone() {
    let server = TestServer::start();
    let mut classic = server.join(&["lab"]);
    let (mut extended, _) = server.extended(&["lab"], json!({}));
    let mut http = Http::to(&server);
    // The type that curl gives a body by itself is no reason to look into it.
    let form = "content-type: application/x-www-form-urlencoded";
    let answer = http.post("/lab", &[form], "a=1&b=\"h\u{e9}\"\n".as_bytes());
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let published = answer.json();
    assert_eq!(published["topic"], "lab");
    assert_eq!(published["seq"], 1);
    classic.expect("lab", "a=1&b=\"h\u{e9}\"\n");
    let delivered = extended.delivered();
    assert_eq!(delivered.seq, Some(1));
    assert_eq!(published["time"], delivered.time);
    assert_eq!(delivered.user, None);
}

#[test]
fn json_says_who_it_is() {
    let server = TestServer::start();
    let (mut extended, _) = server.extended(&["lab"], json!({}));
    let mut http = Http::to(&server);
    let body = json!({"text": "hi", "user": "build"}).to_string();
    assert_eq!(http.post("/lab", &[JSON], body.as_bytes()).status, 200);
    let delivered = extended.delivered();
    assert_eq!(
        (delivered.text.as_str(), delivered.user.as_deref()),
        ("hi", Some("build"))
    );
    assert_eq!(http.post("/lab?user=cron", &[], b"hi").status, 200);
    assert_eq!(extended.delivered().user.as_deref(), Some("cron"));
}

#[test]
fn nobody_can_speak_as_somebody_who_is_connected() {
    let server = TestServer::start();
    let (_alice, _) = server.extended(&["lab"], json!({"user": "alice"}));
    let answer = Http::to(&server).post("/lab?user=alice", &[], b"I owe you money");
    answer.expect_problem(409, "name-taken");
}

#[test]
fn a_request_uses_up_nobodys_ids() {
    let server = TestServer::start();
    let mut http = Http::to(&server);
    assert_eq!(http.post("/lab?user=bob&id=bob-1", &[], b"hi").status, 200);
    for options in [
        json!({"user": "bob"}),
        json!({"user": "bob", "client": "k"}),
    ] {
        let (mut bob, _) = server.extended(&["lab"], options);
        bob.say_with_id("lab", "hi", "bob-1");
        assert!(bob.expect_ack("lab", "bob-1") > 1, "it is another message");
        bob.ask(json!({"leave": ["lab"]}));
        bob.expect_event("registered");
        bob.finish_sending();
        bob.expect_end();
    }
}

#[test]
fn an_id_with_another_text_is_refused() {
    let server = TestServer::start();
    let mut http = Http::to(&server);
    for query in ["id=1", "user=bob&id=1"] {
        let path = format!("/lab?{query}");
        let first = http.post(&path, &[], b"once").json();
        http.post(&path, &[], b"twice")
            .expect_problem(409, "duplicate-id");
        assert_eq!(http.post(&path, &[], b"once").json(), first);
    }
}

#[test]
fn each_line_can_be_a_message() {
    let server = TestServer::start();
    let mut classic = server.join(&["lab"]);
    let answer = Http::to(&server).post("/lab?split=lines", &[], b"one\r\ntwo\n\nfour\n");
    let published = answer.json();
    assert_eq!(
        (&published["seq"], &published["count"]),
        (&json!(4), &json!(4))
    );
    for text in ["one", "two", "", "four"] {
        classic.expect("lab", text);
    }
    let none = Http::to(&server).post("/lab?split=lines", &[], b"");
    none.expect_problem(400, "bad-request");
}

#[test]
fn a_message_that_is_sent_again_with_its_id_is_published_once() {
    let server = TestServer::start();
    let mut classic = server.join(&["lab"]);
    let mut http = Http::to(&server);
    let first = http.post("/lab?id=k-1", &[], b"once").json();
    let second = http.post("/lab?id=k-1", &[], b"once").json();
    assert_eq!(first, second);
    assert_eq!(http.post("/lab", &[], b"next").json()["seq"], 2);
    classic.expect("lab", "once");
    classic.expect("lab", "next");
}

#[test]
fn a_topic_has_any_name_that_a_path_can_carry() {
    let server = TestServer::start();
    let mut http = Http::to(&server);
    for (path, topic) in [
        ("/a%20b", "a b"),
        ("/%E9%A8%92%E3%81%8E", "\u{9a12}\u{304e}"),
        ("/rooms/1", "rooms/1"),
        ("/%2D/x", "-/x"),
        ("/index.html", "index.html"),
    ] {
        assert_eq!(http.post(path, &[], b"hi").json()["topic"], topic);
    }
}

#[test]
fn what_cant_be_published_is_told() {
    let server = TestServer::start();
    let mut http = Http::to(&server);
    let long_name = format!("/{}", "x".repeat(256));
    for (path, headers, body, status, code) in [
        ("/", &[][..], &b"hi"[..], 400, "bad-topic"),
        ("/%00", &[], b"hi", 400, "bad-topic"),
        (&long_name, &[], b"hi", 400, "bad-topic"),
        ("/%ff", &[], b"hi", 400, "bad-request"),
        ("/lab", &[], b"\xff\xfe", 400, "not-utf8"),
        ("/lab", &[JSON], b"{\"text\":", 400, "bad-frame"),
        ("/lab", &[JSON], b"{\"txt\":\"hi\"}", 400, "bad-frame"),
        ("/lab", &[JSON], b"[]", 400, "bad-frame"),
        ("/lab?splt=lines", &[], b"hi", 400, "bad-request"),
        ("/lab?split=words", &[], b"hi", 400, "bad-request"),
        ("/lab?user=", &[], b"hi", 400, "bad-request"),
        ("/lab?id=", &[], b"hi", 400, "bad-request"),
        ("/lab?split=lines&id=1", &[], b"a\nb", 400, "bad-request"),
        (
            "/lab",
            &["content-type: multipart/form-data; boundary=x"],
            b"--x--",
            415,
            "bad-request",
        ),
        ("/-/nothing", &[], b"hi", 404, "not-found"),
        ("/-/health", &[], b"hi", 405, "method-not-allowed"),
    ] {
        http.post(path, headers, body).expect_problem(status, code);
    }
    http.ask("DELETE", "/lab", &[], b"");
    http.answer().expect_problem(405, "method-not-allowed");
    assert_eq!(http.get("/-/topics", &[]).json()["topics"], json!([]));
}

#[test]
fn a_message_is_as_long_as_a_frame_may_be() {
    let server = TestServer::start();
    let mut bystanders = Bystanders::on(&server);
    let long = vec![b'x'; 65_000];
    assert_eq!(Http::to(&server).post("/lab", &[], &long).status, 200);
    // It fits as it comes, but not as JSON.
    let quotes = vec![b'"'; 65_000];
    let told = Http::to(&server).post("/lab", &[], &quotes);
    assert!(told.expect_problem(413, "too-long").contains("65536"));
    // The body isn't waited for.
    let mut http = Http::to(&server);
    let host = server.addr();
    let head = format!("POST /lab HTTP/1.1\r\nhost: {host}\r\ncontent-length: 99999999999\r\n\r\n");
    http.send(head.as_bytes());
    http.answer().expect_problem(413, "too-long");
    // Nor is one that doesn't say how long it is.
    let mut http = Http::to(&server);
    let head = format!("POST /lab HTTP/1.1\r\nhost: {host}\r\ntransfer-encoding: chunked\r\n\r\n");
    http.send(head.as_bytes());
    for _ in 0..5 {
        http.send(b"4000\r\n");
        http.send(&[b'x'; 0x4000]);
        http.send(b"\r\n");
    }
    http.answer().expect_problem(413, "too-long");
    bystanders.talk();
}

#[test]
fn a_body_that_isnt_finished_in_time_is_told() {
    let server = TestServer::with(Config {
        frame_timeout: Duration::from_millis(100),
        ..Config::default()
    });
    let mut http = Http::to(&server);
    let host = server.addr();
    let half = format!("POST /lab HTTP/1.1\r\nhost: {host}\r\ncontent-length: 10\r\n\r\nhalf");
    http.send(half.as_bytes());
    http.answer().expect_problem(408, "unfinished-frame");
}

#[test]
fn what_was_published_is_in_the_history() {
    let server = TestServer::start();
    let mut http = Http::to(&server);
    for number in 0..5 {
        http.post("/lab", &[], format!("{number}").as_bytes());
    }
    let mut lines = Lines::of(&server, "/lab?last=2&poll=1", &[]);
    assert_eq!(
        lines.frame()["extended"]["registered"]["topics"]["lab"]["seq"],
        5
    );
    let texts: Vec<Value> = std::iter::from_fn(|| lines.next())
        .map(|line| serde_json::from_str::<Value>(&line).unwrap()["message"]["text"].clone())
        .collect();
    assert_eq!(texts, ["3", "4"]);
}
