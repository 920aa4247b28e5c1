//! Streams that can't be trusted any more, or that don't come: their senders are
//! told why and disconnected. Nobody else notices.

use std::time::{Duration, Instant};

use topicserver::Config;
use wire::Limits;

use crate::common::{Bystanders, TestServer, message};

/// Sends a good message, and this: the message must arrive, the error be told
/// and the connection closed, and nothing more be read.
#[track_caller]
fn closes(server: &TestServer, bytes: &[u8], code: &str) {
    let mut bystanders = Bystanders::on(server);
    let mut receiver = server.join_briefly("t");
    let mut sender = server.join_briefly("t");
    let mut write = message("t", "before");
    write.extend_from_slice(bytes);
    write.extend(message("t", "after"));
    sender.send(&write);
    receiver.expect("t", "before");
    sender.expect_error(code);
    sender.expect_end();

    // The same in a write of its own, and as a connection's first.
    let mut newcomer = server.connect();
    newcomer.send(bytes);
    newcomer.expect_error(code);
    newcomer.expect_end();

    bystanders.talk();
    let mut other = server.join_briefly("t");
    other.say("t", "end");
    receiver.expect("t", "end");
}

#[test]
fn what_isnt_json_is_told_and_closed() {
    let server = TestServer::start();
    for bytes in [
        "hello\n",
        "HELO localhost\r\n",
        "{topics:['t']}",
        "{\"topics\":[\"t\",]}",
        "{\"topics\":[\"t\"],}",
        "{\"topics\" [\"t\"]}",
        "}",
        "]",
        ",",
        "{\"a\":01}",
        "{\"a\":.5}",
        "{\"a\":+1}",
        "{\"a\":NaN}",
        "{\"a\":tru}",
        "{\"a\":\"line\nbreak\"}",
        "{\"a\":\"\\x41\"}",
        "{\"a\":\"\\u12g4\"}",
        "{\"a\":1]",
        "// no\n",
        "\u{feff}{}",
    ] {
        closes(&server, bytes.as_bytes(), "not-json");
    }
    for bytes in [&b"\0"[..], b"\xff\xfe", b"{\"a\":\xff}"] {
        closes(&server, bytes, "not-json");
    }
}

#[test]
fn what_isnt_utf8_is_told_and_closed() {
    let server = TestServer::start();
    for text in [
        &b"\xff"[..],
        b"\xc3",
        b"\xc3(",
        b"\xc0\xaf",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"\xe2\x82",
        b"long enough for more than one word \x80",
    ] {
        for [before, after] in [
            ["{\"message\":{\"topic\":\"t\",\"text\":\"", "\"}}"],
            ["{\"topics\":[\"", "\"]}"],
            ["{\"", "\":1}"],
        ] {
            let frame = [before.as_bytes(), text, after.as_bytes()].concat();
            closes(&server, &frame, "not-utf8");
        }
    }
}

#[test]
fn what_is_too_deep_is_told_and_closed() {
    let server = TestServer::start();
    for level in ["[", "{\"a\":"] {
        let deep = level.repeat(129);
        closes(&server, deep.as_bytes(), "too-deep");
        let very_deep = level.repeat(400_000);
        closes(&server, very_deep.as_bytes(), "too-deep");
    }
    let message = |levels: usize| {
        let (open, close) = ("[".repeat(levels), "]".repeat(levels));
        format!("{{\"x\":{open}{close},\"message\":{{\"topic\":\"t\",\"text\":\"deep\"}}}}")
    };
    let mut receiver = server.join(&["t"]);
    let mut sender = server.join(&["t"]);
    sender.send(message(127).as_bytes());
    assert_eq!(receiver.line(), message(127).as_bytes());
    sender.send(message(128).as_bytes());
    sender.expect_error("too-deep");
    sender.expect_end();
}

#[test]
fn the_depth_allowed_can_be_set() {
    let server = TestServer::with(Config {
        frame_limits: Limits {
            max_depth: 2,
            ..Limits::default()
        },
        ..Config::default()
    });
    closes(&server, b"{\"a\":[[", "too-deep");
}

#[test]
fn what_is_too_long_is_told_and_closed() {
    let server = TestServer::with(Config {
        frame_limits: Limits {
            max_frame: 1_000,
            ..Limits::default()
        },
        ..Config::default()
    });
    let text = "x".repeat(1_000);
    closes(
        &server,
        format!("{{\"a\":\"{text}\"}}").as_bytes(),
        "too-long",
    );
    let spaces = " ".repeat(1_000);
    closes(&server, format!("{{{spaces}}}").as_bytes(), "too-long");
    let digits = "7".repeat(1_000);
    closes(&server, digits.as_bytes(), "too-long");
}

#[test]
fn a_line_that_never_ends_is_cut_off_though_its_sender_goes_on() {
    let server = TestServer::start();
    let mut bystanders = Bystanders::on(&server);
    let mut endless = server.join(&["t"]);
    endless.send(b"{\"message\":{\"topic\":\"t\",\"text\":\"");
    let piece = vec![b'x'; 64 * 1024];
    // It reads only when it can't send any more, and learns why all the same.
    for _ in 0..64 {
        if !endless.try_send(&piece) {
            break;
        }
    }
    endless.expect_error("too-long");
    bystanders.talk();
}

#[test]
fn a_peer_that_sends_a_lot_before_it_reads_still_learns_why_it_was_closed() {
    let server = TestServer::start();
    let mut sender = server.join(&["t"]);
    let mut write = b"nonsense ".to_vec();
    write.resize(1_000_000, b'x');
    sender.send(&write);
    sender.expect_error("not-json");
    sender.expect_end();
}

#[test]
fn good_frames_before_a_bad_byte_arrive_all() {
    let server = TestServer::start();
    let mut receiver = server.join(&["a", "b"]);
    let mut sender = server.join(&["a", "b"]);
    let mut write = Vec::new();
    for number in 0..1_000 {
        write.extend(message("a", &number.to_string()));
    }
    write.extend(b"{\"message\":{\"topic\":\"a\",\"text\":\"cut off\"}!");
    sender.send(&write);
    for number in 0..1_000 {
        receiver.expect("a", &number.to_string());
    }
    sender.expect_error("not-json");
    sender.expect_end();
    let mut other = server.join(&["a"]);
    other.say("a", "end");
    receiver.expect("a", "end");
}

#[test]
fn a_peer_that_never_registers_is_told_and_closed() {
    let server = TestServer::with(Config {
        registration_timeout: Duration::from_secs(2),
        ..Config::default()
    });
    let mut bystanders = Bystanders::on(&server);
    let mut silent = server.connect();
    let mut dallying = server.connect();
    dallying.send(b"{}");
    let mut halfway = server.connect();
    halfway.send(b"{\"topics\":");
    let mut refused = server.connect();
    refused.send(b"{\"topics\":5}");
    let mut blank = server.connect();
    blank.send(b"\n\n\n");
    dallying.expect_error("unknown-frame");
    refused.expect_error("bad-frame");
    for client in [
        &mut silent,
        &mut dallying,
        &mut halfway,
        &mut refused,
        &mut blank,
    ] {
        client.expect_error("registration-timeout");
        client.expect_end();
    }
    bystanders.talk();
}

#[test]
fn a_registered_peer_may_be_silent_for_as_long_as_it_likes() {
    let server = TestServer::with(Config {
        registration_timeout: Duration::from_secs(2),
        frame_timeout: Duration::from_secs(2),
        ..Config::default()
    });
    let mut quiet = server.connect();
    // A registration in two pieces, and white space after it, leave no deadline.
    quiet.send(b"{\"topics\":");
    quiet.send(b"[\"t\"]}");
    quiet.sync();
    quiet.send(b" \n");
    // Another one's deadline shows that the time is over, twice.
    for _ in 0..2 {
        let mut late = server.connect();
        late.expect_error("registration-timeout");
    }
    quiet.sync();
    let mut other = server.join(&["t"]);
    other.say("t", "still there?");
    quiet.expect("t", "still there?");
}

#[test]
fn a_frame_that_isnt_finished_in_time_is_told_and_closed() {
    let server = TestServer::with(Config {
        frame_timeout: Duration::from_millis(300),
        ..Config::default()
    });
    let mut bystanders = Bystanders::on(&server);
    let mut receiver = server.join(&["t"]);
    let mut half = server.join(&["t"]);
    let mut write = message("t", "whole");
    write.extend(b"{\"message\":{\"topic\":\"t\",\"te");
    half.send(&write);
    receiver.expect("t", "whole");
    half.expect_error("unfinished-frame");
    half.expect_end();
    bystanders.talk();
}

#[test]
fn bytes_that_dribble_in_dont_put_off_a_frames_deadline() {
    let server = TestServer::with(Config {
        frame_timeout: Duration::from_millis(300),
        ..Config::default()
    });
    let mut bystanders = Bystanders::on(&server);
    let mut dribbling = server.join(&["t"]);
    let mut writer = dribbling.writer();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let start = Instant::now();
            writer.send(b"{\"message\":\"");
            while writer.try_send(b"x") {
                assert!(
                    start.elapsed() < Duration::from_secs(20),
                    "it goes on for ever"
                );
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        dribbling.expect_error("unfinished-frame");
        dribbling.expect_end();
        // Now the server is gone for it, and it notices soon.
        drop(dribbling);
    });
    bystanders.talk();
}

#[test]
fn frames_that_follow_each_other_have_each_a_deadline_of_their_own() {
    let server = TestServer::with(Config {
        frame_timeout: Duration::from_secs(4),
        ..Config::default()
    });
    let mut receiver = server.join(&["t"]);
    let mut sender = server.join(&["t"]);
    // There is always half a frame on its way, for longer than any may take.
    let frame = message("t", "x");
    let (head, tail) = frame.split_at(40);
    let tail_and_head = [tail, head].concat();
    sender.send(head);
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(9) {
        std::thread::sleep(Duration::from_millis(50));
        sender.send(&tail_and_head);
        receiver.expect("t", "x");
    }
}
