//! Readers that don't keep up: they hurt nobody, and are told.

use std::time::Duration;

use topicserver::Config;

use crate::common::{Bystanders, Client, TestServer, eventually, is_left_out};

/// Bytes of text in the messages that fill sockets.
const TEXT: usize = 16_000;

/// More messages than the sockets of this machine take for one reader that
/// doesn't read: 16 MB, where Linux by default lets one have 4 to 10.
const MESSAGES: usize = 1_000;

fn text(number: usize) -> String {
    format!("{number} {}", "x".repeat(TEXT))
}

/// A reader that has little room and doesn't use it.
fn stalled(server: &TestServer) -> Client {
    let mut client = Client::connect_narrow(server.addr());
    client.join(&["t"]);
    client
}

/// Publishes that much; who reads gets each message before there is another.
fn publish_in_step(publisher: &mut Client, readers: &mut [Client], messages: usize) {
    for number in 0..messages {
        publisher.say("t", &text(number));
        for reader in &mut *readers {
            reader.expect("t", &text(number));
        }
    }
}

#[test]
fn a_stalled_reader_delays_nobody_and_is_told_why_it_is_disconnected() {
    let server = TestServer::with(Config {
        max_outbox: 100_000,
        ..Config::default()
    });
    let mut bystanders = Bystanders::on(&server);
    let mut publisher = server.join(&["t"]);
    let mut readers = [server.join(&["t"]), server.join(&["t"])];
    let mut stalled = [stalled(&server), stalled(&server)];
    publish_in_step(&mut publisher, &mut readers, MESSAGES);
    bystanders.talk();

    for stalled in &mut stalled {
        // Whole frames without a gap from the first on, and then the reason.
        let mut got = stalled.texts_to_the_end();
        let (topic, reason) = got.pop().unwrap();
        assert_eq!(topic, "error");
        assert!(reason.starts_with("slow-reader: "), "{reason}");
        assert!(reason.contains("100000"), "{reason}");
        assert!(got.len() < MESSAGES, "it wasn't slow");
        for (number, (topic, got)) in got.into_iter().enumerate() {
            assert_eq!(topic, "t");
            assert!(got == text(number), "message {number} isn't what was sent");
        }
    }
    bystanders.talk();
    publish_in_step(&mut publisher, &mut readers, 1);
}

#[test]
fn a_late_reader_within_its_outbox_gets_everything_in_order() {
    let server = TestServer::with(Config {
        max_outbox: 2 * TEXT * MESSAGES,
        ..Config::default()
    });
    let mut publisher = server.join(&["t"]);
    let mut readers = [server.join(&["t"])];
    let mut late = stalled(&server);
    publish_in_step(&mut publisher, &mut readers, MESSAGES);
    for number in 0..MESSAGES {
        late.expect("t", &text(number));
    }
    // And then it is a reader like any other.
    readers[0].say("t", "again");
    late.expect("t", "again");
}

#[test]
fn a_slow_reader_may_go_on_talking_until_it_is_disconnected() {
    let server = TestServer::with(Config {
        max_outbox: 2 * TEXT * MESSAGES,
        ..Config::default()
    });
    let mut publisher = server.join(&["t"]);
    let mut readers = [server.join(&["t"])];
    let mut deaf = stalled(&server);
    publish_in_step(&mut publisher, &mut readers, MESSAGES);
    deaf.say("t", "I can't hear you");
    publisher.expect("t", "I can't hear you");
    readers[0].expect("t", "I can't hear you");
}

#[test]
fn publishers_that_read_nothing_only_slow_themselves() {
    let server = TestServer::with(Config {
        max_outbox: 100_000,
        ..Config::default()
    });
    let mut bystanders = Bystanders::on(&server);
    // Two that shout at each other and never listen.
    let mut deaf = [stalled(&server), stalled(&server)];
    for number in 0..MESSAGES {
        let line = crate::common::message("t", &text(number));
        let sent = deaf.each_mut().map(|client| client.try_send(&line));
        if sent == [false, false] {
            break;
        }
        if number % 100 == 0 {
            bystanders.talk();
        }
    }
    // Once the first of them is disconnected, the other has nobody to shout at it.
    deaf.iter().for_each(Client::finish_sending);
    let last = deaf
        .each_mut()
        .map(|client| client.texts_to_the_end().pop());
    let is_told = |last: &Option<(String, String)>| {
        let last = last.as_ref();
        last.is_some_and(|(_, text)| text.starts_with("slow-reader: "))
    };
    assert!(last.iter().any(is_told), "neither was too slow");
    bystanders.talk();
}

#[test]
fn a_message_longer_than_the_outbox_can_be_received() {
    let server = TestServer::with(Config {
        max_outbox: 1_024,
        ..Config::default()
    });
    let mut publisher = server.join(&["t"]);
    let mut readers = [server.join(&["t"])];
    publish_in_step(&mut publisher, &mut readers, 100);
}

#[test]
fn a_reader_that_takes_nothing_for_too_long_is_disconnected() {
    if is_left_out("each server counts its own connections") {
        return;
    }
    let server = TestServer::with(Config {
        max_outbox: 2 * TEXT * MESSAGES,
        write_timeout: Duration::from_millis(500),
        max_connections: 5,
        ..Config::default()
    });
    let mut bystanders = Bystanders::on(&server);
    let mut publisher = server.join(&["t"]);
    let mut readers = [server.join(&["t"])];
    let mut stalled = stalled(&server);
    server.connect().expect_error("too-many-connections");
    publish_in_step(&mut publisher, &mut readers, MESSAGES);
    let mut next = eventually("the stalled reader's place", || {
        let mut client = server.connect();
        client.try_send(b"{}");
        let line = client.next_line_or_reset()?;
        let line = String::from_utf8(line).unwrap();
        line.contains("unknown-frame").then_some(client)
    });
    next.join(&["t"]);
    publish_in_step(&mut publisher, &mut [next], 1);
    // What reached the stalled one is what was sent, as far as it goes.
    if let Some(first) = stalled.message_or_reset() {
        assert_eq!(first, ("t".to_owned(), text(0)));
    }
    bystanders.talk();
}
