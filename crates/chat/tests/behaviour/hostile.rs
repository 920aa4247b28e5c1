//! Peers that send what no peer should. Named after what they do.

use crate::peer::{Peer, listen};
use crate::process::Process;

/// What can't be read as frames, and a word of what is said about it.
fn streams() -> Vec<(Vec<u8>, &'static str)> {
    vec![
        (b"GET / HTTP/1.1\r\n\r\n".into(), "not-json"),
        (
            b"{\"message\":{\"topic\":\"a\",\"text\":\"\xff\"}}".into(),
            "not-utf8",
        ),
        (b"[".repeat(1_000), "too-deep"),
        (
            b" {\"a\":[["
                .iter()
                .copied()
                .chain(b"1,".repeat(40_000))
                .collect(),
            "too-long",
        ),
        (
            [b"{\"text\":\"", b"x".repeat(70_000).as_slice()].concat(),
            "too-long",
        ),
    ]
}

#[test]
fn no_frames_end_a_callers_connection_with_one_line_and_code_1() {
    for (bytes, word) in streams() {
        let (listener, address) = listen();
        let mut chat = Process::chat(&["-direct", "0", &address]);
        let mut peer = Peer::accept(&listener);
        peer.says("direct", "before");
        peer.sends(&bytes);
        // It is told why, in the form that every client prints.
        let (topic, text) = peer.message();
        assert_eq!(topic, "error");
        assert!(text.to_lowercase().contains(&word.to_lowercase()), "{text}");
        drop(peer);
        assert_eq!(chat.exit_code(), 1);
        assert_eq!(chat.rest(), ["direct:before"]);
        assert!(chat.notice("is lost").contains(word));
    }
}

#[test]
fn no_frames_end_only_that_connection_of_a_listener() {
    let (mut chat, port) = Process::listener(&[]);
    for (bytes, word) in streams() {
        let mut peer = Peer::connect(port);
        peer.sends(&bytes);
        assert_eq!(peer.message().0, "error");
        assert!(chat.notice("is lost").contains(word));
    }
    let mut peer = Peer::connect(port);
    peer.says("direct", "well-behaved");
    assert_eq!(chat.line(), "direct:well-behaved");
    drop(peer);
    chat.notice("left");
    assert_eq!(chat.finishes(), 0);
}

#[test]
fn half_a_frame_and_gone() {
    let (listener, address) = listen();
    let mut chat = Process::chat(&["-direct", "0", &address]);
    let mut peer = Peer::accept(&listener);
    peer.sends(b"{\"message\":{\"topic\":\"a\",\"te");
    drop(peer);
    assert_eq!(chat.exit_code(), 1);
    chat.notice("ended in the middle of a frame");

    let (mut chat, port) = Process::listener(&[]);
    Peer::connect(port).sends(b"{\"mess");
    chat.notice("ended in the middle of a frame");
    chat.notice("waiting for the next caller");
}

#[test]
fn a_frame_in_single_bytes_and_many_frames_in_one_piece() {
    let (mut chat, port) = Process::listener(&[]);
    let mut peer = Peer::connect(port);
    for byte in "{\"message\":{\"topic\":\"a\",\"text\":\"é🎈\"}}".bytes() {
        peer.sends(&[byte]);
    }
    assert_eq!(chat.line(), "a:é🎈");
    peer.sends(
        "{\"message\":{\"topic\":\"a\",\"text\":\"b\"}}"
            .repeat(1_000)
            .as_bytes(),
    );
    for _ in 0..1_000 {
        assert_eq!(chat.line(), "a:b");
    }
}

#[test]
fn nothing_a_peer_sends_steers_the_terminal_or_forges_a_line() {
    let (mut chat, port) = Process::listener(&[]);
    let mut peer = Peer::connect(port);
    peer.says("a", "\u{1b}[2J\u{1b}]0;title\u{7}");
    assert_eq!(chat.line(), r"a:\u001b[2J\u001b]0;title\u0007");
    peer.says("a", "one\nb:two\r\n\tthree");
    assert_eq!(chat.line(), r"a:one\nb:two\r\n\tthree");
    peer.says("\u{1b}[31m\n", "\u{9b}31m\u{85}\u{2028}");
    assert_eq!(chat.line(), r"\u001b[31m\n:\u009b31m\u0085\u2028");
    peer.says("a", "\u{202e}txt.exe\u{2066}\u{7f}");
    assert_eq!(chat.line(), r"a:\u202etxt.exe\u2066\u007f");
    peer.says("a", r"C:\new\u0041");
    assert_eq!(chat.line(), r"a:C:\new\u0041");
}

#[test]
fn three_hundred_callers_come_and_vanish() {
    let (mut chat, port) = Process::listener(&[]);
    let mut first = Peer::connect(port);
    chat.notice("connected");
    for number in 0..300 {
        let mut peer = Peer::connect(port);
        match number % 3 {
            0 => peer.sends(b"{\"mess"),
            1 => peer.resets(),
            _ => {}
        }
    }
    first.says("direct", "still there");
    assert_eq!(chat.line(), "direct:still there");
    chat.types("and you?");
    assert_eq!(first.text(), "and you?");
}
