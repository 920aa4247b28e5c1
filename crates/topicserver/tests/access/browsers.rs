//! What a browser does to log in and what it sends then, without one.

use serde_json::Value;

use crate::common::{TestServer, is_over_tls};
use crate::requests::{Answer, Http};

pub const JSON: &str = "content-type: application/json";

/// The header that a browser sends with what the server's own page does.
pub fn own_origin(server: &TestServer) -> String {
    let scheme = if is_over_tls() { "https" } else { "http" };
    format!("origin: {scheme}://{}", server.addr())
}

/// Logs in as the page does.
pub fn log_in(server: &TestServer, body: &Value) -> Answer {
    let mut http = Http::to(server);
    let body = body.to_string();
    http.post("/-/login", &[JSON, &own_origin(server)], body.as_bytes())
}

/// The header that brings the cookie which an answer has set.
#[track_caller]
pub fn cookie(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{answer:?}");
    let line = answer.header("set-cookie").expect("no cookie");
    let (pair, _) = line.split_once(';').unwrap();
    format!("cookie: {pair}")
}

/// The headers of a WebSocket's client.
pub const WEBSOCKET: [&str; 4] = [
    "connection: upgrade",
    "upgrade: websocket",
    "sec-websocket-version: 13",
    "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==",
];

/// The ticket that somebody gets who sends these headers.
#[track_caller]
pub fn ticket(server: &TestServer, headers: &[&str]) -> String {
    let answer = Http::to(server).post("/-/ticket", headers, b"");
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["ticket"].as_str().unwrap().to_owned()
}
