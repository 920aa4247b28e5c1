//! `GET /TOPIC`: lines, events, polls, and readers that don't read.

use std::time::Duration;

use serde_json::{Value, json};
use topicserver::{Config, Ended};

use crate::common::{Bystanders, TestServer, eventually};
use crate::requests::{Http, Lines, field};

const EVENTS: &str = "accept: text/event-stream";

fn publish(server: &TestServer, texts: impl IntoIterator<Item = impl AsRef<str>>) {
    let mut http = Http::to(server);
    for text in texts {
        assert_eq!(http.post("/lab", &[], text.as_ref().as_bytes()).status, 200);
    }
}

fn members(server: &TestServer) -> u64 {
    let answer = Http::to(server).get("/-/topics/lab/who", &[]).json();
    answer["members"]["count"].as_u64().unwrap()
}

#[test]
fn lines_are_the_ones_that_extended_connections_get() {
    let server = TestServer::start();
    let mut lines = Lines::of(&server, "/lab", &[]);
    let registered = lines.frame();
    assert_eq!(
        registered["extended"]["registered"]["topics"]["lab"]["seq"],
        0
    );
    let (mut extended, _) = server.extended(&["lab"], json!({}));
    let mut sender = server.join(&["lab"]);
    sender.say("lab", "h\u{e9}");
    let line = String::from_utf8(extended.line()).unwrap();
    assert_eq!(lines.next(), Some(line));
}

#[test]
fn a_stream_begins_where_it_is_asked_to() {
    let server = TestServer::start();
    publish(&server, ["a", "b", "c"]);
    for (path, expected) in [
        ("/lab?last=2&poll=1", vec!["b", "c"]),
        ("/lab?since=1m&poll=1", vec!["a", "b", "c"]),
        ("/lab?since=0&poll=1", vec!["a", "b", "c"]),
        ("/lab?poll=1", vec!["a", "b", "c"]),
        ("/lab?last=0&poll=1", vec![]),
        ("/lab?since=9999999999999&poll=true", vec![]),
        ("/nobody?poll=1", vec![]),
    ] {
        let mut lines = Lines::of(&server, path, &[]);
        assert!(lines.frame()["extended"]["registered"].is_object());
        let mut texts = Vec::new();
        while let Some(line) = lines.next() {
            let frame: Value = serde_json::from_str(&line).unwrap();
            texts.push(frame["message"]["text"].as_str().unwrap().to_owned());
        }
        assert_eq!(texts, expected, "{path}");
    }
}

#[test]
fn a_stream_goes_on_after_what_its_reader_has() {
    let server = TestServer::start();
    publish(&server, ["a", "b", "c"]);
    let mut events = Lines::of(&server, "/lab?last=2", &[EVENTS]);
    assert_eq!(field(&events.event(), "retry"), Some("1000"));
    let registered = events.event();
    assert_eq!(field(&registered, "event"), Some("registered"));
    // Whoever is cut off here goes on before the messages that it asked for.
    assert!(field(&registered, "id").unwrap().ends_with(":1"));
    let b = events.event();
    assert!(field(&b, "data").unwrap().contains("\"text\":\"b\""));
    let id = field(&b, "id").unwrap().to_owned();
    drop(events);

    publish(&server, ["d"]);
    // The browser that comes back asks as it did at first, and says what it has.
    let header = format!("last-event-id: {id}");
    let mut again = Lines::of(&server, "/lab?last=2", &[EVENTS, &header]);
    again.event();
    let registered: Value = serde_json::from_str(field(&again.event(), "data").unwrap()).unwrap();
    let state = &registered["extended"]["registered"]["topics"]["lab"];
    assert_eq!(state["recovered"], true);
    for text in ["c", "d"] {
        let event = again.event();
        assert!(
            field(&event, "data")
                .unwrap()
                .contains(&format!("\"text\":\"{text}\""))
        );
    }
    // The same in lines.
    let mut lines = Lines::of(&server, &format!("/lab?resume={id}&poll=1"), &[]);
    lines.frame();
    assert_eq!(lines.frame()["message"]["text"], "c");
    assert_eq!(lines.frame()["message"]["text"], "d");
    assert_eq!(lines.next(), None);
}

#[test]
fn who_is_cut_off_before_the_first_message_misses_none() {
    let server = TestServer::start();
    publish(&server, ["a"]);
    let mut events = Lines::of(&server, "/lab", &[EVENTS]);
    events.event();
    let id = field(&events.event(), "id").unwrap().to_owned();
    drop(events);
    publish(&server, ["b"]);
    let mut again = Lines::of(&server, "/lab", &[EVENTS, &format!("last-event-id: {id}")]);
    again.event();
    again.event();
    assert!(
        field(&again.event(), "data")
            .unwrap()
            .contains("\"text\":\"b\"")
    );
}

#[test]
fn a_silent_event_stream_is_kept_from_looking_dead() {
    let server = TestServer::with(Config {
        ping_interval: Duration::from_millis(20),
        ..Config::default()
    });
    let mut events = Lines::of(&server, "/lab", &[EVENTS]);
    events.event();
    events.event();
    assert_eq!(events.event(), [(":".to_owned(), String::new())]);
    assert_eq!(events.event(), [(":".to_owned(), String::new())]);
}

#[test]
fn questions_that_make_no_sense_are_told() {
    let server = TestServer::start();
    let mut http = Http::to(&server);
    for path in [
        "/lab?last=x",
        "/lab?last=-1",
        "/lab?since=soon",
        "/lab?poll=perhaps",
        "/lab?resume=41",
        "/lab?lst=1",
    ] {
        http.get(path, &[]).expect_problem(400, "bad-request");
    }
    let id = "last-event-id: nonsense";
    http.get("/lab", &[id]).expect_problem(400, "bad-request");
}

#[test]
fn who_closes_his_stream_has_left() {
    let server = TestServer::start();
    let mut lines = Lines::of(&server, "/lab", &[]);
    lines.frame();
    assert_eq!(members(&server), 1);
    drop(lines);
    eventually("the reader to have left", || {
        (members(&server) == 0).then_some(())
    });
    let mut http = Http::to(&server);
    http.ask("HEAD", "/lab", &[], b"");
    assert_eq!(http.head().status, 200);
    assert_eq!(members(&server), 0);
}

#[test]
fn a_reader_who_doesnt_read_is_caught_up_from_the_history() {
    let server = TestServer::with(Config {
        max_outbox: 64 * 1024,
        history_messages: 100_000,
        history_bytes: 64 * 1024 * 1024,
        ..Config::default()
    });
    let mut bystanders = Bystanders::on(&server);
    let mut lines = Lines::of(&server, "/lab", &[]);
    lines.frame();
    let mut sender = server.join(&["lab"]);
    let text = "x".repeat(1000);
    for number in 0..10_000 {
        sender.say("lab", &format!("{number} {text}"));
    }
    sender.sync();
    bystanders.talk();
    for number in 0..10_000 {
        let frame = lines.frame();
        assert_eq!(frame["extended"]["seq"], number + 1);
        let said = frame["message"]["text"].as_str().unwrap();
        assert!(said.starts_with(&format!("{number} ")));
    }
}

#[test]
fn a_reader_who_takes_nothing_is_let_go() {
    let server = TestServer::with(Config {
        max_outbox: 64 * 1024,
        write_timeout: Duration::from_millis(300),
        ..Config::default()
    });
    let mut lines = Lines::of(&server, "/lab", &[]);
    lines.frame();
    let mut sender = server.join(&["lab"]);
    let text = "x".repeat(60_000);
    for _ in 0..200 {
        sender.say("lab", &text);
    }
    sender.sync();
    let only_the_sender = || (members(&server) == 1).then_some(());
    eventually("the reader to be let go", only_the_sender);
}

#[test]
fn the_end_of_the_server_ends_streams_with_a_word() {
    let mut server = TestServer::start();
    let mut lines = Lines::of(&server, "/lab", &[]);
    let mut events = Lines::of(&server, "/lab", &[EVENTS]);
    lines.frame();
    events.event();
    events.event();
    let mut idle = Http::to(&server);
    idle.get("/-/health", &[]);
    server.stop();
    assert_eq!(lines.frame()["extended"]["error"]["code"], "shutting-down");
    lines.expect_cut();
    assert_eq!(field(&events.event(), "event"), Some("error"));
    assert!(
        field(&events.event(), "retry").is_some(),
        "it says when to come back"
    );
    events.expect_cut();
    idle.expect_end();
    assert_eq!(server.ended(), Ended::Drained);
}

#[test]
fn what_there_is_can_be_asked() {
    let server = TestServer::start();
    let (_alice, _) = server.extended(&["lab"], json!({"user": "alice", "port": "7"}));
    publish(&server, ["a"]);
    let mut http = Http::to(&server);
    let topics = http.get("/-/topics", &[]).json();
    assert_eq!(
        topics,
        json!({"topics": [{"topic": "lab", "members": 1, "seq": 1}]})
    );
    let who = http.get("/-/topics/lab/who", &[]).json();
    let alice = json!([{"user": "alice", "ip": "127.0.0.1", "port": "7"}]);
    assert_eq!(who["members"]["users"], alice);
    assert_eq!(
        http.get("/-/topics/nobody/who", &[]).json()["members"]["count"],
        0
    );
    assert_eq!(http.get("/-/health", &[]).json()["connections"], 2);
    assert!(http.get("/", &[]).text().contains("curl"));
    http.get("/-/nothing", &[]).expect_problem(404, "not-found");
    http.get("/-/", &[]).expect_problem(404, "not-found");
}

#[test]
fn messages_before_a_number_come_as_lines() {
    let server = TestServer::start();
    let mut http = Http::to(&server);
    for text in ["1", "2", "3", "4"] {
        assert_eq!(http.post("/ci", &[], text.as_bytes()).status, 200);
    }
    let mut texts = |query: &str| -> Vec<String> {
        let answer = http.get(&format!("/ci?poll=1&{query}"), &[]);
        assert_eq!(answer.status, 200);
        let mut lines = answer.text().lines().map(|line| {
            let frame: serde_json::Value = serde_json::from_str(line).unwrap();
            frame
        });
        let head = lines.next().unwrap();
        assert_eq!(head["extended"]["history"]["first"], 1);
        let text = |frame: serde_json::Value| frame["message"]["text"].as_str().unwrap().to_owned();
        lines.map(text).collect()
    };
    assert_eq!(texts("before=4&last=2"), ["2", "3"]);
    assert_eq!(texts("before=99"), ["1", "2", "3", "4"]);
    assert_eq!(texts("before=1"), [""; 0]);
    for wrong in [
        "before=4",
        "poll=1&before=x",
        "poll=1&before=4&since=1m",
        "poll=1&before=4&resume=a:1",
    ] {
        assert_eq!(
            http.get(&format!("/ci?{wrong}"), &[]).status,
            400,
            "{wrong}"
        );
    }
}
