//! What arrives is shown once, whatever becomes of the connection.

use std::net::TcpListener;

use serde_json::{Value, json};

use crate::peer::{Peer, listen};
use crate::process::Process;
use crate::topic::joined;

/// The next connection, whose registration is answered so.
fn back(listener: &TcpListener, state: &Value) -> (Peer, Value) {
    let (mut server, registration) = Peer::accept_registration(listener);
    server.tells(&json!({"registered": {"topics": {"t": state}}}));
    (server, registration)
}

#[test]
fn it_goes_on_after_the_last_message_that_was_shown_and_shows_none_twice() {
    let (mut chat, mut server, listener, address) = joined(&[]);
    server.delivers(1, "t", "one");
    server.delivers(2, "t", "two");
    server.delivers(2, "t", "two again");
    server.delivers(3, "t", "three");
    for text in ["one", "two", "three"] {
        assert_eq!(chat.line(), format!("t:{text}"));
    }
    drop(server);
    let recovered = json!({"epoch": "e1", "seq": 5, "recovered": true});
    let (mut server, registration) = back(&listener, &recovered);
    assert_eq!(
        registration["extended"]["resume"],
        json!({"t": {"epoch": "e1", "seq": 3}})
    );
    chat.notice(&format!("joined t at {address} again"));
    server.delivers(3, "t", "three again");
    server.delivers(4, "t", "four");
    server.delivers(5, "t", "five");
    server.delivers(4, "t", "four again");
    server.delivers(6, "t", "six");
    for text in ["four", "five", "six"] {
        assert_eq!(chat.line(), format!("t:{text}"));
    }
    assert_eq!(chat.finishes(), 0);
    assert_eq!(chat.rest(), [""; 0]);
    let others: Vec<_> = chat.notices();
    assert!(
        !others.iter().any(|line| line.contains("recovered")),
        "{others:?}"
    );
}

#[test]
fn a_frame_that_was_cut_off_is_shown_once_when_it_comes_whole() {
    let (mut chat, mut server, listener, _) = joined(&[]);
    server.delivers(1, "t", "one");
    server.sends(br#"{"extended":{"seq":2,"time":1},"message":{"topic":"t","text":"tw"#);
    assert_eq!(chat.line(), "t:one");
    drop(server);
    chat.notice("it ended in the middle of a frame");
    let recovered = json!({"epoch": "e1", "seq": 2, "recovered": true});
    let (mut server, registration) = back(&listener, &recovered);
    assert_eq!(registration["extended"]["resume"]["t"]["seq"], 1);
    server.delivers(2, "t", "two");
    assert_eq!(chat.line(), "t:two");
}

#[test]
fn a_connection_lost_before_its_answer_changes_nothing() {
    let (mut chat, mut server, listener, _) = joined(&[]);
    server.delivers(1, "t", "one");
    assert_eq!(chat.line(), "t:one");
    drop(server);
    for cut in [
        &b""[..],
        br#"{"extended":{"registered":{"topics":{"t":{"epoch":"e9""#,
    ] {
        let (mut server, registration) = Peer::accept_registration(&listener);
        let resume = json!({"t": {"epoch": "e1", "seq": 1}});
        assert_eq!(registration["extended"]["resume"], resume);
        server.sends(cut);
        drop(server);
        chat.notice("is lost");
    }
    // Lost between its answer and the replay.
    let recovered = json!({"epoch": "e1", "seq": 2, "recovered": true});
    drop(back(&listener, &recovered));
    let (mut server, registration) = back(&listener, &recovered);
    assert_eq!(registration["extended"]["resume"]["t"]["seq"], 1);
    server.delivers(2, "t", "two");
    assert_eq!(chat.line(), "t:two");
}

#[test]
fn what_can_not_be_recovered_is_said() {
    let (mut chat, mut server, listener, _) = joined(&[]);
    server.delivers(7, "t", "seven");
    assert_eq!(chat.line(), "t:seven");
    drop(server);
    // The server's history begins anew.
    let (mut server, _) = back(
        &listener,
        &json!({"epoch": "e2", "seq": 2, "recovered": false}),
    );
    chat.notice(
        "messages of t that were sent meanwhile may be missing: not all could be recovered",
    );
    server.delivers(1, "t", "new one");
    server.delivers(2, "t", "new two");
    assert_eq!(chat.line(), "t:new one");
    assert_eq!(chat.line(), "t:new two");
    drop(server);
    let (_server, registration) = back(
        &listener,
        &json!({"epoch": "e2", "seq": 2, "recovered": true}),
    );
    assert_eq!(
        registration["extended"]["resume"],
        json!({"t": {"epoch": "e2", "seq": 2}})
    );
}

#[test]
fn a_gap_is_said_with_its_size_and_is_behind_us() {
    let (mut chat, mut server, listener, _) = joined(&[]);
    server.tells(&json!({"gap": {"topic": "t", "from": 12, "to": 40}}));
    chat.notice("29 messages of t can't be recovered");
    server.tells(&json!({"gap": {"topic": "t", "from": 41, "to": 41}}));
    chat.notice("1 message of t can't be recovered");
    server.delivers(42, "t", "after it");
    assert_eq!(chat.line(), "t:after it");
    server.tells(&json!({"gap": {"topic": "t", "from": 43, "to": 50}}));
    chat.notice("8 messages");
    drop(server);
    let (_, registration) = Peer::accept_registration(&listener);
    assert_eq!(registration["extended"]["resume"]["t"]["seq"], 50);
}

#[test]
fn our_own_messages_are_not_shown_if_a_server_sends_them_back() {
    let (mut chat, mut server, listener, _) = joined(&[]);
    chat.types("mine");
    let mine = server.read();
    server.acknowledges(&mine, 2);
    server.delivers(1, "t", "theirs");
    assert_eq!(chat.line(), "t:theirs");
    // Acknowledged: known by its number.
    server.delivers(2, "t", "mine");
    chat.types("doubtful");
    let doubtful = server.read();
    drop(server);
    // Stored, but its acknowledgement was lost: known by its sender and text.
    let recovered = json!({"epoch": "e1", "seq": 4, "recovered": true});
    let (mut server, registration) = back(&listener, &recovered);
    assert_eq!(registration["extended"]["resume"]["t"]["seq"], 2);
    let own = json!({
        "extended": {"seq": 3, "time": 1},
        "source": doubtful["source"],
        "message": doubtful["message"]
    });
    server.sends(own.to_string().as_bytes());
    // Somebody else may say the same.
    server.delivers(4, "t", "doubtful");
    assert_eq!(chat.line(), "t:doubtful");
    server.delivers(5, "t", "last");
    assert_eq!(chat.line(), "t:last");
    assert_eq!(server.text(), "doubtful");
    assert_eq!(chat.finishes(), 0);
}

#[test]
fn at_the_end_of_the_input_what_was_asked_for_of_the_past_is_still_waited_for() {
    let (listener, address) = listen();
    let mut chat = Process::chat(&["-topic", &address, "t", "--last", "2"]);
    chat.ends_input();
    let (mut server, _) = Peer::accept_registration(&listener);
    server.tells(&json!({"ping": 1}));
    assert_eq!(server.read(), json!({"extended": {"pong": 1}}));
    server.tells(&json!({"registered": {"topics": {"t": {"epoch": "e", "seq": 2}}}}));
    server.delivers(1, "t", "one");
    server.tells(&json!({"ping": 2}));
    assert_eq!(server.read(), json!({"extended": {"pong": 2}}));
    // Also over another connection.
    drop(server);
    let recovered = json!({"epoch": "e", "seq": 2, "recovered": true});
    let (mut server, registration) = back(&listener, &recovered);
    assert_eq!(registration["extended"]["resume"]["t"]["seq"], 1);
    server.delivers(2, "t", "two");
    assert_eq!(server.rest(), "");
    drop(server);
    assert_eq!(chat.exit_code(), 0);
    assert_eq!(chat.rest(), ["t:one", "t:two"]);
}

#[test]
fn a_past_that_does_not_come_is_waited_for_as_long_as_anything_at_the_end() {
    // Messages since a time: there may be none.
    let (listener, address) = listen();
    let options = ["--since", "1m", "--drain-timeout", "0.2"];
    let mut chat = Process::chat(&[&["-topic", &address, "t"][..], &options].concat());
    chat.ends_input();
    let (mut server, _) = Peer::accept_registration(&listener);
    server.tells(&json!({"registered": {"topics": {"t": {"epoch": "e", "seq": 2}}}}));
    assert_eq!(server.rest(), "");
    drop(server);
    assert_eq!(chat.exit_code(), 0);

    // A server that is away may have some.
    let options = ["--last", "2", "--ack-timeout", "0.2"];
    let mut chat = Process::chat(&[&["-topic", &address, "t"][..], &options].concat());
    chat.ends_input();
    let (mut server, _) = Peer::accept_registration(&listener);
    server.tells(&json!({"registered": {"topics": {"t": {"epoch": "e", "seq": 2}}}}));
    drop(server);
    drop(listener);
    assert_eq!(chat.exit_code(), 1);
    chat.notice("did not send the older messages within 0.2 s");
}

#[test]
fn what_a_server_says_beside_messages_is_no_message() {
    let (mut chat, mut server, _listener, address) = joined(&[]);
    let bob = json!({"topic": "t", "user": "bob", "ip": "192.168.1.1", "port": "2000"});
    server.tells(&json!({"joined": bob}));
    server.tells(&json!({"left": bob}));
    server.tells(&json!({"something": "newer"}));
    let error = json!({"code": "unknown-user", "text": "no b\u{1b}ob here"});
    server.tells(&json!({"error": error}));
    assert_eq!(
        chat.next_notice(),
        format!(r"chat: {address} says: unknown-user: no b\u001bob here")
    );
    server.delivers(1, "t", "a message");
    assert_eq!(chat.line(), "t:a message");
    // One that isn't stored has no number.
    let unstored = br#"{"extended":{"stored":false,"time":1},"message":{"topic":"t","text":"x"}}"#;
    server.sends(unstored);
    assert_eq!(chat.line(), "t:x");
}

#[test]
fn why_a_server_ends_a_connection_is_said_and_it_is_made_again() {
    let (mut chat, mut server, listener, address) = joined(&[]);
    for code in ["shutting-down", "slow-reader"] {
        let error = json!({"code": code, "text": "for a reason"});
        server.tells(&json!({"error": error}));
        drop(server);
        chat.notice(&format!(
            "the connection to {address} is lost: {code}: for a reason"
        ));
        server = Peer::accept_registered(&listener, "t");
        chat.notice(&format!("joined t at {address} again"));
    }
    // Another run with our secret: to come back would throw it out in turn.
    let error = json!({"code": "replaced", "text": "by another one"});
    server.tells(&json!({"error": error}));
    drop(server);
    assert_eq!(chat.exit_code(), 1);
    chat.notice("is lost: replaced: by another one");
    assert_eq!(chat.rest(), [""; 0]);
}

#[test]
fn a_frame_may_be_longer_by_its_envelope() {
    let (mut chat, mut server, ..) = joined(&["--max-frame", "1024"]);
    let frame = |text: &str| format!(r#""message":{{"topic":"t","text":"{text}"}}}}"#);
    let text = "x".repeat(1024 - 1 - frame("").len());
    let envelope = format!(
        r#"{{"extended":{{"seq":1,"time":{},"user":"{}"}},"#,
        u64::MAX,
        "🎈".repeat(64)
    );
    server.sends(format!("{envelope}{}", frame(&text)).as_bytes());
    assert_eq!(chat.line(), format!("t:{text}"));
}

#[test]
fn json_has_one_object_a_line_and_notices_stay_where_they_are() {
    let (mut chat, mut server, ..) = joined(&["--json"]);
    server.delivers(58, "t", "hi \u{1b}[31m\"é\"\u{9b}\u{2028}");
    let line = chat.line();
    assert!(!line.contains(char::is_control), "{line:?}");
    let shown: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(
        shown,
        json!({
            "topic": "t",
            "text": "hi \u{1b}[31m\"é\"\u{9b}\u{2028}",
            "user": "bob",
            "time": 1_763_796_000_123_u64,
            "seq": 58
        })
    );
    server.tells(&json!({"gap": {"topic": "t", "from": 59, "to": 60}}));
    chat.notice("2 messages of t can't be recovered");
    let nameless = br#"{"extended":{"seq":61,"time":7},"message":{"topic":"t","text":"\u0000"}}"#;
    server.sends(nameless);
    let shown: Value = serde_json::from_str(&chat.line()).unwrap();
    assert_eq!(
        shown,
        json!({"topic": "t", "text": "\0", "time": 7, "seq": 61})
    );
    assert_eq!(chat.finishes(), 0);
    assert_eq!(chat.rest(), [""; 0]);

    // What a direct peer claims to know is not for it to say.
    let (mut chat, port) = Process::listener(&["--json"]);
    let mut peer = Peer::connect(port);
    peer.delivers(1, "a", "b");
    let shown: Value = serde_json::from_str(&chat.line()).unwrap();
    assert_eq!(shown, json!({"topic": "a", "text": "b"}));
}

#[test]
fn a_server_that_is_ending_is_left_when_it_asks_for_that() {
    let (mut chat, mut server, listener, address) = joined(&[]);
    server.delivers(1, "t", "one");
    assert_eq!(chat.line(), "t:one");
    server.tells(&json!({"reconnect": {"within": 20, "servers": []}}));
    let recovered = json!({"epoch": "e1", "seq": 2, "recovered": true});
    // The other connection is still open.
    let (mut next, registration) = back(&listener, &recovered);
    assert_eq!(registration["extended"]["resume"]["t"]["seq"], 1);
    next.delivers(2, "t", "two");
    assert_eq!(chat.line(), "t:two");
    chat.notice(&format!(
        "the connection to {address} is lost: the server has asked to connect again"
    ));
    drop(server);
    assert_eq!(chat.finishes(), 0);
}
