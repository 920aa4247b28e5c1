//! How somebody proves who he is.

use serde_json::json;

use crate::accounts::{bearer, token};
use crate::doors::{PRINCIPALS, Principal, accounts, serve};
use crate::frames::{Frames, Transport};
use crate::requests::Http;

#[test]
fn a_websocket_is_whoever_has_opened_it() {
    let accounts = accounts();
    let server = serve(&accounts);
    let open = |principal: Principal| {
        let header = principal.token().map(|token| bearer(&token));
        let mut headers = vec![
            "connection: upgrade",
            "upgrade: websocket",
            "sec-websocket-version: 13",
            "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==",
        ];
        headers.extend(header.as_deref());
        let mut http = Http::to(&server);
        http.ask("GET", "/-/ws", &headers, b"");
        http.head().status
    };
    for principal in PRINCIPALS {
        let status = match principal {
            Principal::Expired | Principal::Revoked => 401,
            _ => 101,
        };
        assert_eq!(open(principal), status, "{principal:?}");
    }
}

#[test]
fn a_program_may_bring_a_token_as_its_password_and_a_browser_opens_no_dialog() {
    let accounts = accounts();
    let server = serve(&accounts);
    let ask = |headers: &[&str]| {
        let mut http = Http::to(&server);
        http.ask("GET", "/lab?poll=1", headers, b"");
        http.answer()
    };
    let basic = |user: &str| {
        use base64::Engine as _;
        let token = Principal::Member.token().unwrap();
        let text = format!("{user}:{token}");
        let text = base64::engine::general_purpose::STANDARD.encode(text);
        format!("Authorization: Basic {text}")
    };
    assert_eq!(ask(&[&basic("alice")]).status, 200);
    assert_eq!(ask(&[&basic("")]).status, 200);
    assert_eq!(ask(&[&basic("bob")]).status, 401);
    assert_eq!(ask(&["authorization: Digest x"]).status, 400);
    let offers = |headers: &[&str]| {
        let answer = ask(headers);
        let offers = answer
            .headers
            .iter()
            .filter(|(name, _)| name == "www-authenticate");
        offers.map(|(_, value)| value.clone()).collect::<Vec<_>>()
    };
    assert_eq!(offers(&[]).len(), 2);
    assert_eq!(offers(&["sec-fetch-mode: cors"]), ["Bearer"]);
}

#[test]
fn a_reserved_name_is_its_owners() {
    let accounts = accounts();
    let server = serve(&accounts);
    let post = |user: &str, principal: Principal| {
        let header = principal.token().map(|token| bearer(&token));
        let headers: Vec<&str> = header.iter().map(String::as_str).collect();
        let mut http = Http::to(&server);
        http.ask("POST", &format!("/lab?user={user}"), &headers, b"hello");
        http.answer()
    };
    assert_eq!(post("Alice", Principal::Member).status, 200);
    assert_eq!(post("alice", Principal::Writer).status, 200);
    for (transport, name) in [(Transport::Tcp, "ALICE"), (Transport::WebSocket, "aLICE")] {
        let mut frames = Frames::to(&server, transport);
        let register = json!({"topics": ["lobby"], "extended": {"user": name}});
        frames.send(register.clone());
        let code = frames.frame()["extended"]["error"]["code"].clone();
        assert_eq!(code, "name-reserved");
        frames.log_in(&Principal::Member.token().unwrap());
        frames.send(register);
        assert_eq!(frames.frame()["extended"]["registered"]["user"], name);
    }
}

#[test]
fn a_connection_renews_its_login_and_never_changes_it() {
    let bob = format!("[users.bob]\n{}user = \"bob\"\n", token("bob").1);
    let accounts = accounts();
    let text = std::fs::read_to_string(accounts.path()).unwrap();
    accounts.write(&(text + &bob));
    let server = serve(&accounts);
    let mut frames = Frames::to(&server, Transport::Tcp);
    for principal in [Principal::Member, Principal::Writer, Principal::Member] {
        let answer = frames.log_in(&principal.token().unwrap());
        assert_eq!(answer["authenticated"]["user"], "alice");
    }
    let error = &frames.log_in(&token("bob").0)["error"];
    assert_eq!(error["code"], "unauthenticated");
    let text = error["text"].as_str().unwrap();
    assert!(
        text.contains("you are alice with the token member"),
        "{text}"
    );
    assert!(!text.contains("secret"), "{text}");
}
