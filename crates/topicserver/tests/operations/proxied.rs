//! Proxies on the UNIX socket: whom they forward counts, if they are trusted.

use std::fs;
use std::io::Write as _;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::common::{Client, Directory, Process, connect_local, eventually, socket_path};
use crate::requests::{Http, stream_from};

const LINE: &[u8] = b"PROXY TCP4 203.0.113.9 192.0.2.1 4711 80\r\n";

/// The same in version 2.
const BINARY: &[u8] =
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xcb\0\x71\x09\xc0\0\x02\x01\x12\x67\0\x50";

/// A server with a UNIX socket.
struct Server {
    process: Process,
    path: PathBuf,
}

impl Server {
    fn start(options: &[&str]) -> Self {
        let path = socket_path();
        let listen = format!("--listen=unix:{}", path.display());
        let process = Process::start(&[&[listen.as_str()], options].concat());
        process.wait_for("listening on unix:");
        Self { process, path }
    }

    /// One that serves everybody whom this proxy forwards.
    fn trusting(proxy: &str) -> Self {
        Self::start(&["--open-to-all", "--trust-proxy", proxy])
    }

    fn http(&self) -> Http {
        Http::over(connect_local(&self.path), self.process.v4())
    }

    /// From where a message came that is published next.
    fn source(&self, publish: impl FnOnce()) -> String {
        let mut witness = self.process.join(&["t"]);
        publish();
        let line: Value = serde_json::from_slice(&witness.line()).unwrap();
        line["source"]["ip"].as_str().unwrap().to_owned()
    }

    fn source_of_request(&self, headers: &[&str]) -> String {
        self.source(|| assert_eq!(self.http().post("/t", headers, b"hi").status, 200))
    }
}

/// What the program runs as.
fn user() -> u32 {
    nix::unistd::getuid().as_raw()
}

#[test]
fn whom_a_trusted_proxy_forwards_is_who_is_connected() {
    let own = format!("unix:{}", user());
    for proxy in ["unix:", &own] {
        let server = Server::trusting(proxy);
        for (name, header) in [("alice", LINE), ("bob", BINARY)] {
            let mut client = Client::local(&server.path);
            client.send(header);
            client.register_extended(&["t"], json!({"user": name}));
            client.ask(json!({"lookup": name}));
            let found = client.expect_event("found");
            assert_eq!(
                (&found["ip"], &found["port"]),
                (&json!("203.0.113.9"), &json!("4711"))
            );
            let source = server.source(|| {
                let mut http = server.http();
                assert!(http.send(header));
                assert_eq!(http.post("/t", &[], b"hi").status, 200);
            });
            assert_eq!(source, "203.0.113.9");
        }
        for header in [
            "x-forwarded-for: 203.0.113.9",
            "x-forwarded-for: 198.51.100.1, 203.0.113.9",
            "forwarded: for=203.0.113.9;proto=https",
        ] {
            assert_eq!(server.source_of_request(&[header]), "203.0.113.9");
        }
        // It may speak for itself.
        assert_eq!(server.source_of_request(&[]), "127.0.0.1");
        let mut client = Client::local(&server.path);
        client.send(b"PROXY UNKNOWN\r\n");
        client.join(&["t"]);
        // Whoever is on the port isn't the proxy.
        let mut forged = server.process.connect();
        forged.send(LINE);
        forged.expect_error("not-json");
    }
}

#[test]
fn a_proxy_of_another_user_is_not_believed() {
    let other = format!("unix:{}", user() + 1);
    let server = Server::trusting(&other);
    let mut client = Client::local(&server.path);
    client.send(LINE);
    let why = client.expect_error("not-json");
    assert!(why.contains("--trust-proxy"), "{why}");
    let forged = ["x-forwarded-for: 203.0.113.9"];
    assert_eq!(server.source_of_request(&forged), "127.0.0.1");
}

#[test]
fn limits_and_the_servers_network_hold_for_the_client_and_not_for_the_proxy() {
    let trust = ["--trust-proxy", "unix:"];
    let server = Server::start(&[&trust[..], &["--max-connections-per-address", "1"]].concat());
    let connect = |address: &str| {
        let mut client = Client::local(&server.path);
        client.send(format!("PROXY TCP4 {address} 192.0.2.1 4711 80\r\n").as_bytes());
        client
    };
    let mut first = connect("192.168.1.7");
    first.join(&["t"]);
    connect("192.168.1.7").expect_error("too-many-connections");
    connect("192.168.1.8").join(&["t"]);
    // Without accounts, the server is for its own network.
    let mut stranger = connect("203.0.113.9");
    stranger.register(&["t"]);
    stranger.expect_error("protected");
    let refused = server
        .http()
        .post("/t", &["x-forwarded-for: 203.0.113.9"], b"hi");
    refused.expect_problem(403, "protected");
    first.sync();
}

/// nginx on a port of its own, with these lines. It is ended when this is dropped.
struct Nginx {
    process: Child,
    addr: SocketAddr,
    _directory: Directory,
}

impl Nginx {
    /// `None` if it isn't installed.
    fn start(lines: &str) -> Option<Self> {
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
        let directory = Directory::new();
        let path = directory.path().display();
        let kinds = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
        let temporary = kinds.map(|kind| format!("{kind}_temp_path {path}/{kind};\n"));
        let lines = lines.replace("listen 80;", &format!("listen {addr};"));
        let configuration = format!(
            "daemon off;\nmaster_process off;\npid nginx.pid;\nevents {{}}\n\
             http {{\naccess_log off;\n{}{lines}}}\n",
            temporary.concat()
        );
        let mut file = fs::File::create(directory.path().join("nginx.conf")).unwrap();
        file.write_all(configuration.as_bytes()).unwrap();
        let process = Command::new(program)
            .arg("-p")
            .arg(directory.path())
            .args(["-c", "nginx.conf", "-e", "error.log"])
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        eventually("nginx to listen", || TcpStream::connect(addr).ok());
        Some(Self {
            process,
            addr,
            _directory: directory,
        })
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The lines of the page, with the socket in the place of the port, as the page says.
#[test]
fn nginx_reaches_the_server_by_its_socket() {
    let page = include_str!("../../../../docs/http.md");
    let block = page.split("```nginx\n").nth(1).unwrap();
    let block = block.split("```").next().unwrap();
    let instead = "proxy_pass http://unix:/run/natter/socket;";
    assert!(page.contains(instead) && page.contains("--trust-proxy unix:"));
    let server = Server::start(&["--trust-proxy", "unix:", "--allow-host", "chat.example"]);
    let instead = instead.replace("/run/natter/socket", server.path.to_str().unwrap());
    let lines = block.replace("proxy_pass http://127.0.0.1:20000;", &instead);
    assert!(lines.contains(&instead));
    let Some(nginx) = Nginx::start(&lines) else {
        return;
    };
    for forged in [&[][..], &["x-forwarded-for: 203.0.113.9"]] {
        let source = server.source(|| {
            let stream = stream_from("127.0.0.7".parse().unwrap(), nginx.addr);
            let mut http = Http::over(stream, nginx.addr);
            assert_eq!(http.post("/t", forged, b"hi").status, 200);
        });
        assert_eq!(source, "127.0.0.7", "{forged:?}");
    }
    let health = Http::at(nginx.addr).get("/-/health", &[]);
    assert_eq!(health.status, 200);
}
