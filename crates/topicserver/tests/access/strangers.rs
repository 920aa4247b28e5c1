//! Peers from outside of the server's own network, in a network namespace with addresses of
//! its own.

use std::process::{Command, Output};

use crate::common::Directory;

/// Asks the server from each address, as a classic client and over HTTP, and prints what comes.
const PEER: &str = r#"
import socket
for source in "198.51.100.1", "198.51.100.9", "192.0.2.5", "10.9.9.9":
    for sent in b'{"topics":["lab"]}{}', b"GET /-/topics HTTP/1.1\r\nhost: 198.51.100.1\r\nconnection: close\r\n\r\n":
        peer = socket.socket()
        peer.settimeout(20)
        peer.bind((source, 0))
        peer.connect(("198.51.100.1", 20000))
        peer.sendall(sent)
        peer.shutdown(socket.SHUT_WR)
        got = b""
        while part := peer.recv(65536):
            got += part
        print(source, sent[:3].decode(), got.decode().replace("\r\n", " ").replace("\n", " "), flush=True)
"#;

const ACCOUNTS: &str = "[everyone]\nallow = [\"read write list lab\"]\n";

/// What the peers got, and the server's log: with an interface in 198.51.100.0/24, and peers
/// from elsewhere too. `None` where a namespace can't be made.
fn run(options: &str) -> Option<String> {
    let server = env!("CARGO_BIN_EXE_topicserver");
    let directory = Directory::new();
    std::fs::write(directory.path().join("peer.py"), PEER).unwrap();
    std::fs::write(directory.path().join("accounts.toml"), ACCOUNTS).unwrap();
    // Whole networks are this machine's, so it can be everybody in them.
    let shell = format!(
        "ip link set lo up && ip addr add 198.51.100.1/24 dev lo && \
         ip route add local 192.0.2.0/24 dev lo && ip route add local 10.9.9.0/24 dev lo || exit 77
         {server} 20000 {options} 2>log & trap \"kill $!\" EXIT
         until grep -q 'listening on' log; do sleep 0.05; done
         python3 peer.py; result=$?; cat log; exit $result"
    );
    let mut command = Command::new("unshare");
    command
        .args(["-n", "sh", "-c", &shell])
        .current_dir(directory.path());
    let Ok(Output {
        status,
        stdout,
        stderr,
    }) = command.output()
    else {
        eprintln!("skipped: there is no unshare here");
        return None;
    };
    let text = String::from_utf8([stdout, stderr].concat()).unwrap();
    if status.code() == Some(77) || text.contains("unshare failed") {
        eprintln!("skipped: it takes root and iproute2 to make a network: {text}");
        return None;
    }
    assert!(status.success(), "{text}");
    Some(text)
}

/// What somebody got.
fn got<'a>(text: &'a str, source: &str, sent: &str) -> &'a str {
    let begin = format!("{source} {sent} ");
    let line = text.lines().find_map(|line| line.strip_prefix(&begin));
    line.unwrap_or_else(|| panic!("nothing for {begin:?} in {text}"))
}

#[test]
fn without_accounts_only_the_servers_own_network_is_served() {
    let Some(text) = run("") else {
        return;
    };
    for source in ["198.51.100.1", "198.51.100.9", "10.9.9.9"] {
        assert!(
            got(&text, source, "{\"t").contains("unknown-frame"),
            "{text}"
        );
        assert!(
            got(&text, source, "GET").starts_with("HTTP/1.1 200"),
            "{text}"
        );
    }
    let refused = got(&text, "192.0.2.5", "{\"t");
    assert!(
        refused.contains("\"protected: this server asks nobody for a password"),
        "{text}"
    );
    assert!(!refused.contains("unknown-frame"), "{text}");
    let refused = got(&text, "192.0.2.5", "GET");
    assert!(refused.starts_with("HTTP/1.1 403"), "{text}");
    assert!(
        refused.contains("\"code\":\"protected\"") && refused.contains("--open-to-all"),
        "{text}"
    );
}

#[test]
fn a_server_that_is_open_to_all_or_has_accounts_serves_everybody() {
    for options in ["--open-to-all", "--auth accounts.toml"] {
        let Some(text) = run(options) else {
            return;
        };
        for source in ["198.51.100.9", "192.0.2.5", "10.9.9.9"] {
            assert!(
                got(&text, source, "{\"t").contains("unknown-frame"),
                "{text}"
            );
            assert!(
                got(&text, source, "GET").starts_with("HTTP/1.1 200"),
                "{text}"
            );
        }
    }
}
