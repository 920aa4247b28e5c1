//! The end of the input, and of the output.

use std::process::{Command, Stdio};

use crate::peer::{Peer, listen};
use crate::process::{Output, Process, chat};

/// Runs a caller with this input; what its peer is sent.
fn sent(input: &[u8], options: &[&str], code: i32) -> (Vec<String>, Vec<String>) {
    let (listener, address) = listen();
    let mut arguments = vec!["-direct", "0", &address];
    arguments.extend(options);
    let mut chat = Process::chat(&arguments);
    let mut peer = Peer::accept(&listener);
    chat.feeds(input);
    chat.ends_input();
    let frames = peer.rest();
    let text = |line| {
        let frame: serde_json::Value = serde_json::from_str(line).unwrap();
        frame["message"]["text"].as_str().unwrap().to_owned()
    };
    let texts = frames.lines().map(text).collect();
    drop(peer);
    assert_eq!(chat.exit_code(), code);
    (texts, chat.notices())
}

#[test]
fn every_line_is_a_message_whatever_ends_it() {
    let (texts, _) = sent(b"one\ntwo\r\n\n \nlast", &[], 0);
    assert_eq!(texts, ["one", "two", "", " ", "last"]);
    assert_eq!(sent(b"", &[], 0).0, [""; 0]);
    assert_eq!(sent(b"\t\"\\\x1b\0\n", &[], 0).0, ["\t\"\\\u{1b}\0"]);
}

#[test]
fn what_is_no_utf_8_is_replaced_and_said_once() {
    let (texts, notices) = sent(b"a\xff\nb\n\xc3\n", &[], 0);
    assert_eq!(texts, ["a\u{fffd}", "b", "\u{fffd}"]);
    let said = notices.iter().filter(|line| line.contains("isn't UTF-8"));
    assert_eq!(said.count(), 1, "{notices:?}");
}

#[test]
fn a_line_that_fits_into_no_frame_is_refused_and_the_rest_goes_on() {
    let input = [
        b"ok\n".as_slice(),
        &b"x".repeat(5_000),
        b"\n",
        // Short enough as it is typed, too long as JSON writes it.
        &b"\x01".repeat(1_000),
        b"\nlast\n",
    ]
    .concat();
    let (texts, notices) = sent(&input, &["--max-frame", "2048"], 1);
    assert_eq!(texts, ["ok", "last"]);
    let refused: Vec<_> = notices
        .iter()
        .filter(|line| line.contains("was not sent"))
        .collect();
    assert_eq!(refused.len(), 2, "{notices:?}");
    assert!(
        refused[0].contains("line 2 ") && refused[1].contains("line 3 "),
        "{refused:?}"
    );
    assert!(refused[0].contains("--max-frame"));
}

#[test]
fn the_longest_line_that_fits_is_sent() {
    let (texts, notices) = sent(&[b"x".repeat(65_536 - 400), b"\n".into()].concat(), &[], 0);
    assert_eq!(texts[0].len(), 65_136, "{notices:?}");
}

#[test]
fn what_arrives_after_the_end_of_the_input_is_still_printed() {
    let (mut chat, port) = Process::listener(&[]);
    let mut peer = Peer::connect(port);
    chat.notice("connected");
    chat.types("question");
    chat.ends_input();
    assert_eq!(peer.text(), "question");
    assert_eq!(peer.rest(), "");
    peer.says("direct", "answer");
    drop(peer);
    assert_eq!(chat.exit_code(), 0);
    assert_eq!(chat.rest(), ["direct:answer"]);
}

#[test]
fn a_peer_that_keeps_the_connection_open_is_not_waited_for_for_ever() {
    for waits in [true, false] {
        let options = ["--drain-timeout", "0.1"];
        let (listener, address) = listen();
        let (mut chat, mut peer) = if waits {
            let (chat, port) = Process::listener(&options);
            (chat, Peer::connect(port))
        } else {
            let mut arguments = vec!["-direct", "0", &address];
            arguments.extend(options);
            (Process::chat(&arguments), Peer::accept(&listener))
        };
        chat.notice("connected");
        chat.types("bye");
        chat.ends_input();
        assert_eq!(peer.text(), "bye");
        assert_eq!(chat.exit_code(), 0);
        chat.notice("keeps the connection open");
    }
}

#[test]
fn a_listener_whose_input_has_ended_does_not_wait_for_anybody() {
    let (mut chat, _) = Process::listener(&[]);
    assert_eq!(chat.finishes(), 0);
}

#[test]
fn with_stay_a_caller_receives_until_its_peer_leaves() {
    let (listener, address) = listen();
    let mut chat = Process::chat(&["-direct", "0", &address, "--stay"]);
    let mut peer = Peer::accept(&listener);
    chat.types("last words");
    chat.ends_input();
    assert_eq!(peer.text(), "last words");
    for text in ["one", "two"] {
        peer.says("direct", text);
        assert_eq!(chat.line(), format!("direct:{text}"));
    }
    drop(peer);
    assert_eq!(chat.exit_code(), 0);
}

#[test]
fn with_stay_a_listener_goes_on_taking_callers() {
    let (mut chat, port) = Process::listener(&["-stay"]);
    chat.ends_input();
    for text in ["one", "two"] {
        let mut peer = Peer::connect(port);
        peer.says("direct", text);
        assert_eq!(chat.line(), format!("direct:{text}"));
        drop(peer);
        chat.notice("waiting for the next caller");
    }
}

#[cfg(unix)]
#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let (listener, address) = listen();
    let reader = "head -1; exec <&-; echo gone >&2";
    let chat = program();
    let script = format!("({chat} -direct 0 {address}; echo code $? >&2) | ({reader})");
    let mut shell = Command::new("sh");
    shell.args(["-c", &script]);
    let shell = shell
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut shell = shell.spawn().unwrap();
    let mut peer = Peer::accept(&listener);
    let output = crate::process::Lines::of(shell.stdout.take().unwrap());
    let notices = crate::process::Lines::of(shell.stderr.take().unwrap());
    peer.says("direct", "one");
    assert_eq!(output.next().unwrap(), "direct:one");
    while notices.next().unwrap() != "gone" {}
    // That shows when something more is written.
    peer.says("direct", "two");
    while notices.next().unwrap() != "code 0" {}
    shell.wait().unwrap();
}

#[cfg(target_os = "linux")]
#[test]
fn an_output_that_takes_nothing_is_a_failure() {
    let (listener, address) = listen();
    let script = format!("exec {} -direct 0 {address} >/dev/full", program());
    let mut shell = Command::new("sh");
    shell.args(["-c", &script]);
    let mut chat = Process::start(shell, Output::Read);
    let mut peer = Peer::accept(&listener);
    peer.says("direct", "one");
    assert_eq!(chat.exit_code(), 1);
    chat.notice("can't write to standard output: ");
}

#[cfg(unix)]
#[test]
fn an_input_that_cannot_be_read_is_a_failure() {
    let (listener, address) = listen();
    let script = format!("exec {} -direct 0 {address} </", program());
    let mut shell = Command::new("sh");
    shell.args(["-c", &script]);
    let mut chat = Process::start(shell, Output::Read);
    drop(Peer::accept(&listener));
    assert_eq!(chat.exit_code(), 1);
    chat.notice("can't read standard input any further: ");
}

/// What a peer sent is not given up because the output is slow to be read.
#[test]
fn a_slow_reader_of_the_output_gets_everything() {
    let (listener, address) = listen();
    let mut command = chat();
    command.args(["-direct", "0", &address, "--drain-timeout", "1"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut chat = command.stderr(Stdio::null()).spawn().unwrap();
    let mut peer = Peer::accept(&listener);
    // More than chat and the pipe hold, and little enough for the connection.
    let count = 80;
    for number in 0..count {
        peer.says("direct", &format!("{number} {}", "x".repeat(5_000)));
    }
    drop(chat.stdin.take());
    // This is the slow reader: it takes longer than the limit.
    std::thread::sleep(std::time::Duration::from_secs(2));
    let output = crate::process::Lines::of(chat.stdout.take().unwrap());
    for number in 0..count {
        let line = output.next().unwrap();
        assert!(line.starts_with(&format!("direct:{number} ")), "{line}");
    }
    drop(peer);
    assert!(chat.wait().unwrap().success());
}

/// A blocked output stops what arrives, not what is sent.
#[test]
fn sending_goes_on_while_nobody_reads_the_output() {
    let (mut chat, port) = Process::blocked_listener();
    let mut peer = Peer::connect(port);
    chat.notice("connected");
    let text = "x".repeat(1_000);
    for _ in 0..500 {
        peer.says("direct", &text);
    }
    for number in 0..100 {
        chat.types(&number.to_string());
        assert_eq!(peer.text(), number.to_string());
    }
}

fn program() -> String {
    chat().get_program().to_str().unwrap().to_owned()
}
