//! How a connection ends, and what each end means.

use std::net::Shutdown;

use serde_json::json;

use crate::common::{Bystanders, Client, Stream, TestServer, message, registration};
use crate::server;

const END: &[u8] = b"{\"extended\":{\"end\":{}}}";

/// Someone who has sent a message and gets what was published before it ended.
fn gets_the_rest(mut client: Client, server: &TestServer, end: impl FnOnce(&mut Client)) {
    let mut watcher = Client::connect(server.addr());
    watcher.join(&["t"]);
    client.join(&["t"]);
    watcher.say("t", "before");
    watcher.sync();
    client.say("t", "last");
    end(&mut client);
    watcher.expect("t", "last");
    client.expect("t", "before");
    client.expect_end();
}

#[test]
fn a_frame_says_that_everything_was_sent_like_a_half_close() {
    let server = server::optional();
    let addr = server.addr();
    gets_the_rest(Client::connect(addr), &server, |client| client.send(END));
    gets_the_rest(server::connect(addr), &server, |client| client.send(END));
    gets_the_rest(server::connect(addr), &server, |client| {
        client.finish_sending();
    });
}

#[test]
fn nothing_after_that_frame_is_read() {
    let server = server::optional();
    let mut watcher = server.join(&["t"]);
    for mut client in [
        Client::connect(server.addr()),
        server::connect(server.addr()),
    ] {
        client.send(&registration(&["t"]));
        client.send(&[&message("t", "last"), END, &message("t", "late")].concat());
        client.send(&message("t", "later"));
        client.expect_end();
        watcher.expect("t", "last");
    }
    watcher.sync();
}

#[test]
fn that_frame_waits_for_answers_and_leaves_a_classic_client_classic() {
    let server = server::optional();
    let mut publisher = server.join(&["t"]);
    publisher.say("t", "1");
    publisher.sync();
    let mut client = server::connect(server.addr());
    client.send(&[b"{\"extended\":{\"history\":{\"topic\":\"t\"}}}", END].concat());
    let history = client.expect_event("history");
    assert_eq!(history["messages"].as_array().unwrap().len(), 1);
    client.expect_end();
    // Its errors are still those of a classic client.
    let mut client = server::connect(server.addr());
    client.send(b"[]");
    client.send(END);
    client.expect_error("not-an-object");
    client.expect_end();
}

#[test]
fn the_frame_ends_an_extended_connection_and_gives_its_name_back() {
    let server = server::optional();
    let (mut first, _) = server.extended(&["t"], json!({"user": "alice"}));
    first.send(END);
    first.expect_end();
    let (mut second, _) = server.extended(&["t"], json!({"user": "alice"}));
    second.sync_extended();
}

#[test]
fn a_cut_connection_is_broken_and_what_was_whole_is_relayed() {
    let server = server::optional();
    let mut watcher = server.join(&["t"]);
    let stream = Stream::tls(server::socket(server.addr())).unwrap();
    let mut client = Client::with(stream.clone());
    client.join(&["t"]);
    let half = &message("t", "half")[..20];
    client.send(&[&message("t", "whole"), half].concat());
    // The socket's end, without TLS's.
    stream.socket().shutdown(Shutdown::Write).unwrap();
    watcher.expect("t", "whole");
    // It has left: nobody is sent there any more, and its place is free.
    crate::common::eventually("it to have left", || {
        let (mut asker, _) = server.extended(&["t"], json!({}));
        asker.ask(json!({"who": "t"}));
        let members = asker.expect_event("members");
        (members["count"] == 2).then_some(())
    });
}

#[test]
fn the_server_says_that_it_has_sent_everything() {
    let server = server::optional();
    let mut client = server::join(server.addr(), "t");
    client.send(b"HELO");
    client.expect_error("not-json");
    // A cut would be an error here.
    client.expect_end();
}

#[test]
fn a_slow_reader_gets_whole_lines_and_the_reason_in_any_case() {
    let server = server::with(|config| config.max_outbox = 200_000);
    let mut bystanders = Bystanders::on(&server);
    let mut publisher = server.join(&["t"]);
    let slow = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    slow.set_recv_buffer_size(4096).unwrap();
    slow.connect(&server.addr().into()).unwrap();
    let mut slow = Client::with(Stream::tls(slow.into()).unwrap());
    slow.join(&["t"]);
    let text = "x".repeat(10_000);
    for _ in 0..800 {
        publisher.say("t", &text);
    }
    publisher.sync();
    bystanders.talk();
    let mut texts = slow.texts_to_the_end();
    let (topic, reason) = texts.pop().unwrap();
    assert_eq!(topic, "error");
    assert!(reason.starts_with("slow-reader: "), "{reason}");
    assert!(texts.iter().all(|(_, each)| *each == text));
    bystanders.talk();
}
