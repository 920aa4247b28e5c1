//! The table: every door, with what it takes to go through it, and every kind of visitor.
//! A route or a kind of frame that isn't in it fails a test.

use serde_json::{Value, json};

use crate::accounts::{Accounts, bearer, token};
use crate::common::TestServer;
use crate::frames::{Frames, Transport};
use crate::requests::Http;

const ROUTER: &str = include_str!("../../src/http/router.rs");
const REQUESTS: &str = include_str!("../../../wire/src/request.rs");

/// What a door takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// Anybody may do it, who isn't refused for what he brings.
    Nothing,
    Live,
    History,
    Write,
    Who,
    /// `who` in all topics.
    WhoAnywhere,
    /// Nobody is refused, but sees only what he may.
    List,
    /// A login that is valid.
    Login,
}

/// Somebody, with the token that he brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visitor {
    Nobody,
    /// May do everything.
    Member,
    /// A token that may only read.
    Reader,
    /// A token that may only receive what comes, and see that the topic is there.
    Listener,
    /// A token that may only write.
    Writer,
    /// A token that has expired.
    Expired,
    /// A token that there isn't any more.
    Revoked,
}

pub const VISITORS: [Visitor; 7] = [
    Visitor::Nobody,
    Visitor::Member,
    Visitor::Reader,
    Visitor::Listener,
    Visitor::Writer,
    Visitor::Expired,
    Visitor::Revoked,
];

/// What can be done over HTTP: the route as the router has it, what it takes, and a request.
const ROUTES: &[(&str, Takes, &str, &str)] = &[
    ("/", Takes::Nothing, "GET", "/"),
    ("/favicon.ico", Takes::Nothing, "GET", "/favicon.ico"),
    ("/-/health", Takes::Nothing, "GET", "/-/health"),
    ("/-/ready", Takes::Nothing, "GET", "/-/ready"),
    ("/-/topics", Takes::List, "GET", "/-/topics"),
    (
        "/-/topics/{topic}/who",
        Takes::Who,
        "GET",
        "/-/topics/lab/who",
    ),
    (
        "/-/stream",
        Takes::Live,
        "GET",
        "/-/stream?topic=lab&poll=1",
    ),
    ("/-/openapi.json", Takes::Nothing, "GET", "/-/openapi.json"),
    ("/-/page/{file}", Takes::Nothing, "GET", "/-/page/main.js"),
    ("/-", Takes::Nothing, "GET", "/-"),
    ("/-/", Takes::Nothing, "GET", "/-/"),
    ("/-/{*rest}", Takes::Nothing, "GET", "/-/nothing"),
    ("/{*topic}", Takes::Live, "GET", "/lab?poll=1"),
    ("/{*topic}", Takes::Live, "HEAD", "/lab"),
    ("/{*topic}", Takes::History, "GET", "/lab?poll=1&before=9"),
    ("/{*topic}", Takes::Write, "POST", "/lab"),
    ("/{*topic}", Takes::Write, "PUT", "/lab"),
    // Of a topic that there isn't, nothing else is said.
    ("/{*topic}", Takes::Live, "GET", "/lab-not-there?poll=1"),
    ("/{*topic}", Takes::Write, "POST", "/lab-not-there-either"),
    (
        "/-/topics/{topic}/who",
        Takes::Who,
        "GET",
        "/-/topics/lab-nor-there/who",
    ),
];

/// What is a door, but answered in another way.
const OTHER_ROUTES: &[&str] = &["/-/ws"];

/// The questions: their key, what they take, and one of them.
fn questions() -> Vec<(&'static str, Takes, Value)> {
    vec![
        ("auth", Takes::Login, json!({"auth": null})),
        ("leave", Takes::Nothing, json!({"leave": ["lab"]})),
        ("who", Takes::Who, json!({"who": "lab"})),
        ("who", Takes::Who, json!({"who": "lab-not-there"})),
        ("lookup", Takes::WhoAnywhere, json!({"lookup": "somebody"})),
        ("topics", Takes::List, json!({"topics": {}})),
        (
            "history",
            Takes::History,
            json!({"history": {"topic": "lab"}}),
        ),
        ("ping", Takes::Nothing, json!({"ping": 7})),
        ("pong", Takes::Nothing, json!({"pong": 7})),
        ("end", Takes::Nothing, json!({"end": {}})),
    ]
}

impl Visitor {
    fn may(self, takes: Takes) -> bool {
        match self {
            Self::Member => true,
            Self::Nobody => matches!(takes, Takes::Nothing | Takes::List),
            Self::Reader => !matches!(takes, Takes::Write | Takes::Who | Takes::WhoAnywhere),
            Self::Listener => !matches!(
                takes,
                Takes::Write | Takes::Who | Takes::WhoAnywhere | Takes::History
            ),
            Self::Writer => matches!(
                takes,
                Takes::Nothing | Takes::List | Takes::Login | Takes::Write
            ),
            Self::Expired | Self::Revoked => false,
        }
    }

    fn sees_the_topic(self) -> bool {
        matches!(self, Self::Member | Self::Listener)
    }

    /// The code of the error, if he isn't allowed something.
    fn refusal(self) -> &'static str {
        match self {
            Self::Nobody | Self::Revoked => "unauthenticated",
            Self::Expired => "expired",
            _ => "forbidden",
        }
    }

    pub fn token(self) -> Option<String> {
        let id = match self {
            Self::Nobody => return None,
            Self::Member => "member",
            Self::Reader => "reader",
            Self::Listener => "listener",
            Self::Writer => "writer",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        };
        Some(token(id).0)
    }
}

/// A server with all of them but the one that was revoked.
pub fn accounts() -> Accounts {
    let line = |id: &str, rest: &str| format!("{}user = \"alice\"\n{rest}\n", token(id).1);
    let tokens = [
        line("member", ""),
        line("reader", "allow = [\"read lab*\"]"),
        line("listener", "allow = [\"live list lab*\"]"),
        line("writer", "allow = [\"write lab*\"]"),
        line("expired", "expires = 2020-01-01T00:00:00Z"),
    ];
    let tokens = tokens.concat();
    Accounts::new(&format!(
        "[everyone]\nallow = [\"read lobby\"]\n[users.alice]\nallow = [\"read write who list *\"]\n{tokens}"
    ))
}

/// A server where something was said in the topic.
pub fn serve(accounts: &Accounts) -> TestServer {
    let server = accounts.serve();
    let member = bearer(&Visitor::Member.token().unwrap());
    let mut http = Http::to(&server);
    http.ask("POST", "/lab", &[&member], b"hello");
    assert_eq!(http.answer().status, 200);
    server
}

#[test]
fn every_route_is_in_the_table() {
    let mut routes = 0;
    for line in ROUTER.lines().filter(|line| line.contains(".route(\"")) {
        let path = line.split('"').nth(1).unwrap();
        let is_known = ROUTES.iter().any(|(route, ..)| *route == path);
        assert!(
            is_known || OTHER_ROUTES.contains(&path),
            "{path} isn't in the table"
        );
        routes += 1;
    }
    assert!(routes >= 12, "{routes}");
}

#[test]
fn every_question_is_in_the_table() {
    let (_, members) = REQUESTS.split_once("struct Members<'a> {").unwrap();
    let (members, _) = members.split_once("\n}").unwrap();
    let mut known = 0;
    for line in members.lines().filter(|line| line.contains(": Option<")) {
        let name = line.trim().split(':').next().unwrap();
        assert!(
            questions().iter().any(|(key, ..)| *key == name),
            "{name} isn't in the table"
        );
        known += 1;
    }
    assert!(known >= 8, "{known}");
}

#[test]
fn http_lets_through_who_may() {
    let accounts = accounts();
    let server = serve(&accounts);
    for (_, takes, method, path) in ROUTES {
        for visitor in VISITORS {
            let header = visitor.token().map(|token| bearer(&token));
            let headers: Vec<&str> = header.iter().map(String::as_str).collect();
            let mut http = Http::to(&server);
            http.ask(method, path, &headers, b"x");
            let what = format!("{method} {path} by {visitor:?}");
            if *method == "HEAD" {
                let status = http.head().status;
                assert_eq!(status == 200, visitor.may(*takes), "{what}: {status}");
                continue;
            }
            let answer = http.answer();
            if visitor.may(*takes) {
                let is_missing = answer.status == 404 && *takes == Takes::Nothing;
                assert!(answer.status == 200 || is_missing, "{what}: {answer:?}");
                if *takes == Takes::List {
                    let sees = String::from_utf8_lossy(&answer.body).contains("lab");
                    assert_eq!(sees, visitor.sees_the_topic(), "{what}");
                }
                continue;
            }
            let error = &answer.json()["error"];
            assert_eq!(error["code"], visitor.refusal(), "{what}: {error}");
            let status = match visitor.refusal() {
                "forbidden" => 403,
                _ => 401,
            };
            assert_eq!(answer.status, status, "{what}");
            assert_eq!(
                answer.header("www-authenticate").is_some(),
                status == 401,
                "{what}"
            );
        }
    }
}

#[test]
fn frames_do_what_their_sender_may() {
    let accounts = accounts();
    let server = serve(&accounts);
    for transport in [Transport::Tcp, Transport::WebSocket] {
        for visitor in VISITORS {
            let what = format!("{visitor:?} over {transport:?}");
            let mut frames = Frames::to(&server, transport);
            if let Some(token) = visitor.token() {
                let answer = frames.log_in(&token);
                if !visitor.may(Takes::Login) {
                    assert_eq!(answer["error"]["code"], visitor.refusal(), "{what}");
                    if visitor == Visitor::Expired {
                        assert!(frames.next().is_none(), "{what}");
                    }
                    continue;
                }
                assert_eq!(answer["authenticated"]["user"], "alice", "{what}");
            }
            ask_all(&mut frames, visitor, &what);
            take_part(&server, transport, visitor, &what);
        }
    }
}

/// Asks each question.
fn ask_all(frames: &mut Frames, visitor: Visitor, what: &str) {
    for (key, takes, question) in questions() {
        if matches!(key, "auth" | "pong" | "end") {
            continue;
        }
        frames.send(json!({"extended": question}));
        let answer = frames.frame()["extended"].clone();
        let code = answer["error"]["code"].as_str().unwrap_or("");
        let what = format!("{question} by {what}: {answer}");
        // Whoever may ask learns that there is nobody of that name.
        if visitor.may(takes) {
            assert!(matches!(code, "" | "unknown-user"), "{what}");
        } else {
            assert_eq!(code, visitor.refusal(), "{what}");
        }
        if takes == Takes::List {
            let sees = answer.to_string().contains("\"lab\"");
            assert_eq!(sees, visitor.sees_the_topic(), "{what}");
        }
    }
}

/// Registers, reads and writes, with the token in the registration.
#[expect(clippy::too_many_lines, reason = "it is one story, told in its order")]
fn take_part(server: &TestServer, transport: Transport, visitor: Visitor, what: &str) {
    let mut frames = Frames::to(server, transport);
    let auth = visitor.token();
    let mut options = json!({"last": 1});
    if let Some(token) = &auth {
        options["auth"] = json!(token);
    }
    frames.send(json!({"topics": ["lab"], "extended": options}));
    if auth.is_some() {
        assert!(
            frames.frame()["extended"]["authenticated"].is_object(),
            "{what}"
        );
    }
    let answer = frames.frame()["extended"].clone();
    if !visitor.may(Takes::Live) && !visitor.may(Takes::Write) {
        assert_eq!(
            answer["error"]["code"],
            visitor.refusal(),
            "{what}: {answer}"
        );
        return;
    }
    assert!(
        answer["registered"]["topics"]["lab"].is_object(),
        "{what}: {answer}"
    );
    let learns = answer["registered"]["topics"]["lab"]["seq"] != 0;
    assert_eq!(learns, visitor.may(Takes::Live), "{what}: {answer}");
    if visitor.may(Takes::History) {
        let text = frames.frame()["message"]["text"].clone();
        assert_eq!(
            text, "hello",
            "{what}: what was said last, and never what was refused"
        );
    }
    let sent = if visitor.may(Takes::Write) {
        "hello"
    } else {
        "this is refused"
    };
    let message = json!({"topic": "lab", "text": sent});
    frames.send(json!({"extended": {"id": format!("{what}")}, "message": message}));
    let answer = frames.frame()["extended"].clone();
    match visitor.may(Takes::Write) {
        true => assert!(answer["ack"].is_object(), "{what}: {answer}"),
        false => assert_eq!(
            answer["error"]["code"],
            visitor.refusal(),
            "{what}: {answer}"
        ),
    }
    // Nothing comes back that it may not read.
    let member = bearer(&Visitor::Member.token().unwrap());
    let mut http = Http::to(server);
    http.ask("POST", "/lab?user=al", &[&member], b"hello");
    assert_eq!(http.answer().status, 200);
    frames.send(json!({"extended": {"ping": 1}}));
    let next = frames.frame();
    if visitor.may(Takes::Live) {
        assert_eq!(next["message"]["text"], "hello", "{what}: {next}");
        assert_eq!(next["extended"]["account"], "alice", "{what}: {next}");
        assert_eq!(next["extended"]["user"], "al", "{what}: {next}");
    } else {
        assert_eq!(next["extended"]["pong"], 1, "{what}: {next}");
    }
}
