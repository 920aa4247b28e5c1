//! The program: its arguments, its first line, its log.

use std::net::{Ipv6Addr, TcpListener, TcpStream};

use crate::common::{Bystanders, Client, Process, finish, message, program, registration};

#[test]
fn the_first_line_says_the_address() {
    let server = Process::start(&[]);
    let addr = server.listens_on();
    assert!(addr.ip().is_unspecified() && addr.port() != 0, "{addr}");
    assert!(
        server.log()[0].contains("listening on"),
        "{:#?}",
        server.log()
    );
    server.join(&["t"]);
}

#[test]
fn by_default_it_can_be_reached_by_ipv4_and_ipv6_in_one_topic() {
    if TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_err() {
        eprintln!("this machine has no IPv6");
        return;
    }
    let server = Process::start(&[]);
    let mut old = Client::connect(server.v4());
    let mut new = Client::connect(server.v6());
    old.join(&["t"]);
    new.join(&["t"]);
    old.say("t", "from IPv4");
    new.expect("t", "from IPv4");
    new.say("t", "from IPv6");
    old.expect("t", "from IPv6");

    // Each sees addresses of its own kind.
    old.send(b"{}");
    let line = String::from_utf8(old.line()).unwrap();
    assert!(
        line.contains(r#""ip":"127.0.0.1""#) && !line.contains("ffff"),
        "{line}"
    );
    new.send(b"{}");
    let line = String::from_utf8(new.line()).unwrap();
    assert!(line.contains(r#""ip":"::1""#), "{line}");
}

#[test]
fn bound_to_one_address_it_is_at_no_other() {
    let server = Process::start(&["--bind", "127.0.0.1"]);
    assert_eq!(server.listens_on(), server.v4());
    server.join(&["t"]);
    assert!(TcpStream::connect(server.v6()).is_err());
    #[cfg(target_os = "linux")]
    assert!(TcpStream::connect(("127.0.0.2", server.listens_on().port())).is_err());
}

#[test]
fn a_port_that_is_taken_is_a_failure_said_in_one_line() {
    let server = Process::start(&[]);
    let port = server.listens_on().port().to_string();
    for options in [&[][..], &["--bind", "127.0.0.1"]] {
        let output = finish(program().arg(&port).args(options));
        assert_eq!(output.status.code(), Some(1));
        assert!(output.stdout.is_empty());
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(text.starts_with("topicserver: can't listen"), "{text}");
        assert!(text.contains(&port) && text.contains("in use"), "{text}");
    }
    server.join(&["t"]);
}

#[test]
fn an_address_that_isnt_this_machines_is_a_failure() {
    let output = finish(program().args(["0", "--bind", "192.0.2.1"]));
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("192.0.2.1"), "{text}");
}

#[test]
fn wrong_arguments_are_explained_and_end_with_2() {
    for wrong in [
        &[][..],
        &["twenty"],
        &["65536"],
        &["0", "1"],
        &["0", "--bind", "localhost:1"],
        &["0", "--max-frame", "-1"],
        &["0", "--drain-timeout", "soon"],
        &["0", "--no-such-option"],
        &["0", "--log", "everything"],
    ] {
        let output = finish(program().args(wrong));
        assert_eq!(output.status.code(), Some(2), "{wrong:?}");
        assert!(output.stdout.is_empty(), "{wrong:?}");
        assert!(!output.stderr.is_empty(), "{wrong:?}");
    }
}

#[test]
fn help_and_version_go_to_standard_output() {
    let help = finish(program().arg("--help"));
    assert!(help.status.success());
    let text = String::from_utf8(help.stdout).unwrap();
    for option in ["--bind", "--max-frame", "--drain-timeout", "--log", "PORT"] {
        assert!(text.contains(option), "{option} in {text}");
    }
    let version = finish(program().arg("-V"));
    assert!(version.status.success());
    let expected = format!("topicserver {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(String::from_utf8(version.stdout).unwrap(), expected);
    // With the commit, if that is known.
    let version = finish(program().arg("--version"));
    let expected = format!("topicserver {}\n", env!("BUILD_VERSION"));
    assert_eq!(String::from_utf8(version.stdout).unwrap(), expected);
}

#[test]
fn every_limit_can_be_set() {
    let server = Process::start(&["--max-frame", "100", "--max-depth", "3"]);
    let mut client = server.connect();
    client.send(&[b'['; 4]);
    client.expect_error("too-deep");
    let mut client = server.connect();
    client.send(&[b'7'; 101]);
    client.expect_error("too-long");

    let server = Process::start(&["--max-topics", "1", "--max-connections", "2"]);
    let mut first = server.connect();
    first.register(&["a", "b"]);
    first.expect_error("too-many-topics");
    let _second = server.join(&["a"]);
    server.connect().expect_error("too-many-connections");

    let server = Process::start(&["--max-connections-per-address", "1"]);
    let _first = server.join(&["t"]);
    server.connect().expect_error("too-many-connections");

    let server = Process::start(&["--registration-timeout", "1", "--frame-timeout", "1"]);
    let mut half = server.join(&["t"]);
    half.send(b"{");
    server.connect().expect_error("registration-timeout");
    half.expect_error("unfinished-frame");

    let server = Process::start(&["--threads", "1"]);
    Bystanders::at(server.v4()).talk();
}

#[test]
fn nothing_that_a_peer_sends_reaches_the_log_as_it_is() {
    let server = Process::start(&["--log", "trace"]);
    let mut client = server.connect();
    let forged = "\u{1b}[2J\u{1b}]0;owned\u{7}\r\n2030-01-01 INFO forged\u{85}\u{9b}31m";
    let escaped = serde_json::to_string(forged).unwrap();
    for frame in [
        registration(&[forged]),
        message(forged, forged),
        format!("{{\"topics\":{escaped}}}").into_bytes(),
        format!("{{{escaped}:{escaped}}}").into_bytes(),
        format!("{{\"message\":{{\"topic\":{escaped},\"text\":1}}}}").into_bytes(),
        b"{\"topics\":[\"plain\"]}".to_vec(),
        message("not\u{202e}mine", "forged"),
    ] {
        client.send(&frame);
    }
    client.finish_sending();
    client.texts_to_the_end();
    for bytes in [
        &b"\x1b[31mred\r\nforged"[..],
        b"\r\n\x9b31m",
        b"{\"\x1b",
        b"{}forged",
    ] {
        let mut client = server.connect();
        client.send(bytes);
        client.texts_to_the_end();
    }
    server.wait_for("not-json");
    server.wait_for("bad-topic");
    for line in server.log() {
        assert!(!line.contains(char::is_control), "{line:?}");
        assert!(!line.contains("forged"), "{line:?}");
    }
}

#[test]
fn a_flood_of_nonsense_doesnt_flood_the_log() {
    let server = Process::start(&[]);
    let mut client = server.join(&["t"]);
    client.send("{\"message\":5}".repeat(20_000).as_bytes());
    // The last answers may be left out, so the end is the sign.
    client.finish_sending();
    client.texts_to_the_end();
    let lines = server.log().len();
    assert!(lines < 1_000, "{lines} lines");
}
