//! JSON that is no frame, or not an allowed one: its sender is told, and its
//! connection goes on. Nobody else notices.

use topicserver::Config;

use crate::common::{Bystanders, Client, LIMIT, TestServer, message, registration};

/// Sends a frame between two good messages: it must be answered by this error,
/// and the others must arrive.
#[track_caller]
fn refuses(frame: &str, code: &str) {
    let server = TestServer::start();
    let mut bystanders = Bystanders::on(&server);
    let mut sender = server.join(&["t"]);
    let mut receiver = server.join(&["t"]);
    sender.say("t", "before");
    sender.send(frame.as_bytes());
    sender.expect_error(code);
    sender.say("t", "after");
    receiver.expect("t", "before");
    receiver.expect("t", "after");
    // The same as the first thing that a connection says.
    let mut newcomer = server.connect();
    newcomer.send(format!("{frame} ").as_bytes());
    newcomer.expect_error(code);
    newcomer.register(&["t"]);
    newcomer.say("t", "hello");
    receiver.expect("t", "hello");
    bystanders.talk();
}

#[test]
fn a_value_that_isnt_an_object_is_refused() {
    for value in [
        "[1,2]",
        "[]",
        "\"topics\"",
        "5 ",
        "-0.5e-7\n",
        "true",
        "false",
        "null",
        r#"[{"message":{"topic":"t","text":"x"}}]"#,
    ] {
        refuses(value, "not-an-object");
    }
}

#[test]
fn an_object_of_no_known_kind_is_refused() {
    for frame in [
        "{}",
        r#"{"source":{"ip":"1.2.3.4","port":"1"}}"#,
        r#"{"Topics":["t"]}"#,
        r#"{"inner":{"topics":["t"]}}"#,
        r#"{"extended":{}}"#,
        r#"{"extended":{"ack":{"id":"a","topic":"t","seq":1}}}"#,
    ] {
        refuses(frame, "unknown-frame");
    }
}

#[test]
fn a_message_with_wrong_types_or_without_its_parts_is_refused() {
    for frame in [
        r#"{"message":5}"#,
        r#"{"message":"t"}"#,
        r#"{"message":null}"#,
        r#"{"message":["t","x"]}"#,
        r#"{"message":{}}"#,
        r#"{"message":{"topic":"t"}}"#,
        r#"{"message":{"text":"x"}}"#,
        r#"{"message":{"topic":5,"text":"x"}}"#,
        r#"{"message":{"topic":["t"],"text":"x"}}"#,
        r#"{"message":{"topic":"t","text":null}}"#,
        r#"{"message":{"topic":"t","text":7}}"#,
        r#"{"message":{"topic":"t","text":{"topic":"t","text":"x"}}}"#,
        r#"{"message":{"inner":{"topic":"t","text":"x"}}}"#,
        r#"{"message":{"topic":"\ud83d","text":"x"}}"#,
    ] {
        refuses(frame, "bad-frame");
    }
}

#[test]
fn a_registration_with_wrong_types_is_refused() {
    for frame in [
        r#"{"topics":5}"#,
        r#"{"topics":null}"#,
        r#"{"topics":{"t":1}}"#,
        r#"{"topics":["a",1]}"#,
        r#"{"topics":[["a"]]}"#,
        r#"{"topics":"\udc00"}"#,
    ] {
        refuses(frame, "bad-frame");
    }
}

#[test]
fn a_frame_that_could_be_read_in_two_ways_is_refused() {
    for frame in [
        r#"{"topics":["a"],"message":{"topic":"t","text":"x"}}"#,
        r#"{"topics":["a"],"topics":["b"]}"#,
        r#"{"topics":["a"],"\u0074opics":["b"]}"#,
        r#"{"message":{"topic":"t","text":"x"},"message":{"topic":"t","text":"y"}}"#,
        r#"{"message":{"topic":"t","text":"x","topic":"u"}}"#,
        r#"{"message":{"topic":"t","text":"x","text":"y"}}"#,
        r#"{"extended":{},"message":{"topic":"t","text":"x"},"extended":{}}"#,
    ] {
        refuses(frame, "bad-frame");
    }
}

#[test]
fn a_topics_name_that_isnt_allowed_is_refused() {
    let long = "x".repeat(256);
    for name in [
        "",
        "a\\nb",
        "\\u0000",
        "\\u001b[2J",
        "\\u007f",
        "a\\u0085",
        &long,
    ] {
        refuses(&format!(r#"{{"topics":["{name}"]}}"#), "bad-topic");
        refuses(&format!(r#"{{"topics":"{name}"}}"#), "bad-topic");
        let message = format!(r#"{{"message":{{"topic":"{name}","text":"x"}}}}"#);
        refuses(&message, "bad-topic");
    }
}

#[test]
fn of_a_refused_registration_nothing_is_added() {
    let server = TestServer::start();
    let mut client = server.join(&["mine"]);
    client.send(br#"{"topics":["good",""]}"#);
    client.expect_error("bad-topic");
    client.send(br#"{"topics":["good",5]}"#);
    client.expect_error("bad-frame");
    client.say("good", "x");
    client.expect_error("not-registered");
}

#[test]
fn more_topics_than_allowed_are_refused_and_none_of_them_is_added() {
    let server = TestServer::with(Config {
        max_topics: 3,
        ..Config::default()
    });
    let mut bystanders = Bystanders::on(&server);
    let mut client = server.join(&["a", "b"]);
    let mut other = server.join(&["a", "b", "c"]);
    client.register(&["c", "d"]);
    let why = client.expect_error("too-many-topics");
    assert!(why.contains('3'), "{why}");
    for topic in ["c", "d"] {
        client.say(topic, "x");
        client.expect_error("not-registered");
    }
    // What it had it keeps, what it has already counts once, and up to the limit
    // there is room.
    client.join(&["a", "b", "a", "c"]);
    for topic in ["a", "b", "c"] {
        client.say(topic, "still here");
        other.expect(topic, "still here");
    }
    client.register(&["d"]);
    client.expect_error("too-many-topics");
    bystanders.talk();
}

#[test]
fn a_thousand_topics_are_allowed_by_default_and_one_more_isnt() {
    let server = TestServer::start();
    let names: Vec<_> = (0..1_001).map(|number| format!("t{number}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let mut client = server.join(&names[..1_000]);
    client.register(&names[1_000..]);
    client.expect_error("too-many-topics");
    let mut greedy = server.connect();
    greedy.register(&names);
    greedy.expect_error("too-many-topics");
}

#[test]
fn a_peer_that_floods_errors_without_reading_harms_nobody() {
    let server = TestServer::start();
    let mut bystanders = Bystanders::on(&server);
    let mut receiver = server.join(&["t"]);
    let mut flooder = server.join(&["t"]);
    let bad = "{\"message\":5}".repeat(5_000);
    for round in 0..40 {
        flooder.send(bad.as_bytes());
        flooder.say("t", &round.to_string());
        receiver.expect("t", &round.to_string());
        bystanders.talk();
    }
    // It isn't disconnected for what the server wanted to tell it: when it reads,
    // the connection is as good as ever.
    flooder.finish_sending();
    let told = flooder.texts_to_the_end();
    assert!(!told.is_empty());
    for (topic, text) in told {
        assert_eq!(topic, "error");
        assert!(text.starts_with("bad-frame: "), "{text}");
    }
}

#[test]
fn a_peer_that_floods_unregistered_topics_without_reading_harms_nobody() {
    let server = TestServer::start();
    let mut bystanders = Bystanders::on(&server);
    let mut flooder = server.join(&["t"]);
    let unregistered = message("elsewhere", "x").repeat(1_000);
    for _ in 0..40 {
        flooder.send(&unregistered);
        bystanders.talk();
    }
}

#[test]
fn a_peer_that_joins_again_and_again_harms_nobody() {
    let server = TestServer::start();
    let mut bystanders = Bystanders::on(&server);
    let mut client = server.connect();
    let again = registration(&["a", "b", "c"]).repeat(1_000);
    for _ in 0..10 {
        client.send(&again);
        bystanders.talk();
    }
    client.sync();
}

#[test]
fn floods_before_the_registration_dont_put_off_its_deadline() {
    let timeout = std::time::Duration::from_secs(2);
    let server = TestServer::with(Config {
        registration_timeout: timeout,
        ..Config::default()
    });
    let floods = [
        "{}",
        "{\"message\":{\"topic\":\"t\",\"text\":\"x\"}}\n",
        "[]",
        "   ",
    ];
    let mut told = 0;
    for flood in floods {
        let mut bystanders = Bystanders::on(&server);
        let mut client = server.connect();
        let mut writer = client.writer();
        let flood = flood.repeat(20_000);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let start = std::time::Instant::now();
                while writer.try_send(flood.as_bytes()) {
                    assert!(start.elapsed() < LIMIT / 3, "flooding goes on for ever");
                }
            });
            let reading = scope.spawn(|| is_told(&mut client, "registration-timeout"));
            bystanders.talk();
            told += u32::from(reading.join().unwrap());
        });
        bystanders.talk();
    }
    // A peer that is slow to read goes on flooding after the server has stopped reading. The
    // reset may destroy the word then.
    assert!(told > 0);
}

/// Reads until the client is told of this error; false if it was cut off before.
fn is_told(client: &mut Client, code: &str) -> bool {
    while let Some((_, text)) = client.message_or_reset() {
        if text.starts_with(code) {
            return true;
        }
    }
    false
}
