//! `docs/protocol.md` says what is so: its frames are read, its error texts are
//! the server's own, its limits are the defaults, and its client takes part.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "this is a test"
)]

use std::io::{BufRead, BufReader, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use clap::CommandFactory;
use tokio::runtime::Runtime;
use topicserver::{Config, Options, Server};
use wire::{Event, Frame, Limits, Scan, Scanner};

const PAGE: &str = include_str!("../../../docs/protocol.md");
const ERROR_CODES: &str = include_str!("../../wire/src/error_code.rs");

/// Whatever takes longer than this won't come.
const LIMIT: Duration = Duration::from_secs(20);

#[test]
fn every_frame_of_the_page_is_read() {
    let blocks = blocks("json");
    assert!(blocks.len() >= 5, "{} blocks", blocks.len());
    blocks.iter().for_each(|block| assert_is_frame(block));
    let inline = section("### Accepted beyond the specification");
    let frames: Vec<_> = inline
        .split('`')
        .filter(|text| text.starts_with('{'))
        .collect();
    assert!(frames.len() >= 5, "{frames:?}");
    frames.iter().for_each(|frame| assert_is_frame(frame));
}

#[test]
fn every_error_code_is_on_the_page() {
    let table = section("## Errors");
    let mut codes = 0;
    for line in ERROR_CODES.lines().filter(|line| line.contains("=> \"")) {
        let code = line.split('"').nth(1).unwrap();
        assert!(table.contains(&format!("\n| `{code}` |")), "{code}");
        codes += 1;
    }
    assert!(codes >= 16, "{codes} codes");
}

#[test]
fn errors_read_as_the_page_says() {
    let server = Running::start(&Config::default());
    let many: Vec<_> = (0..1001).map(|number| number.to_string()).collect();
    let many = serde_json::json!({"topics": many}).to_string().into_bytes();
    for (sent, code) in [
        (b"[1]".to_vec(), "not-an-object"),
        (b"{}".to_vec(), "unknown-frame"),
        (br#"{"extended":{}}"#.to_vec(), "unknown-frame"),
        (br#"{"message":{"topic":"lab"}}"#.to_vec(), "bad-frame"),
        (br#"{"topics":[""]}"#.to_vec(), "bad-topic"),
        (many, "too-many-topics"),
        (
            br#"{"message":{"topic":"lab","text":"hi"}}"#.to_vec(),
            "not-registered",
        ),
        (b"HELO localhost\r\n".to_vec(), "not-json"),
        (b"\x16\x03\x01".to_vec(), "tls-not-supported"),
        (b"{\"a\":\"\xff\"}".to_vec(), "not-utf8"),
        (vec![b'['; 129], "too-deep"),
        ([b"\"".to_vec(), vec![b'a'; 65536]].concat(), "too-long"),
    ] {
        let mut peer = server.connect();
        peer.write_all(&sent).unwrap();
        assert_on_page(code, &error_from(&mut BufReader::new(peer)));
    }
}

#[test]
fn a_refused_connection_reads_what_the_page_says() {
    let server = Running::start(&Config {
        max_connections_per_address: 1,
        ..Config::default()
    });
    let _first = server.registered();
    let text = error_from(&mut BufReader::new(server.connect()));
    assert_on_page("too-many-connections", &text.replace(" 1 ", " 20000 "));
}

#[test]
fn a_late_peer_reads_what_the_page_says() {
    let short = Duration::from_millis(10);
    let server = Running::start(&Config {
        registration_timeout: short,
        ..Config::default()
    });
    let text = error_from(&mut BufReader::new(server.connect()));
    assert_on_page("registration-timeout", &text.replace(" 0 s", " 60 s"));

    let server = Running::start(&Config {
        frame_timeout: short,
        ..Config::default()
    });
    let mut peer = server.registered();
    peer.get_mut().write_all(b"{\"message\":").unwrap();
    let text = error_from(&mut peer);
    assert_on_page("unfinished-frame", &text.replace(" 0 s", " 60 s"));
}

#[test]
fn a_server_that_ends_says_what_the_page_says() {
    let server = Running::start(&Config::default());
    let mut peer = server.registered();
    drop(server);
    assert_on_page("shutting-down", &error_from(&mut peer));
}

#[test]
fn the_limits_are_the_defaults_of_the_options() {
    let tables = section("## Limits and deadlines");
    let other = [
        "bind",
        "log",
        "log-format",
        "threads",
        "help",
        "version",
        // What a cluster is, not what a client may do.
        "cluster-name",
        "cluster-durability",
        "cluster-shards",
    ];
    let mut options = 0;
    for argument in Options::command().get_arguments() {
        let Some(name) = argument.get_long().filter(|name| !other.contains(name)) else {
            continue;
        };
        let Some(default) = argument.get_default_values().first() else {
            continue;
        };
        let default = default.to_str().unwrap();
        let row = format!("| `--{name}` | {default} |");
        assert!(tables.contains(&row), "no {row:?}");
        options += 1;
    }
    assert!(options >= 10, "{options} options");
}

#[test]
fn the_pages_client_takes_part() {
    let server = Running::start(&Config::default());
    let mut observer = server.registered();
    let mut client = Python::start(&blocks("python")[0], server.address);

    client.type_line("h\u{e9}llo \"you\"");
    // Now it is registered too: it could send.
    assert_eq!(
        message_from(&mut observer),
        ("lab".into(), "h\u{e9}llo \"you\"".into())
    );
    let pretty = b"{\n \"message\": {\n  \"topic\": \"lab\", \"text\": \"and you\" } }";
    observer.get_mut().write_all(pretty).unwrap();
    assert_eq!(client.printed_line(), "lab:and you");

    client.type_line("last");
    client.end_input();
    assert_eq!(message_from(&mut observer).1, "last");
    assert!(client.has_succeeded(), "it ends when its input has ended");
}

/// The code blocks of one language, without the indentation of a list.
fn blocks(language: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut lines = PAGE.lines();
    while let Some(line) = lines.next() {
        let Some((indentation, info)) = line.split_once("```") else {
            continue;
        };
        let block: Vec<_> = lines
            .by_ref()
            .map(|line| line.strip_prefix(indentation).unwrap_or(line))
            .take_while(|line| *line != "```")
            .collect();
        if info == language {
            blocks.push(block.join("\n") + "\n");
        }
    }
    assert!(!blocks.is_empty(), "no {language}");
    blocks
}

/// What stands below a heading, up to the next heading of any kind.
fn section(heading: &str) -> &'static str {
    let (_, below) = PAGE.split_once(&format!("\n{heading}\n")).expect(heading);
    below
        .split_once("\n#")
        .map_or(below, |(section, _)| section)
}

fn assert_is_frame(text: &str) {
    match Scanner::new(Limits::default()).scan(text.as_bytes()) {
        Ok(Scan::Value(value)) => {
            let bytes = text.as_bytes();
            let is_frame = Frame::read(bytes, &value).is_ok() || Event::read(bytes, &value).is_ok();
            assert!(is_frame, "{text}");
            assert_eq!(text[value.end..].trim(), "", "one frame a block");
        }
        other => panic!("{text} is {other:?}"),
    }
}

/// An error as it came is one of the page's code spans.
fn assert_on_page(code: &str, text: &str) {
    assert!(text.starts_with(&format!("{code}: ")), "{text}");
    assert!(
        PAGE.contains(&format!("`{text}`")),
        "not on the page: {text}"
    );
}

/// The next message, as topic and text.
fn message_from(peer: &mut impl BufRead) -> (String, String) {
    let mut line = String::new();
    peer.read_line(&mut line).expect("a line in time");
    let frame: serde_json::Value = serde_json::from_str(&line).expect(&line);
    let part = |name: &str| frame["message"][name].as_str().unwrap().to_owned();
    (part("topic"), part("text"))
}

fn error_from(peer: &mut impl BufRead) -> String {
    let (topic, text) = message_from(peer);
    assert_eq!(topic, "error", "{text}");
    text
}

/// A server within the test. Dropping it ends it as a signal would.
struct Running {
    address: SocketAddr,
    runtime: Option<Runtime>,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    ended: Option<tokio::task::JoinHandle<topicserver::Ended>>,
}

impl Running {
    fn start(config: &Config) -> Self {
        let bind = Some(IpAddr::V4(Ipv4Addr::LOCALHOST));
        let runtime = Runtime::new().unwrap();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let config = Config {
            bind,
            ..config.clone()
        };
        let server = runtime.block_on(async { Server::bind(config).unwrap() });
        let address = server.local_addr();
        let ended = runtime.spawn(server.run(async {
            // A sender that is dropped stops it too.
            let _ = stopped.await;
        }));
        Self {
            address,
            runtime: Some(runtime),
            stop: Some(stop),
            ended: Some(ended),
        }
    }

    fn connect(&self) -> TcpStream {
        let peer = TcpStream::connect_timeout(&self.address, LIMIT).unwrap();
        peer.set_read_timeout(Some(LIMIT)).unwrap();
        peer
    }

    /// A connection whose registration for `lab` has been read, which it knows
    /// in the way that the page gives.
    fn registered(&self) -> BufReader<TcpStream> {
        let mut peer = BufReader::new(self.connect());
        let frames = br#"{"topics":["lab"]}{"message":{"topic":"other","text":""}}"#;
        peer.get_mut().write_all(frames).unwrap();
        assert!(error_from(&mut peer).starts_with("not-registered: "));
        peer
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.stop.take());
        let (runtime, ended) = (self.runtime.take().unwrap(), self.ended.take().unwrap());
        // Not waited for here: whoever drops it may be a peer it waits for.
        thread::spawn(move || runtime.block_on(ended));
    }
}

/// The page's client, as a process.
struct Python {
    child: Child,
    printed: mpsc::Receiver<String>,
}

impl Python {
    fn start(code: &str, server: SocketAddr) -> Self {
        let mut child = Command::new("python3")
            .args(["-X", "utf8", "-c", code])
            .args([
                server.ip().to_string(),
                server.port().to_string(),
                "lab".into(),
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 is needed for this test");
        let stdout = child.stdout.take().unwrap();
        let (line, printed) = mpsc::channel();
        thread::spawn(move || forward_lines(stdout, &line));
        Self { child, printed }
    }

    fn type_line(&mut self, line: &str) {
        let stdin = self.child.stdin.as_mut().unwrap();
        writeln!(stdin, "{line}").unwrap();
    }

    fn end_input(&mut self) {
        drop(self.child.stdin.take());
    }

    fn printed_line(&self) -> String {
        self.printed.recv_timeout(LIMIT).expect("a line in time")
    }

    /// Waits for its end; it has printed nothing more.
    fn has_succeeded(&mut self) -> bool {
        assert!(
            self.printed.recv_timeout(LIMIT).is_err(),
            "nothing more is printed"
        );
        self.child.wait().unwrap().success()
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn forward_lines(from: ChildStdout, to: &mpsc::Sender<String>) {
    for line in BufReader::new(from).lines().map_while(Result::ok) {
        if to.send(line).is_err() {
            return;
        }
    }
}
