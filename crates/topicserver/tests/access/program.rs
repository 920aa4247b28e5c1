//! The real program: its commands change the file, it notices, and whatever clients do with
//! secrets, none is in a log.

use std::io::Write;
use std::process::{Output, Stdio};

use serde_json::{Value, json};

use crate::common::secrets::note_in;
use crate::common::{Client, Directory, Process, eventually, finish, program};
use crate::requests::Http;

/// A folder with a file of accounts.
struct Accounts(Directory);

impl Accounts {
    fn new() -> Self {
        let accounts = Self(Directory::new());
        accounts.run(&["user", "add", "alice", "--allow", "read write who lab"]);
        accounts
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }

    fn try_run(&self, words: &[&str]) -> Output {
        let file = self.path("accounts.toml");
        finish(program().args(words).args(["--auth", &file]))
    }

    /// Runs a command of the program; what it printed.
    fn run(&self, words: &[&str]) -> String {
        let output = self.try_run(words);
        assert!(output.status.success(), "{output:?}");
        assert!(output.stderr.is_empty(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    fn serve(&self, options: &[&str]) -> Process {
        let (auth, audit) = (self.path("accounts.toml"), self.path("audit"));
        Process::start(&[&["--auth", &auth, "--audit-log", &audit], options].concat())
    }

    fn audit(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.path("audit")).unwrap();
        let read = |line| serde_json::from_str(line).unwrap();
        text.lines().map(read).collect()
    }
}

fn log_in(server: &Process, token: &str) -> (Client, Value) {
    let mut client = server.connect();
    client.ask(json!({ "auth": token }));
    let answer = client.frame()["extended"].clone();
    (client, answer)
}

#[test]
fn a_command_reaches_a_server_that_runs() {
    let accounts = Accounts::new();
    let server = accounts.serve(&[]);
    let token = accounts.run(&["token", "add", "--user", "alice", "--id", "ci"]);
    // The server notices by itself, and at once if it is told.
    server.signal("HUP");
    let mut client = eventually("the new token", || {
        let (client, answer) = log_in(&server, &token);
        (answer["authenticated"]["user"] == "alice").then_some(client)
    });
    accounts.run(&["token", "remove", "ci"]);
    assert_eq!(client.expect_extended_error("revoked")["code"], "revoked");
    client.expect_end();
    assert_eq!(
        log_in(&server, &token).1["error"]["code"],
        "unauthenticated"
    );
    let output = accounts.try_run(&["token", "remove", "ci"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        String::from_utf8_lossy(&output.stderr),
        "topicserver: there is no token ci\n"
    );
    // A mistake is shown where it is, and changes nothing.
    let path = accounts.path("accounts.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("read write who lab", "raed lab")).unwrap();
    let line = server.wait_for("the file is broken");
    assert!(
        line.contains("line 4, column 10: \"raed\" is no verb"),
        "{line}"
    );
    let events: Vec<_> = accounts
        .audit()
        .iter()
        .map(|line| line["event"].clone())
        .collect();
    for event in ["login", "failed-login", "refusal", "change"] {
        assert!(events.contains(&json!(event)), "{event} in {events:?}");
    }
}

#[test]
fn a_file_that_others_can_read_is_warned_of() {
    use std::os::unix::fs::PermissionsExt as _;
    let accounts = Accounts::new();
    let warning = "others on this machine can read";
    // The commands make it for its owner alone.
    let server = accounts.serve(&[]);
    server.wait_for("says who may do what");
    assert!(!server.log().iter().any(|line| line.contains(warning)));
    for mode in [0o644, 0o640] {
        let open = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(accounts.path("accounts.toml"), open).unwrap();
        let line = accounts.serve(&[]).wait_for(warning);
        assert!(line.contains("chmod 600 "), "{line}");
    }
}

#[test]
fn a_server_with_a_broken_file_does_not_start() {
    let accounts = Accounts::new();
    let path = accounts.path("accounts.toml");
    std::fs::write(&path, "[users.alice]\nallow = \"read lab\"\n").unwrap();
    let output = finish(program().args(["0", "--auth", &path]));
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("accounts.toml, line 2, column 9: "), "{text}");
    assert!(
        text.contains("2 | allow = \"read lab\"\n  |         ^"),
        "{text}"
    );
    let output = finish(program().args(["0", "--auth", &(path + "-not-there")]));
    assert_eq!(output.status.code(), Some(1));
}

/// The harness looks at every line that a server logs at `trace`. Here it gets what can go wrong.
#[test]
fn nothing_that_is_logged_has_a_secret_in_it() {
    let accounts = Accounts::new();
    let mut server = accounts.serve(&[]);
    let token = accounts.run(&["token", "add", "--user", "alice", "--id", "ci"]);
    server.signal("HUP");
    let (mut client, _) = eventually("the new token", || {
        let (client, answer) = log_in(&server, &token);
        answer["authenticated"].is_object().then_some((client, ()))
    });
    client.register_extended(&["lab"], json!({}));
    log_in_by_frames(&server, &token);
    log_in_by_headers(&server, &token);
    log_in_as_a_browser(&server, &token);
    server.terminate();
    let log = server.log();
    let login = "logged in as alice with the token ci";
    assert!(log.iter().any(|line| line.contains(login)));
    let audit = accounts.audit();
    for event in ["failed-login", "ticket", "logout"] {
        assert!(audit.iter().any(|line| line["event"] == event), "{event}");
    }
}

/// Everything that a client may send in frames, right and wrong, in its place and elsewhere.
fn log_in_by_frames(server: &Process, token: &str) {
    let wrong = token.replace("ntr_ci", "ntr_other");
    let key = "key-that-no-log-has";
    for frame in [
        json!({"topics": ["lab"], "extended": {"auth": token}}),
        json!({"topics": ["lab"], "extended": {"auth": wrong}}),
        json!({"extended": {"auth": {"user": "alice", "password": token}}}),
        json!({"extended": {"auth": {"user": "bob", "password": token}}}),
        json!({"extended": {"auth": [token]}}),
        json!({"extended": {"auth": {"token": token}}}),
        json!({"extended": {"auth": format!("{token} ")}}),
        json!({"topics": ["lab"], "extended": {"auth": token, "client": key}}),
        json!({"topics": ["lab"], "extended": {"auth": token, "client": key.repeat(4)}}),
        json!({"topics": ["lab"], "extended": {"auth": token, "client": [{"client": key}]}}),
        json!({"topics": ["lab"], "extended": {"auth": token, "client": {"client": key}}}),
        json!({"topics": ["lab"], "client": key}),
        json!({"topics": ["lab"], "auth": token}),
        json!({"auth": token, "client": key}),
        json!({"message": {"topic": "lab", "text": "x"}, "extended": {"auth": token}}),
    ] {
        let mut client = Client::connect(server.v4());
        client.send(format!("{frame}\n{{}}").as_bytes());
        client.frame();
    }
    // What is no JSON.
    for text in [
        format!("{token}\n"),
        format!("{{\"auth\":{token}}}\n"),
        format!("{{\"auth\":\"{token}\n"),
    ] {
        let mut client = Client::connect(server.v4());
        client.send(text.as_bytes());
        client.texts_to_the_end();
    }
}

/// The same over HTTP.
fn log_in_by_headers(server: &Process, token: &str) {
    let wrong = token.replace("ntr_ci", "ntr_other");
    for header in [
        format!("authorization: Bearer {token}"),
        format!("authorization: Bearer {wrong}"),
        format!("authorization: {token}"),
        format!("authorization: Basic {token}"),
        format!("authorization: Token {token}"),
    ] {
        let mut http = Http::at(server.v4());
        http.ask("POST", "/lab", &[&header], b"hello");
        http.answer();
        let mut http = Http::at(server.v4());
        http.ask("GET", "/lab?poll=1", &[&header], b"");
        http.answer();
    }
}

/// Everything that a browser does with a login, right and wrong.
fn log_in_as_a_browser(server: &Process, token: &str) {
    let addr = server.v4();
    let scheme = if crate::common::is_over_tls() {
        "https"
    } else {
        "http"
    };
    let own = format!("origin: {scheme}://{addr}");
    for body in [
        format!("user=alice&password={token}x"),
        format!("user=bob&password={token}"),
        format!("token={token}&token={token}"),
        format!("tokens={token}"),
        token.to_owned(),
    ] {
        Http::at(addr).post("/-/login", &[&own], body.as_bytes());
        let json = json!({ "token": [body] }).to_string();
        let kind = "content-type: application/json";
        Http::at(addr).post("/-/login", &[&own, kind], json.as_bytes());
    }
    let answer = Http::at(addr).post("/-/login", &[&own], format!("token={token}").as_bytes());
    let line = answer.header("set-cookie").unwrap();
    let (pair, _) = line.split_once(';').unwrap();
    let cookie = format!("cookie: {pair}");
    let answer = Http::at(addr).post("/-/ticket", &[&own, &cookie], b"");
    let ticket = answer.json()["ticket"].as_str().unwrap().to_owned();
    for (method, path) in [
        ("GET", format!("/lab?poll=1&ticket={ticket}")),
        ("GET", format!("/lab?poll=1&ticket={ticket}")),
        ("GET", format!("/lab?ticket={ticket}&ticket={ticket}")),
        ("POST", format!("/lab?ticket={ticket}")),
        ("GET", format!("/-/topics?ticket={ticket}")),
    ] {
        let mut http = Http::at(addr);
        http.ask(method, &path, &[], b"");
        let answer = http.answer();
        let text = String::from_utf8_lossy(&answer.body);
        assert!(!text.contains(&ticket), "{text}");
    }
    // A cookie that is changed, in another place, and over.
    for cookie in [format!("{cookie}x"), format!("x-{cookie}"), cookie.clone()] {
        Http::at(addr).get("/lab?poll=1", &[&cookie]);
        Http::at(addr).post("/lab", &[&cookie], b"x");
    }
    Http::at(addr).post("/-/logout", &[&own, &cookie], b"");
    Http::at(addr).get("/lab?poll=1", &[&cookie]);
}

#[test]
fn a_broken_file_is_told_of_without_what_it_keeps() {
    let accounts = Accounts::new();
    accounts.run(&["token", "add", "--user", "alice", "--id", "ci"]);
    let path = accounts.path("accounts.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let line = text.lines().find(|line| line.starts_with("secret = "));
    let line = line.unwrap();
    let hash = "password = \"$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMRuIPn";
    let server = accounts.serve(&[]);
    for (number, broken) in [
        line.trim_end_matches('"').to_owned(),
        line.replace("secret", "secrte"),
        line.replace("a", "").replace("sha256:", "sha256:0"),
        line.replace("sha256:", ""),
        format!("{line}\n{hash}"),
        format!("{line}\n{line}"),
        format!("{hash}\"\n{line}"),
    ]
    .into_iter()
    .enumerate()
    {
        note_in(broken.as_bytes());
        let new = accounts.path("new");
        std::fs::write(&new, text.replace(line, &broken)).unwrap();
        std::fs::rename(&new, &path).unwrap();
        eventually(&broken, || {
            let log = server.log();
            let is_told = |line: &&String| line.contains("the file is broken");
            let told = log.iter().filter(is_told).count();
            (told > number).then_some(())
        });
    }
}

#[test]
fn a_password_that_was_set_lets_its_owner_in() {
    let accounts = Accounts::new();
    let set = |password: &str| {
        let mut child = program()
            .args(["user", "password", "alice", "--auth"])
            .arg(accounts.path("accounts.toml"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        input.write_all(password.as_bytes()).unwrap();
        drop(input);
        child.wait_with_output().unwrap()
    };
    let output = set("short\n");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let output = set("correct horse battery\nstaple\n");
    assert!(output.status.success(), "{output:?}");
    let text = std::fs::read_to_string(accounts.path("accounts.toml")).unwrap();
    assert!(text.contains("password = \"$argon2id$"), "{text}");
    assert!(!text.contains("horse"));
    let server = accounts.serve(&[]);
    let log_in = |password: &str| {
        let mut client = server.connect();
        client.ask(json!({"auth": {"user": "alice", "password": password}}));
        client.frame()["extended"].clone()
    };
    let answer = log_in("correct horse battery");
    assert_eq!(answer["authenticated"]["user"], "alice", "{answer}");
    let answer = log_in("correct horse battery staple");
    assert_eq!(answer["error"]["code"], "unauthenticated", "{answer}");
}
