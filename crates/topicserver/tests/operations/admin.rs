//! The admin listener: who gets in, and what can be done there.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;

use crate::common::{Directory, Process, SmallDisk, eventually, finish, program};
use crate::exposition::admin;
use crate::requests::Http;

const ADMIN: [&str; 2] = ["--admin", "127.0.0.1:0"];

#[test]
fn it_is_off_unless_it_is_asked_for_and_never_on_the_port_of_clients() {
    let server = Process::start(&[]);
    assert!(
        !server
            .log()
            .iter()
            .any(|line| line.contains("administrators"))
    );
    for path in ["/-/stats", "/-/metrics", "/-/drain"] {
        Http::at(server.v4())
            .get(path, &[])
            .expect_problem(404, "not-found");
    }
    // Without the prefix of the server's own, it is a topic.
    assert_eq!(
        Http::at(server.v4()).get("/metrics?poll=1", &[]).status,
        200
    );
}

#[test]
fn web_pages_are_no_administrators() {
    let server = Process::start(&ADMIN);
    let address = admin(&server);
    for headers in [
        &["origin: http://evil.example"][..],
        &["origin: null"],
        &["sec-fetch-site: cross-site"],
        &["sec-fetch-site: same-site"],
    ] {
        assert_eq!(
            Http::at(address).get("/metrics", headers).status,
            403,
            "{headers:?}"
        );
        assert_eq!(
            Http::at(address).post("/-/drain", headers, b"").status,
            403,
            "{headers:?}"
        );
    }
    let mut rebound = TcpStream::connect(address).unwrap();
    rebound
        .write_all(b"POST /-/drain HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    rebound.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
    assert_eq!(
        Http::at(address).get("/-/drain", &[]).status,
        405,
        "a look changes nothing"
    );
    assert_eq!(
        Http::at(address).get("/-/health", &[]).status,
        200,
        "it is still there"
    );
}

#[test]
fn a_unix_socket_is_the_users_alone_and_goes_with_the_server() {
    let directory = Directory::new();
    std::fs::create_dir_all(directory.path()).unwrap();
    let path = directory.path().join("admin");
    let option = format!("unix:{}", path.display());
    let ask = |server: &Process| {
        server.wait_for("administrators reach the server at unix:");
        let mut stream = UnixStream::connect(&path).unwrap();
        stream.write_all(b"GET /-/ready HTTP/1.0\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(
            answer.ends_with(r#"{"ready":true,"durability":"memory"}"#),
            "{answer}"
        );
    };
    let mut server = Process::start(&["--admin", &option]);
    ask(&server);
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    // Another server doesn't take it away.
    let output = finish(program().args(["0", "--admin", &option]));
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(
        error.contains("in use") && error.contains(&option),
        "{error}"
    );
    server.terminate();
    assert!(!path.exists());

    // One that was killed leaves it, and the next one takes its place.
    let mut killed = Process::start(&["--admin", &option]);
    ask(&killed);
    killed.kill();
    assert!(path.exists());
    ask(&Process::start(&["--admin", &option]));
}

#[test]
fn what_cannot_be_listened_on_is_said() {
    for (option, code, said) in [
        ("127.0.0.1", 2, "ADDRESS:PORT"),
        ("localhost:20001", 2, "ADDRESS:PORT"),
        ("unix:", 2, "unix:PATH"),
        ("192.0.2.1:20001", 1, "192.0.2.1:20001"),
        ("unix:/nowhere/at/all", 1, "/nowhere/at/all"),
    ] {
        let output = finish(program().args(["0", "--admin", option]));
        assert_eq!(output.status.code(), Some(code), "{option}");
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(error.contains(said), "{option}: {error}");
    }
}

#[test]
fn whoever_lets_others_reach_it_is_warned() {
    let server = Process::start(&["--admin", "0.0.0.0:0"]);
    server.wait_for("can read the metrics and end the server");
}

#[test]
fn the_commands_do_what_they_say() {
    let mut server = Process::start(&ADMIN);
    let address = admin(&server).to_string();
    let mut client = server.join(&["busy topic"]);
    let mut command = program();
    let top = finish(command.args(["top", &address, "--count", "2"]));
    assert!(top.status.success(), "{top:?}");
    let text = String::from_utf8(top.stdout).unwrap();
    assert!(
        text.contains("connections 1") && text.contains("topics 1"),
        "{text}"
    );
    assert!(
        text.contains("1 members") && text.contains("busy topic"),
        "{text}"
    );
    assert!(
        text.contains("received 0/s"),
        "the second look has rates: {text}"
    );

    let reload = finish(program().args(["reload", &address]));
    assert!(reload.status.success(), "{reload:?}");
    let drain = finish(program().args(["drain", &address]));
    assert!(drain.status.success(), "{drain:?}");
    client.expect_error("shutting-down");
    assert_eq!(server.wait().code(), Some(0));
    server.wait_for("an administrator asks for the end");
    server.wait_for("everything that was queued has gone out");

    let nobody = finish(program().args(["top", &address]));
    assert_eq!(nobody.status.code(), Some(1));
    let error = String::from_utf8(nobody.stderr).unwrap();
    assert!(error.contains("is it started with --admin"), "{error}");
}

#[test]
fn a_full_disk_is_degraded_and_still_ready() {
    let Some(disk) = SmallDisk::new("size=16m") else {
        return;
    };
    let server = disk.serve(&ADMIN);
    let mut http = Http::at(server.v4());
    assert_eq!(http.post("/lab", &[], b"fits").status, 200);
    disk.fill();
    let text = "x".repeat(1_000);
    eventually("the disk to be full", || {
        (http.post("/lab", &[], text.as_bytes()).status != 200).then_some(())
    });
    for address in [server.v4(), admin(&server)] {
        let answer = Http::at(address).get("/-/ready", &[]);
        assert_eq!(answer.status, 200);
        assert_eq!(answer.json()["degraded"][0], "storage-full", "{answer:?}");
    }
}
