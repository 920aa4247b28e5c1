//! The UNIX socket for clients, with the real program.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use futures_util::{SinkExt, StreamExt};
use tokio_tungstenite::tungstenite::Message;

use crate::common::{
    Client, Directory, LIMIT, Process, connect_local, eventually, finish, program, read_some,
    socket_path,
};

/// A server with a socket, beside its port.
struct Server {
    process: Process,
    path: PathBuf,
}

impl Server {
    fn start(options: &[&str]) -> Self {
        Self::at(socket_path(), options)
    }

    fn at(path: PathBuf, options: &[&str]) -> Self {
        let listen = format!("--listen=unix:{}", path.display());
        let process = Process::start(&[&[listen.as_str()], options].concat());
        process.wait_for("listening on unix:");
        Self { process, path }
    }

    fn client(&self) -> Client {
        Client::local(&self.path)
    }

    fn curl(&self, arguments: &[&str]) -> Output {
        let mut curl = Command::new("curl");
        curl.args(["-sS", "--max-time", "20", "--unix-socket"]);
        finish(curl.arg(&self.path).args(arguments))
    }
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn all_transports_are_spoken_on_it_and_reach_the_same_topics() {
    let server = Server::start(&[]);
    let mut tcp = server.process.join(&["t"]);
    let mut local = server.client();
    local.join(&["t"]);
    local.say("t", "by JSON");
    tcp.expect("t", "by JSON");
    tcp.say("t", "by TCP");
    local.expect("t", "by TCP");

    let sent = server.curl(&["-d", "by curl", "http://localhost/t"]);
    assert!(sent.status.success(), "{}", text(&sent));
    tcp.expect("t", "by curl");
    local.expect("t", "by curl");

    let mut stream = connect_local(&server.path);
    let head = "GET /t HTTP/1.1\r\nhost: localhost\r\naccept: text/event-stream\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    let mut events = String::new();
    read_until(&mut stream, &mut events, "event: registered");
    local.say("t", "to the stream");
    read_until(&mut stream, &mut events, "to the stream");
    tcp.expect("t", "to the stream");
    over_websocket(&server.path);
    tcp.expect("t", "by WebSocket");
}

fn read_until(stream: &mut TcpStream, seen: &mut String, part: &str) {
    let mut bytes = [0; 4096];
    while !seen.contains(part) {
        let count = read_some(stream, &mut bytes).unwrap();
        assert!(count > 0, "the stream ended: {seen}");
        seen.push_str(&String::from_utf8_lossy(&bytes[..count]));
    }
}

/// Publishes by a WebSocket and gets its own acknowledgement.
fn over_websocket(path: &Path) {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_all().build().unwrap();
    let talk = async {
        let stream = tokio::net::UnixStream::connect(path).await.unwrap();
        let connecting = tokio_tungstenite::client_async("ws://localhost/-/ws", stream);
        let (mut socket, _) = connecting.await.unwrap();
        for frame in [
            r#"{"topics":["t"],"extended":{}}"#,
            r#"{"extended":{"id":"1"},"message":{"topic":"t","text":"by WebSocket"}}"#,
        ] {
            socket.send(Message::text(frame)).await.unwrap();
        }
        loop {
            let next = socket.next().await.unwrap().unwrap();
            if next.to_text().unwrap_or_default().contains("\"ack\"") {
                return;
            }
        }
    };
    runtime.block_on(async { tokio::time::timeout(LIMIT, talk).await.unwrap() });
}

#[test]
fn its_file_is_for_owner_and_group_and_goes_with_the_server() {
    let mut server = Server::start(&[]);
    let file = fs::symlink_metadata(&server.path).unwrap();
    assert!(file.file_type().is_socket());
    assert_eq!(file.permissions().mode() & 0o777, 0o660);
    // A second server says what is wrong, and leaves the first one alone.
    let listen = format!("unix:{}", server.path.display());
    let refused = finish(program().args(["0", "--listen", &listen]));
    assert_eq!(refused.status.code(), Some(1));
    let refusal = text(&refused);
    assert!(refusal.contains(&listen), "{refusal}");
    assert!(
        refusal.contains("a program listens there already"),
        "{refusal}"
    );
    let mut client = server.client();
    client.join(&["t"]);
    server.process.signal("TERM");
    client.expect_error("shutting-down");
    drop(client);
    assert!(server.process.wait().success());
    assert!(!server.path.exists());
}

#[test]
fn what_cant_be_a_socket_is_found_without_starting() {
    let check = |path: &str| text(&finish(program().args(["check-config", "--listen", path])));
    let said = check("unix:/nowhere/at/all");
    assert!(
        said.contains("--listen: unix:/nowhere/at/all: its directory isn't there"),
        "{said}"
    );
    let said = check("unix:/etc/hostname");
    assert!(said.contains("isn't a socket"), "{said}");
}

#[test]
fn what_a_killed_server_leaves_behind_is_replaced() {
    let mut server = Server::start(&[]);
    server.process.kill();
    assert!(server.path.exists());
    let listen = format!("--listen=unix:{}", server.path.display());
    let next = Process::start(&[&listen]);
    next.wait_for("listening on unix:");
    server.client().join(&["t"]);
}

#[test]
fn a_server_can_do_without_a_port() {
    let directory = Directory::new();
    let path = directory.path().join("socket");
    let listen = format!("unix:{}", path.display());
    let mut child = program().args(["--listen", &listen]).spawn().unwrap();
    eventually("the socket", || {
        std::os::unix::net::UnixStream::connect(&path).ok()
    });
    let mut client = Client::local(&path);
    client.join(&["t"]);
    let ports = fs::read_dir(format!("/proc/{}/fd", child.id()));
    if let Ok(descriptors) = ports {
        let sockets = fs::read_to_string(format!("/proc/{}/net/tcp6", child.id())).unwrap();
        for file in descriptors.filter_map(|file| fs::read_link(file.ok()?.path()).ok()) {
            let name = file.to_string_lossy().into_owned();
            let inode = name
                .strip_prefix("socket:[")
                .and_then(|name| name.strip_suffix(']'));
            let listens = inode.is_some_and(|inode| sockets.contains(&format!(" {inode} ")));
            assert!(!listens, "{name} is a port");
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn tls_is_neither_needed_nor_spoken_on_it() {
    let server = Server::start(&["--tls-self-signed", "--tls=required"]);
    let mut local = server.client();
    local.join(&["t"]);
    let sent = server.curl(&["-d", "in plain text", "http://localhost/t"]);
    assert!(sent.status.success(), "{}", text(&sent));
    local.expect("t", "in plain text");
    // The beginning of a handshake.
    let mut secure = server.client();
    secure.send(b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00");
    let why = secure.expect_error("tls-not-supported");
    assert!(why.contains("UNIX socket"), "{why}");
    secure.expect_end();
}

#[test]
fn nobody_on_it_is_a_trusted_proxy() {
    let server = Server::start(&["--trust-proxy", "::/0", "--trust-proxy", "0.0.0.0/0"]);
    let mut client = server.client();
    client.send(b"PROXY TCP4 203.0.113.9 127.0.0.1 1 2\r\n");
    client.expect_error("not-json");
    let headers = ["-H", "X-Forwarded-For: 203.0.113.9"];
    let sent = server.curl(&[&headers[..], &["-d", "x", "http://localhost/t"]].concat());
    assert!(text(&sent).contains("\"seq\""), "{}", text(&sent));
    // Nor does a proxy forward one of its users.
    let mut forged = server.process.connect();
    forged.send(b"PROXY TCP6 ff0f:756e:0:3e8:: ::1 1 2\r\n");
    let why = forged.expect_error("not-json");
    assert!(why.contains("no client's address"), "{why}");
}

#[test]
fn connections_are_counted_by_user() {
    let server = Server::start(&["--max-connections-per-address", "1"]);
    let mut tcp = server.process.join(&["t"]);
    let mut first = server.client();
    first.join(&["t"]);
    let mut second = server.client();
    second.expect_error("too-many-connections");
    second.expect_end();
    // Neither counts for the other's address.
    first.say("t", "by the first");
    tcp.expect("t", "by the first");
}

#[test]
fn logs_name_the_user() {
    let server = Server::start(&["--log", "debug"]);
    server.client().join(&["t"]);
    let uid = nix::unistd::getuid();
    server.process.wait_for(&format!("unix user {uid}"));
}

#[test]
fn others_get_in_only_where_the_file_lets_them() {
    if !nix::unistd::getuid().is_root() {
        println!("skipped: it takes root to be somebody else");
        return;
    }
    // The folder of this checkout may be closed to others.
    let folder = Directory::new();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let server = Server::at(folder.path().join("socket"), &[]);
    let connect = "import os, socket, sys\n\
                   os.setgroups([]); os.setgid(65534); os.setuid(65534)\n\
                   peer = socket.socket(socket.AF_UNIX)\n\
                   peer.connect(sys.argv[1])\n\
                   peer.sendall(b'{}')\n\
                   print(peer.recv(1000))";
    let try_it = || {
        let mut python = Command::new("python3");
        text(&finish(python.args(["-c", connect]).arg(&server.path)))
    };
    let refused = try_it();
    assert!(refused.contains("PermissionError"), "{refused}");
    fs::set_permissions(&server.path, fs::Permissions::from_mode(0o666)).unwrap();
    let served = try_it();
    assert!(served.contains("unknown-frame"), "{served}");
    server.process.wait_for("unix user 65534");
}
