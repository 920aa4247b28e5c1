//! What still arrives when a connection, or the server, ends.

use std::time::Duration;

use topicserver::{Config, Ended};

use crate::common::{Client, TestServer, is_left_out, message};

#[test]
fn what_was_sent_before_its_sender_closed_arrives() {
    let server = TestServer::start();
    let mut receiver = server.join(&["t"]);
    for round in 0..20 {
        let mut sender = server.join(&["t"]);
        let mut write: Vec<u8> = (0..1_000)
            .flat_map(|number| message("t", &format!("{round} {number}")))
            .collect();
        write.extend(b"{\"message\":{\"topic\":\"t\",\"text\":\"half");
        sender.send(&write);
        drop(sender);
        for number in 0..1_000 {
            receiver.expect("t", &format!("{round} {number}"));
        }
    }
}

#[test]
fn a_script_that_registers_talks_and_leaves_in_one_write_is_heard() {
    let server = TestServer::start();
    let mut receiver = server.join(&["t"]);
    for round in 0..100 {
        let mut script = server.connect();
        script.send(
            format!("{{\"topics\":\"t\"}}{{\"message\":{{\"topic\":\"t\",\"text\":\"{round}\"}}}}")
                .as_bytes(),
        );
        drop(script);
        receiver.expect("t", &round.to_string());
    }
}

#[test]
fn a_peer_that_has_finished_sending_gets_what_was_published_before_and_then_the_end() {
    if is_left_out("what another server has just taken is on its way") {
        return;
    }
    let server = TestServer::start();
    let mut publisher = server.join(&["t"]);
    let mut audience: Vec<_> = (0..100).map(|_| server.join(&["t"])).collect();
    for round in 0..20 {
        let mut leaving = server.join(&["t"]);
        for number in 0..20 {
            publisher.say("t", &format!("{round} {number}"));
        }
        // All of it is with the server now.
        publisher.sync();
        leaving.finish_sending();
        for number in 0..20 {
            leaving.expect("t", &format!("{round} {number}"));
        }
        leaving.expect_end();
    }
    for receiver in &mut audience {
        for round in 0..20 {
            for number in 0..20 {
                receiver.expect("t", &format!("{round} {number}"));
            }
        }
    }
}

#[test]
fn a_peer_that_has_finished_sending_and_reads_late_gets_what_was_queued() {
    if is_left_out("what another server has just taken is on its way") {
        return;
    }
    let server = TestServer::start();
    let mut publisher = server.join(&["t"]);
    let mut watcher = server.join(&["t"]);
    let mut late = Client::connect_narrow(server.addr());
    late.join(&["t"]);
    let text = "x".repeat(8_000);
    // More than a socket with so little room takes, and less than may wait.
    for number in 0..100 {
        publisher.say("t", &format!("{number} {text}"));
        watcher.expect("t", &format!("{number} {text}"));
    }
    late.finish_sending();
    for number in 0..100 {
        late.expect("t", &format!("{number} {text}"));
    }
    late.expect_end();
}

#[test]
fn errors_are_sent_to_a_peer_that_has_finished_sending() {
    let server = TestServer::start();
    let mut client = server.connect();
    client.send(b"{}[]");
    client.finish_sending();
    client.expect_error("unknown-frame");
    client.expect_error("not-an-object");
    client.expect_end();
}

#[test]
fn a_peer_that_has_finished_sending_is_gone_from_its_topics() {
    let server = TestServer::start();
    let mut publisher = server.join(&["t"]);
    let mut leaving = server.join(&["t"]);
    leaving.finish_sending();
    leaving.expect_end();
    publisher.say("t", "nobody is here");
    publisher.sync();
}

#[test]
fn when_the_server_ends_everyone_gets_what_was_queued_and_is_told() {
    let mut server = TestServer::start();
    let mut publisher = server.join(&["t"]);
    let mut idle = server.join(&["other"]);
    let mut unregistered = server.connect();
    unregistered.sync();
    let mut late = Client::connect_narrow(server.addr());
    late.join(&["t"]);
    let text = "x".repeat(8_000);
    for number in 0..100 {
        publisher.say("t", &format!("{number} {text}"));
    }
    // All of it is with the server now.
    publisher.sync();
    server.stop();
    for client in [&mut publisher, &mut idle, &mut unregistered] {
        client.expect_error("shutting-down");
        client.expect_end();
    }
    for number in 0..100 {
        late.expect("t", &format!("{number} {text}"));
    }
    late.expect_error("shutting-down");
    late.expect_end();
    drop((publisher, idle, unregistered, late));
    assert_eq!(server.ended(), Ended::Drained);
}

#[test]
fn a_server_that_ends_doesnt_wait_for_stalled_readers_for_ever() {
    if is_left_out("three servers end") {
        return;
    }
    let mut server = TestServer::with(Config {
        drain_timeout: Duration::from_millis(500),
        ..Config::default()
    });
    let mut publisher = server.join(&["t"]);
    let mut stalled = Client::connect_narrow(server.addr());
    stalled.join(&["t"]);
    let text = "x".repeat(60_000);
    // Whether it is told to be slow or not, it has more than it takes.
    for _ in 0..200 {
        publisher.say("t", &text);
    }
    publisher.sync();
    drop(publisher);
    server.stop();
    assert_eq!(server.ended(), Ended::CutOff(1));
    drop(stalled);
}

#[test]
fn a_server_that_ends_frees_its_port() {
    if is_left_out("three servers have three ports") {
        return;
    }
    let mut server = TestServer::start();
    let mut client = server.join(&["t"]);
    server.stop();
    client.expect_error("shutting-down");
    client.expect_end();
    drop(client);
    assert_eq!(server.ended(), Ended::Drained);
    let again = TestServer::at_port(server.addr().port());
    again.join(&["t"]);
}
