//! Tickets: for the streams and WebSockets of pages of other sites.

use std::time::{Duration, Instant};

use serde_json::json;
use topicserver::Config;

use crate::accounts::bearer;
use crate::browsers::{WEBSOCKET, cookie, log_in, own_origin, ticket};
use crate::common::TestServer;
use crate::doors::{Principal, accounts, serve};
use crate::requests::{Http, Lines};

fn member() -> String {
    bearer(&Principal::Member.token().unwrap())
}

fn read(server: &TestServer, ticket: &str) -> crate::requests::Answer {
    let path = format!("/lab?poll=1&ticket={ticket}");
    Http::to(server).get(&path, &[])
}

#[test]
fn a_ticket_opens_one_stream_or_one_websocket() {
    let accounts = accounts();
    let server = serve(&accounts);
    let own = own_origin(&server);
    let kept = cookie(&log_in(
        &server,
        &json!({"token": Principal::Member.token()}),
    ));
    for headers in [&[&*member()][..], &[&kept, &own]] {
        let one = ticket(&server, headers);
        assert!(one.starts_with("ntk_"), "{one}");
        let mut stream = Lines::of(&server, &format!("/lab?last=1&ticket={one}"), &[]);
        let registered = stream.frame();
        assert!(registered["extended"]["registered"].is_object());
        assert_eq!(stream.frame()["message"]["text"], "hello");
        let text = read(&server, &one).expect_problem(401, "unauthenticated");
        assert_eq!(text, "a ticket is good once, for 30 s; ask for a new one");
        let two = ticket(&server, headers);
        let open = |path: &str| {
            let mut http = Http::to(&server);
            http.ask("GET", path, &WEBSOCKET, b"");
            http.head().status
        };
        let path = format!("/-/ws?ticket={two}");
        assert_eq!(open(&path), 101);
        assert_eq!(open(&path), 401);
        assert_eq!(open("/-/ws?ticket=ntk_nothing"), 401);
    }
}

#[test]
fn a_page_of_another_site_fetches_a_ticket_and_uses_it() {
    let accounts = accounts();
    let server = TestServer::with(Config {
        allow_origins: vec!["https://wiki.example".into()],
        ..accounts.config()
    });
    let wiki = "origin: https://wiki.example";
    let mut http = Http::to(&server);
    let asks = [
        wiki,
        "access-control-request-method: POST",
        "access-control-request-headers: authorization",
    ];
    http.ask("OPTIONS", "/-/ticket", &asks, b"");
    let answer = http.answer();
    assert_eq!(answer.status, 204);
    let allowed = answer.header("access-control-allow-headers").unwrap();
    assert!(allowed.contains("authorization"));
    let answer = Http::to(&server).post("/-/ticket", &[wiki, &member()], b"");
    assert_eq!(answer.json()["expires_in"], 30);
    let allowed = answer.header("access-control-allow-origin");
    assert_eq!(allowed, Some("https://wiki.example"));
    assert_eq!(answer.header("access-control-allow-credentials"), None);
    let ticket = answer.json()["ticket"].as_str().unwrap().to_owned();
    let path = format!("/-/stream?topic=lab&topic=ci&poll=1&ticket={ticket}");
    let answer = Http::to(&server).get(&path, &[wiki, "accept: text/event-stream"]);
    assert_eq!(answer.status, 200);
    // Who brings nothing gets none.
    let answer = Http::to(&server).post("/-/ticket", &[wiki], b"");
    answer.expect_problem(401, "unauthenticated");
}

#[test]
fn a_ticket_is_good_for_a_while_and_for_as_long_as_its_token() {
    let accounts = accounts();
    let server = TestServer::with(Config {
        ticket_lifetime: Duration::from_secs(2),
        ..accounts.config()
    });
    let start = Instant::now();
    let (now, later) = (ticket(&server, &[&member()]), ticket(&server, &[&member()]));
    let status = read(&server, &now).status;
    // A machine that was busy for so long proves nothing.
    if start.elapsed() < Duration::from_secs(2) {
        assert_eq!(status, 200);
    }
    while start.elapsed() < Duration::from_secs(3) {
        Http::to(&server).get("/-/health", &[]);
    }
    let text = read(&server, &later).expect_problem(401, "unauthenticated");
    assert!(text.contains("for 2 s"), "{text}");
    let server = serve(&accounts);
    let ticket = ticket(&server, &[&member()]);
    accounts.write("[users.bob]\n");
    let is_gone = || (Http::to(&server).get("/-/topics", &[&member()]).status == 401).then_some(());
    crate::common::eventually("the change", is_gone);
    read(&server, &ticket).expect_problem(401, "revoked");
}

#[test]
fn there_are_only_so_many_tickets() {
    let accounts = accounts();
    let server = serve(&accounts);
    let mut http = Http::to(&server);
    let member = member();
    for _ in 0..1000 {
        assert_eq!(http.post("/-/ticket", &[&member], b"").status, 200);
    }
    let answer = http.post("/-/ticket", &[&member], b"");
    answer.expect_problem(503, "try-later");
    let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=30).contains(&wait), "{wait}");
}
