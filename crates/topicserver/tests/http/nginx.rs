//! Through nginx as a reverse proxy: with its default settings, and with the lines of
//! `docs/http.md`.

use std::fs;
use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use socket2::{Domain, Socket as Socket2, Type};
use topicserver::Config;

use crate::browser::Driver;
use crate::common::{TestServer, eventually};
use crate::page::{expect_said, join, say};
use crate::requests::{Http, Lines, stream_from};
use crate::websocket::Socket;

const PAGE: &str = include_str!("../../../../docs/http.md");

/// What nginx does without a word about it, in front of a server.
const DEFAULTS: &str = "server { listen 80; location / { proxy_pass http://127.0.0.1:20000; } }";

const EVENTS: &str = "accept: text/event-stream";

/// The lines that the page shows.
pub fn documented() -> &'static str {
    let block = PAGE.split("```nginx\n").nth(1).unwrap();
    block.split("```").next().unwrap()
}

/// nginx in front of a server. It is ended when this is dropped.
pub struct Nginx {
    process: Child,
    pub addr: SocketAddr,
    directory: PathBuf,
}

impl Nginx {
    /// `None` if it isn't installed.
    fn before(server: &TestServer, lines: &str) -> Option<Self> {
        Self::before_addr(server.addr(), lines)
    }

    /// The same of a server at an address.
    pub fn before_addr(server: SocketAddr, lines: &str) -> Option<Self> {
        let paths = ["nginx", "/usr/sbin/nginx"];
        let works = |path: &&str| Command::new(path).arg("-v").output().is_ok();
        let Some(program) = paths.into_iter().find(works) else {
            println!("skipped: nginx isn't installed");
            return None;
        };
        // The port is free again when nginx takes it.
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = free.local_addr().unwrap();
        drop(free);
        let name = format!("natter-nginx-{}-{}", std::process::id(), addr.port());
        let directory = std::env::temp_dir().join(name);
        fs::create_dir_all(&directory).unwrap();
        let lines = lines
            .replace("listen 80;", &format!("listen {addr};"))
            .replace("listen 443 ssl;", &format!("listen {addr} ssl;"))
            .replace("127.0.0.1:20000", &server.to_string());
        fs::write(
            directory.join("nginx.conf"),
            configuration(&directory, &lines),
        )
        .unwrap();
        let process = Command::new(program)
            .arg("-p")
            .arg(&directory)
            .args(["-c", "nginx.conf", "-e", "error.log"])
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let nginx = Self {
            process,
            addr,
            directory,
        };
        eventually("nginx to listen", || TcpStream::connect(addr).ok());
        Some(nginx)
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // It may have ended already, and what is left there does no harm.
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// What nginx needs to run beside another one, as anybody; the rest is by default.
fn configuration(directory: &Path, lines: &str) -> String {
    let mut temporary = String::new();
    for kind in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"] {
        let path = directory.join(kind);
        temporary += &format!("    {kind}_temp_path {};\n", path.display());
    }
    format!(
        "daemon off;\nmaster_process off;\npid nginx.pid;\nevents {{}}\n\
         http {{\n    access_log off;\n{temporary}{lines}}}\n"
    )
}

/// A server with the options that the page names.
fn server() -> TestServer {
    let options = "--allow-host chat.example --trust-proxy 127.0.0.1`";
    assert!(PAGE.contains(options), "{options}");
    TestServer::with(Config {
        allow_hosts: vec!["chat.example".to_owned()],
        trust_proxies: vec!["127.0.0.1".parse().unwrap()],
        ..Config::default()
    })
}

/// Runs a check with the default settings, and with the documented ones.
fn with_both(check: impl Fn(&TestServer, SocketAddr)) {
    for lines in [DEFAULTS, documented()] {
        let server = server();
        if let Some(nginx) = Nginx::before(&server, lines) {
            check(&server, nginx.addr);
        }
    }
}

fn publish(addr: SocketAddr, topic: &str, text: &str) {
    let answer = Http::at(addr).post(topic, &[], text.as_bytes());
    assert_eq!(answer.status, 200, "{answer:?}");
}

/// Begins a stream of `/lab`, which the server knows of then.
fn listen(server: &TestServer, addr: SocketAddr, path: &str, headers: &[&str]) -> Lines {
    let stream = Lines::at(addr, path, headers);
    eventually("the stream's registration", || {
        let who = Http::to(server).get("/-/topics/lab/who", &[]).json();
        (who["members"]["count"] == 1).then_some(())
    });
    stream
}

#[test]
fn each_message_arrives_before_the_next_one_is_published() {
    with_both(|server, addr| {
        for (path, headers) in [
            ("/lab", vec![]),
            ("/lab", vec![EVENTS]),
            ("/lab", vec!["accept: text/plain"]),
            ("/-/stream?topic=lab&topic=ci", vec![EVENTS]),
        ] {
            let mut stream = listen(server, addr, path, &headers);
            for number in 0..5 {
                let text = format!("number {number} for {path}");
                publish(addr, "/lab", &text);
                while !stream.next().unwrap().contains(&text) {}
            }
            drop(stream);
            eventually("the server to see that the reader has gone", || {
                let who = Http::to(server).get("/-/topics/lab/who", &[]).json();
                (who["members"]["count"] == 0).then_some(())
            });
        }
    });
}

#[test]
fn a_silent_stream_stays_open_through_a_proxy() {
    let server = TestServer::with(Config {
        ping_interval: Duration::from_millis(300),
        ..Config::default()
    });
    // A proxy that gives up after a second of silence.
    let lines = DEFAULTS.replace("proxy_pass", "proxy_read_timeout 1s; proxy_pass");
    let Some(nginx) = Nginx::before(&server, &lines) else {
        return;
    };
    for headers in [vec![], vec![EVENTS]] {
        let mut stream = listen(&server, nginx.addr, "/lab", &headers);
        let start = std::time::Instant::now();
        while start.elapsed() < Duration::from_secs(2) {
            stream.next().unwrap();
        }
        publish(nginx.addr, "/lab", "still there");
        while !stream.next().unwrap().contains("still there") {}
        drop(stream);
        eventually("the reader to have left", || {
            let who = Http::to(&server).get("/-/topics/lab/who", &[]).json();
            (who["members"]["count"] == 0).then_some(())
        });
    }
}

#[test]
fn requests_are_answered_as_without_a_proxy() {
    with_both(|_, addr| {
        let mut http = Http::at(addr);
        http.ask("PUT", "/ci", &["content-length: 4"], b"");
        assert!(http.send(b"done"));
        assert_eq!(http.answer().json()["seq"], 1);
        let kind = "content-type: application/json";
        let whole = http.post("/ci?json=whole", &[kind], b"{\"event\":\"push\"}");
        assert_eq!(whole.json()["seq"], 2);
        let text = http.get("/ci?poll=1", &[]).text().to_owned();
        assert!(text.contains("\"done\"") && text.ends_with('\n'), "{text}");
        let once = http.get("/ci?last=2&count=1", &[EVENTS]).text().to_owned();
        assert_eq!(once.matches("\"message\"").count(), 1, "{once}");
        let timed = http
            .get("/ci?last=2&timeout=1", &[EVENTS])
            .text()
            .to_owned();
        let mut ids = timed.lines().filter_map(|line| line.strip_prefix("id: "));
        let id = ids.next_back().unwrap();
        let rest = http.get(&format!("/ci?poll=1&lastEventId={id}"), &[]);
        assert!(!rest.text().contains("\"message\""), "{}", rest.text());
        let html = http.get("/ci?utm_source=mail", &["accept: text/html"]);
        assert_eq!(
            html.header("content-type"),
            Some("text/html; charset=utf-8")
        );
        let wrong = http.get("/ci?lst=1", &[]);
        wrong.expect_problem(400, "bad-request");
        let other = http.post("/ci", &["origin: http://evil.example"], b"hi");
        other.expect_problem(403, "forbidden-origin");
    });
}

#[test]
fn websockets_and_names_pass_with_the_documented_lines() {
    let server = server();
    let Some(nginx) = Nginx::before(&server, documented()) else {
        return;
    };
    let mut socket = Socket::at(nginx.addr);
    socket.send(json!({"topics": ["lab"], "extended": {}}));
    assert!(socket.frame()["extended"]["registered"].is_object());
    for number in 0..5 {
        let text = format!("number {number}");
        publish(nginx.addr, "/lab", &text);
        assert_eq!(socket.frame()["message"]["text"], Value::from(text));
    }
    let message = json!({"message": {"topic": "lab", "text": "and back"}, "extended": {"id": "1"}});
    socket.send(message);
    assert_eq!(socket.frame()["extended"]["ack"]["seq"], 6);
    for (host, path, status) in [
        ("chat.example", "/lab?poll=1", 200),
        ("evil.example", "/lab?poll=1", 421),
        ("evil.example", "/-/health", 200),
    ] {
        let mut http = Http::at(nginx.addr);
        let request = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\n\r\n");
        assert!(http.send(request.as_bytes()));
        assert_eq!(http.head().status, status, "{host} {path}");
    }
    let origin = "origin: http://chat.example";
    let mut http = Http::at(nginx.addr);
    let request = format!(
        "POST /lab HTTP/1.1\r\nhost: chat.example\r\n{origin}\r\ncontent-length: 2\r\n\r\nhi"
    );
    assert!(http.send(request.as_bytes()));
    assert_eq!(http.answer().json()["seq"], 7);
}

#[cfg(target_os = "linux")]
#[test]
fn who_asks_through_the_documented_lines_has_its_own_address() {
    let server = server();
    let Some(nginx) = Nginx::before(&server, documented()) else {
        return;
    };
    let mut lines = listen(&server, nginx.addr, "/lab", &[]);
    lines.frame();
    let socket = Socket2::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let here = SocketAddr::from(([127, 0, 0, 2], 0));
    socket.bind(&here.into()).unwrap();
    socket.connect(&nginx.addr.into()).unwrap();
    let mut stream = TcpStream::from(socket);
    let request = format!(
        "POST /lab HTTP/1.1\r\nhost: {}\r\ncontent-length: 2\r\n\r\nhi",
        nginx.addr
    );
    stream.write_all(request.as_bytes()).unwrap();
    assert_eq!(lines.frame()["source"]["ip"], "127.0.0.2");
}

#[test]
fn clients_are_told_apart_and_cannot_forge_their_address() {
    let server = server();
    let Some(nginx) = Nginx::before(&server, documented()) else {
        return;
    };
    let mut classic = server.join(&["lab"]);
    // nginx sees a client at this address, whatever the client claims.
    for forged in [
        &[][..],
        &["x-forwarded-for: 203.0.113.9"],
        &["x-forwarded-for: 203.0.113.9, 127.0.0.1"],
        &["forwarded: for=203.0.113.9"],
    ] {
        let stream = stream_from("127.0.0.7".parse().unwrap(), nginx.addr);
        let answer = Http::over(stream, nginx.addr).post("/lab", forged, b"hi");
        assert_eq!(answer.status, 200, "{answer:?}");
        let line: Value = serde_json::from_slice(&classic.line()).unwrap();
        assert_eq!(line["source"]["ip"], "127.0.0.7", "{forged:?}");
    }
}

#[test]
fn the_page_works_through_the_documented_lines() {
    let server = server();
    let Some(driver) = Driver::start() else {
        return;
    };
    let Some(nginx) = Nginx::before(&server, documented()) else {
        return;
    };
    let browser = driver.browser(800, 600);
    join(&browser, nginx.addr, "anna");
    say(&browser, "through nginx");
    expect_said(&browser, &[("anna", "through nginx")]);
}
