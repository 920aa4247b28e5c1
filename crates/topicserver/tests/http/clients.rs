//! HTTP as programs speak it that nobody wrote for this server: webhooks, uploads, load
//! balancers, links with something added, clients that can't set headers.

use serde_json::json;
use topicserver::Config;

use crate::common::{Bystanders, TestServer};
use crate::requests::{Http, Lines};

const JSON: &str = "content-type: application/json";
const TEXT: &str = "accept: text/plain";
const PAGE: &str = "accept: text/html,application/xhtml+xml,*/*;q=0.8";

#[test]
fn what_others_add_to_a_link_to_the_page_is_no_error() {
    let server = TestServer::start();
    for path in ["/lab?utm_source=mail&fbclid=x", "/?utm_source=mail"] {
        let answer = Http::to(&server).get(path, &[PAGE]);
        assert_eq!(answer.status, 200, "{path}");
        assert!(answer.text().contains("<html"), "{path}");
    }
    // A program that mistypes a parameter still hears of it.
    Http::to(&server)
        .get("/lab?lst=1", &[])
        .expect_problem(400, "bad-request");
}

#[test]
fn an_upload_is_published_like_a_post() {
    let server = TestServer::start();
    let mut classic = server.join(&["lab"]);
    let mut http = Http::to(&server);
    http.ask("PUT", "/lab?user=cron", &[], b"from curl -T");
    assert_eq!(http.answer().json()["seq"], 1);
    classic.expect("lab", "from curl -T");
    http.ask("PUT", "/", &[], b"nowhere");
    http.answer().expect_problem(400, "bad-topic");
}

#[test]
fn a_webhook_may_send_more_than_its_text() {
    let server = TestServer::start();
    let mut classic = server.join(&["lab"]);
    let mut http = Http::to(&server);
    let hook = json!({"text": "build 7 failed", "channel": "#ci", "attachments": []}).to_string();
    assert_eq!(http.post("/lab", &[JSON], hook.as_bytes()).status, 200);
    classic.expect("lab", "build 7 failed");
    let other = r#"{"event":"push","commits":[1,2]}"#;
    let problem = http.post("/lab", &[JSON], other.as_bytes());
    assert!(
        problem
            .expect_problem(400, "bad-frame")
            .contains("?json=whole")
    );
    assert_eq!(
        http.post("/lab?json=whole", &[JSON], other.as_bytes())
            .status,
        200
    );
    classic.expect("lab", other);
    http.post("/lab?json=half", &[JSON], other.as_bytes())
        .expect_problem(400, "bad-request");
}

#[test]
fn a_client_that_cant_set_headers_says_in_the_query_where_it_was() {
    let server = TestServer::start();
    let mut http = Http::to(&server);
    for text in ["a", "b", "c"] {
        http.post("/lab", &[], text.as_bytes());
    }
    let registered = Lines::of(&server, "/lab?poll=1", &[]).frame();
    let epoch = registered["extended"]["registered"]["topics"]["lab"]["epoch"].clone();
    let epoch = epoch.as_str().unwrap();
    for name in ["lastEventId", "last-event-id"] {
        let mut lines = Lines::of(&server, &format!("/lab?poll=1&{name}={epoch}:2"), &[]);
        lines.frame();
        assert_eq!(lines.frame()["message"]["text"], "c", "{name}");
        assert_eq!(lines.next(), None);
    }
    // An empty one is what a polyfill sends that has none yet.
    let mut lines = Lines::of(&server, "/lab?last=1&poll=1&lastEventId=", &[]);
    lines.frame();
    assert_eq!(lines.frame()["message"]["text"], "c");
}

#[test]
fn health_is_told_under_any_name() {
    let server = TestServer::start();
    let mut http = Http::to(&server);
    http.send(b"GET /-/health HTTP/1.1\r\nhost: lb.internal:80\r\n\r\n");
    assert_eq!(http.answer().json()["status"], "ok");
    http.send(b"GET /-/topics HTTP/1.1\r\nhost: lb.internal:80\r\n\r\n");
    http.answer().expect_problem(421, "forbidden-host");
}

#[test]
fn people_read_a_stream_as_plain_text() {
    let server = TestServer::with(Config {
        history_messages: 3,
        ..Config::default()
    });
    let mut http = Http::to(&server);
    for text in ["gone", "two\nlines", "esc \u{1b}[31m"] {
        http.post("/lab", &[], text.as_bytes());
    }
    http.post("/lab?user=anna", &[], b"hi");
    let answer = Http::to(&server).get("/lab?poll=1", &[TEXT]);
    assert_eq!(
        answer.header("content-type"),
        Some("text/plain; charset=utf-8")
    );
    assert_eq!(answer.text(), "two\n  lines\nesc \u{fffd}[31m\nanna: hi\n");
    // What the history no longer has is said.
    let registered = Lines::of(&server, "/lab?last=0&poll=1", &[]).frame();
    let epoch = registered["extended"]["registered"]["topics"]["lab"]["epoch"].clone();
    let path = format!("/lab?poll=1&resume={}:0", epoch.as_str().unwrap());
    let answer = Http::to(&server).get(&path, &[TEXT]);
    assert!(
        answer
            .text()
            .starts_with("[1 message is no longer in the history]\ntwo\n")
    );
}

#[test]
fn a_stream_ends_whole_after_the_time_that_it_was_given() {
    let server = TestServer::start();
    Http::to(&server).post("/lab", &[], b"before");
    for path in ["/lab?last=1&timeout=1", "/quiet?timeout=1"] {
        let started = std::time::Instant::now();
        let answer = Http::to(&server).get(path, &[TEXT]);
        // The last chunk was read: the answer is complete.
        assert!(started.elapsed().as_millis() >= 1000, "{path}");
        assert_eq!(
            answer.text(),
            if path.starts_with("/lab") {
                "before\n"
            } else {
                ""
            }
        );
    }
    for path in [
        "/lab?timeout=0",
        "/lab?timeout=x",
        "/lab?timeout=1&poll=1",
        "/lab?timeout=86401",
    ] {
        Http::to(&server)
            .get(path, &[])
            .expect_problem(400, "bad-request");
    }
}
