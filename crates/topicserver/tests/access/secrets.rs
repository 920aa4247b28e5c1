//! The harness that looks for secrets in logs: what it takes for one, and that it finds it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use topicserver::Config;

use crate::accounts::{Accounts, bearer, token};
use crate::common::secrets::{self, Kind, SEARCHED, Unfinished, Watch, found_in};
use crate::common::{Process, TestServer};
use crate::requests::Http;

const KEY: &str = "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49\nAgEGCCqGSM49AwEHBG0w\n\
                   -----END PRIVATE KEY-----\n-----BEGIN CERTIFICATE-----\nMIIBbTCCARSgAwIB\n\
                   -----END CERTIFICATE-----\n";

/// What a test sends, receives or writes, and the secrets in it.
const TABLE: &[(Kind, &str, &[&str])] = &[
    // Tokens: as frames, headers, forms and links have them.
    (
        Kind::Token,
        r#"{"topics":["lab"],"extended":{"auth":"ntr_k3f9_hush-hush_hush"}}"#,
        &["hush-hush_hush"],
    ),
    (
        Kind::Token,
        "GET / HTTP/1.1\r\nAuthorization: Bearer ntr_k3f9_hush-hush-hush\r\n\r\n",
        &["hush-hush-hush"],
    ),
    (
        Kind::Token,
        "http://box/lab#t=ntr_a-b_hush-hush-hush and more",
        &["hush-hush-hush"],
    ),
    (
        Kind::Token,
        r#"{"extended":{"auth" : "no \"token\" at all"}}"#,
        &["no \"token\" at all"],
    ),
    (
        Kind::Token,
        "token=what+is%20that%3F&x=y",
        &["what+is%20that%3F", "what is that?"],
    ),
    (
        Kind::SignedToken,
        r#"{"extended":{"auth":"eyJhbGciOi.eyJzdWIiOi.c2lnbmF0dXJl"}}"#,
        &["eyJhbGciOi.eyJzdWIiOi.c2lnbmF0dXJl", "c2lnbmF0dXJl"],
    ),
    (
        Kind::Ticket,
        r#"{"ticket":"ntk_hush-hush","expires_in":30}"#,
        &["ntk_hush-hush"],
    ),
    (
        Kind::Ticket,
        "GET /lab?poll=1&ticket=ntk_hush-hush HTTP/1.1",
        &["ntk_hush-hush"],
    ),
    (
        Kind::Password,
        r#"{"extended":{"auth":{"user":"alice","password":"a&b=c and é"}}}"#,
        &["a&b=c and é"],
    ),
    (
        Kind::Password,
        "user=alice&password=a%26b%3Dc+and+%c3%a9",
        &["a%26b%3Dc+and+%c3%a9", "a&b=c and é"],
    ),
    (
        Kind::Password,
        "authorization: Basic YWxpY2U6aHVzaCBvZiBhbGljZQ==\r\n",
        &["hush of alice"],
    ),
    (
        Kind::Token,
        "authorization: Basic Om50cl9rM2Y5X2h1c2gtaHVzaA==\r\n",
        &["hush-hush"],
    ),
    (
        Kind::Credentials,
        "authorization: Basic YWxpY2U6aHVzaCBvZiBhbGljZQ==\r\n",
        &["YWxpY2U6aHVzaCBvZiBhbGljZQ=="],
    ),
    (
        Kind::Credentials,
        "AUTHORIZATION:just-something\r\n",
        &["just-something"],
    ),
    (
        Kind::Cookie,
        "GET / HTTP/1.1\r\ncookie: a=b; natter-20000=eyJpZCI6W10.tag\r\n\r\n",
        &["b", "eyJpZCI6W10.tag"],
    ),
    (
        Kind::Cookie,
        "HTTP/1.1 200 OK\r\nset-cookie: natter-20000=eyJpZCI6W10.tag; Path=/; HttpOnly\r\n",
        &["eyJpZCI6W10.tag"],
    ),
    (
        Kind::PasswordHash,
        "password = \"$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIP\"\n",
        &["c29tZXNhbHQ", "nf65EOgLrQMR/uIP"],
    ),
    (
        Kind::TokenHash,
        "secret = \"sha256:6c8e1f0c7c4b3f1c6a5e3b0f6f8f0f5a4b6d3e2c1a0918273645546372819aab\"
\
             fingerprint sha256:YIycXuQL1Vh1Q9GtT73h64Uk11JOv74VrYdC/w9ioAo=",
        &[
            "6c8e1f0c7c4b3f1c6a5e3b0f6f8f0f5a4b6d3e2c1a0918273645546372819aab",
            "108, 142, 31, 12, 124, 75, 63, 28, 106, 94, 59, 15, 111, 143, 15, 90, 75, 109, \
                 62, 44, 26, 9, 24, 39, 54, 69, 84, 99, 114, 129, 154, 171",
        ],
    ),
    (
        Kind::ClientKey,
        r#"{"topics":["lab"],"extended":{"client":"9f86d081884c7d65"}}"#,
        &["9f86d081884c7d65"],
    ),
    (
        Kind::PrivateKey,
        KEY,
        &["MIGHAgEAMBMGByqGSM49", "AgEGCCqGSM49AwEHBG0w"],
    ),
    (
        Kind::ClusterLogin,
        "--cluster nats://natter:hush-of-nats@10.0.0.1:4222,tls://hush-hush-token@10.0.0.2/",
        &["hush-of-nats", "hush-hush-token"],
    ),
    (
        Kind::ClusterLogin,
        "-----BEGIN USER NKEY SEED-----\nSUAIBDPBAUTWCWBKIO6XHQNINK5FWJW4OHLXC3HQ2KFE4PEJUA44CNHTC4\n\
         ------END USER NKEY SEED------\n",
        &["SUAIBDPBAUTWCWBKIO6XHQNINK5FWJW4OHLXC3HQ2KFE4PEJUA44CNHTC4"],
    ),
];

#[test]
fn each_kind_of_secret_is_found_where_tests_have_it() {
    for kind in Kind::ALL {
        let is_there = TABLE.iter().any(|(known, ..)| *known == kind);
        assert!(is_there, "{kind:?} isn't in the table");
    }
    for (kind, text, secrets) in TABLE {
        let found = found_in(text.as_bytes());
        let found = found.iter().filter(|(known, _)| known == kind);
        let found: BTreeSet<_> = found.map(|(_, secret)| secret.as_str()).collect();
        let expected: BTreeSet<_> = secrets.iter().copied().collect();
        assert_eq!(found, expected, "{kind:?} in {text}");
    }
}

#[test]
fn what_has_no_secret_in_it_is_no_secret() {
    for text in [
        "",
        r#"{"error":{"code":"unauthenticated","text":"leave \"auth\" out; \"password\":\"…\""}}"#,
        "the token is ntr_… or ntr_ or ntr_k3f9",
        "access-control-request-headers: authorization",
        "set-cookie: natter-20000=; Max-Age=0",
        "fingerprint sha256:YIycXuQL1Vh1Q9GtT73h64Uk11JOv74VrYdC/w9ioAo=",
        r#"{"authenticated":{"user":"alice"},"token":null}"#,
    ] {
        let found = found_in(text.as_bytes());
        let is_searched = |(_, secret): &&(Kind, String)| secret.chars().count() >= SEARCHED;
        assert_eq!(found.iter().find(is_searched), None, "{text}");
    }
}

#[test]
fn a_secret_that_is_received_in_pieces_is_found() {
    let mut stream = Unfinished::default();
    for part in ["HTTP/1.1 200 OK\r\nset-coo", "kie: natter=eyJp"] {
        stream.found_with(part.as_bytes());
    }
    let found = stream.found_with(b"ZCI6W10.tag; Path=/\r\n");
    assert_eq!(found, [(Kind::Cookie, "eyJpZCI6W10.tag".to_owned())]);
    assert!(stream.found_with(b"\r\n").is_empty());
}

/// Whenever it was logged, cut or whole, escaped or not.
#[test]
fn a_line_with_a_secret_in_it_is_found() {
    let is_searched = |text: &&&str| text.chars().count() >= SEARCHED;
    for (kind, _, all) in TABLE {
        for secret in all.iter().filter(is_searched) {
            let cut: String = secret.chars().take(SEARCHED).collect();
            let bytes = format!("{:?}", secret.as_bytes());
            for shown in [*secret, &cut, &format!("{secret:?}"), &bytes] {
                let line = format!("WARN a login failed: {shown} isn't known");
                for is_logged_first in [true, false] {
                    let mut watch = Watch::default();
                    if is_logged_first {
                        watch.see("the log", &line);
                        watch.note(*kind, secret);
                    } else {
                        watch.note(*kind, secret);
                        watch.see("the log", &line);
                    }
                    assert_eq!(watch.leaks().len(), 1, "{kind:?}: {line}");
                    watch.see("the log", "WARN a login failed: it isn't known");
                    assert_eq!(watch.leaks().len(), 1, "{kind:?}: {line}");
                }
            }
        }
    }
    let mut watch = Watch::default();
    watch.note(Kind::Password, "too-short");
    watch.see("the log", "a word that is too-short to be searched for");
    assert!(watch.leaks().is_empty());
}

/// Where the server makes secrets, or takes them from outside. No kinds: its own keys, which
/// nobody else gets and which are never text.
const PLACES: &[(&str, &[Kind])] = &[
    ("access/checker.rs", &[]),
    ("access/jwt/keys.rs", &[Kind::SignedToken]),
    ("access/password.rs", &[Kind::Password, Kind::PasswordHash]),
    ("access/sealed.rs", &[Kind::Cookie]),
    ("access/tickets.rs", &[Kind::Ticket]),
    ("access/token.rs", &[Kind::Token, Kind::TokenHash]),
    ("http/auth.rs", &[Kind::Credentials]),
    ("http/login.rs", &[Kind::Token, Kind::Password]),
    ("http/ticket.rs", &[Kind::Ticket]),
    ("identity/client.rs", &[Kind::ClientKey]),
    (
        "cluster/jetstream/credentials.rs",
        &[Kind::ClusterLogin, Kind::SignedToken],
    ),
    // The secret of a cluster, which no client ever gets.
    ("cluster/jetstream/start.rs", &[]),
    ("config/nats_url.rs", &[Kind::ClusterLogin]),
    ("store/writer.rs", &[]),
    ("tls/acceptor.rs", &[Kind::PrivateKey]),
    ("tls/certificate.rs", &[Kind::PrivateKey]),
    ("tls/self_signed.rs", &[Kind::PrivateKey]),
];

/// By what a file is known that does.
const MARKS: [&str; 6] = [
    "Secret::new(",
    "getrandom::fill",
    "aws_lc_rs",
    "PrivateKey",
    ".credentials(&",
    "fn password(&self)",
];

#[test]
fn every_place_where_the_server_has_secrets_is_in_the_table() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    let mut places = BTreeSet::new();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap();
        if MARKS.iter().any(|mark| code.contains(mark)) {
            let name = file.strip_prefix(&root).unwrap().to_str().unwrap();
            places.insert(name.replace('\\', "/"));
        }
    }
    let known: BTreeSet<_> = PLACES.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(places, known);
    for kind in Kind::ALL {
        let is_known = PLACES.iter().any(|(_, kinds)| kinds.contains(&kind));
        assert!(is_known, "the server has no {kind:?}");
    }
}

/// The files with the code of a folder, without those with tests.
fn sources(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("tests") {
            sources(&path, files);
        } else if path.extension().is_some_and(|end| end == "rs") && !path.ends_with("tests.rs") {
            files.push(path);
        }
    }
}

/// Which server logs a secret in the test below.
const LEAK: &str = "TEST_LEAK";

/// An id, which is no secret and is logged.
const ID: &str = "an-id-that-is-logged";

#[test]
#[ignore = "fails, as the next test expects"]
fn leaks() {
    let Ok(leak) = std::env::var(LEAK) else {
        return;
    };
    let accounts = Accounts::new(&format!("[users.alice]\n{}user = \"alice\"\n", token(ID).1));
    let audit = accounts.path().with_file_name("audit");
    let secret = match leak.as_str() {
        // As the audit log has it, and no other.
        "audit" => format!("\"token\":\"{ID}"),
        _ => ID.to_owned(),
    };
    // Before it is logged, or after it.
    if leak != "late" {
        secrets::note(Kind::Token, &secret);
    }
    let log_in = |addr| {
        let answer = Http::at(addr).post("/-/ticket", &[&bearer(&token(ID).0)], b"");
        assert_eq!(answer.status, 200, "{answer:?}");
    };
    if leak == "within" {
        let server = TestServer::with(Config {
            audit_log: Some(audit),
            ..accounts.config()
        });
        log_in(server.addr());
    } else {
        let (auth, audit) = (accounts.path(), audit.to_str().unwrap());
        let auth = auth.to_str().unwrap();
        let server = Process::start(&["--auth", auth, "--audit-log", audit]);
        log_in(server.v4());
        if leak == "late" {
            server.wait_for(ID);
            secrets::note(Kind::Token, &secret);
        }
    }
}

#[test]
fn a_test_whose_server_logs_a_secret_fails() {
    for (leak, place) in [
        ("program", "the log"),
        ("late", "the log"),
        ("within", "the log"),
        ("audit", "the audit log"),
    ] {
        let mut command = Command::new(std::env::current_exe().unwrap());
        let arguments = ["--ignored", "--exact", "secrets::leaks"];
        let Output {
            status,
            stderr,
            stdout,
        } = command.args(arguments).env(LEAK, leak).output().unwrap();
        let text = String::from_utf8_lossy(&stderr);
        let shown = String::from_utf8_lossy(&stdout);
        assert_eq!(status.code(), Some(101), "{leak}: {text}{shown}");
        let told = format!("{place} has a secret in it (Token): ");
        assert!(text.contains(&told), "{leak}: {text}{shown}");
        assert!(
            shown.contains("secrets were logged"),
            "{leak}: {text}{shown}"
        );
    }
}
