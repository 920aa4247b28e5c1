//! Topic mode: registering, losing the server, and coming back.

use std::net::TcpListener;

use topicserver::Config;

use crate::peer::{Peer, listen};
use crate::process::Process;
use crate::server::{start_server, start_server_with, wait_until_registered};

/// A chat on the topic `t`, and the server at which it is registered.
pub(crate) fn joined(options: &[&str]) -> (Process, Peer, TcpListener, String) {
    let (listener, address) = listen();
    let mut arguments = vec!["-topic", &address, "t"];
    arguments.extend(options);
    let mut chat = Process::chat(&arguments);
    let server = Peer::accept_registered(&listener, "t");
    chat.notice(&format!("joined t at {address}"));
    (chat, server, listener, address)
}

/// What holds for the specification's frames alone, and for what is beyond.
const BOTH: [&[&str]; 2] = [&[], &["--classic"]];

#[test]
fn it_registers_before_it_says_anything() {
    for options in BOTH {
        let (listener, address) = listen();
        let arguments = [&["-topic", &address, "t"], options].concat();
        let mut chat = Process::chat(&arguments);
        chat.types("hello");
        let mut server = Peer::accept_registered(&listener, "t");
        assert_eq!(server.message(), ("t".into(), "hello".into()));
    }
}

#[test]
fn a_script_sends_a_file_and_everybody_gets_it() {
    let server = start_server();
    let mut reader = Process::chat(&["-topic", &server, "log"]);
    wait_until_registered(&server, "log", &mut reader);
    let mut writer = Process::chat(&["-topic", &server, "log"]);
    let lines: Vec<String> = (0..2_000).map(|number| format!("line {number}")).collect();
    writer.feeds(lines.join("\n").as_bytes());
    assert_eq!(writer.finishes(), 0);
    for line in lines {
        assert_eq!(reader.line(), format!("log:{line}"));
    }
    assert_eq!(reader.finishes(), 0);
}

#[test]
fn a_topic_can_begin_with_a_dash_or_hold_anything_printable() {
    let server = start_server();
    for topic in ["-stay", "a b:c", "騒ぎ\"\\"] {
        let mut chat = Process::chat(&["-topic", &server, "--", topic]);
        wait_until_registered(&server, topic, &mut chat);
        assert_eq!(chat.finishes(), 0);
    }
}

#[test]
fn a_lost_server_is_said_and_joined_again() {
    for options in BOTH {
        let (mut chat, mut server, listener, address) = joined(options);
        for round in 0..2 {
            server.says("t", &format!("round {round}"));
            assert_eq!(chat.line(), format!("t:round {round}"));
            if round == 0 {
                server.resets();
            } else {
                drop(server);
            }
            chat.notice(&format!("the connection to {address} is lost: "));
            chat.notice("trying again in");
            server = Peer::accept_registered(&listener, "t");
            chat.notice(&format!("joined t at {address} again"));
        }
        chat.types("back");
        assert_eq!(server.text(), "back");
    }
}

#[test]
fn what_is_typed_while_the_server_is_away_is_sent_when_it_is_back() {
    for options in BOTH {
        let (mut chat, server, listener, address) = joined(options);
        drop(server);
        drop(listener);
        chat.notice("is lost");
        chat.types("one");
        chat.notice("not connected: what is typed is kept");
        chat.types("two");
        chat.notice("refused the connection");
        let listener = TcpListener::bind(address).unwrap();
        let mut server = Peer::accept_registered(&listener, "t");
        assert_eq!((server.text(), server.text()), ("one".into(), "two".into()));
        chat.ends_input();
        assert_eq!(server.rest(), "");
        drop(server);
        assert_eq!(chat.exit_code(), 0);
    }
}

#[test]
fn with_lines_unsent_the_end_of_the_input_does_not_end_the_attempts() {
    for options in BOTH {
        let (mut chat, server, listener, address) = joined(options);
        drop(server);
        drop(listener);
        chat.notice("is lost");
        chat.types("important");
        chat.ends_input();
        chat.notice("refused the connection");
        let listener = TcpListener::bind(address).unwrap();
        let mut server = Peer::accept_registered(&listener, "t");
        assert_eq!(server.text(), "important");
        assert_eq!(server.rest(), "");
        drop(server);
        assert_eq!(chat.exit_code(), 0);
    }
}

#[test]
fn with_nothing_unsent_the_end_of_a_classic_input_ends_the_attempts() {
    let (mut chat, mut server, listener, _) = joined(&["--classic"]);
    chat.types("sent");
    assert_eq!(server.text(), "sent");
    drop(server);
    drop(listener);
    chat.notice("trying again in");
    assert_eq!(chat.finishes(), 1);
    chat.notice("the last lines may not have arrived");
}

#[test]
fn without_reconnecting_a_lost_server_is_a_failure() {
    for options in BOTH {
        let (mut chat, server, _listener, address) =
            joined(&[&["--no-reconnect"], options].concat());
        drop(server);
        assert_eq!(chat.exit_code(), 1);
        chat.notice(&format!(
            "the connection to {address} is lost: the other side closed it"
        ));
    }
}

#[test]
fn a_server_that_sends_no_frames_is_left_and_joined_again() {
    for options in BOTH {
        let (mut chat, mut server, listener, _) = joined(options);
        server.sends(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        assert!(chat.notice("is lost").contains("not-json"));
        let mut server = Peer::accept_registered(&listener, "t");
        server.says("t", "now in frames");
        assert_eq!(chat.line(), "t:now in frames");
    }
}

#[test]
fn with_stay_it_receives_and_comes_back_after_the_end_of_the_input() {
    for options in BOTH {
        let (mut chat, mut server, listener, _) = joined(&[&["--stay"], options].concat());
        chat.ends_input();
        server.says("t", "one");
        assert_eq!(chat.line(), "t:one");
        drop(server);
        let mut server = Peer::accept_registered(&listener, "t");
        server.says("t", "two");
        assert_eq!(chat.line(), "t:two");
    }
}

#[test]
fn a_topic_that_never_pauses_does_not_keep_it_from_ending() {
    for options in BOTH {
        let (mut chat, mut server, _listener, _) =
            joined(&[&["--drain-timeout", "0.2"], options].concat());
        chat.ends_input();
        let talking = std::thread::spawn(move || {
            let line = b"{\"message\":{\"topic\":\"t\",\"text\":\"on and on\"}}\n";
            while server.try_sends(line) {}
        });
        assert_eq!(chat.exit_code(), 0);
        chat.notice("keeps the connection open");
        talking.join().unwrap();
    }
}

#[test]
fn what_a_server_says_before_it_closes_is_printed() {
    for options in BOTH {
        let (mut chat, mut server, _listener, _) = joined(&[&["--no-reconnect"], options].concat());
        server.says("error", "too-many-connections: come back later");
        drop(server);
        assert_eq!(chat.line(), "error:too-many-connections: come back later");
        assert_eq!(chat.exit_code(), 1);
    }
}

#[test]
fn a_server_on_this_machine_is_reached_by_its_unix_socket() {
    let name = format!("natter-chat-{}.sock", std::process::id());
    let path = std::env::temp_dir().join(name);
    let server = start_server_with(&Config {
        unix: Some(path.clone()),
        ..Config::default()
    });
    let address = format!("unix:{}", path.display());
    for options in BOTH {
        let mut reader = Process::chat(&[&["-topic", &address, "t"], options].concat());
        wait_until_registered(&server, "t", &mut reader);
        let mut writer = Process::chat(&[&["-topic", &address, "t"], options].concat());
        writer.feeds(b"hello");
        assert_eq!(writer.finishes(), 0);
        assert_eq!(reader.line(), "t:hello");
        assert_eq!(reader.finishes(), 0);
    }
    std::fs::remove_file(path).unwrap();
    // Nobody listens there any more.
    let mut lost = Process::chat(&["-topic", &address, "t"]);
    lost.notice(&format!("can't connect to {address}"));
    assert_eq!(lost.finishes(), 1);
}
