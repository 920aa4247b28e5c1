//! Ctrl-C ends it at once, whatever it is doing.

use crate::peer::{Peer, listen};
use crate::process::Process;

fn ends(mut chat: Process) {
    chat.interrupt();
    assert_eq!(chat.exit_code(), 130);
}

#[test]
fn while_it_waits_for_a_caller() {
    let (chat, _) = Process::listener(&[]);
    ends(chat);
}

#[test]
fn while_it_talks() {
    let (mut chat, port) = Process::listener(&[]);
    let _peer = Peer::connect(port);
    chat.notice("connected");
    ends(chat);
}

#[cfg(target_os = "linux")]
#[test]
fn while_it_dials() {
    let silent = crate::peer::Silent::new();
    let mut chat = Process::chat(&["-direct", "0", &silent.address]);
    chat.notice("still connecting to");
    ends(chat);
}

#[test]
fn while_it_waits_to_try_again() {
    let (listener, address) = listen();
    let mut chat = Process::chat(&["-topic", &address, "t"]);
    drop(Peer::accept_registered(&listener, "t"));
    drop(listener);
    for _ in 0..2 {
        chat.notice("trying again in");
    }
    ends(chat);
}

#[test]
fn while_nobody_reads_its_output() {
    let (mut chat, port) = Process::blocked_listener();
    let mut peer = Peer::connect(port);
    chat.notice("connected");
    let text = "x".repeat(1_000);
    for _ in 0..500 {
        peer.says("direct", &text);
    }
    // Also when the only thing left is to write out what came.
    drop(peer);
    chat.ends_input();
    ends(chat);
}

#[test]
fn while_its_peer_keeps_the_connection_open() {
    let (listener, address) = listen();
    let mut chat = Process::chat(&["-direct", "0", &address, "--drain-timeout", "600"]);
    let mut peer = Peer::accept(&listener);
    chat.types("bye");
    chat.ends_input();
    assert_eq!(peer.text(), "bye");
    assert_eq!(peer.rest(), "");
    ends(chat);
}

#[test]
fn while_its_peer_reads_nothing() {
    let (listener, address) = listen();
    let mut chat = Process::chat(&["-direct", "0", &address]);
    let _peer = Peer::accept(&listener);
    let mut input = chat.take_input();
    std::thread::spawn(move || {
        use std::io::Write as _;
        while input.write_all(&[b'x'; 100]).is_ok() && input.write_all(b"\n").is_ok() {}
    });
    chat.notice("connected");
    ends(chat);
}
