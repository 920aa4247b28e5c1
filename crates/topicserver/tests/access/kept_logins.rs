//! The login that a browser keeps: how it is got, for whom it is good, and how it ends.

use std::time::Duration;

use serde_json::{Value, json};
use topicserver::Config;

use crate::accounts::{Accounts, GUESS, KEPT, PASSWORD, bearer, token};
use crate::browsers::{JSON, WEBSOCKET, cookie, log_in, own_origin};
use crate::common::{Directory, TestServer, eventually, is_over_tls};
use crate::requests::Http;

/// What is kept of another password.
const OTHER: &str = "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHRzb21l$\
                     nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";

fn file(password: &str, tokens: &[&str]) -> String {
    let line = |id: &&str| format!("{}user = \"alice\"\n", token(id).1);
    let tokens: String = tokens.iter().map(line).collect();
    format!(
        "[everyone]\nallow = [\"read lobby\"]\n[users.alice]\npassword = \"{password}\"\n\
         allow = [\"read write who list lab\"]\n[users.bob]\n{tokens}"
    )
}

fn accounts() -> Accounts {
    Accounts::new(&file(KEPT, &["one", "two"]))
}

fn by_password() -> Value {
    json!({"user": "alice", "password": PASSWORD})
}

fn by_token(id: &str) -> Value {
    json!({"token": token(id).0})
}

fn read(server: &TestServer, headers: &[&str]) -> crate::requests::Answer {
    Http::to(server).get("/lab?poll=1", headers)
}

#[test]
fn a_browser_logs_in_by_password_or_token_and_keeps_a_cookie() {
    let accounts = accounts();
    let server = accounts.serve();
    let nobody = Http::to(&server).get("/-/login", &[]).json();
    assert_eq!(nobody, json!({"authenticated": null, "accounts": true}));
    let form = "content-type: application/x-www-form-urlencoded";
    let token = token("one").0;
    for (kind, body) in [
        (JSON, by_password().to_string()),
        (JSON, by_token("one").to_string()),
        (form, format!("user=alice&password={PASSWORD}")),
        (form, format!("user=&password={token}")),
        (form, format!("token={token}")),
    ] {
        let mut http = Http::to(&server);
        let answer = http.post("/-/login", &[kind, &own_origin(&server)], body.as_bytes());
        assert_eq!(answer.json()["authenticated"]["user"], "alice", "{body}");
        assert!(answer.json()["authenticated"]["expires"].is_u64());
        let cookie = cookie(&answer);
        let who = Http::to(&server).get("/-/login", &[&cookie]).json();
        assert_eq!(who, answer.json());
        assert_eq!(read(&server, &[&cookie]).status, 200);
        assert_eq!(read(&server, &["cookie: a=b", &cookie]).status, 200);
        read(&server, &[]).expect_problem(401, "unauthenticated");
        let line = answer.header("set-cookie").unwrap();
        let name = format!("natter-{}=", server.addr().port());
        let is_secure = is_over_tls();
        assert_eq!(line.starts_with(&format!("__Host-{name}")), is_secure);
        assert_eq!(line.ends_with("; Secure"), is_secure, "{line}");
        assert!(line.contains(&name), "{line}");
        for part in [
            "; Path=/",
            "; HttpOnly",
            "; SameSite=Strict",
            "; Max-Age=2592000",
        ] {
            assert!(line.contains(part), "{line}");
        }
        assert!(!line.contains("secret") && !line.contains(KEPT));
    }
}

#[test]
fn a_login_that_is_wrong_sets_no_cookie_and_guessing_is_slowed() {
    let accounts = accounts();
    let server = accounts.serve();
    let wrong = json!({"user": "alice", "password": GUESS});
    for _ in 0..10 {
        let answer = log_in(&server, &wrong);
        let text = answer.expect_problem(401, "unauthenticated");
        assert_eq!(text, "the name or the password is wrong");
        assert_eq!(answer.header("set-cookie"), None);
    }
    let answer = log_in(&server, &wrong);
    answer.expect_problem(429, "too-many-attempts");
    assert_eq!(answer.header("retry-after"), Some("1"));
    log_in(&server, &by_password()).expect_problem(429, "too-many-attempts");
    log_in(&server, &by_token("other")).expect_problem(401, "unauthenticated");
    assert_eq!(log_in(&server, &by_token("one")).status, 200);
    for body in ["", "token", "{}"] {
        let mut http = Http::to(&server);
        let answer = http.post("/-/login", &[JSON], body.as_bytes());
        answer.expect_problem(400, "bad-request");
    }
    // Where nobody has an account, nobody can log in.
    let open = TestServer::start();
    let who = Http::to(&open).get("/-/login", &[]).json();
    assert_eq!(who, json!({"authenticated": null, "accounts": false}));
    log_in(&open, &by_password()).expect_problem(401, "unauthenticated");
}

#[test]
fn a_cookie_is_the_own_pages_and_no_other() {
    let accounts = accounts();
    let server = TestServer::with(Config {
        allow_origins: vec!["https://wiki.example".into()],
        ..accounts.config()
    });
    let (own, wiki) = (own_origin(&server), "origin: https://wiki.example");
    let cookie = cookie(&log_in(&server, &by_password()));
    let ask = |method: &str, path: &str, headers: &[&str]| {
        let mut http = Http::to(&server);
        http.ask(method, path, headers, b"hi");
        http.answer()
    };
    // The page itself.
    for headers in [
        &[&*cookie, &own][..],
        &[&cookie, "sec-fetch-site: same-origin"],
    ] {
        assert_eq!(ask("POST", "/lab", headers).status, 200, "{headers:?}");
        assert_eq!(read(&server, headers).status, 200);
    }
    // Another site that may ask is nobody, whatever the browser sends along.
    for path in ["/lab?poll=1", "/-/topics/lab/who"] {
        ask("GET", path, &[&cookie, wiki]).expect_problem(401, "unauthenticated");
    }
    ask("POST", "/lab", &[&cookie, wiki]).expect_problem(401, "unauthenticated");
    ask("POST", "/-/ticket", &[&cookie, wiki]).expect_problem(401, "unauthenticated");
    // It can log nobody in or out.
    for path in ["/-/login", "/-/logout"] {
        ask("POST", path, &[&cookie, wiki]).expect_problem(403, "forbidden-origin");
    }
    // One that may not, and what doesn't say whose page it is.
    for headers in [
        &[&*cookie, "origin: http://evil.example"][..],
        &[&cookie, "origin: null"],
        &[&cookie, "sec-fetch-site: same-site"],
        &[&cookie],
    ] {
        for path in ["/lab", "/-/ticket"] {
            let answer = ask("POST", path, headers);
            answer.expect_problem(403, "forbidden-origin");
        }
    }
    let open = |headers: &[&str]| {
        let mut http = Http::to(&server);
        http.ask("GET", "/-/ws", &[&WEBSOCKET[..], headers].concat(), b"");
        http.head().status
    };
    assert_eq!(open(&[&cookie, &own]), 101);
    assert_eq!(open(&[&cookie, wiki]), 101, "as nobody");
    assert_eq!(open(&[&cookie]), 403);
    assert_eq!(open(&[&cookie, "origin: http://evil.example"]), 403);
    // A token goes before it.
    let other = bearer(&token("one").0);
    assert_eq!(ask("POST", "/lab", &[&cookie, &other]).status, 200);
}

/// A page that came without TLS is another one than that with TLS.
#[test]
fn a_plain_page_has_nothing_of_the_encrypted_one() {
    let accounts = accounts();
    let server = TestServer::with(Config {
        trust_proxies: vec!["127.0.0.1".parse().unwrap()],
        ..accounts.config()
    });
    let proto = "x-forwarded-proto: https";
    let secure = format!("origin: https://{}", server.addr());
    let plain = format!("origin: http://{}", server.addr());
    let body = by_password().to_string();
    let mut http = Http::to(&server);
    let answer = http.post("/-/login", &[JSON, proto, &secure], body.as_bytes());
    let line = answer.header("set-cookie").unwrap();
    assert!(line.starts_with("__Host-natter-"), "{line}");
    assert!(line.ends_with("; Secure"), "{line}");
    let cookie = cookie(&answer);
    assert_eq!(read(&server, &[&cookie, proto]).status, 200);
    let post = |headers: &[&str]| Http::to(&server).post("/lab", headers, b"hi");
    assert_eq!(post(&[&cookie, proto, &secure]).status, 200);
    post(&[&cookie, proto, &plain]).expect_problem(401, "unauthenticated");
    if !is_over_tls() {
        read(&server, &[&cookie]).expect_problem(401, "unauthenticated");
    }
}

/// Somebody who logged in, with a stream and a WebSocket that his browser has opened.
struct Here {
    cookie: String,
    stream: Http,
    socket: Http,
}

impl Here {
    fn new(server: &TestServer, login: &Value) -> Self {
        let cookie = cookie(&log_in(server, login));
        let own = own_origin(server);
        let mut stream = Http::to(server);
        let events = "accept: text/event-stream";
        stream.ask("GET", "/lab", &[&cookie, events], b"");
        assert_eq!(stream.head().status, 200);
        let mut socket = Http::to(server);
        let headers = [&WEBSOCKET[..], &[&cookie, &own]].concat();
        socket.ask("GET", "/-/ws", &headers, b"");
        assert_eq!(socket.head().status, 101);
        Self {
            cookie,
            stream,
            socket,
        }
    }

    /// Everything must have ended with this code.
    #[track_caller]
    fn expect_end(mut self, server: &TestServer, code: &str) {
        for http in [&mut self.stream, &mut self.socket] {
            let rest = http.read_to_the_end();
            let rest = String::from_utf8_lossy(&rest);
            assert!(rest.contains(code), "{rest}");
        }
        let answer = read(server, &[&self.cookie]);
        assert_eq!(answer.status, 401, "{answer:?}");
        // The browser forgets it, and gets the page to log in again.
        let line = answer.header("set-cookie").unwrap();
        assert!(line.contains("=; ") && line.contains("Max-Age=0"), "{line}");
        for path in ["/lab", "/", "/-/page/main.js"] {
            let mut http = Http::to(server);
            let answer = http.get(path, &[&self.cookie, "accept: text/html"]);
            assert_eq!(answer.status, 200, "{path}");
        }
        let answer = Http::to(server).get("/-/login", &[&self.cookie]);
        assert_eq!(answer.status, 401);
    }

    fn expect_here(&self, server: &TestServer) {
        assert_eq!(read(server, &[&self.cookie]).status, 200);
    }
}

#[test]
fn what_was_opened_by_a_cookie_ends_when_its_account_changes() {
    let files = accounts();
    let server = files.serve();
    let removed = Here::new(&server, &by_token("one"));
    let stays = Here::new(&server, &by_token("two"));
    files.write(&file(KEPT, &["two"]));
    removed.expect_end(&server, "revoked");
    stays.expect_here(&server);
    let changed = Here::new(&server, &by_password());
    files.write(&file(OTHER, &["two"]));
    changed.expect_end(&server, "revoked");
    stays.expect_here(&server);
    files.write("[everyone]\nallow = [\"read lobby\"]\n[users.bob]\n");
    stays.expect_end(&server, "revoked");
}

#[test]
fn who_logs_out_ends_what_that_login_has_opened() {
    let files = accounts();
    let server = files.serve();
    let (gone, stays) = (
        Here::new(&server, &by_password()),
        Here::new(&server, &by_password()),
    );
    let own = own_origin(&server);
    let mut http = Http::to(&server);
    let answer = http.post("/-/logout", &[&gone.cookie, &own], b"");
    assert_eq!(answer.json()["authenticated"], Value::Null);
    let line = answer.header("set-cookie").unwrap();
    assert!(line.contains("Max-Age=0"), "{line}");
    // Also for who has kept a copy of the cookie.
    gone.expect_end(&server, "revoked");
    stays.expect_here(&server);
    // Who isn't logged in can do so all the same.
    let answer = Http::to(&server).post("/-/logout", &[&own], b"");
    assert_eq!(answer.status, 200);
}

#[test]
fn a_login_ends_when_its_time_is_over() {
    let files = accounts();
    let server = TestServer::with(Config {
        // Long enough to log in on a busy machine.
        login_lifetime: Duration::from_secs(10),
        ..files.config()
    });
    let here = Here::new(&server, &by_password());
    here.expect_end(&server, "expired");
}

#[test]
fn a_login_outlives_a_server_that_keeps_its_messages() {
    let files = accounts();
    let data = Directory::new();
    let config = |keeps: bool| Config {
        data: keeps.then(|| data.path().to_owned()),
        ..files.config()
    };
    let mut server = TestServer::with(Config {
        port: 0,
        ..config(true)
    });
    let port = server.addr().port();
    let cookie = cookie(&log_in(&server, &by_password()));
    server.stop();
    server.ended();
    drop(server);
    let again = |keeps| {
        TestServer::with(Config {
            port,
            ..config(keeps)
        })
    };
    let mut server = again(true);
    assert_eq!(read(&server, &[&cookie]).status, 200);
    server.stop();
    server.ended();
    drop(server);
    // Another key seals nothing that this one opens.
    read(&again(false), &[&cookie]).expect_problem(401, "expired");
}

#[test]
fn the_audit_log_has_who_logs_in_and_out() {
    let files = accounts();
    let log = files.path().with_file_name("audit");
    let server = TestServer::with(Config {
        audit_log: Some(log.clone()),
        ..files.config()
    });
    let own = own_origin(&server);
    let cookie = cookie(&log_in(&server, &by_token("one")));
    log_in(&server, &json!({"user": "alice", "password": GUESS}));
    for path in ["/-/ticket", "/-/logout"] {
        let answer = Http::to(&server).post(path, &[&cookie, &own], b"");
        assert_eq!(answer.status, 200, "{path}");
    }
    read(&server, &[&cookie]).expect_problem(401, "expired");
    let lines = eventually("the lines of the audit log", || {
        let text = std::fs::read_to_string(&log).unwrap();
        let lines: Vec<Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        (lines.len() >= 5).then_some(lines)
    });
    let events: Vec<_> = lines.iter().map(|line| line["event"].clone()).collect();
    let expected = ["login", "failed-login", "ticket", "logout", "failed-login"];
    assert_eq!(events, expected);
    for line in [&lines[0], &lines[2], &lines[3]] {
        assert_eq!(line["account"], "alice", "{line}");
        assert_eq!(line["token"], "one", "{line}");
        assert!(line["peer"].is_string());
    }
}
