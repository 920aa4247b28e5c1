//! Pages of other sites, and names that lead here and shouldn't.

use topicserver::Config;

use crate::common::TestServer;
use crate::requests::{Answer, Http};

fn server() -> TestServer {
    TestServer::with(Config {
        allow_origins: vec!["https://wiki.example".into()],
        allow_hosts: vec!["chat.example".into()],
        host_name: Some("box".into()),
        ..Config::default()
    })
}

/// Asks as if the server had been reached under another name.
fn ask_as(server: &TestServer, head: &str) -> Answer {
    let mut http = Http::to(server);
    http.send(format!("{head}\r\n\r\n").as_bytes());
    http.answer()
}

#[test]
fn a_page_of_another_site_can_neither_write_nor_read() {
    let server = server();
    let mut classic = server.join(&["lab"]);
    let evil = "origin: http://evil.example";
    for origin in [evil, "origin: null", "origin: http://127.0.0.1:1"] {
        let text = "content-type: text/plain";
        let answer = Http::to(&server).post("/lab", &[origin, text], b"evil");
        answer.expect_problem(403, "forbidden-origin");
        assert_eq!(answer.header("access-control-allow-origin"), None);
        let answer = Http::to(&server).get("/lab?poll=1", &[origin]);
        answer.expect_problem(403, "forbidden-origin");
    }
    let upgrade = [
        evil,
        "connection: upgrade",
        "upgrade: websocket",
        "sec-websocket-version: 13",
        "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==",
    ];
    let answer = Http::to(&server).get("/-/ws", &upgrade);
    answer.expect_problem(403, "forbidden-origin");
    // Nothing of it has arrived.
    classic.sync();
}

#[test]
fn a_page_of_another_site_cant_load_a_topic_as_a_picture() {
    let server = server();
    for site in ["cross-site", "same-site"] {
        let site = format!("sec-fetch-site: {site}");
        let answer = Http::to(&server).get("/lab?poll=1", &[&site, "sec-fetch-mode: no-cors"]);
        answer.expect_problem(403, "forbidden-origin");
        // A link on that page may lead here.
        let link = [&site, "sec-fetch-mode: navigate", "accept: text/html"];
        assert_eq!(Http::to(&server).get("/lab", &link).status, 200);
    }
}

#[test]
fn the_servers_own_page_may() {
    let server = server();
    let own = format!("origin: http://{}", server.addr());
    assert_eq!(Http::to(&server).post("/lab", &[&own], b"hi").status, 200);
}

#[test]
fn a_site_that_is_allowed_may_and_its_browser_is_told() {
    let server = server();
    let wiki = "origin: https://wiki.example";
    let mut http = Http::to(&server);
    let answer = http.post("/lab", &[wiki], b"hi");
    assert_eq!(answer.status, 200);
    let allowed = answer.header("access-control-allow-origin");
    assert_eq!(allowed, Some("https://wiki.example"));
    let asking = [wiki, "access-control-request-method: POST"];
    http.ask("OPTIONS", "/lab", &asking, b"");
    let answer = http.answer();
    assert_eq!(answer.status, 204);
    assert_eq!(
        answer.header("access-control-allow-methods"),
        Some("GET, POST, PUT")
    );
}

#[test]
fn a_name_that_isnt_the_servers_own_leads_nowhere() {
    let server = server();
    for head in [
        "GET /-/topics HTTP/1.1\r\nhost: evil.example",
        "GET /-/topics HTTP/1.1\r\nhost: evil.example:80",
        "POST /lab HTTP/1.1\r\nhost: box.evil.example\r\ncontent-length: 0",
        "GET http://evil.example/-/topics HTTP/1.1\r\nhost: 127.0.0.1",
    ] {
        ask_as(&server, head).expect_problem(421, "forbidden-host");
    }
    for host in [
        "box",
        "box:20000",
        "box.local",
        "chat.example",
        "localhost",
        "[::1]:1",
    ] {
        let head = format!("GET /-/health HTTP/1.1\r\nhost: {host}");
        assert_eq!(ask_as(&server, &head).status, 200, "{host}");
    }
}

#[test]
fn every_answer_tells_browsers_to_be_careful() {
    let server = server();
    let mut http = Http::to(&server);
    for (path, accept) in [
        ("/lab", "accept: text/html"),
        ("/", "accept: text/html"),
        ("/", "accept: */*"),
        ("/-/topics", "accept: */*"),
        ("/-/page/main.js", "accept: */*"),
        ("/-/nothing", "accept: */*"),
    ] {
        let answer = http.get(path, &[accept]);
        assert_eq!(
            answer.header("x-content-type-options"),
            Some("nosniff"),
            "{path}"
        );
        assert_eq!(
            answer.header("referrer-policy"),
            Some("no-referrer"),
            "{path}"
        );
        let policy = answer.header("content-security-policy").unwrap();
        for part in ["default-src 'none'", "frame-ancestors 'none'"] {
            assert!(policy.contains(part), "{path}: {policy}");
        }
        assert!(!policy.contains("unsafe"), "{path}: {policy}");
    }
}

#[test]
fn nothing_of_a_request_gets_into_a_header_unchecked() {
    let server = server();
    let own = server.addr();
    for head in [
        format!("GET http://{own}/ HTTP/1.1\r\nhost: evil.example; script-src *"),
        format!("GET http://{own}/lab HTTP/1.1\r\nhost: evil.example"),
        format!("GET http://me@{own}/ HTTP/1.1\r\nhost: {own}"),
    ] {
        let head = format!("{head}\r\naccept: text/html\r\norigin: http://{own}");
        let answer = ask_as(&server, &head);
        for (name, value) in &answer.headers {
            let is_clean = !value.contains("evil") && !value.contains("me@");
            assert!(is_clean, "{head:?}: {name}: {value}");
        }
        if answer.status == 200 {
            let policy = answer.header("content-security-policy").unwrap();
            assert!(policy.contains(&format!("ws://{own} ")), "{policy}");
        }
    }
}
