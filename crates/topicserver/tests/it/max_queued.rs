//! The queues of all connections together are bounded.

use serde_json::json;

use crate::common::{Client, Process, eventually};

const MIB: usize = 1024 * 1024;

/// What may be queued for all.
const MAX: usize = 8 * MIB;

/// Readers that have stopped, each in a topic of its own: nothing is shared.
const READERS: usize = 8;

/// Messages in each topic: 50 MB in all, of which the system takes less than half.
const MESSAGES: usize = 800;

/// Bytes that may be queued for one reader: two take all that there is.
const MAX_OUTBOX: &str = "4194304";

fn text() -> String {
    "x".repeat(8_000)
}

/// Publishes to all topics, by turns; they have been handed on then.
fn publish(publisher: &mut Client) {
    let text = text();
    for _ in 0..MESSAGES {
        for number in 0..READERS {
            publisher.say(&number.to_string(), &text);
        }
    }
    publisher.sync();
}

fn publisher(server: &Process) -> Client {
    let names: Vec<_> = (0..READERS).map(|number| number.to_string()).collect();
    server.join(&names.iter().map(String::as_str).collect::<Vec<_>>())
}

#[test]
fn classic_readers_that_stop_hold_no_more_than_all_may_and_are_told() {
    let server = Process::start(&[
        "--max-queued",
        &MAX.to_string(),
        "--max-outbox",
        MAX_OUTBOX,
        "--history-messages",
        "0",
        // Reading begins when everything is published, which takes a busy machine long.
        "--drain-timeout",
        "3600",
        "--write-timeout",
        "3600",
    ]);
    let mut publisher = publisher(&server);
    let mut readers: Vec<_> = (0..READERS)
        .map(|number| {
            let mut reader = Client::connect_narrow(server.v4());
            reader.join(&[&number.to_string()]);
            reader
        })
        .collect();
    let before = server.memory();
    publish(&mut publisher);
    eventually("the messages to be handed on", || {
        server.is_at_rest().then_some(())
    });
    let taken = server.memory().saturating_sub(before);
    // Beside the queues there are mailboxes, read buffers and the allocator.
    assert!(taken < MAX + 8 * MIB, "{taken} bytes");
    let mut told = 0;
    for reader in &mut readers {
        // What is left when others have been closed may have been enough for this one.
        let mut got = 0;
        while got < MESSAGES
            && let Some(line) = reader.next_line_or_reset()
        {
            let line = String::from_utf8(line).unwrap();
            if line.contains("queues-full: ") {
                assert!(line.contains("no more than 8388608 may"), "{line}");
                told += 1;
                break;
            }
            let frame: serde_json::Value = serde_json::from_str(&line).unwrap();
            assert_eq!(frame["message"]["text"], text());
            got += 1;
        }
    }
    assert!(told >= READERS / 2, "{told}");
}

#[test]
fn extended_readers_that_stop_get_everything_later() {
    let server = Process::start(&[
        "--max-queued",
        &MAX.to_string(),
        "--max-outbox",
        MAX_OUTBOX,
        "--history-bytes",
        "16777216",
        // As above.
        "--write-timeout",
        "3600",
    ]);
    let mut publisher = publisher(&server);
    let mut readers: Vec<_> = (0..READERS)
        .map(|number| {
            let mut reader = Client::connect_narrow(server.v4());
            reader.register_extended(&[&number.to_string()], json!({}));
            reader
        })
        .collect();
    publish(&mut publisher);
    eventually("the messages to be handed on", || {
        server.is_at_rest().then_some(())
    });
    for (number, reader) in readers.iter_mut().enumerate() {
        for seq in 1..=MESSAGES {
            reader.expect_delivered(&number.to_string(), &text(), seq as u64);
        }
    }
}

/// The beginning of a frame that isn't finished, after one that is answered.
fn unfinished(length: usize) -> Vec<u8> {
    format!("{{}}{{\"a\":\"{}", "x".repeat(length - 6)).into_bytes()
}

#[test]
fn unfinished_frames_hold_no_more_than_their_part_and_short_ones_are_always_taken() {
    // Of which a quarter is for frames, and the first half of that for anybody.
    let server = Process::start(&["--max-queued", &MIB.to_string()]);
    let holds = || {
        let mut peer = server.connect();
        peer.send(&unfinished(16_000));
        peer.expect_error("unknown-frame");
        peer
    };
    let _holders: Vec<_> = (0..8).map(|_| holds()).collect();
    for _ in 0..30 {
        let mut refused = holds();
        refused.expect_error("queues-full");
        refused.expect_end();
    }
    let mut posting = server.connect();
    let head = "POST /t HTTP/1.1\r\nhost: localhost\r\ncontent-length: 60000\r\n\r\n";
    posting.send(head.as_bytes());
    posting.send("x".repeat(59_000).as_bytes());
    let status = String::from_utf8(posting.next_line_or_reset().unwrap()).unwrap();
    assert!(status.starts_with("HTTP/1.1 503 "), "{status}");
    // Nobody else notices.
    let mut receiver = server.join(&["t"]);
    let mut sender = server.join(&["t"]);
    let frame = crate::common::message("t", &"x".repeat(1_500));
    let (first, rest) = frame.split_at(1_400);
    sender.send(b"{}");
    sender.send(first);
    sender.expect_error("unknown-frame");
    sender.send(rest);
    receiver.expect("t", &"x".repeat(1_500));
}
