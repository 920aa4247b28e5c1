//! Who gets which message, and in which order.

use std::sync::Barrier;
use std::thread;

use topicserver::Config;

use crate::common::{Client, TestServer, message, registration};

#[test]
fn a_message_reaches_everyone_in_the_topic_but_its_sender() {
    let server = TestServer::start();
    let mut sender = server.join(&["lame-conversation"]);
    let mut others: Vec<_> = (0..5)
        .map(|_| server.join(&["lame-conversation"]))
        .collect();
    let mut stranger = server.join(&["other-conversation"]);

    sender.say("lame-conversation", "This is such a lame message");
    for other in &mut others {
        other.expect("lame-conversation", "This is such a lame message");
    }
    // Everyone has the first message: had it gone to its sender, or to the
    // stranger, it would come before these.
    others[0].say("lame-conversation", "agreed");
    sender.expect("lame-conversation", "agreed");
    others[1].expect("lame-conversation", "agreed");
    sender.register(&["other-conversation"]);
    sender.say("other-conversation", "hello, stranger");
    stranger.expect("other-conversation", "hello, stranger");
}

#[test]
fn all_receivers_see_one_order_and_each_publishers_own() {
    const PUBLISHERS: usize = 4;
    const MESSAGES: usize = 250;
    let server = TestServer::start();
    let mut publishers: Vec<_> = (0..PUBLISHERS).map(|_| server.join(&["t"])).collect();
    let mut receivers: Vec<_> = (0..4).map(|_| server.join(&["t"])).collect();

    let start = Barrier::new(PUBLISHERS);
    thread::scope(|scope| {
        for (number, publisher) in publishers.iter_mut().enumerate() {
            let start = &start;
            scope.spawn(move || {
                start.wait();
                for count in 0..MESSAGES {
                    publisher.say("t", &format!("{number} {count}"));
                }
            });
        }
    });

    let orders: Vec<Vec<String>> = receivers
        .iter_mut()
        .map(|receiver| texts(receiver, PUBLISHERS * MESSAGES))
        .collect();
    for order in &orders {
        assert!(*order == orders[0], "two receivers saw two orders");
    }
    for (number, publisher) in publishers.iter_mut().enumerate() {
        let own = |text: &&String| text.starts_with(&format!("{number} "));
        let sent: Vec<_> = (0..MESSAGES)
            .map(|count| format!("{number} {count}"))
            .collect();
        let seen: Vec<_> = orders[0].iter().filter(own).cloned().collect();
        assert_eq!(seen, sent, "a publisher's messages lost their order");
        let others: Vec<_> = orders[0]
            .iter()
            .filter(|text| !own(text))
            .cloned()
            .collect();
        let got = texts(publisher, others.len());
        assert!(got == others, "a publisher saw the others in another order");
    }
}

fn texts(client: &mut Client, count: usize) -> Vec<String> {
    (0..count).map(|_| client.message().1).collect()
}

#[test]
fn a_message_for_a_topic_that_its_sender_isnt_in_is_discarded_and_told() {
    let server = TestServer::start();
    let mut receiver = server.join(&["mine", "yours"]);
    let mut sender = server.join(&["mine"]);

    sender.say("yours", "for nobody");
    let why = sender.expect_error("not-registered");
    assert!(why.contains("yours"), "{why}");
    // The connection goes on, and what was discarded doesn't come later.
    sender.say("mine", "for you");
    receiver.expect("mine", "for you");
    sender.register(&["yours"]);
    sender.say("yours", "now for you");
    receiver.expect("yours", "now for you");
}

#[test]
fn a_peer_that_hasnt_registered_at_all_is_told_so() {
    let server = TestServer::start();
    let mut receiver = server.join(&["t"]);
    let mut sender = server.connect();
    sender.say("t", "too early");
    sender.expect_error("not-registered");
    sender.register(&["t"]);
    sender.say("t", "in time");
    receiver.expect("t", "in time");
}

#[test]
fn a_second_registration_adds_topics() {
    let server = TestServer::start();
    let mut sender = server.join(&["a", "b", "c"]);
    let mut receiver = server.join(&["a"]);
    receiver.join(&["b", "c"]);
    for topic in ["c", "a", "b"] {
        sender.say(topic, topic);
        receiver.expect(topic, topic);
        receiver.say(topic, "back");
        sender.expect(topic, "back");
    }
}

#[test]
fn a_peer_that_registers_twice_for_a_topic_gets_each_message_once() {
    let server = TestServer::start();
    let mut sender = server.join(&["t"]);
    let mut receiver = server.join(&["t", "t"]);
    receiver.join(&["t"]);
    sender.say("t", "one");
    sender.say("t", "two");
    receiver.expect("t", "one");
    receiver.expect("t", "two");
}

#[test]
fn registrations_are_taken_as_real_clients_write_them() {
    let server = TestServer::start();
    let mut sender = server.join(&["t"]);
    for registration in [
        r#"{"topics":"t"}"#,
        r#"{"topics":["t"]}"#,
        r#"{"source":{"ip":"::1","port":2000},"topics":["t"]}"#,
        r#"{"source":{"ip":null},"topics":["t"],"name":"x","more":[{"topics":5}]}"#,
        r#"{"topics":["other","t"],"source":7}"#,
        r#"{ "to\u0070ics" : [ "\u0074" ] }"#,
    ] {
        let mut receiver = server.connect();
        receiver.send(registration.as_bytes());
        receiver.sync();
        sender.say("t", registration);
        receiver.expect("t", registration);
    }
}

#[test]
fn a_registration_for_nothing_is_one_too() {
    let server = TestServer::start();
    let mut client = server.connect();
    client.send(b"{\"topics\":[]}");
    client.sync();
    client.say("t", "x");
    client.expect_error("not-registered");
}

#[test]
fn messages_are_taken_as_real_clients_write_them() {
    let server = TestServer::start();
    let mut sender = server.join(&["t"]);
    let mut receiver = server.join(&["t"]);
    for frame in [
        r#"{"message":{"topic":"t","text":"1"}}"#,
        r#"{"message":{"text":"2","topic":"t"},"source":{"ip":"1.2.3.4","port":2000}}"#,
        r#"{"destination":{},"message":{"topic":"t","text":"3","mood":[1,{"topic":2}]},"id":9}"#,
        r#"{"source":"me","destination":null,"message":{"topic":"t","text":"4"}}"#,
        r#"{"\u006dessage":{"to\u0070ic":"\u0074","text":"5"}}"#,
        r#"{"message":{"topic":"t","text":""}}"#,
        r#"{"message":{"topic":"t","text":"half a pair: \ud83d"}}"#,
    ] {
        sender.send(frame.as_bytes());
        assert_eq!(receiver.line(), frame.as_bytes());
    }
}

#[test]
fn a_topics_name_is_compared_byte_by_byte() {
    let server = TestServer::start();
    let mut upper = server.join(&["Lab"]);
    let mut lower = server.join(&["lab"]);
    let mut both = server.join(&["Lab", "lab", "caf\u{e9}"]);
    both.say("Lab", "to Lab");
    both.say("lab", "to lab");
    upper.expect("Lab", "to Lab");
    lower.expect("lab", "to lab");

    // However it is written, it is the same name.
    let mut escaped = server.connect();
    escaped.send(br#"{"topics":["caf\u00e9"]}"#);
    escaped.sync();
    both.say("caf\u{e9}", "bonjour");
    escaped.expect("caf\u{e9}", "bonjour");
}

#[test]
fn names_of_every_allowed_kind_are_topics() {
    let server = TestServer::start();
    let longest = "é".repeat(127) + "x";
    for name in [
        longest.as_str(),
        "x",
        " ",
        "a b",
        "騒ぎ",
        "🎈",
        "\"\\",
        "error",
        "/../.",
    ] {
        let mut sender = server.join(&[name]);
        let mut receiver = server.join(&[name]);
        sender.say(name, "here");
        receiver.expect(name, "here");
    }
}

#[test]
fn topics_interleaved_in_one_write_each_keep_their_order() {
    const TOPICS: usize = 50;
    const ROUNDS: usize = 40;
    let server = TestServer::start();
    let names: Vec<_> = (0..TOPICS)
        .map(|number| format!("topic {number}"))
        .collect();
    let all: Vec<_> = names.iter().map(String::as_str).collect();
    let mut sender = server.join(&all);
    let mut lone: Vec<_> = all.iter().map(|name| server.join(&[name])).collect();
    let mut everywhere = server.join(&all);

    let mut write = Vec::new();
    for round in 0..ROUNDS {
        for name in &names {
            write.extend_from_slice(&message(name, &round.to_string()));
        }
    }
    sender.send(&write);

    for (name, receiver) in names.iter().zip(&mut lone) {
        for round in 0..ROUNDS {
            receiver.expect(name, &round.to_string());
        }
    }
    let mut next = [0; TOPICS];
    for _ in 0..TOPICS * ROUNDS {
        let (topic, text) = everywhere.message();
        let number = names.iter().position(|name| *name == topic).unwrap();
        assert_eq!(text, next[number].to_string(), "in {topic}");
        next[number] += 1;
    }
}

#[test]
fn registering_and_talking_in_one_write_works() {
    let server = TestServer::start();
    let mut receiver = server.join(&["a", "b"]);
    let mut sender = server.connect();
    let mut write = registration(&["b"]);
    write.extend(message("b", "1"));
    write.extend(message("a", "discarded"));
    // This one sorts before the other.
    write.extend(registration(&["a"]));
    write.extend(message("a", "2"));
    write.extend(message("b", "3"));
    sender.send(&write);
    let mut got: Vec<_> = (0..3).map(|_| receiver.message()).collect();
    got.sort_by(|a, b| a.1.cmp(&b.1));
    let expected = [("b", "1"), ("a", "2"), ("b", "3")];
    assert_eq!(
        got,
        expected.map(|(topic, text)| (topic.into(), text.into()))
    );
    sender.expect_error("not-registered");
}

#[test]
fn a_topic_goes_on_when_a_member_leaves() {
    let server = TestServer::start();
    let mut sender = server.join(&["t"]);
    let mut stays = server.join(&["t"]);
    for round in 0..20 {
        let goes = server.join(&["t"]);
        drop(goes);
        sender.say("t", &round.to_string());
        stays.expect("t", &round.to_string());
    }
}

#[test]
fn a_topic_works_again_after_everyone_had_left() {
    let server = TestServer::start();
    for round in 0..50 {
        let mut sender = server.join(&["t"]);
        let mut receiver = server.join(&["t"]);
        sender.say("t", &round.to_string());
        receiver.expect("t", &round.to_string());
    }
}

#[test]
fn everything_a_flooding_publisher_sends_arrives_in_order() {
    const MESSAGES: usize = 20_000;
    // Every message fills a mailbox of one byte, so its publisher must wait; and
    // the reader, on a busy machine, isn't to be the one that is too slow.
    let server = TestServer::with(Config {
        max_mailbox: 1,
        max_outbox: 1 << 30,
        ..Config::default()
    });
    let mut receiver = server.join(&["t"]);
    let mut publishers: Vec<_> = (0..2).map(|_| server.join(&["t"])).collect();
    thread::scope(|scope| {
        for (number, publisher) in publishers.iter_mut().enumerate() {
            // What the others say must be read, or one would be a slow reader.
            let mut writer = publisher.writer();
            scope.spawn(move || {
                let frames: Vec<u8> = (0..MESSAGES)
                    .flat_map(|count| message("t", &format!("{number} {count}")))
                    .collect();
                writer.send(&frames);
            });
            scope.spawn(move || expect_flood(publisher, 1, MESSAGES));
        }
        scope.spawn(|| expect_flood(&mut receiver, 2, MESSAGES));
    });
}

/// Reads what so many publishers send, each in its order.
fn expect_flood(receiver: &mut Client, publishers: usize, messages: usize) {
    let mut next = std::collections::HashMap::<String, usize>::new();
    for _ in 0..publishers * messages {
        let (_, text) = receiver.message();
        let (number, count) = text.split_once(' ').unwrap();
        let expected = next.entry(number.to_owned()).or_default();
        assert_eq!(count, expected.to_string(), "of publisher {number}");
        *expected += 1;
    }
}
