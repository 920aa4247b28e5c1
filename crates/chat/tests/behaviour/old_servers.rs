//! Servers that don't know the extended protocol.

use std::net::TcpListener;

use serde_json::json;

use crate::peer::{Peer, listen};
use crate::process::Process;

const SAID: &str = "doesn't know the extended protocol";

/// A chat on the topic `t`, and its server, which hasn't answered.
fn registering() -> (Process, Peer, TcpListener) {
    let (listener, address) = listen();
    let chat = Process::chat(&["-topic", &address, "t"]);
    let (server, registration) = Peer::accept_registration(&listener);
    assert!(registration["extended"].is_object());
    (chat, server, listener)
}

#[test]
fn a_message_before_the_answer_gives_an_old_server_away() {
    let (mut chat, mut server, listener) = registering();
    server.says("t", "one");
    assert_eq!(chat.line(), "t:one");
    chat.notice("joined t at");
    chat.notice(SAID);
    chat.types("two");
    let frame = server.read();
    assert_eq!(frame["message"]["text"], "two");
    assert_eq!(frame.get("extended"), None);
    // It may have been replaced by a newer one meanwhile.
    drop(server);
    let (mut server, registration) = Peer::accept_registration(&listener);
    assert_eq!(registration["extended"].get("resume"), None);
    server.says("t", "three");
    assert_eq!(chat.line(), "t:three");
    drop(server);
    let mut server = Peer::accept_registered(&listener, "t");
    chat.types("four");
    assert!(server.frame()["extended"]["id"].is_string());
    assert_eq!(chat.finishes(), 0);
    let notices = chat.notices();
    assert!(
        !notices.iter().any(|line| line.contains(SAID)),
        "{notices:?}"
    );
}

#[test]
fn the_end_of_a_pipe_does_not_wait_for_what_an_old_server_never_says() {
    let (mut chat, mut server, _listener) = registering();
    chat.types("one");
    assert_eq!(server.read()["message"]["text"], "one");
    chat.ends_input();
    server.says("t", "anything");
    assert_eq!(server.rest(), "");
    drop(server);
    assert_eq!(chat.exit_code(), 0);
    assert_eq!(chat.rest(), ["t:anything"]);
}

#[test]
fn an_old_server_that_refuses_what_it_does_not_know_gets_everything_in_the_old_way() {
    for code in ["unknown-frame", "bad-frame"] {
        let (mut chat, mut server, _listener) = registering();
        chat.types("one");
        let early = server.read();
        assert_eq!(early["message"]["text"], "one");
        server.says("error", &format!("{code}: what is this?"));
        server.says("error", "not-registered: your message was discarded");
        let id = &early["extended"]["id"];
        server.tells(&json!({"error": {"code": "not-registered", "text": "", "id": id}}));
        let (here, there) = server.ends();
        assert_eq!(server.read(), json!({"source": there, "topics": ["t"]}));
        chat.types("two");
        for text in ["one", "two"] {
            let message = json!({"topic": "t", "text": text});
            let frame = json!({"source": there, "destination": here, "message": message});
            assert_eq!(server.read(), frame);
        }
        chat.notice(SAID);
        chat.ends_input();
        assert_eq!(server.rest(), "");
        drop(server);
        assert_eq!(chat.exit_code(), 0);
    }
}

#[test]
fn a_server_that_says_nothing_is_taken_for_an_old_one_until_it_answers() {
    let (mut chat, mut server, _listener) = registering();
    chat.types("one");
    assert_eq!(server.read()["message"]["text"], "one");
    chat.notice("joined t at");
    chat.notice(SAID);
    let state = json!({"epoch": "e", "seq": 3});
    server.tells(&json!({"registered": {"topics": {"t": state}}}));
    chat.notice("has answered after all");
    server.delivers(4, "t", "now");
    assert_eq!(chat.line(), "t:now");
    chat.types("two");
    assert!(server.frame()["extended"]["id"].is_string());
    assert_eq!(chat.finishes(), 0);
}
