//! Memory that comes back, seen from outside.

use serde_json::json;

use crate::common::{Client, Directory, Process, eventually, message, registration};

const MIB: usize = 1024 * 1024;

#[test]
fn topics_that_everyone_has_left_are_gone() {
    const TOPICS: usize = 50_000;
    const IN_A_FRAME: usize = 1_000;
    let server = Process::start(&["--max-topics", "50000"]);
    let mut growth = Vec::new();
    let mut before = server.memory();
    for round in 0..5 {
        // Other names in each round, so that none can be used again.
        let names: Vec<_> = (0..TOPICS)
            .map(|number| format!("{round} {number}"))
            .collect();
        let mut client = server.connect();
        for names in names.chunks(IN_A_FRAME) {
            let names: Vec<_> = names.iter().map(String::as_str).collect();
            client.send(&registration(&names));
        }
        client.sync();
        // What waits for tasks that haven't run yet is not what topics take.
        eventually("the topics' tasks to have begun", || {
            server.is_at_rest().then_some(())
        });
        let full = server.memory();
        growth.push(full.saturating_sub(before));
        before = before.max(full);
        client.finish_sending();
        client.expect_end();
        eventually("the topics' tasks to have ended", || {
            server.is_at_rest().then_some(())
        });
    }
    // The first rounds show what so many topics take, the later ones what stays.
    let taken = growth[0];
    assert!(taken > 5 * MIB, "too little to tell: {growth:?}");
    let stayed: usize = growth[2..].iter().sum();
    assert!(stayed < taken, "each round takes more: {growth:?}");
}

#[test]
fn stalled_readers_hold_a_bounded_number_of_bytes() {
    const STALLED: usize = 20;
    const MESSAGES: usize = 3_000;
    let server = Process::start(&["--max-outbox", "200000", "--write-timeout", "3600"]);
    let mut publisher = server.join(&["t"]);
    let mut reader = server.join(&["t"]);
    let _stalled: Vec<_> = (0..STALLED)
        .map(|_| {
            let mut client = Client::connect_narrow(server.v4());
            client.join(&["t"]);
            client
        })
        .collect();
    let before = server.memory();
    let text = "x".repeat(16_000);
    let mut highest = before;
    for number in 0..MESSAGES {
        publisher.say("t", &text);
        reader.expect("t", &text);
        if number % 100 == 0 {
            highest = highest.max(server.memory());
        }
    }
    // 48 MB went through. Each of the stalled may hold 0.2 MB, and a last run.
    let most = STALLED * 300_000 + 8 * MIB;
    let taken = highest - before;
    assert!(taken < most, "{taken} bytes for {STALLED} stalled readers");
}

#[test]
fn unfinished_frames_hold_no_more_than_their_limit() {
    const HALF: usize = 500;
    let server = Process::start(&["--max-frame", "10000"]);
    let before = server.memory();
    let half = [b"{\"message\":\"".as_slice(), &[b'x'; 9_000]].concat();
    let mut clients: Vec<_> = (0..HALF).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.send(b"{}");
        client.send(&half);
    }
    for client in &mut clients {
        client.expect_error("unknown-frame");
    }
    eventually("the frames to be read", || {
        server.is_at_rest().then_some(())
    });
    let taken = server.memory().saturating_sub(before);
    assert!(
        taken < HALF * 40_000,
        "{taken} bytes for {HALF} halves of frames"
    );
}

#[test]
fn joined_topics_and_their_histories_take_what_histories_may_take() {
    const TOPICS: usize = 5_000;
    const IN_A_FRAME: usize = 1_000;
    const LIMIT: usize = 24 * MIB;
    /// Of ten connections that publish as fast as they can, and of the allocator.
    const CONNECTIONS: usize = 4 * MIB;
    let server = Process::start(&["--history-memory", &LIMIT.to_string()]);
    let before = server.memory();
    let mut clients: Vec<_> = (0..TOPICS / IN_A_FRAME)
        .map(|group| {
            let names: Vec<_> = (0..IN_A_FRAME)
                .map(|number| format!("topic {group} {number}"))
                .collect();
            let mut client = server.connect();
            let borrowed: Vec<_> = names.iter().map(String::as_str).collect();
            client.register_extended(&borrowed, json!({}));
            (client, names)
        })
        .collect();
    // Fewer than 250 bytes each, but each is an allocation of its own.
    let text = "x".repeat(60);
    for _ in 0..25 {
        for (client, names) in &mut clients {
            let lines: Vec<u8> = names.iter().flat_map(|name| message(name, &text)).collect();
            client.send(&lines);
        }
    }
    for (client, _) in &mut clients {
        client.sync_extended();
    }
    eventually("the messages to be kept", || {
        server.is_at_rest().then_some(())
    });
    let taken = server.memory() - before;
    assert!(taken > LIMIT / 2, "too little to tell: {taken}");
    let most = LIMIT / 100 * 115 + CONNECTIONS;
    assert!(taken <= most, "{taken} bytes, {most} allowed");
}

#[test]
fn a_server_with_more_ids_than_memory_forgets_the_oldest_and_rests() {
    const TOPICS: usize = 20;
    const MESSAGES: usize = 2_000;
    let directory = Directory::new();
    let server = directory.serve(&["--history-memory", &(MIB / 2).to_string()]);
    let names: Vec<_> = (0..TOPICS)
        .map(|number| format!("topic {number}"))
        .collect();
    let borrowed: Vec<_> = names.iter().map(String::as_str).collect();
    let mut client = server.connect();
    client.register_extended(&borrowed, json!({"client": "k"}));
    for name in &names {
        for number in 0..MESSAGES {
            client.say_with_id(name, "x", &number.to_string());
        }
        for number in 0..MESSAGES {
            client.expect_ack(name, &number.to_string());
        }
    }
    eventually("the server to rest", || server.is_at_rest().then_some(()));
    let last = (MESSAGES - 1).to_string();
    client.say_with_id("topic 19", "x", &last);
    assert_eq!(client.expect_ack("topic 19", &last), MESSAGES as u64);
    client.say_with_id("topic 0", "x", "0");
    assert_eq!(client.expect_ack("topic 0", "0"), MESSAGES as u64 + 1);
}
