//! Questions for messages before a number.

use serde_json::{Value, json};
use topicserver::Config;

use crate::common::{Client, TestServer};

fn ask(client: &mut Client, question: Value) -> Value {
    client.ask(json!({ "history": question }));
    client.expect_event("history")
}

fn numbers(answer: &Value) -> Vec<u64> {
    let messages = answer["messages"].as_array().unwrap();
    let number = |frame: &Value| {
        let seq = frame["extended"]["seq"].as_u64().unwrap();
        assert!(
            frame["message"]["text"]
                .as_str()
                .unwrap()
                .starts_with(&seq.to_string())
        );
        seq
    };
    messages.iter().map(number).collect()
}

fn publish(client: &mut Client, numbers: std::ops::RangeInclusive<u64>) {
    for number in numbers {
        client.say("T", &number.to_string());
    }
    client.sync_topic("T");
}

#[test]
fn a_range_holds_the_messages_before_a_number_and_ones_own() {
    let server = TestServer::start();
    let (mut client, registered) = server.extended(&["T"], json!({"user": "alice"}));
    publish(&mut client, 1..=30);
    let newest = ask(&mut client, json!({"topic": "T", "limit": 5}));
    assert_eq!(numbers(&newest), [26, 27, 28, 29, 30]);
    assert_eq!(newest["messages"][0]["extended"]["user"], "alice");
    assert_eq!(newest["first"], 1);
    assert_eq!(newest["epoch"], registered["topics"]["T"]["epoch"]);
    let older = ask(&mut client, json!({"topic": "T", "before": 26, "limit": 3}));
    assert_eq!(numbers(&older), [23, 24, 25]);
    let oldest = ask(&mut client, json!({"topic": "T", "before": 4}));
    assert_eq!(numbers(&oldest), [1, 2, 3]);
    for before in [0, 1] {
        let nothing = ask(&mut client, json!({"topic": "T", "before": before}));
        assert_eq!(numbers(&nothing), [0; 0]);
    }
    let beyond = ask(
        &mut client,
        json!({"topic": "T", "before": u64::MAX, "limit": 1}),
    );
    assert_eq!(numbers(&beyond), [30]);
    let unknown = ask(&mut client, json!({"topic": "nobody was here"}));
    assert_eq!(
        (numbers(&unknown), &unknown["first"]),
        (Vec::new(), &json!(1))
    );
}

#[test]
fn a_range_needs_no_registration_and_refuses_what_it_cannot_read() {
    let server = TestServer::start();
    let (mut sender, _) = server.extended(&["T"], json!({}));
    publish(&mut sender, 1..=2);
    let mut stranger = server.connect();
    assert_eq!(numbers(&ask(&mut stranger, json!({"topic": "T"}))), [1, 2]);
    for (wrong, code) in [
        (json!({"topic": ""}), "bad-topic"),
        (json!({"before": 7}), "bad-frame"),
        (json!({"topic": "T", "before": -1}), "bad-frame"),
        (json!({"topic": "T", "limit": "all"}), "bad-frame"),
    ] {
        stranger.ask(json!({ "history": wrong }));
        stranger.expect_extended_error(code);
    }
}

#[test]
fn an_answer_is_bounded_and_holds_one_message_at_least() {
    let server = TestServer::with(Config {
        history_bytes: 8 * 1024 * 1024,
        ..Config::default()
    });
    let (mut client, _) = server.extended(&["T"], json!({}));
    for number in 1..=12 {
        client.say("T", &format!("{number} {}", "x".repeat(60_000)));
    }
    client.sync_topic("T");
    let answer = ask(&mut client, json!({"topic": "T"}));
    assert_eq!(numbers(&answer), [9, 10, 11, 12]);
    let next = ask(&mut client, json!({"topic": "T", "before": 9}));
    assert_eq!(numbers(&next), [5, 6, 7, 8]);
}

#[test]
fn an_answer_is_no_deeper_than_a_frame_may_be() {
    let server = TestServer::start();
    let (mut client, _) = server.extended(&["T"], json!({}));
    for (number, levels) in [(1, 123), (2, 124), (3, 127)] {
        let deep = ["[".repeat(levels), "]".repeat(levels)].concat();
        let message = json!({"topic": "T", "text": number.to_string()});
        client.send(format!("{{\"message\":{message},\"deep\":{deep}}}\n").as_bytes());
    }
    client.sync_topic("T");
    client.send(b"{\"extended\":{\"history\":{\"topic\":\"T\"}}}\n");
    let line = client.line();
    let limits = wire::Limits::default();
    let scanned = wire::Scanner::new(limits).scan(&line);
    assert!(matches!(scanned, Ok(wire::Scan::Value(_))), "{scanned:?}");
    let line = String::from_utf8(line).unwrap();
    for number in ["1", "2", "3"] {
        assert!(line.contains(&format!("\"text\":\"{number}\"")), "{line}");
    }
    assert_eq!(line.matches("deep").count(), 1);
}

#[test]
fn many_questions_at_once_are_answered_in_their_order() {
    let server = TestServer::with(Config {
        max_outbox: 100_000,
        ..Config::default()
    });
    let (mut client, _) = server.extended(&["T"], json!({}));
    for number in 1..=100 {
        client.say("T", &format!("{number} {}", "x".repeat(1_000)));
    }
    client.sync_topic("T");
    // In one write, and thirty times what the outbox takes.
    let question = |before: u64| {
        json!({"extended": {"history": {"topic": "T", "before": before}}}).to_string() + "\n"
    };
    let burst: String = (2..=80).map(question).collect();
    client.send(burst.as_bytes());
    for before in 2..=80 {
        let answer = client.expect_event("history");
        assert_eq!(numbers(&answer), (1..before).collect::<Vec<_>>());
    }
}

#[test]
#[cfg(unix)]
fn what_is_only_on_disk_is_read_from_there() {
    let data = crate::common::Directory::new();
    let options = ["--history-messages", "10"];
    let server = data.serve(&options);
    let mut client = Client::connect(server.v4());
    client.register_extended(&["T"], json!({}));
    publish(&mut client, 1..=500);
    let answer = ask(
        &mut client,
        json!({"topic": "T", "before": 400, "limit": 300}),
    );
    assert_eq!(numbers(&answer), (100..400).collect::<Vec<_>>());
    // A range that begins on disk and ends in memory.
    let answer = ask(&mut client, json!({"topic": "T", "limit": 450}));
    assert_eq!(numbers(&answer), (51..=500).collect::<Vec<_>>());
    drop(client);
    drop(server);
    let server = data.serve(&options);
    let mut client = Client::connect(server.v4());
    let answer = ask(&mut client, json!({"topic": "T", "before": 4}));
    assert_eq!(numbers(&answer), [1, 2, 3]);
    assert_eq!(answer["first"], 1);
}
