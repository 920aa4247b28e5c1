//! What an encrypted connection takes.

use crate::common::{Process, eventually};
use crate::server;

#[test]
fn an_idle_encrypted_connection_takes_at_most_5000_bytes() {
    const CONNECTIONS: usize = 2_000;
    const MOST: usize = 5_000;
    let server = Process::start(&["--tls-self-signed", "--threads", "1"]);
    // What the first connections make for all, and what handshakes leave with the allocator.
    let first: Vec<_> = (0..200).map(|_| server::join(server.v4(), "t")).collect();
    let rests = || eventually("the server to rest", || server.is_at_rest().then_some(()));
    rests();
    let before = server.memory();
    let clients: Vec<_> = (0..CONNECTIONS)
        .map(|_| server::join(server.v4(), "t"))
        .collect();
    rests();
    let taken = server.memory().saturating_sub(before) / CONNECTIONS;
    println!("{taken} bytes an idle encrypted connection");
    assert!(taken <= MOST, "{taken} bytes an idle encrypted connection");
    drop((first, clients));
}

#[test]
fn stalled_readers_hold_what_an_outbox_may_hold() {
    const STALLED: usize = 20;
    const OUTBOX: usize = 200_000;
    let server = Process::start(&["--tls-self-signed", "--max-outbox", &OUTBOX.to_string()]);
    let mut publisher = server::join(server.v4(), "t");
    let mut reader = server::join(server.v4(), "t");
    let _stalled: Vec<_> = (0..STALLED)
        .map(|_| server::join(server.v4(), "t"))
        .collect();
    let before = server.memory();
    let text = "x".repeat(16_000);
    let mut highest = before;
    for number in 0..1_500 {
        publisher.say("t", &text);
        reader.expect("t", &text);
        if number % 100 == 0 {
            highest = highest.max(server.memory());
        }
    }
    let most = STALLED * (OUTBOX + 100_000) + 8 * 1024 * 1024;
    let taken = highest - before;
    assert!(taken < most, "{taken} bytes for {STALLED} stalled readers");
}
