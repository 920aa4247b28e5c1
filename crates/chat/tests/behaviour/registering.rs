//! What a client asks for when it registers, and what a server may answer.

use std::net::TcpListener;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use crate::peer::{Peer, listen};
use crate::process::Process;

/// A chat on the topic `t`, its server, and its registration, unanswered.
fn registering(options: &[&str]) -> (Process, Peer, Value, TcpListener, String) {
    let (listener, address) = listen();
    let chat = Process::chat(&[&["-topic", &address, "t"], options].concat());
    let (server, registration) = Peer::accept_registration(&listener);
    (chat, server, registration, listener, address)
}

fn answer(server: &mut Peer, state: &Value) {
    server.tells(&json!({"registered": {"topics": {"t": state}}}));
}

#[test]
fn it_registers_with_a_secret_that_stays_the_same_for_this_run() {
    let (mut chat, mut server, first, listener, address) = registering(&[]);
    let client = first["extended"]["client"].as_str().unwrap().to_owned();
    assert_eq!(client.len(), 32);
    assert!(client.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let (_, source) = server.ends();
    let extended = json!({"client": client});
    assert_eq!(
        first,
        json!({"source": source, "topics": ["t"], "extended": extended})
    );
    answer(&mut server, &json!({"epoch": "5f1c", "seq": 57}));
    chat.notice(&format!("joined t at {address}"));
    drop(server);

    let (server, second) = Peer::accept_registration(&listener);
    let (_, source) = server.ends();
    let resume = json!({"t": {"epoch": "5f1c", "seq": 57}});
    let extended = json!({"client": client, "resume": resume});
    assert_eq!(
        second,
        json!({"source": source, "topics": ["t"], "extended": extended})
    );

    let (_chat, _server, other, ..) = registering(&[]);
    assert_ne!(other["extended"]["client"], client);
}

#[test]
fn it_is_not_said_to_have_joined_before_the_server_says_so() {
    let (mut chat, mut server, ..) = registering(&[]);
    answer(&mut server, &json!({"epoch": "e", "seq": 0}));
    server.tells(&json!({"error": {"code": "unknown-user", "text": "next"}}));
    assert!(chat.next_notice().contains("joined t at"));
    assert!(chat.next_notice().contains("unknown-user: next"));
}

#[test]
fn name_and_last_are_asked_for_and_last_only_until_it_is_answered() {
    let (mut chat, server, first, listener, _) = registering(&["--name", "alice", "--last", "20"]);
    let client = &first["extended"]["client"];
    let expected = json!({"client": client, "user": "alice", "last": 20});
    assert_eq!(first["extended"], expected);
    // Lost before the answer: nothing is known, and the same is asked for.
    drop(server);
    let (mut server, second) = Peer::accept_registration(&listener);
    assert_eq!(second["extended"], expected);
    answer(&mut server, &json!({"epoch": "e", "seq": 57}));
    server.delivers(38, "t", "one");
    assert_eq!(chat.line(), "t:one");
    // Lost within the replay: it goes on there.
    drop(server);
    let (_, third) = Peer::accept_registration(&listener);
    let resume = json!({"t": {"epoch": "e", "seq": 38}});
    assert_eq!(
        third["extended"],
        json!({"client": client, "user": "alice", "resume": resume})
    );
}

#[test]
fn since_is_counted_back_from_the_start() {
    let now = || SystemTime::UNIX_EPOCH.elapsed().unwrap();
    let ago = Duration::from_secs(600);
    let before = now() - ago;
    let (mut chat, mut server, first, listener, _) = registering(&["--since", "10m"]);
    let after = now() - ago;
    let since = first["extended"]["since"].as_u64().unwrap();
    assert!(
        (before.as_millis()..=after.as_millis()).contains(&u128::from(since)),
        "{since}"
    );
    answer(&mut server, &json!({"epoch": "e", "seq": 57}));
    chat.notice("joined");
    // Nothing has come: the same time is asked for, not one from now.
    drop(server);
    let (mut server, second) = Peer::accept_registration(&listener);
    assert_eq!(second["extended"], first["extended"]);
    answer(&mut server, &json!({"epoch": "e", "seq": 58}));
    server.delivers(50, "t", "one");
    assert_eq!(chat.line(), "t:one");
    drop(server);
    let (_, third) = Peer::accept_registration(&listener);
    assert_eq!(third["extended"].get("since"), None);
    assert_eq!(third["extended"]["resume"]["t"]["seq"], 50);
}

#[test]
fn a_name_that_is_taken_is_a_failure_that_says_what_to_do() {
    let told = "name-taken: alice is somebody else";
    for classic in [false, true] {
        let (mut chat, mut server, _, _listener, address) = registering(&["--name", "alice"]);
        // What is typed by then mustn't keep it.
        chat.types("hello");
        if classic {
            server.says("error", told);
        } else {
            let error = json!({"code": "name-taken", "text": "alice is somebody else"});
            server.tells(&json!({"error": error}));
            let error = json!({"code": "not-registered", "text": "", "id": "x-1"});
            server.tells(&json!({"error": error}));
        }
        assert_eq!(chat.exit_code(), 1);
        chat.notice(&format!(
            "the name alice is taken at {address}: choose another one (--name)"
        ));
        assert_eq!(chat.rest(), [""; 0]);
    }
}

#[test]
fn a_name_that_our_own_old_connection_still_holds_is_tried_again() {
    let (mut chat, mut server, _, listener, _) = registering(&["--name", "alice"]);
    answer(&mut server, &json!({"epoch": "e", "seq": 0}));
    chat.types("kept");
    let frame = server.read();
    drop(server);
    for _ in 0..2 {
        let (mut server, _) = Peer::accept_registration(&listener);
        let error = json!({"code": "name-taken", "text": "alice is connected"});
        server.tells(&json!({"error": error}));
        // That its lines are refused too is no last word.
        let id = &frame["extended"]["id"];
        let error = json!({"code": "not-registered", "text": "register first", "id": id});
        server.tells(&json!({"error": error}));
        chat.notice("is lost: name-taken: alice is connected");
    }
    let mut server = Peer::accept_registered(&listener, "t");
    assert_eq!(server.text(), "kept");
    assert_eq!(chat.finishes(), 0);
}

#[test]
fn any_other_refusal_is_a_failure_in_the_servers_words() {
    let (mut chat, mut server, _, _listener, address) = registering(&[]);
    let error = json!({"code": "too-many-topics", "text": "one is too many"});
    server.tells(&json!({"error": error}));
    assert_eq!(chat.exit_code(), 1);
    chat.notice(&format!(
        "{address} refused to let us join: too-many-topics: one is too many"
    ));

    let (mut chat, mut server, ..) = registering(&[]);
    server.tells(&json!({"registered": {"topics": {}}}));
    assert_eq!(chat.exit_code(), 1);
    chat.notice("refused to let us join");
}

#[test]
fn a_refusal_that_passes_is_not_the_end() {
    for code in ["no-quorum", "storage-busy"] {
        let (mut chat, mut server, _, listener, _) = registering(&[]);
        chat.types("kept");
        server.tells(&json!({"error": {"code": code, "text": "come back"}}));
        chat.notice(&format!("is lost: {code}: come back"));
        let mut server = Peer::accept_registered(&listener, "t");
        assert_eq!(server.text(), "kept");
        assert_eq!(chat.finishes(), 0);
    }
}
