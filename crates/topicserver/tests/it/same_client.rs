//! What a client gets of what it published itself, on this connection and on others, on
//! every route by which messages come.

use serde_json::{Value, json};
use topicserver::Config;

use crate::common::{Client, Directory, LIMIT, TestServer};

/// Who published a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum From {
    /// The connection that reads.
    Itself,
    /// Another connection of the same client.
    SameClient,
    /// Another client.
    Other,
}

/// How it comes.
#[derive(Clone, Copy, Debug)]
enum Route {
    /// At once.
    Live,
    /// From the history in memory, because the reader had fallen behind.
    Behind,
    /// The same from disk.
    BehindOnDisk,
    /// To a new connection that resumes.
    Resume,
    /// To a new connection that asks for the last ones.
    Last,
}

/// What docs/protocol.md says: whose messages come.
fn comes(route: Route, from: From) -> bool {
    match (route, from) {
        (_, From::Other) | (Route::Last, _) => true,
        (Route::Live | Route::Behind | Route::BehindOnDisk, From::SameClient) => true,
        (Route::Live | Route::Behind | Route::BehindOnDisk, From::Itself) => false,
        (Route::Resume, From::SameClient | From::Itself) => false,
    }
}

const ALL: [From; 3] = [From::Itself, From::SameClient, From::Other];

/// Messages of each: more than the sockets take.
const ROUNDS: usize = 300;

fn text(from: From, round: usize, length: usize) -> String {
    format!("{from:?} {round} {}", "x".repeat(length))
}

struct Room {
    itself: Client,
    same: Client,
    other: Client,
}

impl Room {
    fn of(server: &TestServer) -> Self {
        let join = |mut client: Client, options: Value| {
            client.register_extended(&["T"], options);
            client
        };
        let key = json!({"client": "k"});
        Self {
            itself: join(Client::connect_narrow(server.addr()), key.clone()),
            same: join(server.connect(), key),
            other: join(server.connect(), json!({"client": "another"})),
        }
    }

    /// Each publishes, by turns; they have been taken in this order.
    fn publish(&mut self, rounds: usize, length: usize) {
        for round in 0..rounds {
            for from in ALL {
                let (publisher, witness) = match from {
                    From::Itself => (&mut self.itself, &mut self.other),
                    From::SameClient => (&mut self.same, &mut self.other),
                    From::Other => (&mut self.other, &mut self.same),
                };
                let text = text(from, round, length);
                publisher.say("T", &text);
                while witness.frame()["message"]["text"] != *text {}
            }
        }
    }
}

/// The texts that come, up to the last one, without what makes them long.
fn read(client: &mut Client, rounds: usize) -> Vec<String> {
    let last = format!("{:?} {}", From::Other, rounds - 1);
    let mut texts = Vec::new();
    let start = std::time::Instant::now();
    while texts.last() != Some(&last) {
        assert!(start.elapsed() < LIMIT, "{} came", texts.len());
        let frame = client.frame();
        assert!(frame["extended"]["gap"].is_null(), "{frame}");
        if let Some(text) = frame["message"]["text"].as_str() {
            texts.push(text.trim_end_matches(['x', ' ']).to_owned());
        }
    }
    texts
}

fn expected(route: Route, rounds: usize) -> Vec<String> {
    let all = (0..rounds).flat_map(|round| ALL.map(|from| (from, round)));
    all.filter(|(from, _)| comes(route, *from))
        .map(|(from, round)| format!("{from:?} {round}"))
        .collect()
}

fn config() -> Config {
    Config {
        max_outbox: 64 * 1024,
        history_bytes: 64 << 20,
        history_messages: 100_000,
        ..Config::default()
    }
}

#[test]
fn what_comes_at_once_is_what_others_published() {
    let server = TestServer::with(config());
    let mut room = Room::of(&server);
    room.publish(3, 0);
    assert_eq!(read(&mut room.itself, 3), expected(Route::Live, 3));
}

#[test]
fn a_subscriber_that_is_behind_gets_the_same_as_live() {
    let server = TestServer::with(config());
    let mut room = Room::of(&server);
    room.publish(ROUNDS, 9_000);
    assert_eq!(
        read(&mut room.itself, ROUNDS),
        expected(Route::Behind, ROUNDS)
    );
}

#[test]
fn a_subscriber_behind_the_memory_gets_the_same_as_live() {
    let directory = Directory::new();
    let server = TestServer::with(Config {
        data: Some(directory.path().to_owned()),
        history_messages: 2,
        ..config()
    });
    let mut room = Room::of(&server);
    room.publish(ROUNDS, 9_000);
    let expected = expected(Route::BehindOnDisk, ROUNDS);
    assert_eq!(read(&mut room.itself, ROUNDS), expected);
}

#[test]
fn a_resume_brings_nothing_of_the_same_client_back() {
    let server = TestServer::with(config());
    let mut room = Room::of(&server);
    let (_, answer) = server.extended(&["T"], json!({}));
    let start = answer["topics"]["T"].clone();
    room.publish(3, 0);
    let resume = json!({"client": "k", "resume": {"T": start}});
    let (mut again, _) = server.extended(&["T"], resume);
    assert_eq!(read(&mut again, 3), expected(Route::Resume, 3));
    // What its other connections publish from now on comes, like from everybody else.
    room.same.say("T", "now");
    again.expect_delivered("T", "now", 10);
}

#[test]
fn the_last_messages_are_those_of_everybody() {
    let server = TestServer::with(config());
    let mut room = Room::of(&server);
    room.publish(3, 0);
    let (mut again, _) = server.extended(&["T"], json!({"client": "k", "last": 9}));
    assert_eq!(read(&mut again, 3), expected(Route::Last, 3));
}
