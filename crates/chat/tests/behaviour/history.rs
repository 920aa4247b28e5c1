//! What the real topic server remembers, and what `chat` makes of it.

use std::path::Path;

use serde_json::{Value, json};
use topicserver::Config;

use crate::process::Process;
use crate::server::{Running, start_server};

/// Sends these lines by a chat of its own, which ends when they have arrived.
fn send(server: &str, options: &[&str], lines: &str) {
    let mut chat = Process::chat(&[&["-topic", server, "t"], options].concat());
    chat.feeds(lines.as_bytes());
    assert_eq!(chat.finishes(), 0, "{:#?}", chat.notices());
}

/// What a chat without any input shows.
fn shown(server: &str, options: &[&str]) -> Vec<String> {
    let mut chat = Process::chat(&[&["-topic", server, "t"], options].concat());
    assert_eq!(chat.finishes(), 0, "{:#?}", chat.notices());
    chat.rest()
}

#[test]
fn a_script_reads_what_was_said_before_it_came() {
    let server = start_server();
    send(&server, &["--name", "bob"], "one\ntwo\nthree\n");
    assert_eq!(shown(&server, &["--last", "2"]), ["t:two", "t:three"]);
    assert_eq!(shown(&server, &["--last", "0"]), [""; 0]);
    let all = ["t:one", "t:two", "t:three"];
    assert_eq!(shown(&server, &["--last", "1000000"]), all);
    assert_eq!(shown(&server, &["--since", "1h"]), all);
    let since_now = ["--since", "0s", "--drain-timeout", "0.2"];
    assert_eq!(shown(&server, &since_now), [""; 0]);

    let json = shown(&server, &["--last", "1", "--json"]);
    let mut message: Value = serde_json::from_str(&json[0]).unwrap();
    assert!(message["time"].as_u64().unwrap() > 1_763_796_000_123);
    message["time"] = Value::Null;
    assert_eq!(
        message,
        json!({"topic": "t", "text": "three", "user": "bob", "time": null, "seq": 3})
    );
}

#[test]
fn a_script_gets_all_of_a_long_history() {
    let server = start_server();
    let filler = "x".repeat(500);
    let lines: Vec<String> = (0..1000)
        .map(|number| format!("{number} {filler}"))
        .collect();
    send(&server, &[], &lines.join("\n"));
    let expected: Vec<String> = lines.iter().map(|line| format!("t:{line}")).collect();
    for _ in 0..5 {
        assert_eq!(shown(&server, &["--last", "1000"]), expected);
    }
}

#[test]
fn a_name_is_one_persons_until_he_leaves() {
    let server = start_server();
    let mut alice = Process::chat(&["-topic", &server, "t", "--name", "alice"]);
    alice.notice("joined t at");
    let mut other = Process::chat(&["-topic", &server, "t", "--name", "alice"]);
    assert_eq!(other.exit_code(), 1);
    other.notice(&format!(
        "the name alice is taken at {server}: choose another one (--name)"
    ));
    // She isn't disturbed.
    send(&server, &["--name", "bob"], "hello\n");
    assert_eq!(alice.line(), "t:hello");
    assert_eq!(alice.finishes(), 0);
    send(&server, &["--name", "alice"], "I am somebody else\n");
}

#[test]
fn a_server_that_is_restarted_is_joined_again_and_what_it_forgot_is_said() {
    let server = Running::start(&Config::default());
    let address = server.address.clone();
    let mut reader = Process::chat(&["-topic", &address, "t", "--name", "alice"]);
    let mut writer = Process::chat(&["-topic", &address, "t"]);
    reader.notice("joined t at");
    writer.notice("joined t at");
    writer.types("before");
    assert_eq!(reader.line(), "t:before");
    let _server = server.restart();
    reader.notice("is lost: shutting-down: the server is ending");
    writer.notice("is lost");
    writer.types("after");
    assert_eq!(writer.finishes(), 0);
    assert_eq!(reader.line(), "t:after");
    reader.notice(
        "messages of t that were sent meanwhile may be missing: not all could be recovered",
    );
    assert_eq!(reader.finishes(), 0);
    assert_eq!(reader.rest(), [""; 0]);
}

#[test]
fn a_pipe_over_a_server_that_keeps_its_history_on_disk_survives_its_restarts() {
    const BATCH: usize = 2_000;
    let name = format!("data-{}", std::process::id());
    let data = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let mut server = Running::start(&Config {
        data: Some(data.clone()),
        ..Config::default()
    });
    let address = server.address.clone();
    let mut reader = Process::chat(&["-topic", &address, "t"]);
    let mut writer = Process::chat(&["-topic", &address, "t"]);
    reader.notice("joined t at");
    writer.notice("joined t at");
    for batch in 0..4 {
        let numbers = batch * BATCH..(batch + 1) * BATCH;
        let lines: String = numbers.clone().map(|n| format!("{n}\n")).collect();
        writer.feeds(lines.as_bytes());
        assert_eq!(reader.line(), format!("t:{}", numbers.start));
        if batch < 3 {
            // In the midst of it.
            server = server.restart();
            until_joined_again(&mut reader);
            until_joined_again(&mut writer);
        }
        for number in numbers.skip(1) {
            assert_eq!(reader.line(), format!("t:{number}"));
        }
    }
    assert_eq!(writer.finishes(), 0, "{:#?}", writer.notices());
    assert_eq!(reader.finishes(), 0);
    assert_eq!(reader.rest(), [""; 0]);
    assert_eq!(writer.rest(), [""; 0]);
    drop(server);
    let _ = std::fs::remove_dir_all(data);
}

/// Waits until a chat that lost its server is back, without having lost anything.
fn until_joined_again(chat: &mut Process) {
    chat.notice("is lost: shutting-down");
    loop {
        let notice = chat.next_notice();
        let is_loss = notice.contains("recovered") || notice.contains("can't be had");
        assert!(!is_loss, "{notice}");
        if notice.starts_with("chat: joined t at") {
            return;
        }
    }
}
