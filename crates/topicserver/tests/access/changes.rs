//! What is changed while people are connected takes effect now.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::accounts::{Accounts, bearer, token};
use crate::common::{Client, LIMIT, TestServer};
use crate::frames::{Frames, Transport};
use crate::requests::Http;

/// Within which a change reaches those who are connected.
const BOUND: Duration = Duration::from_secs(1);

/// What a busy machine may add to that.
const SLACK: Duration = Duration::from_secs(4);

fn accounts(alice: &str, tokens: &[&str]) -> String {
    let line = |id: &&str| format!("{}user = \"alice\"\n", token(id).1);
    let tokens: String = tokens.iter().map(line).collect();
    format!("[users.alice]\nallow = [{alice}]\n{tokens}")
}

fn join(server: &TestServer, transport: Transport, id: &str, topics: &[&str]) -> Frames {
    let mut frames = Frames::to(server, transport);
    let auth = token(id).0;
    frames.send(json!({"topics": topics, "extended": {"auth": auth}}));
    assert!(frames.frame()["extended"]["authenticated"].is_object());
    assert!(frames.frame()["extended"]["registered"].is_object());
    frames
}

/// A stream of events with a token.
fn listen(server: &TestServer, id: &str, topic: &str) -> Http {
    let mut http = Http::to(server);
    let headers = [bearer(&token(id).0), "accept: text/event-stream".into()];
    let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
    http.ask("GET", &format!("/{topic}"), &headers, b"");
    assert_eq!(http.head().status, 200);
    http
}

#[test]
fn a_token_that_is_deleted_ends_its_connections_with_the_reason() {
    let all = "\"read write lab\"";
    let files = Accounts::new(&accounts(all, &["one", "two"]));
    let server = files.serve();
    let mut gone = [Transport::Tcp, Transport::WebSocket]
        .map(|transport| join(&server, transport, "one", &["lab"]));
    let mut stays = join(&server, Transport::Tcp, "two", &["lab"]);
    let mut stream = listen(&server, "one", "lab");
    files.write(&accounts(all, &["two"]));
    for frames in &mut gone {
        let error = frames.frame()["extended"]["error"].clone();
        assert_eq!(error["code"], "revoked", "{error}");
        let text = "the token one is no longer accepted; ask for a new one";
        assert_eq!(error["text"], text);
        assert!(frames.next().is_none());
    }
    let rest = stream.read_to_the_end();
    assert!(String::from_utf8_lossy(&rest).contains("revoked"));
    stays.send(json!({"extended": {"ping": 1}}));
    assert_eq!(stays.frame()["extended"]["pong"], 1);
}

#[test]
fn who_may_no_longer_read_leaves_the_topic_and_is_told() {
    let files = Accounts::new(&accounts("\"read write lab\", \"read news\"", &["one"]));
    let server = files.serve();
    let mut frames = join(&server, Transport::Tcp, "one", &["lab", "news"]);
    let mut stream = listen(&server, "one", "news");
    files.write(&accounts("\"read lab\"", &["one"]));
    let removed = frames.frame()["extended"]["removed"].clone();
    assert_eq!(removed, json!({"topic": "news", "code": "forbidden"}));
    // The stream has nothing else to tell.
    let rest = stream.read_to_the_end();
    assert!(String::from_utf8_lossy(&rest).contains("forbidden"));
    let message = |topic: &str| json!({"message": {"topic": topic, "text": "x"}});
    frames.send(message("lab"));
    assert_eq!(frames.frame()["extended"]["error"]["code"], "forbidden");
    frames.send(message("news"));
    assert_eq!(
        frames.frame()["extended"]["error"]["code"],
        "not-registered"
    );
    files.write(&accounts("\"read write *\"", &["one"]));
    // It was told nothing: what is allowed now is seen when it is tried.
    let start = Instant::now();
    loop {
        frames.send(json!({"topics": ["news"], "extended": {}}));
        let answer = frames.frame()["extended"].clone();
        if answer["registered"].is_object() {
            break;
        }
        assert_eq!(answer["error"]["code"], "forbidden");
        assert!(start.elapsed() < LIMIT);
    }
    frames.send(json!({"extended": {"id": "i"}, "message": {"topic": "lab", "text": "x"}}));
    assert!(frames.frame()["extended"]["ack"].is_object());
}

#[test]
fn a_classic_client_that_may_no_longer_read_is_told_too() {
    let files = Accounts::new("[everyone]\nallow = [\"read write lab\"]");
    let server = files.serve();
    let mut client = server.join(&["lab"]);
    files.write("[everyone]\nallow = [\"write lab\"]");
    let text = client.expect_error("forbidden");
    assert_eq!(text, "you may no longer read \"lab\", and have left it");
    client.say("lab", "x");
    client.expect_error("not-registered");
}

#[test]
fn a_token_that_expires_ends_its_connections() {
    let now = std::time::SystemTime::now();
    let now = now.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    // Long enough to log in on a busy machine.
    let end = now + 10;
    let day = end / 86_400;
    let (hour, minute, second) = (end / 3600 % 24, end / 60 % 60, end % 60);
    let (year, month, date) = civil(day);
    let time = format!("{year}-{month:02}-{date:02}T{hour:02}:{minute:02}:{second:02}Z");
    let text = accounts("\"read write lab\"", &["one"]) + &format!("expires = {time}\n");
    let files = Accounts::new(&text);
    let server = files.serve();
    let mut frames = join(&server, Transport::Tcp, "one", &["lab"]);
    assert_eq!(
        frames.log_in(&token("one").0)["authenticated"]["expires"],
        end * 1000
    );
    let error = frames.frame()["extended"]["error"].clone();
    assert_eq!(error["code"], "expired", "{error}");
    assert!(frames.next().is_none());
    let now = std::time::SystemTime::now();
    let late = now.duration_since(std::time::UNIX_EPOCH).unwrap();
    let late = late.saturating_sub(Duration::from_secs(end));
    assert!(late < BOUND + SLACK, "{late:?}");
}

/// The date of a day since the epoch.
fn civil(day: u64) -> (u64, u64, u64) {
    let day = day + 719_468;
    let (era, of_era) = (day / 146_097, day % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let date = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + u64::from(month <= 2), month, date)
}

#[test]
fn a_broken_file_changes_nothing() {
    let files = Accounts::new(&accounts("\"read write lab\"", &["one"]));
    let server = files.serve();
    let mut frames = join(&server, Transport::Tcp, "one", &["lab"]);
    files.write("[users.alice]\nallow = [\"raed lab\"]\n");
    // So long that it has been looked at.
    let start = Instant::now();
    while start.elapsed() < 2 * BOUND {
        frames.send(json!({"extended": {"id": "i"}, "message": {"topic": "lab", "text": "x"}}));
        assert!(frames.frame()["extended"]["ack"].is_object());
    }
    std::fs::remove_file(files.path()).unwrap();
    let start = Instant::now();
    while start.elapsed() < 2 * BOUND {
        frames.send(json!({"extended": {"ping": 1}}));
        assert_eq!(frames.frame()["extended"]["pong"], 1);
    }
    // And one that is whole again is taken over.
    files.write(&accounts("\"read write lab\"", &[]));
    assert_eq!(frames.frame()["extended"]["error"]["code"], "revoked");
}

/// Under load: a hundred receivers by each door, of which half lose their token.
#[test]
fn a_revocation_reaches_a_hundred_busy_receivers_within_a_second() {
    const RECEIVERS: usize = 100;
    let all = "\"read write lab\"";
    let files = Accounts::new(&accounts(all, &["one", "two"]));
    let server = files.serve();
    let token_of = |index: usize| ["one", "two"][index % 2];
    let receivers = [Transport::Tcp, Transport::WebSocket].map(|transport| {
        let join = |index| join(&server, transport, token_of(index), &["lab"]);
        (0..RECEIVERS).map(join).collect::<Vec<_>>()
    });
    let streams: Vec<_> = (0..RECEIVERS)
        .map(|index| listen(&server, token_of(index), "lab"))
        .collect();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let publisher = join(&server, Transport::Tcp, "two", &["lab"]);
        scope.spawn(|| publish_until(publisher, &stop));
        // Every other connection has the token that is revoked.
        let frames = receivers.into_iter().flat_map(|frames| {
            let revoked = frames.into_iter().step_by(2);
            revoked.map(move |frames| scope.spawn(|| read_until_revoked(frames)))
        });
        let frames: Vec<_> = frames.collect();
        let streams = streams.into_iter().step_by(2);
        let streams = streams.map(|stream| scope.spawn(|| stream_until_revoked(stream)));
        let streams: Vec<_> = streams.collect();
        let start = Instant::now();
        files.write(&accounts(all, &["two"]));
        let readers = frames.into_iter().chain(streams);
        let ends: Vec<_> = readers.map(|reader| reader.join().unwrap()).collect();
        stop.store(true, Relaxed);
        assert_eq!(ends.len(), 3 * RECEIVERS / 2);
        let last = ends.iter().max().unwrap().duration_since(start);
        eprintln!("the last of {} was gone after {last:?}", ends.len());
        assert!(last < BOUND + SLACK, "{last:?}");
    });
}

/// Publishes one message after the other until it is told to stop.
fn publish_until(mut publisher: Frames, stop: &AtomicBool) {
    for number in 0.. {
        if stop.load(Relaxed) {
            return;
        }
        let message = json!({"topic": "lab", "text": format!("{number}")});
        publisher.send(json!({"extended": {"id": format!("i{number}")}, "message": message}));
        publisher.frame();
    }
}

/// Reads until the server has ended the connection and given the reason. Returns when that was.
fn read_until_revoked(mut frames: Frames) -> Instant {
    let last = std::iter::from_fn(|| frames.next()).last().unwrap();
    assert_eq!(last["extended"]["error"]["code"], "revoked", "{last}");
    Instant::now()
}

/// The same for a stream of events.
fn stream_until_revoked(mut stream: Http) -> Instant {
    let rest = stream.read_to_the_end();
    assert!(String::from_utf8_lossy(&rest).contains("\"revoked\""));
    Instant::now()
}
