//! `topicserver history`, on a directory and on a running server.

use serde_json::{Value, json};

use crate::backup::{fail, succeed, text};
use crate::common::{Directory, Process, finish, program};
use crate::exposition::admin;
use crate::requests::Http;

const ADMIN: [&str; 2] = ["--admin", "127.0.0.1:0"];
const HISTORY: &str = include_str!("../../src/admin/history.rs");
const ROUTER: &str = include_str!("../../src/admin/router.rs");
const PAGE: &str = include_str!("../../../../docs/operations.md");

fn publish(server: &Process, topic: &str, texts: &[&str]) {
    let mut http = Http::at(server.v4());
    for text in texts {
        let path = format!("/{topic}?user=alice");
        assert_eq!(http.post(&path, &[], text.as_bytes()).status, 200);
    }
}

fn json_lines(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// What the commands print of a history with three messages in `lab` and one in `a b`.
fn expect_history(source: &str) {
    let topics = json_lines(&succeed(&["history", "topics", source]));
    let names: Vec<_> = topics.iter().map(|topic| &topic["topic"]).collect();
    assert_eq!(names, ["a b", "lab"]);
    assert_eq!(topics[1]["messages"], 3);
    assert_eq!(topics[1]["seq"], 3);
    assert!(topics[1]["bytes"].as_u64() > Some(100), "{topics:?}");

    let newest = ["history", "messages", source, "lab", "--count", "2"];
    let messages = json_lines(&succeed(&newest));
    let seqs: Vec<_> = messages.iter().map(|message| &message["seq"]).collect();
    assert_eq!(seqs, [2, 3]);
    let frame: Value = serde_json::from_str(messages[1]["frame"].as_str().unwrap()).unwrap();
    assert_eq!(frame["message"], json!({"topic": "lab", "text": "three"}));
    assert_eq!(messages[1]["user"], "alice");
    let first = ["history", "messages", source, "a b", "--from", "1"];
    assert_eq!(json_lines(&succeed(&first)).len(), 1);

    let verdict = succeed(&["history", "verify", source]);
    assert_eq!(verdict, "4 messages of 2 topics: everything is sound\n");
    let all = json_lines(&succeed(&["history", "export", source, "--with-ids"]));
    assert!(all[0]["secret"].is_string());
    assert_eq!(all.last().unwrap()["end"]["messages"], 4);
    let one = ["history", "export", source, "--topic", "a b"];
    assert_eq!(json_lines(&succeed(&one)).len(), 4);

    let error = fail(&["history", "messages", source, "nobody's"]);
    assert!(error.contains("no topic \"nobody's\""), "{error}");
    let error = fail(&["history", "forget", source, "lab"]);
    assert!(error.contains("say --yes"), "{error}");
}

#[test]
fn a_history_is_looked_into_with_a_server_and_without() {
    let directory = Directory::new();
    let mut server = directory.serve(&ADMIN);
    publish(&server, "lab", &["one", "two", "three"]);
    publish(&server, "a%20b", &["one"]);
    expect_history(&admin(&server).to_string());
    let error = fail(&["history", "topics", text(directory.path())]);
    assert!(error.contains("give the address of its --admin"), "{error}");
    for command in ["compact", "import"] {
        let error = fail(&["history", command, &admin(&server).to_string()]);
        assert!(error.contains("stop it"), "{error}");
    }
    server.terminate();
    expect_history(text(directory.path()));
    let error = fail(&["history", "topics", "/nowhere"]);
    assert!(error.contains("no history in /nowhere"), "{error}");
}

/// An address in a UNIX socket is one as well.
#[test]
fn a_history_is_looked_into_through_a_unix_socket() {
    let directory = Directory::new();
    let place = Directory::new();
    let address = format!("unix:{}", place.path().join("admin").display());
    let server = directory.serve(&["--admin", &address]);
    server.wait_for("administrators reach the server");
    publish(&server, "lab", &["one"]);
    assert_eq!(
        json_lines(&succeed(&["history", "topics", &address])).len(),
        1
    );
}

#[test]
fn what_is_forgotten_is_gone_at_once_and_members_are_told() {
    let directory = Directory::new();
    let mut server = directory.serve(&ADMIN);
    publish(&server, "lab", &["one", "two"]);
    let mut client = server.connect();
    let before = client.register_extended(&["lab"], json!({"client": "k"}));
    let address = admin(&server).to_string();
    let said = succeed(&["history", "forget", &address, "lab", "--yes"]);
    assert!(said.starts_with("deleted 2 messages of \"lab\""), "{said}");
    server.wait_for("has deleted the 2 messages");
    let past = Http::at(server.v4()).get("/lab?poll=1&last=10", &[]);
    assert!(!past.text().contains("one"), "{past:?}");
    publish(&server, "lab", &["three"]);
    client.expect_delivered("lab", "three", 3);
    let mut back = server.connect();
    let epoch = &before["topics"]["lab"]["epoch"];
    let resume = json!({"resume": {"lab": {"epoch": epoch, "seq": 0}}});
    let answer = back.register_extended(&["lab"], resume);
    assert_eq!(answer["topics"]["lab"]["recovered"], false, "{answer}");
    server.terminate();
    let messages = ["history", "messages", text(directory.path()), "lab"];
    assert_eq!(json_lines(&succeed(&messages)).len(), 1);
    succeed(&["history", "compact", text(directory.path())]);
    assert_eq!(json_lines(&succeed(&messages)).len(), 1);
}

#[test]
fn a_server_without_a_history_says_so() {
    let server = Process::start(&ADMIN);
    let address = admin(&server).to_string();
    for command in [
        &["history", "topics", &address][..],
        &["history", "verify", &address],
        &["history", "forget", &address, "lab", "--yes"],
        &["backup", &address, "/tmp/never-made"],
    ] {
        let error = fail(command);
        assert!(error.contains("without --data"), "{command:?}: {error}");
    }
}

#[test]
fn an_output_that_nobody_reads_any_more_is_no_error() {
    let directory = Directory::new();
    let mut server = directory.serve(&[]);
    publish(&server, "lab", &["one", "two", "three"]);
    server.terminate();
    let mut shell = std::process::Command::new("sh");
    let script = r#""$0" history export "$1" | head -n 1"#;
    shell.args(["-c", script, env!("CARGO_BIN_EXE_topicserver")]);
    let output = finish(shell.arg(directory.path()));
    assert!(output.stderr.is_empty(), "{output:?}");
}

/// What can be asked of the admin listener: the route, the method, and a request. A route that
/// isn't here fails this test.
const ROUTES: [(&str, &str, &str); 11] = [
    ("/metrics", "GET", "/metrics"),
    ("/-/stats", "GET", "/-/stats"),
    ("/-/health", "GET", "/-/health"),
    ("/-/ready", "GET", "/-/ready"),
    ("/-/reload", "POST", "/-/reload"),
    ("/-/drain", "POST", "/-/drain"),
    ("/-/history/topics", "GET", "/-/history/topics"),
    (
        "/-/history/messages",
        "GET",
        "/-/history/messages?topic=lab",
    ),
    (
        "/-/history/export",
        "GET",
        "/-/history/export?with-ids=true",
    ),
    ("/-/history/verify", "GET", "/-/history/verify"),
    ("/-/history/forget", "POST", "/-/history/forget?topic=lab"),
];

#[test]
fn every_route_is_known_is_on_the_page_and_serves_no_web_page() {
    let directory = Directory::new();
    let server = directory.serve(&ADMIN);
    publish(&server, "lab", &["secret"]);
    let address = admin(&server);
    let sources = [ROUTER, HISTORY];
    let routes = sources.iter().flat_map(|source| source.lines());
    let routes: Vec<_> = routes
        .filter(|line| line.contains(".route(\""))
        .map(|line| line.split('"').nth(1).unwrap())
        .collect();
    for route in &routes {
        assert!(ROUTES.iter().any(|(known, ..)| known == route), "{route}");
        assert!(PAGE.contains(route), "{route}");
    }
    assert!(routes.len() >= ROUTES.len(), "{routes:?}");
    for (route, method, path) in ROUTES {
        for header in ["origin: http://evil.example", "sec-fetch-site: same-origin"] {
            let mut http = Http::at(address);
            http.ask(method, path, &[header], b"");
            let answer = http.answer();
            assert_eq!(answer.status, 403, "{route}");
            assert!(!answer.text().contains("secret"), "{route}");
        }
        let other = if method == "GET" { "POST" } else { "GET" };
        let mut http = Http::at(address);
        http.ask(other, path, &[], b"");
        assert_eq!(http.answer().status, 405, "{route}");
        // On the port of clients it isn't there.
        if path.starts_with("/-/history") {
            let mut http = Http::at(server.v4());
            http.ask(method, path, &[], b"");
            assert_eq!(http.answer().status, 404, "{route}");
        }
    }
    for path in [
        "messages",
        "messages?topic=",
        "export?topic=lab&what=1",
        "topics?rate=x",
    ] {
        let answer = Http::at(address).get(&format!("/-/history/{path}"), &[]);
        assert_eq!(answer.status, 400, "{path}: {answer:?}");
    }
    assert_eq!(Http::at(address).get("/-/history/topics", &[]).status, 200);
}

/// The commands of the section about backups, in their order, with the paths of this test.
#[test]
fn the_commands_about_backups_work() {
    let (_, section) = PAGE
        .split_once("\n## Backup and the store's tools\n")
        .unwrap();
    let section = section.split("\n## ").next().unwrap();
    let (directory, place) = (Directory::new(), Directory::new());
    let mut server = directory.serve(&ADMIN);
    publish(&server, "lab", &["one", "two"]);
    let address = admin(&server).to_string();
    let path = std::path::Path::new(env!("CARGO_BIN_EXE_topicserver"));
    let path = format!("{}:/usr/bin:/bin", path.parent().unwrap().display());
    let mut count = 0;
    for line in section.lines().filter_map(|line| line.strip_prefix("$ ")) {
        let line = line
            .replace("runuser -u natter -- ", "")
            .replace("127.0.0.1:20001", &address)
            .replace("/var/lib/natter", text(directory.path()))
            .replace("/srv", text(place.path()));
        if line.contains("systemctl stop") {
            server.terminate();
            continue;
        }
        let mut shell = std::process::Command::new("sh");
        let output = finish(shell.args(["-c", &line]).env("PATH", &path));
        assert!(output.status.success(), "{line}: {output:?}");
        count += 1;
    }
    assert!(count >= 9, "{count} commands");
}
