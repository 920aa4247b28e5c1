//! How frames may arrive, and how exactly they are passed on.

use topicserver::Config;
use wire::Limits;

use crate::common::{TestServer, message};

#[test]
fn a_message_is_relayed_byte_for_byte() {
    let server = TestServer::start();
    let mut sender = server.join(&["t"]);
    let mut receiver = server.join(&["t"]);
    for frame in [
        r#"{"source":{"ip":"192.168.1.1","port":"2000"},"destination":{"ip":"192.168.1.5","port":"2032"},"message":{"topic":"t","text":"This is such a lame message"}}"#,
        "{\t\"message\" :  {\"text\":\"x\" ,\t\"topic\":\"t\"   }  }",
        r#"{"z":1,"a":2.50,"m":-0.0e+10,"message":{"topic":"t","text":"y"},"b":[ ],"c":{ }}"#,
        r#"{"message":{"topic":"\u0074","text":"\u00e9 é \/ \\n \n \" \u0000 \ud83d\ude00 😀"}}"#,
        r#"{"message":{"topic":"t","text":"{\"message\":{}} ][ }{"},"twice":1,"twice":2}"#,
        "{\"message\":{\"topic\":\"t\",\"text\":\"\u{7f}\u{85}\u{2028}\u{feff}\"}}",
    ] {
        sender.send(frame.as_bytes());
        let line = receiver.line();
        assert_eq!(String::from_utf8(line).unwrap(), frame);
    }
}

#[test]
fn line_breaks_between_tokens_become_spaces() {
    let server = TestServer::start();
    let mut sender = server.join(&["t"]);
    let mut receiver = server.join(&["t"]);
    let pretty = "{\n  \"message\": {\n\t\"topic\": \"t\",\n    \"text\": \"a\\nb\"\n  }\n}";
    for frame in [
        pretty.to_owned(),
        pretty.replace('\n', "\r\n"),
        pretty.replace('\n', "\r"),
        pretty.replace('\n', "\n\n\n"),
    ] {
        // Alone, with something after it, and as the second of two.
        for around in [
            ["", ""],
            ["", "\n"],
            ["", "\r\n"],
            ["\r\n\r\n", "\n\n"],
            ["", " "],
        ] {
            let [before, after] = around;
            sender.send(format!("{before}{frame}{after}").as_bytes());
            let expected = frame.replace(['\n', '\r'], " ");
            assert_eq!(String::from_utf8(receiver.line()).unwrap(), expected);
        }
    }
    // Nothing more came of any of them.
    sender.say("t", "last");
    receiver.expect("t", "last");
}

#[test]
fn whatever_stands_between_frames_each_is_one_line() {
    let server = TestServer::start();
    let mut sender = server.join(&["t"]);
    let mut receiver = server.join(&["t"]);
    let frame =
        |number: usize| format!("{{\"message\":{{\"topic\":\"t\",\"text\":\"{number}\"}}}}");
    let gaps = ["", " ", "\n", "\r\n", "\t", "\n\n\n", " \r\n ", "   ", "\r"];
    let mut write = String::new();
    let mut expected = Vec::new();
    // Every gap after every other.
    for first in gaps {
        for second in gaps {
            for gap in [first, second] {
                expected.push(frame(expected.len()));
                write += expected.last().unwrap();
                write += gap;
            }
        }
    }
    sender.send(write.as_bytes());
    for frame in expected {
        assert_eq!(String::from_utf8(receiver.line()).unwrap(), frame);
    }
    sender.say("t", "last");
    receiver.expect("t", "last");
}

#[test]
fn a_byte_between_frames_that_isnt_json_is_never_passed_over() {
    let server = TestServer::start();
    let mut receiver = server.join(&["t"]);
    // These count as white space elsewhere, but not in JSON.
    for byte in [0x0c, 0x0b, 0x00, 0xa0] {
        let mut sender = server.join(&["t"]);
        let mut write = message("t", "before");
        *write.last_mut().unwrap() = byte;
        write.extend(message("t", "after"));
        sender.send(&write);
        receiver.expect("t", "before");
        sender.expect_error("not-json");
        sender.expect_end();
    }
}

#[test]
fn frames_may_arrive_one_byte_at_a_time() {
    let server = TestServer::start();
    let mut receiver = server.join(&["t"]);
    let mut sender = server.connect();
    let stream = "{\"topics\":[\"t\"]}\r\n\
        {\"message\":{\"topic\":\"t\",\"text\":\"é\\u00e9😀\"}}{\"message\":{\"topic\":\"t\",\"text\":\"2\"}} \
        {\n\"extended\" : {\"x\":[1,2]},\n\"message\":{\"topic\":\"t\",\"text\":\"3\"}}\n{\"other\":-1.5e3}{}";
    for byte in stream.as_bytes() {
        sender.send(&[*byte]);
    }
    receiver.expect("t", "éé😀");
    receiver.expect("t", "2");
    let third = String::from_utf8(receiver.line()).unwrap();
    assert_eq!(third, "{  \"message\":{\"topic\":\"t\",\"text\":\"3\"}}");
    sender.expect_error("unknown-frame");
    sender.expect_error("unknown-frame");
}

#[test]
fn a_long_frame_may_arrive_in_many_pieces() {
    let server = TestServer::start();
    let mut receiver = server.join(&["t"]);
    let mut sender = server.join(&["t"]);
    let text = "0123456789".repeat(6_000);
    let frame = message("t", &text);
    for piece in frame.chunks(997) {
        sender.send(piece);
    }
    receiver.expect("t", &text);
}

#[test]
fn a_thousand_frames_may_come_in_one_write() {
    let server = TestServer::start();
    let mut receiver = server.join(&["t"]);
    let mut sender = server.join(&["t"]);
    for separator in ["\n", "", "\r\n", "  "] {
        let frames: Vec<_> = (0..1_000)
            .map(|number| {
                let line = message("t", &format!("{separator:?} {number}"));
                String::from_utf8(line).unwrap().trim_end().to_owned()
            })
            .collect();
        sender.send((frames.join(separator) + separator).as_bytes());
        for frame in frames {
            assert_eq!(String::from_utf8(receiver.line()).unwrap(), frame);
        }
    }
}

#[test]
fn a_frame_of_exactly_the_limit_is_relayed_and_one_byte_more_is_too_long() {
    for max_frame in [64, 300, Limits::DEFAULT_MAX_FRAME, 200_000] {
        let server = TestServer::with(Config {
            frame_limits: Limits {
                max_frame,
                ..Limits::default()
            },
            ..Config::default()
        });
        let mut receiver = server.join_briefly("t");
        let mut sender = server.join_briefly("t");
        let frame = |length: usize| {
            let (start, end) = ("{\"message\":{\"topic\":\"t\",\"text\":\"", "\"}}");
            let text = "x".repeat(length - start.len() - end.len());
            format!("{start}{text}{end}")
        };
        for _ in 0..3 {
            sender.send(frame(max_frame).as_bytes());
            assert_eq!(receiver.line(), frame(max_frame).as_bytes());
        }
        let two = frame(max_frame) + "\n  " + &frame(max_frame);
        sender.send(two.as_bytes());
        for _ in 0..2 {
            assert_eq!(receiver.line(), frame(max_frame).as_bytes());
        }
        sender.send(frame(max_frame + 1).as_bytes());
        let why = sender.expect_error("too-long");
        assert!(why.contains(&max_frame.to_string()), "{why}");
        sender.expect_end();
    }
}

#[test]
fn what_a_sender_put_under_extended_is_dropped() {
    let server = TestServer::start();
    let mut receiver = server.join(&["t"]);
    let mut sender = server.join(&["t"]);
    for (sent, relayed) in [
        (
            r#"{"extended":{"seq":1,"user":"root"},"message":{"topic":"t","text":"first"}}"#,
            r#"{"message":{"topic":"t","text":"first"}}"#,
        ),
        (
            r#"{"message":{"topic":"t","text":"last"},"extended":{"a":[{"b":"}"}]}}"#,
            r#"{"message":{"topic":"t","text":"last"}}"#,
        ),
        (
            r#"{"a":1,"extended":null,"message":{"topic":"t","text":"between"}}"#,
            r#"{"a":1,"message":{"topic":"t","text":"between"}}"#,
        ),
        (
            r#"{"message":{"topic":"t","text":"escaped"},"e\u0078tended":"},{"}"#,
            r#"{"message":{"topic":"t","text":"escaped"}}"#,
        ),
        (
            r#"{"message":{"topic":"t","text":"\"extended\":1","extended":"stays"},"a":{"extended":1}}"#,
            r#"{"message":{"topic":"t","text":"\"extended\":1","extended":"stays"},"a":{"extended":1}}"#,
        ),
    ] {
        sender.send(sent.as_bytes());
        assert_eq!(String::from_utf8(receiver.line()).unwrap(), relayed);
    }
}

#[test]
fn frames_with_and_without_extended_keep_their_order_in_a_run() {
    let server = TestServer::start();
    let mut receiver = server.join(&["t"]);
    let mut sender = server.join(&["t"]);
    let mut write = String::new();
    for number in 0..300 {
        let extended = if number % 3 == 1 {
            "\"extended\":{\"n\":1},"
        } else {
            ""
        };
        let gap = if number % 4 == 2 { "" } else { "\n" };
        write +=
            &format!("{{{extended}\"message\":{{\"topic\":\"t\",\"text\":\"{number}\"}}}}{gap}");
    }
    sender.send(write.as_bytes());
    for number in 0..300 {
        let line = String::from_utf8(receiver.line()).unwrap();
        let expected = format!("{{\"message\":{{\"topic\":\"t\",\"text\":\"{number}\"}}}}");
        assert_eq!(line, expected);
    }
}

#[test]
fn what_the_server_itself_says_is_written_as_specified() {
    let server = TestServer::start();
    let mut client = server.connect();
    client.send(b"{}");
    let line = String::from_utf8(client.line()).unwrap();
    let expected = format!(
        "{{\"source\":{{\"ip\":\"127.0.0.1\",\"port\":\"{}\"}},\
         \"destination\":{{\"ip\":\"127.0.0.1\",\"port\":\"{}\"}},\
         \"message\":{{\"topic\":\"error\",\"text\":\"unknown-frame: ",
        server.addr().port(),
        client.local_addr().port(),
    );
    assert!(line.starts_with(&expected), "{line}");
}
