//! Direct mode: one peer at a time, one after another, in both directions.

use std::io::Write as _;

use serde_json::json;

use crate::peer::{Peer, listen};
use crate::process::{Process, file_of_lines};

#[test]
fn frames_carry_the_real_addresses_and_the_topic_direct() {
    let (mut chat, port) = Process::listener(&[]);
    let mut peer = Peer::connect(port);
    let (here, there) = peer.ends();
    chat.types("hello");
    assert_eq!(
        peer.frame(),
        json!({
            "source": there,
            "destination": here,
            "message": {"topic": "direct", "text": "hello"}
        })
    );
}

#[test]
fn what_the_peer_says_is_shown_under_its_own_topic_and_the_rest_passed_over() {
    let (mut chat, port) = Process::listener(&[]);
    let mut peer = Peer::connect(port);
    peer.sends(br#"{"source":{},"topics":["a"]} {"hello":1} [1] null {"message":{"text":"x"}}"#);
    peer.says("", "no topic");
    peer.says("lame", "one");
    assert_eq!(chat.line(), ":no topic");
    assert_eq!(chat.line(), "lame:one");
}

#[test]
fn a_second_caller_is_told_that_we_are_busy_and_the_first_is_not_disturbed() {
    let (mut chat, port) = Process::listener(&[]);
    let mut first = Peer::connect(port);
    chat.notice("connected");
    let mut second = Peer::connect(port);
    // What it said already mustn't destroy the answer.
    second.says("direct", "hello?");
    let (topic, text) = second.message();
    assert_eq!(topic, "error");
    assert!(text.starts_with("busy: "), "{text}");
    assert_eq!(second.rest(), "");
    chat.notice("that you are busy");
    chat.types("undisturbed");
    assert_eq!(first.text(), "undisturbed");
    first.says("direct", "indeed");
    assert_eq!(chat.line(), "direct:indeed");
}

#[test]
fn a_chat_that_calls_somebody_busy_says_so_and_fails() {
    let (mut chat, port) = Process::listener(&[]);
    let _first = Peer::connect(port);
    chat.notice("connected");
    let mut second = Process::caller(port, &[]);
    second.notice("is busy talking to somebody else");
    assert!(second.line().starts_with("error:busy: "));
    assert_eq!(second.exit_code(), 1);
}

#[test]
fn the_next_caller_is_taken_when_the_first_has_left() {
    let (mut chat, port) = Process::listener(&[]);
    for name in ["first", "second", "third"] {
        let mut peer = Peer::connect(port);
        chat.notice("connected");
        peer.says("direct", name);
        assert_eq!(chat.line(), format!("direct:{name}"));
        chat.types(name);
        assert_eq!(peer.text(), name);
        drop(peer);
        chat.notice("left");
        chat.notice("waiting for the next caller");
    }
    assert_eq!(chat.finishes(), 0);
}

#[test]
fn a_caller_right_behind_one_that_left_is_not_told_that_we_are_busy() {
    let (chat, port) = Process::listener(&[]);
    for _ in 0..8 {
        let mut peer = Peer::connect(port);
        peer.says("direct", "gone at once");
        drop(peer);
        // Accepted, or still waiting to be: it has said all it has to say.
    }
    let mut last = Peer::connect(port);
    last.shuts_down();
    assert_eq!(last.rest(), "");
    drop(chat);
}

#[test]
fn lines_typed_while_nobody_is_connected_are_kept_for_the_next_caller() {
    let (mut chat, port) = Process::listener(&[]);
    chat.types("one");
    chat.notice("nobody is connected: what is typed is kept");
    chat.types("two");
    chat.ends_input();
    let mut peer = Peer::connect(port);
    assert_eq!((peer.text(), peer.text()), ("one".into(), "two".into()));
    assert_eq!(peer.rest(), "");
    drop(peer);
    assert_eq!(chat.exit_code(), 0);
    assert!(!chat.notices().iter().any(|line| line.contains("is kept")));
}

#[test]
fn lines_that_a_lost_peer_did_not_get_go_to_the_next() {
    let (mut chat, port) = Process::listener(&[]);
    let mut peer = Peer::connect(port);
    let mut input = chat.take_input();
    let typing = std::thread::spawn(move || {
        for number in 0..20_000 {
            writeln!(input, "{number} {}", "x".repeat(1000)).unwrap();
        }
    });
    assert_eq!(number_of(&peer.text()), 0);
    peer.resets();
    chat.notice("is lost");
    chat.notice("waiting for the next caller");
    let mut next = Peer::connect(port);
    let first = number_of(&next.text());
    for number in first + 1..20_000 {
        assert_eq!(number_of(&next.text()), number);
    }
    typing.join().unwrap();
    drop(next);
    assert_eq!(chat.exit_code(), 0);
}

fn number_of(text: &str) -> usize {
    text.split(' ').next().unwrap().parse().unwrap()
}

#[test]
fn the_caller_ends_when_its_peer_closes() {
    let (listener, address) = listen();
    let mut chat = Process::chat(&["-direct", "0", &address]);
    let mut peer = Peer::accept(&listener);
    peer.says("direct", "bye");
    drop(peer);
    assert_eq!(chat.exit_code(), 0);
    assert_eq!(chat.rest(), ["direct:bye"]);
    chat.notice(&format!("{address} left"));
}

#[test]
fn the_caller_fails_when_the_connection_is_reset() {
    let (listener, address) = listen();
    let mut chat = Process::chat(&["-direct", "0", &address]);
    let peer = Peer::accept(&listener);
    chat.notice("connected");
    chat.types("hello");
    peer.resets();
    assert_eq!(chat.exit_code(), 1);
    chat.notice(&format!("the connection to {address} is lost"));
}

#[test]
fn the_caller_says_how_many_lines_it_could_not_send() {
    let (listener, address) = listen();
    // More than the connection holds.
    let mut chat = Process::caller_reading(file_of_lines(40_000, 1_000), &address, &[]);
    let mut peer = Peer::accept(&listener);
    peer.shuts_down();
    for _ in 0..2_000 {
        peer.text();
    }
    drop(peer);
    assert_eq!(chat.exit_code(), 1);
    chat.notice("could not be sent");
}

#[test]
fn a_peer_that_has_finished_still_gets_all_of_a_long_input() {
    let file = file_of_lines(5_000, 500);
    let (mut chat, port) = Process::listener_reading(&file, &[]);
    let mut peer = Peer::connect(port);
    peer.says("direct", "that is all");
    peer.shuts_down();
    assert_eq!(peer.rest().lines().count(), 5_000);
    drop(peer);
    assert_eq!(chat.exit_code(), 0);
    assert_eq!(chat.rest(), ["direct:that is all"]);
}

#[test]
fn megabytes_go_both_ways_at_once() {
    for (waiting_lines, calling_lines) in [(4_000, 4_000), (4_000, 1), (1, 4_000)] {
        let options = ["--drain-timeout", "60"];
        let file = file_of_lines(waiting_lines, 1_000);
        let (mut waiting, port) = Process::listener_reading(&file, &options);
        let file = file_of_lines(calling_lines, 1_000);
        let mut calling = Process::caller_reading(file, &format!("127.0.0.1:{port}"), &options);
        for (chat, count) in [(&mut calling, waiting_lines), (&mut waiting, calling_lines)] {
            let lines = chat.rest();
            assert_eq!(lines.len(), count, "{:#?}", chat.notices());
            for (number, line) in lines.iter().enumerate() {
                assert!(line.starts_with(&format!("direct:{number} é")), "{line}");
            }
            assert_eq!(chat.exit_code(), 0);
        }
    }
}

#[test]
fn ipv6_and_ipv4_reach_the_same_port() {
    let (mut chat, port) = Process::listener(&[]);
    for host in ["127.0.0.1", "[::1]", "localhost"] {
        let address = format!("{host}:{port}");
        if host == "[::1]" && std::net::TcpListener::bind("[::1]:0").is_err() {
            continue;
        }
        let mut caller = Process::chat(&["-direct", "0", &address]);
        let notice = chat.notice("connected");
        // An IPv4 address isn't shown as the IPv6 one that carries it.
        assert!(!notice.contains("ffff"), "{notice}");
        assert_eq!(caller.finishes(), 0);
        chat.notice("left");
    }
}
