//! Frames: what is one, what is none and why, and round trips.

use proptest::prelude::*;

use super::*;
use crate::{
    ClientKey, Endpoint, ErrorCode, Event, Limits, Page, Position, Scan, Scanner, UserName,
};

fn read(text: &str) -> Result<Frame<'_>, FrameError> {
    match Scanner::new(Limits::default()).scan(text.as_bytes()) {
        Ok(Scan::Value(value)) => Frame::read(text.as_bytes(), &value),
        other => panic!("{text:?} is {other:?}"),
    }
}

fn topics(text: &str) -> Vec<String> {
    match read(text) {
        Ok(Frame::Registration { topics, .. }) => topics.iter().map(ToString::to_string).collect(),
        other => panic!("{text:?} is {other:?}"),
    }
}

fn message(text: &str) -> (String, String) {
    match read(text) {
        Ok(Frame::Message { topic, text, .. }) => (topic.into_owned(), text.decode().into_owned()),
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
            &["{}", r#"{"topic":"a"}"#, r#"{"extended":{}}"#][..],
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
        String::from_utf8(
            Registration {
                source,
                topics,
                extended: None
            }
            .to_line()
        )
        .unwrap(),
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
        let line = Registration { source: end, topics: &names, extended: None }.to_line();
        prop_assert_eq!(topics(&String::from_utf8(line).unwrap()), [topic]);
    }
}

#[test]
fn a_registration_says_under_extended_who_comes_and_what_it_has() {
    let frame = r#"{"topics":["T"],"extended":{"user":"alice","port":"2001","last":20,
        "since":7,"client":"k","resume":{"T":{"epoch":"5f1c","seq":41}},"newer":[1]}}"#;
    let Ok(Frame::Registration {
        options: Some(options),
        ..
    }) = read(frame)
    else {
        panic!("{:?}", read(frame));
    };
    let position = Position {
        epoch: "5f1c".into(),
        seq: 41,
    };
    let expected = RegistrationOptions {
        auth: None,
        user: Some(UserName::new("alice").unwrap()),
        port: Some(2001),
        client: ClientKey::new("k"),
        last: Some(20),
        since: Some(7),
        resume: [("T".to_owned(), position)].into(),
    };
    assert_eq!(*options, expected);
    let topics = [TopicName::new("T").unwrap()];
    let source = Endpoint::from(SocketAddr::from(([127, 0, 0, 1], 1)));
    let extended = Some(&expected);
    let line = Registration {
        source,
        topics: &topics,
        extended,
    }
    .to_line();
    let again = read(std::str::from_utf8(&line).unwrap());
    assert!(matches!(again, Ok(Frame::Registration { options: Some(o), .. }) if *o == expected));
    for plain in [
        r#"{"topics":[],"extended":{}}"#,
        r#"{"\u0065xtended" : { } ,"topics":"T"}"#,
    ] {
        let read = read(plain);
        assert!(
            matches!(&read, Ok(Frame::Registration { options: Some(o), .. }) if **o == RegistrationOptions::default()),
            "{read:?}"
        );
    }
}

#[test]
fn what_a_registration_has_under_extended_is_checked() {
    for (wrong, part) in [
        (r#"{"user":""}"#, "empty"),
        (r#"{"user":"a\u0000b"}"#, "control character"),
        (r#"{"user":7}"#, "invalid type"),
        (r#"{"port":"0"}"#, "a port from 1 to 65535"),
        (r#"{"port":70000}"#, "a port from 1 to 65535"),
        (r#"{"port":[]}"#, "a port from 1 to 65535"),
        (r#"{"last":-1}"#, "invalid value"),
        (r#"{"resume":{"T":{"seq":1}}}"#, "epoch"),
        (r#"{"client":""}"#, "a client of 1 to 64 bytes"),
        ("7", "no object"),
        ("[]", "no object"),
    ] {
        let error = read(&format!(r#"{{"topics":[],"extended":{wrong}}}"#)).map(|_| ());
        let error = error.unwrap_err();
        assert_eq!(error.code(), ErrorCode::BadFrame, "{wrong}");
        assert!(error.to_string().contains(part), "{wrong}: {error}");
    }
}

#[test]
fn a_message_may_ask_for_an_acknowledgement() {
    let id = |text: &str| match read(text) {
        Ok(Frame::Message { id, .. }) => Ok(id.map(Cow::into_owned)),
        Ok(other) => panic!("{other:?}"),
        Err(error) => Err(error.code().as_str()),
    };
    let frame = |extended: &str| {
        format!(r#"{{"extended":{extended},"message":{{"topic":"T","text":"x"}}}}"#)
    };
    assert_eq!(id(&frame(r#"{"id":"k7-1"}"#)), Ok(Some("k7-1".into())));
    assert_eq!(
        id(&frame(r#"{"id":"\u00e9","seq":3}"#)),
        Ok(Some("é".into()))
    );
    for none in ["{}", r#"{"seq":58}"#, "7", "null", "[]"] {
        assert_eq!(id(&frame(none)), Ok(None), "{none}");
    }
    let long = format!(r#"{{"id":"{}"}}"#, "x".repeat(129));
    for wrong in [r#"{"id":""}"#, r#"{"id":7}"#, r#"{"id":null}"#, &long] {
        assert_eq!(id(&frame(wrong)), Err("bad-frame"), "{wrong}");
    }
    let end = Endpoint::from(SocketAddr::from(([127, 0, 0, 1], 1)));
    let message = Message {
        source: end,
        destination: end,
        topic: "T",
        text: "x",
    };
    let line = message.to_line_with_id("a\"b");
    assert!(line.starts_with(br#"{"extended":{"id":"a\"b"},"source":"#));
    assert_eq!(
        id(std::str::from_utf8(&line).unwrap()),
        Ok(Some("a\"b".into()))
    );
}

#[test]
#[expect(clippy::too_many_lines, reason = "it is a table")]
fn requests_are_read() {
    let shown = |extended: &str| match read(&format!(r#"{{"extended":{extended}}}"#)) {
        Ok(Frame::Request(request)) => format!("{request:?}"),
        Ok(other) => panic!("{other:?}"),
        Err(error) => error.code().to_string(),
    };
    let name = |name| TopicName::new(name).unwrap();
    let is = |request: Request| format!("{request:?}");
    assert_eq!(
        shown(r#"{"leave":["T","U"]}"#),
        is(Request::Leave(vec![name("T"), name("U")]))
    );
    assert_eq!(
        shown(r#"{"leave":"T"}"#),
        is(Request::Leave(vec![name("T")]))
    );
    let first = Page::default();
    assert_eq!(
        shown(r#"{"who":"T"}"#),
        is(Request::Who(name("T"), first.clone()))
    );
    assert_eq!(
        shown(r#"{"who":{"topic":"T","newer":1}}"#),
        is(Request::Who(name("T"), first.clone()))
    );
    assert_eq!(
        shown(r#"{"lookup":"al"}"#),
        is(Request::Lookup("al".into()))
    );
    for topics in ["{}", "null", "1"] {
        assert_eq!(
            shown(&format!(r#"{{"topics":{topics}}}"#)),
            is(Request::Topics(first.clone()))
        );
    }
    for value in ["7", "null", r#"{"a":[1.50]}"#] {
        match read(&format!(r#"{{"extended":{{"ping":{value}}}}}"#)) {
            Ok(Frame::Request(Request::Ping(same))) => assert_eq!(same.get(), value),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(shown(r#"{"pong":1,"newer":2}"#), is(Request::Pong));
    for unknown in ["{}", r#"{"ack":{}}"#] {
        assert_eq!(shown(unknown), "unknown-frame");
    }
    for wrong in [
        r#"{"who":"T","ping":1}"#,
        r#"{"who":7}"#,
        r#"{"who":{"after":"a"}}"#,
        r#"{"who":{"topic":"T","limit":0}}"#,
        r#"{"topics":{"limit":0}}"#,
        r#"{"topics":{"after":7}}"#,
        r#"{"leave":{}}"#,
        "7",
        "[]",
    ] {
        assert_eq!(shown(wrong), "bad-frame", "{wrong}");
    }
    assert_eq!(shown(r#"{"who":""}"#), "bad-topic");
}

#[test]
fn events_are_written_as_they_are_read() {
    for extended in [
        r#"{"registered":{"user":"alice","topics":{"T":{"epoch":"5f1c","seq":57,"recovered":true}}}}"#,
        r#"{"registered":{"topics":{},"durability":"replicated"}}"#,
        r#"{"ack":{"id":"k7-1","topic":"T","seq":58}}"#,
        r#"{"members":{"topic":"T","count":3,"users":[{"user":"alice","ip":"192.168.1.1","port":"2001"}]}}"#,
        r#"{"found":{"user":"alice","ip":"192.168.1.1","port":"2001"}}"#,
        r#"{"topics":[{"topic":"T","members":3,"seq":58}]}"#,
        r#"{"pong":[1.50]}"#,
        r#"{"joined":{"topic":"T","user":"bob","ip":"::1","port":"7"}}"#,
        r#"{"left":{"topic":"T","user":"bob","ip":"::1","port":"7"}}"#,
        r#"{"gap":{"topic":"T","from":12,"to":40}}"#,
        r#"{"reconnect":{"within":10000}}"#,
        r#"{"reconnect":{"within":0,"servers":["b:20000","[::1]:20000"]}}"#,
        r#"{"error":{"code":"not-registered","text":"a \"b\"","id":"k7-1"}}"#,
    ] {
        let line = format!("{{\"extended\":{extended}}}\n");
        let Ok(Scan::Value(value)) = Scanner::new(Limits::default()).scan(line.as_bytes()) else {
            panic!("{line}");
        };
        let event = Event::read(line.as_bytes(), &value).unwrap();
        assert_eq!(String::from_utf8(event.to_line()).unwrap(), line);
    }
}
