//! Memory that comes back, seen from outside.

use crate::common::{Client, Process, eventually, registration};

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
    let server = Process::start(&["--max-outbox", "200000"]);
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
