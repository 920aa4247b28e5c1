//! Acknowledgements, and messages that are sent again.

use std::time::Duration;

use serde_json::json;
use topicserver::Config;

use crate::common::{Directory, TestServer, eventually, is_left_out};

#[test]
fn a_message_with_an_id_is_acknowledged_with_its_number() {
    let server = TestServer::start();
    let (mut client, _) = server.extended(&["T"], json!({}));
    let mut receiver = server.join(&["T"]);
    client.say("T", "one");
    client.say_with_id("T", "two", "k7-1");
    assert_eq!(client.expect_ack("T", "k7-1"), 2);
    receiver.expect("T", "one");
    // The classic one gets it without the key.
    let line = String::from_utf8(receiver.line()).unwrap();
    assert_eq!(line, r#"{"message":{"text":"two","topic":"T"}}"#);
}

#[test]
fn the_same_id_again_is_acknowledged_again_and_delivered_once() {
    let server = TestServer::start();
    let (mut receiver, _) = server.extended(&["T"], json!({}));
    for options in [json!({"user": "alice"}), json!({"client": "k"}), json!({})] {
        let text = options.to_string();
        let (mut first, answer) = server.extended(&["T"], options.clone());
        if answer.get("user").is_some() {
            receiver.expect_event("joined");
        }
        first.say_with_id("T", &text, "a");
        let seq = first.expect_ack("T", "a");
        first.say_with_id("T", &text, "a");
        assert_eq!(first.expect_ack("T", "a"), seq);
        receiver.expect_delivered("T", &text, seq);
        first.finish_sending();
        first.expect_end();
        if answer.get("user").is_some() {
            receiver.expect_event("left");
        }
        // Also on a later connection.
        let (mut again, _) = server.extended(&["T"], options);
        if answer.get("user").is_some() {
            receiver.expect_event("joined");
        }
        again.say_with_id("T", &text, "a");
        assert_eq!(again.expect_ack("T", "a"), seq);
        again.say_with_id("T", "the next", "b");
        let next = again.expect_ack("T", "b");
        assert_eq!(next, seq + 1);
        receiver.expect_delivered("T", "the next", next);
        again.finish_sending();
        again.expect_end();
        if answer.get("user").is_some() {
            receiver.expect_event("left");
        }
    }
}

#[test]
fn the_same_id_of_somebody_else_is_another_message() {
    let server = TestServer::start();
    let (mut receiver, _) = server.extended(&["T"], json!({}));
    let mut seq = 0;
    for client in ["x", "y"] {
        let (mut client, _) = server.extended(&["T"], json!({ "client": client }));
        client.say_with_id("T", "the same", "1");
        seq += 1;
        assert_eq!(client.expect_ack("T", "1"), seq);
        receiver.expect_delivered("T", "the same", seq);
    }
    // Of two nameless ones, at one address, it is known by what it says.
    for text in ["a", "b"] {
        let (mut client, _) = server.extended(&["T"], json!({}));
        client.say_with_id("T", text, "1");
        seq += 1;
        assert_eq!(client.expect_ack("T", "1"), seq);
        receiver.expect_delivered("T", text, seq);
    }
    // Each may send its own again, also the one who was there first.
    for (text, seq) in [("a", seq - 1), ("b", seq), ("a", seq - 1)] {
        let (mut client, _) = server.extended(&["T"], json!({}));
        client.say_with_id("T", text, "1");
        assert_eq!(client.expect_ack("T", "1"), seq);
    }
}

#[test]
fn acknowledgements_come_in_the_order_of_the_messages_and_none_is_left_out() {
    let server = TestServer::start();
    let (mut client, _) = server.extended(&["T", "U"], json!({}));
    let mut sent = Vec::new();
    for number in 0..2000 {
        let topic = if number % 7 == 0 { "U" } else { "T" };
        client.say_with_id(topic, "x", &format!("{number}"));
        sent.push((topic, format!("{number}")));
    }
    let mut expected = [0, 0];
    let mut places = [0, 0];
    for _ in 0..2000 {
        let ack = client.expect_event("ack");
        let which = usize::from(ack["topic"] == "U");
        expected[which] += 1;
        assert_eq!(ack["seq"], expected[which]);
        let of_topic = |(topic, _): &&(&str, String)| ack["topic"] == **topic;
        let sent = sent.iter().filter(of_topic).nth(places[which]).unwrap();
        places[which] += 1;
        assert_eq!(ack["id"], *sent.1);
    }
}

#[test]
fn ids_are_remembered_as_many_as_allowed() {
    let server = TestServer::with(Config {
        max_ids: 3,
        ..Config::default()
    });
    let (mut client, _) = server.extended(&["T"], json!({"client": "k"}));
    for number in 1..=5 {
        client.say_with_id("T", "x", &number.to_string());
        assert_eq!(client.expect_ack("T", &number.to_string()), number);
    }
    client.say_with_id("T", "x", "3");
    assert_eq!(client.expect_ack("T", "3"), 3);
    client.say_with_id("T", "x", "2");
    assert_eq!(client.expect_ack("T", "2"), 6);
}

#[test]
fn a_classic_connection_may_ask_for_acknowledgements_too() {
    let server = TestServer::start();
    let mut client = server.join(&["T"]);
    client.say_with_id("T", "x", "a");
    assert_eq!(client.expect_ack("T", "a"), 1);
    client.say_with_id("U", "x", "b");
    assert_eq!(client.expect_extended_error("not-registered")["id"], "b");
}

#[test]
fn ids_that_make_no_sense_are_refused_and_nothing_is_delivered() {
    let server = TestServer::start();
    let (mut client, _) = server.extended(&["T"], json!({}));
    let mut receiver = server.join(&["T"]);
    for id in [json!(7), json!(""), json!("x".repeat(129)), json!(null)] {
        let frame = json!({"extended": {"id": id}, "message": {"topic": "T", "text": "x"}});
        client.send(frame.to_string().as_bytes());
        client.expect_extended_error("bad-frame");
    }
    client.say("T", "good");
    receiver.expect("T", "good");
}

#[test]
fn ids_become_too_old_though_nothing_is_published() {
    if is_left_out("ids are in the log") {
        return;
    }
    let server = TestServer::with(Config {
        history_messages: 0,
        id_window: Duration::from_secs(1),
        ..Config::default()
    });
    let (mut client, _) = server.extended(&["T"], json!({}));
    client.say_with_id("T", "x", "a");
    assert_eq!(client.expect_ack("T", "a"), 1);
    client.finish_sending();
    client.expect_end();
    // The topic is there for nothing but its id.
    let (mut other, _) = server.extended(&["U"], json!({}));
    let mut topics = || {
        other.ask(json!({ "topics": true }));
        other.expect_event("topics").to_string()
    };
    assert!(topics().contains("\"T\""));
    eventually("the id to be forgotten", || {
        (!topics().contains("\"T\"")).then_some(())
    });
}

#[test]
fn the_same_id_with_another_text_is_refused() {
    for data in [false, true] {
        let directory = Directory::new();
        let config = || Config {
            data: data.then(|| directory.path().to_owned()),
            ..Config::default()
        };
        let mut server = TestServer::with(config());
        let (mut receiver, _) = server.extended(&["T"], json!({}));
        let (mut client, _) = server.extended(&["T"], json!({"client": "k"}));
        for (text, id) in [("one", "1"), ("another", "1"), ("two", "2"), ("one", "1")] {
            client.say_with_id("T", text, id);
        }
        assert_eq!(client.expect_ack("T", "1"), 1);
        let error = client.expect_extended_error("duplicate-id");
        assert_eq!(error["id"], "1");
        assert_eq!(client.expect_ack("T", "2"), 2);
        assert_eq!(client.expect_ack("T", "1"), 1);
        receiver.expect_delivered("T", "one", 1);
        receiver.expect_delivered("T", "two", 2);
        if !data {
            continue;
        }
        server.stop();
        server.ended();
        let server = TestServer::with(config());
        let (mut client, _) = server.extended(&["T"], json!({"client": "k"}));
        client.say_with_id("T", "another", "2");
        assert_eq!(client.expect_extended_error("duplicate-id")["id"], "2");
        client.say_with_id("T", "two", "2");
        assert_eq!(client.expect_ack("T", "2"), 2);
    }
}

/// What is proven is a client's key. Whoever only says a name can't use up the ids of the one
/// who has it.
#[test]
fn ids_belong_to_the_key_and_not_to_the_name() {
    let server = TestServer::start();
    let (mut mallory, _) = server.extended(&["T"], json!({"user": "bob"}));
    mallory.say_with_id("T", "the same", "bob-1");
    assert_eq!(mallory.expect_ack("T", "bob-1"), 1);
    drop(mallory);
    let (mut bob, _) = eventually("the name", || {
        let mut bob = server.connect();
        let registration = json!({"topics": ["T"], "extended": {"user": "bob", "client": "k"}});
        bob.send(format!("{registration}\n").as_bytes());
        let answer = bob.frame();
        answer["extended"]["registered"]
            .is_object()
            .then_some((bob, answer))
    });
    bob.say_with_id("T", "the same", "bob-1");
    assert_eq!(bob.expect_ack("T", "bob-1"), 2);
}
