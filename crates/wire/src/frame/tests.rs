//! Frames: what is one, what is none and why, and round trips.

use proptest::prelude::*;

use super::*;
use crate::{Limits, Scan, Scanner};

fn read(text: &str) -> Result<Frame<'_>, FrameError> {
    match Scanner::new(Limits::default()).scan(text.as_bytes()) {
        Ok(Scan::Value(value)) => Frame::read(text.as_bytes(), &value),
        other => panic!("{text:?} is {other:?}"),
    }
}

fn topics(text: &str) -> Vec<String> {
    match read(text) {
        Ok(Frame::Registration(names)) => names.iter().map(ToString::to_string).collect(),
        other => panic!("{text:?} is {other:?}"),
    }
}

fn message(text: &str) -> (String, String) {
    match read(text) {
        Ok(Frame::Message { topic, text }) => (topic.into_owned(), text.decode().into_owned()),
        other => panic!("{text:?} is {other:?}"),
    }
}

fn code(text: &str) -> &'static str {
    read(text).unwrap_err().code().as_str()
}

#[test]
fn the_frames_of_the_specification_are_read() {
    let registration = r#"{
    "source" : {
        "ip": "192.168.1.1",
        "port" : "2000"
},
    "topics" : ["lame-conversation", "other-conversation"]
}"#;
    assert_eq!(
        topics(registration),
        ["lame-conversation", "other-conversation"]
    );
    let text = r#"{
    "source" : {
        "ip": "192.168.1.1",
        "port" : "2000"
},
    "destination" : {
        "ip": "192.168.1.5",
        "port" : "2032"
},
    "message" : {
        "topic" : "lame-conversation",
        "text" : "This is such a lame message"
}
}"#;
    assert_eq!(
        message(text),
        (
            "lame-conversation".into(),
            "This is such a lame message".into()
        )
    );
}

#[test]
fn what_real_clients_send_is_accepted() {
    assert_eq!(topics(r#"{"topics":"alone"}"#), ["alone"]);
    assert_eq!(topics(r#"{"topics":[]}"#), [""; 0]);
    assert_eq!(topics(r#"{"topics":["a","b","a"]}"#), ["a", "b"]);
    assert_eq!(
        topics(r#"{"source":{"ip":null,"port":2000},"topics":["a"],"x":[{}]}"#),
        ["a"]
    );
    assert_eq!(
        message(r#"{"message":{"from":7,"text":"","topic":"a"},"source":[]}"#),
        ("a".into(), String::new())
    );
}

#[test]
fn escapes_are_decoded_and_half_characters_replaced() {
    let (topic, text) =
        message(r#"{"message":{"topic":"caf\u00e9","text":"a\n\ud83c\udf88 \ud800!"}}"#);
    assert_eq!(topic, "café");
    assert!(
        text.starts_with("a\n🎈 \u{fffd}") && text.ends_with('!'),
        "{text:?}"
    );
}

#[test]
fn a_receiver_reads_messages_under_any_topic() {
    let received = |text: &str| match Scanner::new(Limits::default()).scan(text.as_bytes()) {
        Ok(Scan::Value(value)) => Received::read(text.as_bytes(), &value).map(|it| {
            (
                it.topic.decode().into_owned(),
                it.text.decode().into_owned(),
            )
        }),
        other => panic!("{text:?} is {other:?}"),
    };
    for (topic, text) in [("", "hi"), ("\u{1b}[2J", ""), ("a", "b")] {
        let frame = serde_json::json!({"message": {"topic": topic, "text": text}});
        assert_eq!(
            received(&frame.to_string()),
            Ok((topic.into(), text.into()))
        );
    }
    for other in ["{}", "null", "[{\"message\":{}}]", r#"{"topics":["a"]}"#] {
        assert_eq!(received(other), Err(FrameError::Unknown), "{other}");
    }
    assert_eq!(
        received(r#"{"message":{"text":"a"}}"#),
        Err(FrameError::Missing("topic"))
    );
}

#[test]
fn what_is_no_frame_is_told_apart() {
    for (expected, texts) in [
        ("not-an-object", &["[1]", "\"x\"", "true", "null "][..]),
        (
            "unknown-frame",
            &["{}", r#"{"topic":"a"}"#, r#"{"extended":{"ping":7}}"#][..],
        ),
        (
            "bad-frame",
            &[
                r#"{"topics":[],"message":{}}"#,
                r#"{"topics":{"a":1}}"#,
                r#"{"topics":["a",1]}"#,
                r#"{"topics":null}"#,
                r#"{"message":"hello"}"#,
                r#"{"message":[{"topic":"a","text":"b"}]}"#,
                r#"{"message":{"topic":"a"}}"#,
                r#"{"message":{"text":"a"}}"#,
                r#"{"message":{"topic":"a","text":1}}"#,
                r#"{"message":{"topic":["a"],"text":"b"}}"#,
                r#"{"message":{"topic":"\ud800","text":"b"}}"#,
                r#"{"message":{"topic":"a","topic":"b","text":"c"}}"#,
            ][..],
        ),
        (
            "bad-topic",
            &[
                r#"{"topics":[""]}"#,
                r#"{"topics":["a\nb"]}"#,
                r#"{"message":{"topic":"\u001b[2J","text":"b"}}"#,
            ][..],
        ),
    ] {
        for text in texts {
            assert_eq!(code(text), expected, "{text}");
        }
    }
}

#[test]
fn an_error_names_the_part_and_both_types() {
    let error = read(r#"{"message":{"topic":"a","text":{}}}"#).unwrap_err();
    assert_eq!(error.to_string(), "\"text\" is a string, not an object");
    let error = read(r#"{"message":{"topic":"a"}}"#).unwrap_err();
    assert_eq!(
        error.to_string(),
        "a message has \"text\", and this one doesn't"
    );
}

#[test]
fn frames_are_written_as_the_specification_shows_them() {
    let source = Endpoint::from("192.168.1.1:2000".parse::<SocketAddr>().unwrap());
    let destination = Endpoint::from("[::ffff:192.168.1.5]:2032".parse::<SocketAddr>().unwrap());
    let topics = ["a", "b"].map(|name| TopicName::new(name).unwrap());
    let topics = &topics;
    assert_eq!(
        String::from_utf8(Registration { source, topics }.to_line()).unwrap(),
        "{\"source\":{\"ip\":\"192.168.1.1\",\"port\":\"2000\"},\"topics\":[\"a\",\"b\"]}\n"
    );
    let (topic, text) = ("lame-conversation", "This is \"such\"\na lame message");
    assert_eq!(
        String::from_utf8(
            Message {
                source,
                destination,
                topic,
                text
            }
            .to_line()
        )
        .unwrap(),
        "{\"source\":{\"ip\":\"192.168.1.1\",\"port\":\"2000\"},\
         \"destination\":{\"ip\":\"192.168.1.5\",\"port\":\"2032\"},\
         \"message\":{\"topic\":\"lame-conversation\",\"text\":\"This is \\\"such\\\"\\na lame message\"}}\n"
    );
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(topic in "\\PC{1,60}", text in any::<String>()) {
        let end = Endpoint::from("[::1]:1".parse::<SocketAddr>().unwrap());
        let line = Message { source: end, destination: end, topic: &topic, text: &text }.to_line();
        prop_assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
        let line = String::from_utf8(line).unwrap();
        prop_assert_eq!(message(&line), (topic.clone(), text));
        let names = [TopicName::new(&topic).unwrap()];
        let line = Registration { source: end, topics: &names }.to_line();
        prop_assert_eq!(topics(&String::from_utf8(line).unwrap()), [topic]);
    }
}
