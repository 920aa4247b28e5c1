//! What those get who come later, or come back.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use serde_json::{Value, json};
use topicserver::Config;

use crate::common::{Client, TestServer, is_left_out};

/// A topic in which `count` messages were published: their texts are their numbers.
fn publish(client: &mut Client, topic: &str, count: u64) {
    for number in 1..=count {
        client.say(topic, &number.to_string());
    }
    client.sync_topic(topic);
}

fn epoch(answer: &Value) -> &Value {
    &answer["topics"]["T"]["epoch"]
}

fn expect_numbers(client: &mut Client, numbers: impl IntoIterator<Item = u64>) {
    for number in numbers {
        client.expect_delivered("T", &number.to_string(), number);
    }
}

#[test]
fn the_last_messages_come_first_and_then_the_live_ones() {
    let server = TestServer::start();
    let (mut sender, _) = server.extended(&["T"], json!({}));
    publish(&mut sender, "T", 10);
    for (last, first) in [(0, 11), (3, 8), (10, 1), (u64::MAX, 1)] {
        let (mut late, answer) = server.extended(&["T"], json!({ "last": last }));
        assert_eq!(answer["topics"]["T"]["seq"], 10);
        expect_numbers(&mut late, first..=10);
        late.sync_topic("T");
    }
    let (mut late, _) = server.extended(&["T"], json!({"last": 2}));
    sender.say("T", "11");
    expect_numbers(&mut late, 9..=11);
    // Classic ones get no history.
    let mut classic = server.join(&["T"]);
    sender.say("T", "12");
    classic.expect("T", "12");
}

#[test]
fn a_resume_gets_exactly_what_was_missed() {
    let server = TestServer::start();
    let (mut sender, _) = server.extended(&["T", "U"], json!({}));
    let (mut reader, answer) = server.extended(&["T"], json!({}));
    publish(&mut sender, "T", 5);
    expect_numbers(&mut reader, 1..=5);
    drop(reader);
    for number in 6..=9 {
        sender.say("T", &number.to_string());
    }
    sender.sync_topic("T");
    let resume = |seq: u64| json!({"resume": {"T": {"epoch": epoch(&answer), "seq": seq}}});
    let (mut reader, again) = server.extended(&["T", "U"], resume(5));
    assert_eq!(again["topics"]["T"]["recovered"], true);
    assert!(again["topics"]["U"].get("recovered").is_none());
    expect_numbers(&mut reader, 6..=9);
    reader.sync_topic("T");
    let (mut reader, again) = server.extended(&["T"], resume(9));
    assert_eq!(again["topics"]["T"]["recovered"], true);
    reader.sync_topic("T");
}

#[test]
fn a_resume_in_another_epoch_gets_everything_kept_and_is_told() {
    let server = TestServer::start();
    let (mut sender, answer) = server.extended(&["T"], json!({}));
    publish(&mut sender, "T", 3);
    let epoch = epoch(&answer).as_str().unwrap();
    for (epoch, seq) in [("5f1c", 1), ("", 0), (epoch, 4), (epoch, u64::MAX)] {
        let resume = json!({"resume": {"T": {"epoch": epoch, "seq": seq}}});
        let (mut reader, again) = server.extended(&["T"], resume);
        assert_eq!(again["topics"]["T"]["recovered"], false, "{epoch} {seq}");
        expect_numbers(&mut reader, 1..=3);
        reader.sync_topic("T");
    }
}

#[test]
fn what_the_history_no_longer_has_is_told_as_a_gap() {
    if is_left_out("what memory forgets is in the log") {
        return;
    }
    let server = TestServer::with(Config {
        history_messages: 4,
        ..Config::default()
    });
    let (mut sender, answer) = server.extended(&["T"], json!({}));
    publish(&mut sender, "T", 10);
    let resume = json!({"resume": {"T": {"epoch": epoch(&answer), "seq": 2}}});
    let (mut reader, again) = server.extended(&["T"], resume);
    assert_eq!(again["topics"]["T"]["recovered"], false);
    assert_eq!(
        reader.expect_event("gap"),
        json!({"topic": "T", "from": 3, "to": 6})
    );
    expect_numbers(&mut reader, 7..=10);
    // Who asks for the last ones gets what there is, which is no gap.
    let (mut reader, _) = server.extended(&["T"], json!({"last": 9}));
    expect_numbers(&mut reader, 7..=10);
    reader.sync_topic("T");
}

#[test]
fn since_a_time_the_messages_of_that_time_and_later_come() {
    let server = TestServer::start();
    let (mut sender, _) = server.extended(&["T"], json!({}));
    let (mut witness, _) = server.extended(&["T"], json!({}));
    let mut times = Vec::new();
    for number in 1..=3 {
        sender.say("T", &number.to_string());
        times.push(witness.delivered().time);
        // The next message has a later time.
        let now = || {
            let since = std::time::UNIX_EPOCH.elapsed();
            since.unwrap().as_millis() as u64
        };
        while now() <= times[number as usize - 1] {}
    }
    for (since, first) in [(0, 1), (times[0], 1), (times[0] + 1, 2), (times[2], 3)] {
        let (mut late, _) = server.extended(&["T"], json!({ "since": since }));
        expect_numbers(&mut late, first..=3);
        late.sync_topic("T");
    }
    let (mut late, _) = server.extended(&["T"], json!({"since": times[2] + 1000}));
    late.sync_topic("T");
    let (mut late, _) = server.extended(&["T"], json!({"since": 0, "last": 2}));
    expect_numbers(&mut late, 2..=3);
}

#[test]
fn ones_own_messages_come_back_with_the_last_but_not_with_a_resume() {
    let server = TestServer::start();
    let options = |more: Value| {
        let mut options = json!({"client": "k"});
        options
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        options
    };
    let (mut client, answer) = server.extended(&["T"], options(json!({})));
    let (mut other, _) = server.extended(&["T"], json!({}));
    client.say("T", "1");
    other.expect_delivered("T", "1", 1);
    other.say("T", "2");
    other.sync_topic("T");
    drop(client);
    let resume = json!({"resume": {"T": {"epoch": epoch(&answer), "seq": 0}}});
    let (mut client, again) = server.extended(&["T"], options(resume));
    assert_eq!(again["topics"]["T"]["recovered"], true);
    client.expect_delivered("T", "2", 2);
    client.sync_topic("T");
    client.register_extended(&["T"], json!({"last": 9}));
    expect_numbers(&mut client, 1..=2);
    client.sync_topic("T");
    let (mut stranger, _) = server.extended(&["T"], json!({"last": 9}));
    expect_numbers(&mut stranger, 1..=2);
}

#[test]
fn without_history_the_order_is_kept_and_a_resume_is_told_what_is_missing() {
    if is_left_out("what memory forgets is in the log") {
        return;
    }
    let server = TestServer::with(Config {
        history_messages: 0,
        ..Config::default()
    });
    let (mut sender, answer) = server.extended(&["T"], json!({}));
    publish(&mut sender, "T", 3);
    let (mut reader, again) = server.extended(&["T"], json!({"last": 5}));
    assert_eq!(again["topics"]["T"]["seq"], 3);
    sender.say("T", "4");
    expect_numbers(&mut reader, 4..=4);
    let resume = json!({"resume": {"T": {"epoch": epoch(&answer), "seq": 1}}});
    let (mut reader, again) = server.extended(&["T"], resume);
    assert_eq!(again["topics"]["T"]["recovered"], false);
    assert_eq!(
        reader.expect_event("gap"),
        json!({"topic": "T", "from": 2, "to": 4})
    );
}

#[test]
fn the_topic_that_was_not_used_for_longest_forgets_first_when_memory_is_short() {
    if is_left_out("what memory forgets is in the log") {
        return;
    }
    let server = TestServer::with(Config {
        history_memory: 1024 * 1024,
        ..Config::default()
    });
    let (mut sender, _) = server.extended(&["old", "new"], json!({}));
    let text = "x".repeat(10_000);
    for topic in ["old", "new"] {
        for number in 0..70 {
            sender.say_with_id(topic, &text, &format!("{topic} {number}"));
            sender.expect_ack(topic, &format!("{topic} {number}"));
        }
    }
    let first_of = |topic: &str| {
        let (mut late, _) = server.extended(&[topic], json!({"last": 100}));
        late.ask(json!({"who": topic}));
        let frame = late.frame();
        frame["extended"]["seq"].as_u64()
    };
    crate::common::eventually("the old topic to forget", || {
        (first_of("old").is_none()).then_some(())
    });
    assert_eq!(first_of("new"), Some(1));
    // It is the same topic still: it goes on counting.
    sender.say_with_id("old", "x", "next");
    assert_eq!(sender.expect_ack("old", "next"), 71);
}

#[test]
fn history_outlives_those_who_made_it() {
    let server = TestServer::start();
    let (mut sender, answer) = server.extended(&["T"], json!({}));
    publish(&mut sender, "T", 2);
    sender.finish_sending();
    sender.expect_end();
    let resume = json!({"resume": {"T": {"epoch": epoch(&answer), "seq": 0}}});
    let (mut reader, again) = server.extended(&["T"], resume);
    assert_eq!(again["topics"]["T"]["recovered"], true);
    expect_numbers(&mut reader, 1..=2);
}

#[test]
fn what_is_published_after_the_answer_pushes_nothing_out_of_the_replay() {
    if is_left_out("what another server has just taken is on its way") {
        return;
    }
    // Of several topics, so that one of them has to wait for the answer.
    let topics = ["S", "T", "U"];
    let server = TestServer::with(Config {
        history_messages: 3,
        ..Config::default()
    });
    let (mut sender, _) = server.extended(&topics, json!({}));
    publish(&mut sender, "T", 3);
    for round in 1..=300 {
        let newest = 3 * round;
        let (mut reader, _) = server.extended(&topics, json!({"last": 3}));
        let burst: Vec<u8> = (newest + 1..=newest + 3)
            .flat_map(|number| crate::common::message("T", &number.to_string()))
            .collect();
        sender.send(&burst);
        expect_numbers(&mut reader, newest - 2..=newest + 3);
        sender.sync_topic("T");
    }
}

#[test]
fn nothing_falls_between_the_replay_and_what_is_live() {
    let server = TestServer::start();
    let addr = server.addr();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // Also when something below fails, or the publisher would go on for ever.
        let stop_at_end = StopAtEnd(&stop);
        let publishing = scope.spawn(|| {
            let mut sender = Client::connect(addr);
            sender.register_extended(&["T"], json!({}));
            let mut number = 0;
            while !stop.load(Relaxed) {
                let burst: Vec<u8> = (0..50)
                    .flat_map(|_| {
                        number += 1;
                        crate::common::message("T", &number.to_string())
                    })
                    .collect();
                sender.send(&burst);
            }
            number
        });
        let mut epoch = Value::Null;
        for round in 0..100 {
            let mut reader = Client::connect(addr);
            let options = match round % 3 {
                0 => json!({"last": 20}),
                1 => json!({}),
                _ => json!({"last": 1000}),
            };
            let answer = reader.register_extended(&["T"], options);
            epoch = answer["topics"]["T"]["epoch"].clone();
            let first = reader.delivered().seq.unwrap();
            let newest = answer["topics"]["T"]["seq"].as_u64().unwrap();
            assert!(first <= newest + 1, "{first} after {newest}");
            expect_numbers(&mut reader, first + 1..first + 500);
            // And back after an interruption.
            drop(reader);
            let resume = json!({"resume": {"T": {"epoch": epoch, "seq": first + 499}}});
            let mut reader = Client::connect(addr);
            let answer = reader.register_extended(&["T"], resume);
            if answer["topics"]["T"]["recovered"] == true {
                expect_numbers(&mut reader, first + 500..first + 700);
            } else {
                let gap = reader.expect_event("gap");
                let to = gap["to"].as_u64().unwrap();
                assert_eq!(gap["from"], first + 500);
                expect_numbers(&mut reader, to + 1..to + 200);
            }
        }
        drop(stop_at_end);
        assert!(publishing.join().unwrap() > 0);
        assert!(epoch.is_string());
    });
}

struct StopAtEnd<'a>(&'a AtomicBool);

impl Drop for StopAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

#[test]
fn a_client_that_has_finished_sending_gets_all_that_it_asked_for() {
    let server = TestServer::with(Config {
        history_messages: 100_000,
        history_bytes: 100 << 20,
        max_outbox: 64 * 1024,
        ..Config::default()
    });
    let (mut sender, _) = server.extended(&["T"], json!({}));
    publish(&mut sender, "T", 20_000);
    let mut late = Client::connect_narrow(server.addr());
    late.send(br#"{"topics":["T"],"extended":{"last":20000}}"#);
    late.finish_sending();
    late.expect_event("registered");
    expect_numbers(&mut late, 1..=20_000);
    late.expect_end();
}

#[test]
fn a_client_that_resumes_a_topic_without_messages_has_missed_nothing() {
    let server = TestServer::start();
    let (mut alone, answer) = server.extended(&["T"], json!({}));
    alone.finish_sending();
    alone.expect_end();
    let resume = json!({"resume": {"T": {"epoch": epoch(&answer), "seq": 0}}});
    let (_alone, again) = server.extended(&["T"], resume);
    assert_eq!(again["topics"]["T"]["recovered"], true);
}

#[test]
fn a_topic_that_was_forgotten_begins_a_new_epoch() {
    if is_left_out("a log forgets no topic") {
        return;
    }
    let server = TestServer::with(Config {
        history_messages: 0,
        ..Config::default()
    });
    let (mut client, answer) = server.extended(&["T"], json!({}));
    publish(&mut client, "T", 3);
    client.finish_sending();
    client.expect_end();
    let resume = json!({"resume": {"T": {"epoch": epoch(&answer), "seq": 0}}});
    let (_client, again) = server.extended(&["T"], resume);
    assert_eq!(again["topics"]["T"]["recovered"], false);
    assert_ne!(again["topics"]["T"]["epoch"], *epoch(&answer));
}
