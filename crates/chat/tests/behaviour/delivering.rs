//! Lines are acknowledged, sent again, or said not to have arrived.

use serde_json::{Value, json};

use crate::peer::{Peer, listen};
use crate::process::Process;
use crate::topic::joined;

fn id(frame: &Value) -> String {
    frame["extended"]["id"].as_str().unwrap().into()
}

fn text(frame: &Value) -> &str {
    frame["message"]["text"].as_str().unwrap()
}

/// Waits until the client has heard everything that was said to it so far.
fn settle(server: &mut Peer) {
    server.tells(&json!({"ping": [1, {"a": "b"}]}));
    assert_eq!(
        server.read(),
        json!({"extended": {"pong": [1, {"a": "b"}]}})
    );
}

#[test]
fn a_line_is_a_message_of_the_specification_with_an_id() {
    let (mut chat, mut server, ..) = joined(&[]);
    let (here, there) = server.ends();
    chat.types("hello");
    let frame = server.read();
    let id = id(&frame);
    let (run, number) = id.split_once('-').unwrap();
    assert!(run.len() == 8 && run.bytes().all(|byte| byte.is_ascii_hexdigit()));
    assert_eq!(number, "1");
    assert_eq!(
        frame,
        json!({
            "extended": {"id": id},
            "source": there,
            "destination": here,
            "message": {"topic": "t", "text": "hello"}
        })
    );
    chat.types("again");
    assert_eq!(server.read()["extended"]["id"], format!("{run}-2"));
}

#[test]
fn the_end_of_a_pipe_waits_for_the_last_acknowledgement() {
    let (mut chat, mut server, ..) = joined(&[]);
    chat.feeds(b"one\ntwo\nthree\n");
    chat.ends_input();
    let frames = [server.read(), server.read(), server.read()];
    for frame in &frames[..2] {
        server.acknowledges(frame, 1);
    }
    // It has heard them and hasn't closed its side.
    settle(&mut server);
    server.acknowledges(&frames[2], 3);
    assert_eq!(server.rest(), "");
    drop(server);
    assert_eq!(chat.exit_code(), 0);
}

#[test]
fn after_a_cut_what_is_not_acknowledged_is_sent_again_first_in_order_with_the_same_ids() {
    let (mut chat, mut server, listener, _) = joined(&[]);
    chat.feeds(b"one\ntwo\nthree\n");
    let frames = [server.read(), server.read(), server.read()];
    server.acknowledges(&frames[1], 1);
    settle(&mut server);
    server.resets();
    chat.notice("is lost");
    chat.types("four");
    let mut server = Peer::accept_registered(&listener, "t");
    let again = [server.read(), server.read(), server.read()];
    assert_eq!(again.each_ref().map(text), ["one", "three", "four"]);
    assert_eq!(
        (id(&again[0]), id(&again[1])),
        (id(&frames[0]), id(&frames[2]))
    );
    assert!(id(&again[2]).ends_with("-4"));
    // And once more, from another place.
    server.acknowledges(&again[0], 2);
    settle(&mut server);
    drop(server);
    let mut server = Peer::accept_registered(&listener, "t");
    let last = [server.frame(), server.frame()];
    assert_eq!(last.each_ref().map(text), ["three", "four"]);
    assert_eq!((id(&last[0]), id(&last[1])), (id(&again[1]), id(&again[2])));
    chat.ends_input();
    assert_eq!(server.rest(), "");
    drop(server);
    assert_eq!(chat.exit_code(), 0);
}

#[test]
fn a_server_that_is_lost_at_the_end_of_a_pipe_is_joined_again_and_gets_the_rest() {
    let (mut chat, mut server, listener, _) = joined(&[]);
    chat.feeds(b"one\ntwo");
    chat.ends_input();
    let frames = [server.read(), server.read()];
    server.acknowledges(&frames[0], 1);
    settle(&mut server);
    server.resets();
    let mut server = Peer::accept_registered(&listener, "t");
    let frame = server.frame();
    assert_eq!((text(&frame), id(&frame)), ("two", id(&frames[1])));
    assert_eq!(server.rest(), "");
    drop(server);
    assert_eq!(chat.exit_code(), 0);
}

#[test]
fn with_everything_acknowledged_a_server_that_is_away_is_no_failure() {
    let (mut chat, mut server, listener, _) = joined(&[]);
    chat.types("sent");
    assert_eq!(server.text(), "sent");
    settle(&mut server);
    drop(server);
    drop(listener);
    chat.notice("trying again in");
    assert_eq!(chat.finishes(), 0);

    // Also when it vanishes while it is being left.
    let (mut chat, mut server, ..) = joined(&[]);
    chat.types("sent");
    assert_eq!(server.text(), "sent");
    chat.ends_input();
    assert_eq!(server.rest(), "");
    server.resets();
    assert_eq!(chat.exit_code(), 0);
}

#[test]
fn a_server_that_does_not_come_back_is_given_up_and_what_is_missing_is_named() {
    let (mut chat, mut server, listener, address) = joined(&["--ack-timeout", "0.5"]);
    chat.feeds(b"one\n\x1b[2Jtwo\nthree\n");
    chat.ends_input();
    let frame = server.read();
    server.acknowledges(&frame, 1);
    settle_after(&mut server, 2);
    drop(server);
    drop(listener);
    assert_eq!(chat.exit_code(), 1);
    let said = chat.notice("acknowledged nothing for 0.5 s");
    assert!(said.contains(&address), "{said}");
    let left = r#"2 lines may not have arrived, the first: "\u001b[2Jtwo""#;
    assert!(said.contains(left), "{said}");
    assert!(said.contains("--ack-timeout"), "{said}");
}

/// The same as `settle`, with so many messages unread before the answer.
fn settle_after(server: &mut Peer, unread: usize) {
    server.tells(&json!({"ping": 0}));
    let mut frames: Vec<Value> = (0..=unread).map(|_| server.read()).collect();
    frames.retain(|frame| frame.get("message").is_none());
    assert_eq!(frames, [json!({"extended": {"pong": 0}})]);
}

#[test]
fn a_server_that_acknowledges_nothing_is_given_up() {
    let (mut chat, mut server, ..) = joined(&["--ack-timeout", "0.2"]);
    let long = "é".repeat(100);
    chat.types(&long);
    assert_eq!(server.read()["message"]["text"], long);
    assert_eq!(chat.finishes(), 1);
    let named = format!("1 line may not have arrived: \"{}…\"", "é".repeat(60));
    let said = chat.notice("acknowledged nothing for 0.2 s");
    assert!(said.contains(&named), "{said}");
}

#[test]
fn each_acknowledgement_begins_the_time_anew() {
    let (mut chat, mut server, ..) = joined(&["--ack-timeout", "1"]);
    let began = std::time::Instant::now();
    chat.feeds(b"1\n2\n3\n4\n5\n6\n7\n8\n");
    chat.ends_input();
    for _ in 0..8 {
        let frame = server.read();
        // This is the slow server: all in all it takes longer than the limit.
        std::thread::sleep(std::time::Duration::from_millis(200));
        server.acknowledges(&frame, 1);
    }
    assert!(began.elapsed() > std::time::Duration::from_secs(1));
    assert_eq!(server.rest(), "");
    drop(server);
    assert_eq!(chat.exit_code(), 0);
}

#[test]
fn without_reconnecting_a_lost_server_is_a_failure_that_names_what_is_missing() {
    let (mut chat, mut server, _listener, address) = joined(&["--no-reconnect"]);
    chat.feeds(b"one\ntwo\n");
    let frames = [server.read(), server.read()];
    server.acknowledges(&frames[0], 1);
    settle(&mut server);
    drop(server);
    assert_eq!(chat.exit_code(), 1);
    chat.notice(&format!(
        "the connection to {address} is lost: the other side closed it; \
         1 line may not have arrived: \"two\""
    ));

    let (mut chat, server, ..) = joined(&["--no-reconnect"]);
    drop(server);
    assert_eq!(chat.exit_code(), 1);
    chat.notice("all that was typed has arrived");
}

/// The server doesn't know whether it has the line, so it isn't lost and not a failure.
#[test]
fn a_line_for_which_the_servers_disk_was_too_slow_is_sent_again_with_those_after_it() {
    let (mut chat, mut server, ..) = joined(&[]);
    chat.feeds(b"one\ntwo\nthree\n");
    let frames = [server.read(), server.read(), server.read()];
    server.acknowledges(&frames[0], 1);
    for frame in &frames[1..] {
        let error = json!({"code": "storage-busy", "text": "slow", "id": id(frame)});
        server.tells(&json!({"error": error}));
    }
    for frame in &frames[1..] {
        assert_eq!(id(&server.read()), id(frame));
    }
    server.acknowledges(&frames[1], 2);
    server.acknowledges(&frames[2], 3);
    chat.ends_input();
    assert_eq!(server.rest(), "");
    assert_eq!(chat.exit_code(), 0);
}

#[test]
fn a_line_that_is_refused_is_named_not_sent_again_and_a_failure_at_the_end() {
    for (code, what) in [
        ("not-registered", "was not delivered"),
        (
            "storage-full",
            "is not stored, so only those who were there got it",
        ),
    ] {
        let (mut chat, mut server, listener, _) = joined(&[]);
        chat.feeds(b"one\nt\x1bwo\n");
        let frames = [server.read(), server.read()];
        let id = id(&frames[1]);
        let error = json!({"code": code, "text": "as it is", "id": id});
        server.tells(&json!({"error": error}));
        chat.notice(&format!(r#"a line {what}: "t\u001bwo" ({code}: as it is)"#));
        drop(server);
        let mut server = Peer::accept_registered(&listener, "t");
        assert_eq!(server.text(), "one");
        chat.ends_input();
        assert_eq!(server.rest(), "");
        drop(server);
        assert_eq!(chat.exit_code(), 1);
        chat.notice("1 line was not delivered or not stored");
        assert_eq!(chat.rest(), [""; 0]);
    }
}

#[test]
fn a_line_that_the_server_finds_too_long_does_not_end_every_connection() {
    let (mut chat, mut server, listener, _) = joined(&[]);
    let long = "x".repeat(2_000);
    chat.feeds(format!("short\n{long}\nlast\n").as_bytes());
    for _ in 0..3 {
        server.read();
    }
    let error = json!({"code": "too-long", "text": "a frame has at most 1024 bytes"});
    server.tells(&json!({"error": error}));
    drop(server);
    chat.notice("a line was not delivered: \"xxx");
    chat.notice("is lost: too-long: a frame has at most 1024 bytes");
    let mut server = Peer::accept_registered(&listener, "t");
    assert_eq!(
        (server.text(), server.text()),
        ("short".into(), "last".into())
    );
    assert_eq!(chat.finishes(), 1);
}

#[test]
fn what_was_lost_on_its_way_in_the_middle_of_a_frame_is_sent_whole() {
    let (listener, address) = listen();
    let file = crate::process::file_of_lines(3_000, 1_000);
    let mut chat = Process::reading(file, &["-topic", &address, "t"]);
    let mut expected = 0;
    // Cut while megabytes are on their way, at no frame's end.
    for round in 0..4 {
        let mut server = Peer::accept_registered(&listener, "t");
        let mut seq = expected;
        while round == 3 || seq < expected + 300 {
            let frame = server.read();
            if frame.get("message").is_none() {
                continue;
            }
            let number: u64 = text(&frame).split(' ').next().unwrap().parse().unwrap();
            assert_eq!(number, seq);
            seq += 1;
            server.acknowledges(&frame, seq);
            if seq == 3_000 {
                break;
            }
        }
        if round < 3 {
            settle_in(&mut server);
            server.resets();
            expected = seq;
        } else {
            assert_eq!(server.rest(), "");
        }
    }
    assert_eq!(chat.exit_code(), 0);
}

#[test]
fn what_is_not_acknowledged_is_bounded_and_the_rest_of_the_input_waits() {
    let (listener, address) = listen();
    let file = crate::process::file_of_lines(2_000, 1_000);
    let mut chat = Process::reading(file, &["-topic", &address, "t"]);
    let mut server = Peer::accept_registered(&listener, "t");
    let mut frames = Vec::new();
    // Until it answers twice without having anything to send in between.
    for quiet in 0..2 {
        loop {
            let before = frames.len();
            server.tells(&json!({"ping": quiet}));
            loop {
                let frame = server.read();
                if frame.get("message").is_none() {
                    break;
                }
                frames.push(frame);
            }
            if frames.len() == before {
                break;
            }
        }
    }
    let bytes: usize = frames.iter().map(|frame| text(frame).len()).sum();
    assert!(bytes < 300 * 1024, "{bytes}");
    for frame in &frames {
        server.acknowledges(frame, 1);
    }
    for _ in frames.len()..2_000 {
        server.frame();
    }
    assert_eq!(server.rest(), "");
    drop(server);
    assert_eq!(chat.exit_code(), 0);
}

/// The same as `settle`, in the midst of any number of messages.
fn settle_in(server: &mut Peer) {
    server.tells(&json!({"ping": 0}));
    while server.read().get("message").is_some() {}
}
