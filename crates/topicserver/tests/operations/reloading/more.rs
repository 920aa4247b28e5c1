//! TLS, logins and the audit log, which change with a reload, too.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};

use super::Configured;
use crate::common::tls::TlsEnd;
use crate::common::{Client, Directory, Stream, eventually, finish, program};
use crate::requests::Http;

/// Whether the server answers a TLS handshake, and by which certificate.
fn certificate(configured: &Configured) -> Option<Vec<u8>> {
    let socket = std::net::TcpStream::connect(configured.server.v4()).unwrap();
    let end = TlsEnd::over(socket).ok()?.ok()?;
    Some(end.certificate())
}

#[test]
fn tls_is_switched_on_and_off_and_no_connection_notices() {
    let data = Directory::new();
    let on_disk = ["--data", data.path().to_str().unwrap()];
    let configured = Configured::start("", &on_disk);
    let mut plain = configured.server.join(&["t"]);
    assert_eq!(certificate(&configured), None);

    let answer = configured.reload("tls-self-signed = [\"chat.example\"]\n");
    assert!(answer.contains("tls-self-signed: not set → "), "{answer}");
    configured.server.wait_for("fingerprint sha256:");
    let first = certificate(&configured).expect("no TLS is spoken");
    let mut secure = {
        let socket = std::net::TcpStream::connect(configured.server.v4()).unwrap();
        Client::with(Stream::tls(socket).unwrap())
    };
    secure.join(&["t"]);

    configured.reload("tls-self-signed = [\"chat.example\"]\ntls = \"required\"\n");
    let mut refused = configured.server.connect();
    refused.send(b"{}");
    refused.expect_error("tls-required");
    // The same key: nobody is asked whether it is the same server.
    assert_eq!(certificate(&configured), Some(first));

    let answer = configured.reload("");
    assert!(answer.contains("tls: \"required\" → not set"), "{answer}");
    assert_eq!(certificate(&configured), None);
    plain.say("t", "in plain text");
    secure.expect("t", "in plain text");
    secure.say("t", "encrypted");
    plain.expect("t", "encrypted");
}

/// Makes a certificate, and returns the lines that name its files.
fn make_certificate(folder: &Path, name: &str) -> String {
    let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    let path = |end: &str| folder.join(format!("{name}.{end}"));
    let write = |end: &str, label: &str, der: &[u8]| {
        let text = BASE64.encode(der);
        let text = format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n");
        std::fs::write(path(end), text).unwrap();
    };
    write("pem", "CERTIFICATE", made.cert.der());
    write("key", "PRIVATE KEY", &made.signing_key.serialize_der());
    let (certificate, key) = (path("pem"), path("key"));
    format!(
        "tls-cert = {:?}\ntls-key = {:?}\n",
        certificate.to_str().unwrap(),
        key.to_str().unwrap()
    )
}

#[test]
fn a_certificate_in_other_files_takes_the_place_of_the_one_before() {
    let folder = Directory::new();
    let (one, other) = (
        make_certificate(folder.path(), "one"),
        make_certificate(folder.path(), "other"),
    );
    let configured = Configured::start(&one, &[]);
    let first = certificate(&configured).unwrap();
    let said = configured.refuse(&(one.replace("one.pem", "none.pem") + "max-topics = 1\n"));
    assert!(said.contains("none.pem"), "{said}");
    assert_eq!(certificate(&configured).as_ref(), Some(&first));
    // The key of another certificate is no key of this one.
    let mixed = one.replace("one.key", "other.key");
    configured.refuse(&mixed);
    configured.server.wait_for("nothing was reloaded");
    assert_eq!(certificate(&configured).as_ref(), Some(&first));
    configured.reload(&(other + "tls-min = \"1.3\"\nmax-handshakes = 7\n"));
    let second = certificate(&configured).unwrap();
    assert_ne!(first, second);
    // A renewal in the same files is noticed where they are now.
    make_certificate(folder.path(), "other");
    let answer = Http::at(configured.admin).post("/-/reload", &[], b"");
    assert_eq!(answer.text(), "new connections get another certificate\n");
    assert_ne!(certificate(&configured), Some(second));
}

/// A file of accounts with a token of alice's.
fn accounts(folder: &Path) -> (PathBuf, String) {
    let path = folder.join("accounts.toml");
    let everyone = "[everyone]\nallow = [\"read write *\"]\n[users.alice]\n";
    std::fs::write(&path, everyone).unwrap();
    let add = ["token", "add", "--user", "alice", "--auth"];
    let added = finish(program().args(add).arg(&path));
    assert!(added.status.success(), "{added:?}");
    let token = String::from_utf8(added.stdout).unwrap().trim().to_owned();
    (path, token)
}

/// The events in an audit log.
fn events(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let event = |line: &str| serde_json::from_str::<Value>(line).unwrap()["event"].clone();
    let events = text.lines().map(event);
    events
        .map(|event| event.as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn the_audit_log_is_opened_anew_and_logins_are_kept_for_another_time() {
    let folder = Directory::new();
    let (auth, token) = accounts(folder.path());
    let log = folder.path().join("audit.log");
    let options = ["--auth", auth.to_str().unwrap()];
    let line = format!("audit-log = {:?}\n", log.to_str().unwrap());
    let configured = Configured::start(&line, &options);
    let bearer = format!("authorization: Bearer {token}");
    let ticket = || {
        let answer = Http::at(configured.server.v4()).post("/-/ticket", &[&bearer], b"");
        answer.json()["expires_in"].clone()
    };
    assert_eq!(ticket(), json!(30));
    eventually("the ticket in the log", || {
        (events(&log) == ["ticket"]).then_some(())
    });
    // As logrotate does it.
    let old = folder.path().join("audit.log.1");
    std::fs::rename(&log, &old).unwrap();
    let answer = configured.reload(&(line.clone() + "ticket-lifetime = 7\n"));
    assert!(answer.contains("ticket-lifetime: \"30s\" → "), "{answer}");
    assert_eq!(ticket(), json!(7));
    eventually("the ticket in the new log", || {
        (events(&log) == ["ticket"]).then_some(())
    });
    assert_eq!(events(&old), ["ticket"]);

    let nowhere = folder.path().join("nowhere").join("audit.log");
    let line = format!("audit-log = {:?}\n", nowhere.to_str().unwrap());
    let said = configured.refuse(&line);
    assert!(
        said.contains("--audit-log: ") && said.contains("nowhere"),
        "{said}"
    );
    assert_eq!(ticket(), json!(7));
    eventually("the log before to go on", || {
        (events(&log).len() == 2).then_some(())
    });
    configured.reload("");
    assert_eq!(ticket(), json!(30));
    assert_eq!(events(&log).len(), 2);
}
