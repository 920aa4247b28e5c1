//! The table: every door, with what it takes to go through it, and every kind of principal.
//! A route or a kind of frame that isn't in it fails a test.

use serde_json::{Value, json};
use topicserver::Config;

use crate::accounts::{Accounts, bearer, token};
use crate::common::{TestServer, socket_path};
use crate::frames::{Frames, Transport};
use crate::requests::Http;

mod kept;
mod local;
mod taking_part;

use taking_part::take_part;

const ROUTER: &str = include_str!("../../src/http/router.rs");
const REQUESTS: &str = include_str!("../../../wire/src/request.rs");

/// What a door takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// Anybody may do it, who isn't refused for what he brings. A browser may that keeps a
    /// login which is over.
    Nothing,
    /// The same, but for such a browser.
    NothingOver,
    Live,
    History,
    Write,
    Who,
    /// `who` in all topics.
    WhoAnywhere,
    /// Nobody is refused, but sees only what he may.
    List,
    /// `metrics` in all topics.
    Metrics,
    /// A login that is valid.
    Login,
}

/// Somebody, with the token that he brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Principal {
    Nobody,
    /// May do everything.
    Member,
    /// A token that may only read.
    Reader,
    /// A token that may only receive what comes, and see that the topic is there.
    Listener,
    /// A token that may only write.
    Writer,
    /// A token that may only see the metrics.
    Monitor,
    /// A token that has expired.
    Expired,
    /// A token that there isn't any more.
    Revoked,
}

pub const PRINCIPALS: [Principal; 8] = [
    Principal::Nobody,
    Principal::Member,
    Principal::Reader,
    Principal::Listener,
    Principal::Writer,
    Principal::Monitor,
    Principal::Expired,
    Principal::Revoked,
];

/// What can be done over HTTP: the route as the router has it, what it takes, and a request.
const ROUTES: &[(&str, Takes, &str, &str)] = &[
    ("/", Takes::Nothing, "GET", "/"),
    ("/favicon.ico", Takes::Nothing, "GET", "/favicon.ico"),
    ("/-/health", Takes::Nothing, "GET", "/-/health"),
    ("/-/ready", Takes::Nothing, "GET", "/-/ready"),
    ("/-/metrics", Takes::Metrics, "GET", "/-/metrics"),
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
    ("/-/login", Takes::NothingOver, "GET", "/-/login"),
    ("/-/logout", Takes::Nothing, "POST", "/-/logout"),
    ("/-/ticket", Takes::Login, "POST", "/-/ticket"),
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

/// What is a door, but answered in another way. Whoever logs in by `POST /-/login` comes in
/// nowhere by that: the table has him with the cookie that he gets.
const OTHER_ROUTES: &[&str] = &["/-/ws"];

/// How somebody brings what he has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    /// As a header.
    Header,
    /// As the login that a browser keeps.
    Cookie,
}

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

impl Principal {
    fn may(self, takes: Takes) -> bool {
        match self {
            Self::Member => true,
            Self::Nobody => {
                matches!(takes, Takes::Nothing | Takes::NothingOver | Takes::List)
            }
            Self::Reader => !matches!(
                takes,
                Takes::Write | Takes::Who | Takes::WhoAnywhere | Takes::Metrics
            ),
            Self::Listener => !matches!(
                takes,
                Takes::Write | Takes::Who | Takes::WhoAnywhere | Takes::Metrics | Takes::History
            ),
            Self::Monitor => matches!(
                takes,
                Takes::Nothing | Takes::NothingOver | Takes::List | Takes::Login | Takes::Metrics
            ),
            Self::Writer => matches!(
                takes,
                Takes::Nothing | Takes::NothingOver | Takes::List | Takes::Login | Takes::Write
            ),
            Self::Expired | Self::Revoked => false,
        }
    }

    fn sees_the_topic(self) -> bool {
        matches!(self, Self::Member | Self::Listener)
    }

    /// The same with the login that his browser keeps. The page stays his, so that he can log
    /// in again.
    fn may_by(self, by: By, takes: Takes) -> bool {
        match (by, self) {
            (By::Cookie, Self::Expired | Self::Revoked) => takes == Takes::Nothing,
            _ => self.may(takes),
        }
    }

    /// The code of the error, if he isn't allowed something.
    fn refusal_by(self, by: By) -> &'static str {
        match (by, self) {
            (By::Cookie, Self::Revoked) => "revoked",
            _ => self.refusal(),
        }
    }

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
            Self::Monitor => "monitor",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        };
        Some(token(id).0)
    }
}

/// A server with all of them but the one that was revoked.
pub fn accounts() -> Accounts {
    Accounts::new(&file(&line("expired", "expires = 2020-01-01T00:00:00Z")))
}

/// The same before one of them expired and one was revoked.
fn accounts_before() -> Accounts {
    Accounts::new(&file(&[line("expired", ""), line("revoked", "")].concat()))
}

fn line(id: &str, rest: &str) -> String {
    format!("{}user = \"alice\"\n{rest}\n", token(id).1)
}

fn file(more: &str) -> String {
    let tokens = [
        line("member", ""),
        line("reader", "allow = [\"read lab*\"]"),
        line("listener", "allow = [\"live list lab*\"]"),
        line("writer", "allow = [\"write lab*\"]"),
        line("monitor", "allow = [\"metrics *\"]"),
    ];
    let tokens = tokens.concat();
    format!(
        "[everyone]\nallow = [\"read lobby\"]\n[users.alice]\nallow = [\"read write who list metrics *\"]\n{tokens}{more}"
    )
}

/// A server where something was said in the topic.
pub fn serve(accounts: &Accounts) -> TestServer {
    let server = TestServer::with(Config {
        unix: Some(socket_path()),
        ..accounts.config()
    });
    let member = bearer(&Principal::Member.token().unwrap());
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
    for principal in PRINCIPALS {
        let header = principal.token().map(|token| bearer(&token));
        try_routes(&server, principal, By::Header, header.as_slice());
    }
}

/// Tries every route.
fn try_routes(server: &TestServer, principal: Principal, by: By, headers: &[String]) {
    try_routes_of(|| Http::to(server), principal, by, headers);
}

/// The same, on connections of any kind.
fn try_routes_of(connect: impl Fn() -> Http, principal: Principal, by: By, headers: &[String]) {
    let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
    for (route, takes, method, path) in ROUTES {
        // It would be over after that.
        if (by, *route) == (By::Cookie, "/-/logout") {
            continue;
        }
        let mut http = connect();
        http.ask(method, path, &headers, b"x");
        let what = format!("{method} {path} by {principal:?} with a {by:?}");
        let may = principal.may_by(by, *takes);
        if *method == "HEAD" {
            let status = http.head().status;
            assert_eq!(status == 200, may, "{what}: {status}");
            continue;
        }
        let answer = http.answer();
        if may {
            let is_missing = answer.status == 404 && *takes == Takes::Nothing;
            assert!(answer.status == 200 || is_missing, "{what}: {answer:?}");
            if *takes == Takes::List {
                let sees = String::from_utf8_lossy(&answer.body).contains("lab");
                assert_eq!(sees, principal.sees_the_topic(), "{what}");
            }
            continue;
        }
        let error = &answer.json()["error"];
        assert_eq!(error["code"], principal.refusal_by(by), "{what}: {error}");
        let status = match principal.refusal_by(by) {
            "forbidden" => 403,
            _ => 401,
        };
        assert_eq!(answer.status, status, "{what}");
        let is_challenged = answer.header("www-authenticate").is_some();
        assert_eq!(is_challenged, status == 401, "{what}");
    }
}

#[test]
fn frames_do_what_their_sender_may() {
    let accounts = accounts();
    let server = serve(&accounts);
    for transport in [Transport::Tcp, Transport::Unix, Transport::WebSocket] {
        for principal in PRINCIPALS {
            let what = format!("{principal:?} over {transport:?}");
            let mut frames = Frames::to(&server, transport);
            if let Some(token) = principal.token() {
                let answer = frames.log_in(&token);
                if !principal.may(Takes::Login) {
                    assert_eq!(answer["error"]["code"], principal.refusal(), "{what}");
                    if principal == Principal::Expired {
                        assert!(frames.next().is_none(), "{what}");
                    }
                    continue;
                }
                assert_eq!(answer["authenticated"]["user"], "alice", "{what}");
            }
            ask_all(&mut frames, principal, &what);
            take_part(&server, transport, principal, &what);
        }
    }
}

/// Asks each question.
fn ask_all(frames: &mut Frames, principal: Principal, what: &str) {
    for (key, takes, question) in questions() {
        if matches!(key, "auth" | "pong" | "end") {
            continue;
        }
        frames.send(json!({"extended": question}));
        let answer = frames.frame()["extended"].clone();
        let code = answer["error"]["code"].as_str().unwrap_or("");
        let what = format!("{question} by {what}: {answer}");
        // Whoever may ask learns that there is nobody of that name.
        if principal.may(takes) {
            assert!(matches!(code, "" | "unknown-user"), "{what}");
        } else {
            assert_eq!(code, principal.refusal(), "{what}");
        }
        if takes == Takes::List {
            let sees = answer.to_string().contains("\"lab\"");
            assert_eq!(sees, principal.sees_the_topic(), "{what}");
        }
    }
}
