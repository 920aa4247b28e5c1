//! Signed tokens (JWT) by every door, and renewed on a living connection.

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::accounts::{Accounts, bearer};
use crate::common::TestServer;
use crate::frames::{Frames, Transport};
use crate::requests::Http;

/// Another program, which makes tokens for its users.
struct Issuer(Ed25519KeyPair);

impl Issuer {
    fn new() -> Self {
        Self(Ed25519KeyPair::generate().unwrap())
    }

    fn pem(&self) -> String {
        let der = self.0.public_key().as_der().unwrap();
        let der = STANDARD.encode(der.as_ref());
        format!("-----BEGIN PUBLIC KEY-----\n{der}\n-----END PUBLIC KEY-----\n")
    }

    fn token(&self, claims: &Value) -> String {
        let encode = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
        let head = json!({"alg": "EdDSA", "typ": "JWT"});
        let signed = format!("{}.{}", encode(&head), encode(claims));
        let signature = self.0.sign(signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// For a user, for so many seconds.
    fn token_for(&self, sub: &str, seconds: u64, allow: &[&str]) -> String {
        let since = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
        let exp = since.as_secs() + seconds;
        self.token(&json!({
            "sub": sub, "exp": exp, "aud": "natter", "name": format!("Ms. {sub}"), "allow": allow
        }))
    }

    fn accounts(&self) -> Accounts {
        let accounts = Accounts::new("");
        std::fs::write(accounts.path().with_file_name("key.pem"), self.pem()).unwrap();
        accounts.write(
            "[everyone]\ndeny = [\"write lab-rules\"]\n\
             [jwt]\nkey = \"key.pem\"\nalgorithms = [\"EdDSA\"]\naudience = \"natter\"\n",
        );
        accounts
    }
}

fn registration(auth: &str) -> Value {
    json!({"topics": ["lab"], "extended": {"auth": auth}})
}

/// The code of the error that comes next.
fn error_of(frames: &mut Frames) -> Value {
    frames.frame()["extended"]["error"]["code"].clone()
}

#[test]
fn a_signed_token_opens_every_door_and_says_what_it_may() {
    let issuer = Issuer::new();
    let accounts = issuer.accounts();
    let server = accounts.serve();
    let token = issuer.token_for("alice", 3600, &["read write lab*"]);
    for transport in [Transport::Tcp, Transport::WebSocket] {
        let mut frames = Frames::to(&server, transport);
        frames.send(registration(&token));
        let authenticated = frames.frame()["extended"]["authenticated"].clone();
        assert_eq!(authenticated["user"], "alice");
        assert!(authenticated["expires"].as_u64().unwrap() > 1_800_000_000_000 / 2);
        let registered = frames.frame()["extended"]["registered"].clone();
        // Under the name that comes with it, unless somebody has it already.
        if transport == Transport::Tcp {
            assert_eq!(registered["user"], "Ms. alice");
            let mut second = Frames::to(&server, transport);
            second.send(registration(&token));
            assert!(second.frame()["extended"]["authenticated"].is_object());
            let registered = second.frame()["extended"]["registered"].clone();
            assert!(registered.is_object() && registered["user"].is_null());
        }
        frames.send(json!({"topics": ["secret"], "extended": {}}));
        assert_eq!(error_of(&mut frames), "forbidden");
        frames.send(json!({"topics": ["lab-rules"], "extended": {}}));
        assert!(frames.frame()["extended"]["registered"].is_object());
        frames.send(json!({"message": {"topic": "lab-rules", "text": "x"}}));
        assert_eq!(error_of(&mut frames), "forbidden");
        frames.send(json!({"extended": {"leave": ["lab", "lab-rules"]}}));
        assert!(frames.frame()["extended"]["registered"].is_object());
    }
    let mut http = Http::to(&server);
    assert_eq!(http.post("/lab", &[&bearer(&token)], b"hi").status, 200);
    let other = http.post("/other", &[&bearer(&token)], b"hi");
    let text = other.expect_problem(403, "forbidden");
    assert!(text.contains("as alice with a signed token"), "{text}");
}

#[test]
fn what_is_no_valid_token_is_refused_with_the_reason() {
    let issuer = Issuer::new();
    let accounts = issuer.accounts();
    let server = accounts.serve();
    let ask = |token: &str, status, code: &str| {
        let mut http = Http::to(&server);
        let answer = http.post("/lab", &[&bearer(token)], b"hi");
        answer.expect_problem(status, code)
    };
    let alien = Issuer::new().token_for("alice", 60, &["write lab"]);
    let text = ask(&alien, 401, "unauthenticated");
    assert!(text.contains("signed"), "{text}");
    let other = issuer.token(&json!({"sub": "alice", "exp": 1, "aud": "wiki"}));
    let text = ask(&other, 401, "unauthenticated");
    assert!(text.contains("audience"), "{text}");
    let old = issuer.token(&json!({"sub": "alice", "exp": 1, "aud": "natter"}));
    ask(&old, 401, "expired");
    let long = issuer.token_for("alice", 2 * 24 * 60 * 60, &["write lab"]);
    let text = ask(&long, 401, "unauthenticated");
    assert!(text.contains("24 hours"), "{text}");
    let mut frames = Frames::to(&server, Transport::Tcp);
    frames.send(registration(&old));
    assert_eq!(error_of(&mut frames), "expired");
    assert!(frames.next().is_none());
}

#[test]
fn a_connection_is_renewed_before_its_token_expires_and_ends_otherwise() {
    let issuer = Issuer::new();
    let accounts = issuer.accounts();
    let server = accounts.serve();
    let allow = &["read write lab"][..];
    let join = |transport| {
        let mut frames = Frames::to(&server, transport);
        frames.send(registration(&issuer.token_for("alice", 4, allow)));
        assert!(frames.frame()["extended"]["authenticated"].is_object());
        assert!(frames.frame()["extended"]["registered"].is_object());
        frames.send(json!({"extended": {"leave": []}}));
        frames.frame();
        frames
    };
    let mut renewed = join(Transport::WebSocket);
    // Nobody else can be renewed to.
    let eve = renewed.log_in(&issuer.token_for("eve", 3600, allow));
    assert_eq!(eve["error"]["code"], "unauthenticated");
    let answer = renewed.log_in(&issuer.token_for("alice", 3600, allow));
    assert_eq!(answer["authenticated"]["user"], "alice");
    let mut forgotten = Frames::to(&server, Transport::Tcp);
    forgotten.send(registration(&issuer.token_for("bob", 2, allow)));
    assert!(forgotten.frame()["extended"]["authenticated"].is_object());
    // What is told of who comes and goes may come before.
    let code = loop {
        let frame = forgotten.frame();
        let code = frame["extended"]["error"]["code"].clone();
        if !code.is_null() {
            break code;
        }
    };
    assert_eq!(code, "expired");
    assert!(forgotten.next().is_none());
    renewed.send(json!({"message": {"topic": "lab", "text": "x"}, "extended": {"id": "1"}}));
    let ack = loop {
        let frame = renewed.frame();
        if !frame["extended"]["ack"].is_null() {
            break frame["extended"]["ack"].clone();
        }
    };
    assert_eq!(ack["topic"], "lab");
}

#[test]
fn a_key_that_is_replaced_ends_what_it_has_signed() {
    let issuer = Issuer::new();
    let accounts = issuer.accounts();
    let server = accounts.serve();
    let mut frames = Frames::to(&server, Transport::Tcp);
    frames.send(registration(&issuer.token_for(
        "alice",
        3600,
        &["read lab"],
    )));
    assert!(frames.frame()["extended"]["authenticated"].is_object());
    assert!(frames.frame()["extended"]["registered"].is_object());
    let next = Issuer::new();
    std::fs::write(accounts.path().with_file_name("key.pem"), next.pem()).unwrap();
    assert_eq!(error_of(&mut frames), "revoked");
    let mut http = Http::to(&server);
    let token = bearer(&next.token_for("alice", 60, &["write lab"]));
    assert_eq!(http.post("/lab", &[&token], b"hi").status, 200);
}
