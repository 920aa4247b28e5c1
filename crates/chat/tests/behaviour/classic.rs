//! A classic client, written from the specification alone, takes part.

use std::path::Path;
use std::process::Command;

use crate::process::{Output, Process, free_port};
use crate::server::{start_server, wait_until_registered};

/// Runs `examples/classic_client.py`.
fn classic(arguments: &[&str]) -> Process {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/classic_client.py");
    let mut command = Command::new("python3");
    command.arg(example).args(arguments);
    Process::start(command, Output::Read)
}

/// Both say something, then both end well.
fn talk(chat: &mut Process, classic: &mut Process, topic: &str) {
    chat.types("grüße 🎈");
    assert_eq!(classic.line(), format!("{topic}:grüße 🎈"));
    classic.types("two lines");
    classic.types("at once");
    assert_eq!(chat.line(), format!("{topic}:two lines"));
    assert_eq!(chat.line(), format!("{topic}:at once"));
    // Many frames arrive in one piece, and frames in two.
    let many: Vec<String> = (0..5_000).map(|number| format!("é {number}")).collect();
    chat.feeds(format!("{}\n", many.join("\n")).as_bytes());
    for text in many {
        assert_eq!(classic.line(), format!("{topic}:{text}"));
    }
}

#[test]
fn it_calls_a_chat_that_waits() {
    let (mut chat, port) = Process::listener(&[]);
    let mut classic = classic(&["-direct", "0", &format!("127.0.0.1:{port}")]);
    talk(&mut chat, &mut classic, "direct");
    assert_eq!(classic.finishes(), 0);
    chat.notice("left");
    assert_eq!(chat.finishes(), 0);
}

#[test]
fn it_waits_and_a_chat_calls() {
    let (mut classic, mut chat) = loop {
        let port = free_port();
        let classic = classic(&["-direct", &port.to_string()]);
        if let Some(chat) = call_until_there(port) {
            break (classic, chat);
        }
    };
    talk(&mut chat, &mut classic, "direct");
    assert_eq!(chat.finishes(), 0);
    assert_eq!(classic.exit_code(), 0);
}

/// The classic client doesn't say when it listens: calls until it does.
fn call_until_there(port: u16) -> Option<Process> {
    let address = format!("127.0.0.1:{port}");
    for _ in 0..600 {
        let mut chat = Process::chat(&["-direct", "0", &address]);
        if chat.next_notice().contains("connected") {
            return Some(chat);
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    None
}

#[test]
fn it_talks_by_topic_with_a_chat() {
    let server = start_server();
    let mut chat = Process::chat(&["-topic", &server, "lame-conversation"]);
    let mut classic = classic(&["-topic", &server, "lame-conversation"]);
    wait_until_registered(&server, "lame-conversation", &mut chat);
    wait_until_registered(&server, "lame-conversation", &mut classic);
    // The first has seen the probe of the second too.
    while chat.line() != "lame-conversation:probed" {}
    talk(&mut chat, &mut classic, "lame-conversation");
    assert_eq!(classic.finishes(), 0);
    assert_eq!(chat.finishes(), 0);
}
