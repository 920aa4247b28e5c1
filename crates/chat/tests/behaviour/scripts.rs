//! What scripts need: an end they can wait for, and an exit code that says which.

use std::io::Read as _;
use std::process::Stdio;

use crate::peer::{Peer, listen};
use crate::process::{Process, chat};
use crate::server::start_server;

#[test]
fn it_ends_after_so_many_messages_and_has_delivered_what_it_read() {
    let server = start_server();
    let mut chat = Process::chat(&["-topic", &server, "t", "--count", "2"]);
    let mut bob = Process::chat(&["-topic", &server, "t", "--count", "1"]);
    chat.notice("joined");
    bob.notice("joined");
    chat.types("question");
    assert_eq!(bob.line(), "t:question");
    assert_eq!(bob.exit_code(), 0);
    let mut bob = Process::chat(&["-topic", &server, "t"]);
    for text in ["one", "two", "three"] {
        bob.types(text);
    }
    assert_eq!(bob.finishes(), 0);
    assert_eq!(chat.exit_code(), 0);
    assert_eq!(chat.rest(), ["t:one", "t:two"]);
}

#[test]
fn it_ends_with_another_code_when_nothing_comes() {
    let server = start_server();
    let mut chat = Process::chat(&["-topic", &server, "t", "--count", "1", "--timeout", "0.2"]);
    chat.ends_input();
    assert_eq!(chat.exit_code(), 3);
    chat.notice("no message came within 0.2 s");
}

#[test]
fn a_peer_is_counted_too() {
    let (mut chat, port) = Process::listener(&["--count", "1"]);
    let mut peer = Peer::connect(port);
    peer.says("direct", "one");
    peer.says("direct", "two");
    assert_eq!(chat.line(), "direct:one");
    assert_eq!(peer.rest(), "");
    drop(peer);
    assert_eq!(chat.exit_code(), 0);
    assert_eq!(chat.rest(), [""; 0]);
}

#[test]
fn all_of_the_input_is_one_message() {
    let server = start_server();
    let mut reader = Process::chat(&["-topic", &server, "t", "--json", "--count", "1"]);
    reader.notice("joined");
    let mut chat = Process::chat(&["-topic", &server, "t", "--whole", "--quiet"]);
    chat.feeds(b"one\n\ntwo\r\n");
    assert_eq!(chat.finishes(), 0);
    // It says nothing, because nothing is wrong.
    assert_eq!(chat.notices(), [""; 0]);
    assert!(reader.line().contains("\"text\":\"one\\n\\ntwo\""));
    let mut chat = Process::chat(&["-topic", &server, "t", "--whole"]);
    chat.feeds(&[b'x'; 70_000]);
    assert_eq!(chat.finishes(), 1);
    chat.notice("doesn't fit into a frame");
}

#[cfg(unix)]
#[test]
fn a_reader_that_has_gone_ends_it_although_nothing_comes() {
    let server = start_server();
    let mut command = chat();
    command.args(["-topic", &server, "t", "--quiet"]);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Its input stays open, and nobody says anything.
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let mut said = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut said)
        .unwrap();
    assert_eq!(said, "");
}

#[test]
fn a_server_that_is_late_is_waited_for() {
    for (mode, ready) in [("-topic", "joined"), ("-direct", "connected")] {
        let (listener, address) = listen();
        drop(listener);
        let arguments = match mode {
            "-topic" => vec!["-topic", &address, "t", "--wait", "--classic"],
            _ => vec!["-direct", "0", &address, "--wait"],
        };
        let mut chat = Process::chat(&arguments);
        chat.notice("refused the connection");
        let listener = std::net::TcpListener::bind(&address).unwrap();
        chat.notice(ready);
        drop(listener);
    }
}
