//! How the program ends.

use std::net::TcpStream;
use std::time::Instant;

use crate::common::{Client, LIMIT, Process};

/// A reader in topic `t` for whom more waits than the sockets hold, and the one
/// who sent it.
fn with_a_stalled_reader(server: &Process) -> (Client, Client, usize) {
    const MESSAGES: usize = 1_000;
    let mut publisher = server.join(&["t"]);
    let mut watcher = server.join(&["t"]);
    let mut stalled = Client::connect_narrow(server.v4());
    stalled.join(&["t"]);
    for number in 0..MESSAGES {
        publisher.say("t", &text(number));
        watcher.expect("t", &text(number));
    }
    (publisher, stalled, MESSAGES)
}

fn text(number: usize) -> String {
    format!("{number} {}", "x".repeat(16_000))
}

/// The options with which that much may wait.
const ROOMY: [&str; 2] = ["--max-outbox", "100000000"];

#[test]
fn sigint_and_sigterm_end_it_in_order() {
    for signal in ["INT", "TERM"] {
        let mut server = Process::start(&[]);
        let mut client = server.join(&["t"]);
        let mut unregistered = server.connect();
        unregistered.sync();
        server.signal(signal);
        for client in [&mut client, &mut unregistered] {
            client.expect_error("shutting-down");
            client.expect_end();
        }
        drop((client, unregistered));
        assert_eq!(server.wait().code(), Some(0), "SIG{signal}");
        server.wait_for("everything that was queued has gone out");
    }
}

#[test]
fn with_nobody_there_it_ends_at_once() {
    let mut server = Process::start(&["--drain-timeout", "3600"]);
    drop(server.join(&["t"]));
    server.signal("TERM");
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn clients_that_dont_hang_up_dont_keep_it() {
    let mut server = Process::start(&["--drain-timeout", "3600"]);
    let clients: Vec<_> = (0..10).map(|_| server.join(&["t"])).collect();
    server.signal("TERM");
    assert_eq!(server.wait().code(), Some(0));
    for mut client in clients {
        client.expect_error("shutting-down");
        client.expect_end();
    }
}

#[test]
fn while_it_ends_it_takes_no_new_connections() {
    let mut server = Process::start(&ROOMY);
    let (_publisher, stalled, _) = with_a_stalled_reader(&server);
    server.signal("TERM");
    server.wait_for("ending");
    crate::common::eventually("the port to be closed", || {
        TcpStream::connect(server.v4()).is_err().then_some(())
    });
    drop(stalled);
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn what_was_queued_arrives_before_it_ends() {
    let mut options = ROOMY.to_vec();
    options.extend(["--drain-timeout", "60"]);
    let mut server = Process::start(&options);
    let (publisher, mut stalled, messages) = with_a_stalled_reader(&server);
    drop(publisher);
    server.signal("TERM");
    server.wait_for("ending");
    for number in 0..messages {
        stalled.expect("t", &text(number));
    }
    stalled.expect_error("shutting-down");
    stalled.expect_end();
    drop(stalled);
    assert_eq!(server.wait().code(), Some(0));
    server.wait_for("everything that was queued has gone out");
}

#[test]
fn a_stalled_reader_holds_it_up_no_longer_than_allowed() {
    let mut options = ROOMY.to_vec();
    options.extend(["--drain-timeout", "1"]);
    let mut server = Process::start(&options);
    let (publisher, _stalled, _) = with_a_stalled_reader(&server);
    drop(publisher);
    server.signal("TERM");
    server.wait_for("ending");
    let start = Instant::now();
    assert_eq!(server.wait().code(), Some(0));
    assert!(start.elapsed() < LIMIT / 2, "{:?}", start.elapsed());
    server.wait_for("1 connections were cut off");
}

#[test]
fn a_second_signal_ends_it_at_once() {
    for (first, second, code) in [
        ("TERM", "TERM", 143),
        ("INT", "INT", 130),
        ("TERM", "INT", 130),
    ] {
        let mut options = ROOMY.to_vec();
        options.extend(["--drain-timeout", "3600"]);
        let mut server = Process::start(&options);
        let (_publisher, _stalled, _) = with_a_stalled_reader(&server);
        server.signal(first);
        server.wait_for("ending");
        server.signal(second);
        assert_eq!(server.wait().code(), Some(code), "SIG{first}, SIG{second}");
    }
}

#[test]
fn a_peer_that_floods_doesnt_keep_it_from_ending() {
    let mut server = Process::start(&[]);
    let mut flooder = server.join(&["t"]);
    let _receiver = server.join(&["t"]);
    let lines = crate::common::message("t", "x").repeat(1_000);
    std::thread::scope(|scope| {
        scope.spawn(|| while flooder.try_send(&lines) {});
        server.signal("TERM");
        assert_eq!(server.wait().code(), Some(0));
    });
}
