//! The doors of the UNIX socket, and whom it takes its peers for.

use std::time::Instant;

use serde_json::json;

use super::{By, Http, PRINCIPALS, accounts, bearer, serve, try_routes_of};
use crate::accounts::Accounts;
use crate::common::{Client, LIMIT, TestServer, connect_local, socket_of, socket_path};
use crate::frames::{Frames, Transport};
use topicserver::Config;

#[test]
fn http_over_the_unix_socket_lets_through_who_may() {
    let accounts = accounts();
    let server = serve(&accounts);
    let path = socket_of(server.addr().port()).unwrap();
    for principal in PRINCIPALS {
        let header = principal.token().map(|token| bearer(&token));
        let http = || Http::over(connect_local(&path), server.addr());
        try_routes_of(http, principal, By::Header, header.as_slice());
    }
}

/// A server whose socket takes this process for alice.
fn serve_alice(accounts: &Accounts) -> TestServer {
    TestServer::with(Config {
        unix: Some(socket_path()),
        ..accounts.config()
    })
}

fn file(uid: u32) -> String {
    format!("[users.alice]\nallow = [\"read write lab\"]\n[[unix]]\nuid = {uid}\nas = \"alice\"\n")
}

fn own_uid() -> u32 {
    nix::unistd::getuid().as_raw()
}

#[test]
fn who_connects_to_the_socket_has_the_account_of_its_user() {
    // A network of addresses that has the users' in it stands for none of them.
    let everywhere = "[users.bob]\n[[addresses]]\nfrom = \"::/0\"\nas = \"bob\"\n";
    let accounts = Accounts::new(&[&file(own_uid()), everywhere].concat());
    let server = serve_alice(&accounts);
    let path = socket_of(server.addr().port()).unwrap();
    let mut reader = Frames::to(&server, Transport::Unix);
    reader.send(json!({"topics": ["lab"], "extended": {}}));
    assert!(reader.frame()["extended"]["registered"].is_object());
    let mut http = Http::over(connect_local(&path), server.addr());
    assert_eq!(http.post("/lab", &[], b"by HTTP").status, 200);
    let message = reader.frame();
    assert_eq!(message["message"]["text"], "by HTTP");
    assert_eq!(message["extended"]["account"], "alice");
    // Frames have only addresses: it is on this machine.
    assert_eq!(message["source"], json!({"ip": "127.0.0.1", "port": "0"}));
    let mut classic = Client::local(&path);
    classic.join(&["lab"]);
    classic.say("lab", "without a word of who");
    assert_eq!(reader.frame()["extended"]["account"], "alice");
    // Over TCP nobody is alice for that.
    let mut http = Http::to(&server);
    http.post("/lab", &[], b"x")
        .expect_problem(401, "unauthenticated");
}

#[test]
fn another_user_than_the_files_is_nobody_and_a_change_is_noticed_within_a_second() {
    let accounts = Accounts::new(&file(own_uid()));
    let server = serve_alice(&accounts);
    let mut reader = Frames::to(&server, Transport::Unix);
    reader.send(json!({"topics": ["lab"], "extended": {}}));
    assert!(reader.frame()["extended"]["registered"].is_object());
    let began = Instant::now();
    accounts.write(&file(own_uid() + 1));
    let removed = reader.frame()["extended"]["removed"].clone();
    assert_eq!(removed, json!({"topic": "lab", "code": "forbidden"}));
    assert!(began.elapsed() < LIMIT / 10, "{:?}", began.elapsed());
    let mut again = Frames::to(&server, Transport::Unix);
    again.send(json!({"topics": ["lab"], "extended": {}}));
    assert_eq!(
        again.frame()["extended"]["error"]["code"],
        "unauthenticated"
    );
}
