//! Extended readers that are slow: they hold little, lose nothing that is still
//! there, and harm nobody.

use serde_json::json;
use topicserver::Config;

use crate::common::{Bystanders, Client, TestServer, is_left_out};

/// Publishes until the reader's sockets and outbox must be full several times over.
fn flood(sender: &mut Client, messages: u64) {
    let filler = "x".repeat(1000);
    for number in 1..=messages {
        sender.say("T", &format!("{number} {filler}"));
    }
    sender.sync_topic("T");
}

/// An extended reader that hasn't read anything since its registration.
fn stalled(server: &TestServer) -> Client {
    let mut reader = Client::connect_narrow(server.addr());
    reader.register_extended(&["T"], json!({}));
    reader
}

fn number(client: &mut Client) -> u64 {
    let delivered = client.delivered();
    let (number, _) = delivered.text.split_once(' ').unwrap();
    assert_eq!(delivered.seq.unwrap().to_string(), number);
    number.parse().unwrap()
}

#[test]
fn a_slow_reader_is_caught_up_from_the_history_without_a_gap() {
    let server = TestServer::with(Config {
        max_outbox: 64 * 1024,
        history_messages: 100_000,
        history_bytes: 100 << 20,
        ..Config::default()
    });
    let mut reader = stalled(&server);
    let mut bystanders = Bystanders::on(&server);
    let (mut sender, _) = server.extended(&["T"], json!({}));
    flood(&mut sender, 20_000);
    bystanders.talk();
    for expected in 1..=20_000 {
        assert_eq!(number(&mut reader), expected);
    }
    // It has caught up: what is published now comes at once.
    sender.say("T", "20001 live");
    assert_eq!(number(&mut reader), 20_001);
}

#[test]
fn what_is_gone_when_a_slow_reader_gets_there_is_told_as_a_gap() {
    if is_left_out("what memory forgets is in the log") {
        return;
    }
    let server = TestServer::with(Config {
        max_outbox: 64 * 1024,
        ..Config::default()
    });
    let mut reader = stalled(&server);
    let (mut sender, _) = server.extended(&["T"], json!({}));
    flood(&mut sender, 20_000);
    let mut next = 1;
    let mut gaps = 0;
    while next <= 20_000 {
        let frame = reader.frame();
        let extended = &frame["extended"];
        if let Some(gap) = extended.get("gap") {
            assert_eq!(gap["from"], next);
            next = gap["to"].as_u64().unwrap() + 1;
            gaps += 1;
        } else {
            assert_eq!(extended["seq"], next);
            next += 1;
        }
    }
    assert!(gaps >= 1);
    reader.sync_topic("T");
}

#[test]
fn a_slow_reader_that_publishes_is_not_sent_its_own_messages() {
    if is_left_out("two servers take messages in no order") {
        return;
    }
    let server = TestServer::with(Config {
        max_outbox: 64 * 1024,
        history_messages: 100_000,
        history_bytes: 100 << 20,
        ..Config::default()
    });
    let mut reader = stalled(&server);
    let (mut sender, _) = server.extended(&["T"], json!({}));
    flood(&mut sender, 10_000);
    reader.say("T", "10001 of the slow one");
    sender.expect_delivered("T", "10001 of the slow one", 10_001);
    sender.say("T", "10002 the end");
    for expected in (1..=10_002).filter(|number| *number != 10_001) {
        assert_eq!(number(&mut reader), expected);
    }
}

#[test]
fn many_slow_readers_of_one_topic_delay_nobody_in_it() {
    let server = TestServer::with(Config {
        max_outbox: 32 * 1024,
        history_messages: 100_000,
        history_bytes: 100 << 20,
        ..Config::default()
    });
    let mut slow: Vec<_> = (0..30).map(|_| stalled(&server)).collect();
    let (mut fast, _) = server.extended(&["T"], json!({}));
    let (mut sender, _) = server.extended(&["T"], json!({}));
    let writer = std::thread::spawn(move || {
        flood(&mut sender, 3_000);
        sender
    });
    for expected in 1..=3_000 {
        assert_eq!(number(&mut fast), expected);
    }
    let mut sender = writer.join().unwrap();
    for reader in &mut slow {
        for expected in 1..=3_000 {
            assert_eq!(number(reader), expected);
        }
    }
    sender.say("T", "3001 live");
    for reader in &mut slow {
        assert_eq!(number(reader), 3_001);
    }
}
