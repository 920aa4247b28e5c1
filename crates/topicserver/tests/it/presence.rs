//! Events come in pairs: who was told of a coming is told of the going, and nobody else.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use topicserver::Config;
use wire::Event;

use crate::common::{Client, TestServer};

/// What an event belongs to.
#[derive(Debug, PartialEq, Eq)]
enum Kind {
    /// The answer to something that this client has sent: one for each.
    Answer,
    /// The one half of a pair, after which the other one comes when it is time.
    Begins(&'static str),
    /// The other half.
    Ends(&'static str),
    /// It stands alone.
    Alone,
}

/// A new event doesn't compile until it is said here what it belongs to.
fn kind(event: &Event<'_>) -> Kind {
    match event {
        Event::Registered(_)
        | Event::Authenticated(_)
        | Event::Ack(_)
        | Event::Members(_)
        | Event::Found(_)
        | Event::Topics(_)
        | Event::History(_)
        | Event::Pong(_) => Kind::Answer,
        Event::Joined(_) => Kind::Begins("presence"),
        Event::Left(_) => Kind::Ends("presence"),
        // The server's question, a loss, what went wrong, and what comes next.
        Event::Ping(_)
        | Event::Gap(_)
        | Event::Removed(_)
        | Event::Reconnect(_)
        | Event::Notice(_)
        | Event::Error(_) => Kind::Alone,
    }
}

#[test]
fn every_pair_has_two_halves_and_a_test() {
    let person = || wire::Presence {
        topic: "T".into(),
        person: wire::Person {
            user: "alice".into(),
            ip: "10.0.0.1".into(),
            port: "1".into(),
        },
    };
    assert_eq!(kind(&Event::Joined(person())), Kind::Begins("presence"));
    assert_eq!(kind(&Event::Left(person())), Kind::Ends("presence"));
}

/// With so many members comings are still announced.
const MAX: usize = 3;

fn server() -> TestServer {
    TestServer::with(Config {
        max_presence: MAX,
        max_outbox: 64 * 1024,
        ..Config::default()
    })
}

/// A member, and whose coming it was told.
struct Member {
    client: Client,
    options: Value,
    knows: BTreeSet<String>,
}

impl Member {
    fn new(server: &TestServer, options: Value) -> Self {
        let mut client = server.connect();
        client.send(format!("{}\n", json!({"topics": ["T"], "extended": options})).as_bytes());
        let mut member = Self {
            client,
            options,
            knows: BTreeSet::new(),
        };
        member.read_to("registered");
        member
    }

    /// Reads up to an event, and checks that halves of pairs fit.
    #[track_caller]
    fn read_to(&mut self, name: &str) {
        loop {
            let frame = self.client.frame();
            let extended = frame["extended"].as_object().unwrap();
            let user = |event: &str| {
                extended
                    .get(event)
                    .map(|told| told["user"].as_str().unwrap())
            };
            if let Some(user) = user("joined") {
                assert!(self.knows.insert(user.to_owned()), "{user} has come twice");
            }
            if let Some(user) = user("left") {
                assert!(self.knows.remove(user), "{user} goes who never came");
            }
            if extended.contains_key(name) {
                return;
            }
        }
    }

    /// Reads what was told so far. Asking `who` would tell it more.
    fn sync(&mut self) {
        let frame = json!({"topics": ["T"], "extended": self.options});
        self.client.send(format!("{frame}\n").as_bytes());
        self.read_to("registered");
    }
}

/// Numbers that are the same in each run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) as usize % end
    }
}

/// A step: somebody comes, goes on any way, is replaced, or says his name.
fn step(server: &TestServer, members: &mut Vec<Member>, numbers: &mut Numbers, number: usize) {
    let at = numbers.below(members.len().max(1));
    match numbers.below(if members.is_empty() { 2 } else { 7 }) {
        0 => members.push(Member::new(
            server,
            json!({"user": format!("u{number}"), "client": format!("k{number}")}),
        )),
        1 => members.push(Member::new(server, json!({}))),
        2 => drop(members.swap_remove(at)),
        3 => members.swap_remove(at).client.reset(),
        4 => {
            let mut leaving = members.swap_remove(at);
            leaving.client.ask(json!({"leave": "T"}));
            leaving.read_to("registered");
        }
        5 if members[at].options["client"].is_string() => {
            // It comes back with its name, and its old connection goes.
            let options = members[at].options.clone();
            let old = std::mem::replace(&mut members[at], Member::new(server, options));
            drop(old);
        }
        _ if members[at].options == json!({}) => {
            let options = json!({"user": format!("late{number}")});
            let frame = json!({"topics": ["T"], "extended": options});
            members[at].client.send(format!("{frame}\n").as_bytes());
            members[at].read_to("registered");
            members[at].options = options;
        }
        _ => {}
    }
}

#[test]
fn joins_and_leaves_are_pairs_however_members_come_and_go() {
    let mut crossed = 0;
    for seed in 0..30 {
        let server = server();
        let mut numbers = Numbers(seed);
        let mut members = Vec::new();
        for number in 0..40 {
            step(&server, &mut members, &mut numbers, number);
            while members.len() > MAX + 2 {
                drop(members.remove(numbers.below(MAX)));
            }
            crossed += usize::from(members.len() == MAX + 1);
            members.iter_mut().for_each(Member::sync);
        }
        // When all others have gone, the last one knows nobody.
        while members.len() > 1 {
            drop(members.remove(0));
        }
        if let Some(last) = members.first_mut() {
            crate::common::eventually("the others to be gone", || {
                last.sync();
                last.knows.is_empty().then_some(())
            });
        }
    }
    assert!(crossed > 30, "the limit is hardly crossed: {crossed}");
}

#[test]
fn a_member_that_got_the_list_is_told_when_those_in_it_leave() {
    let server = server();
    let (before, _) = server.extended(&["T"], json!({"user": "before"}));
    let (mut asker, _) = server.extended(&["T"], json!({"user": "asker"}));
    let (mut silent, _) = server.extended(&["T"], json!({"user": "silent"}));
    assert_eq!(asker.expect_event("joined")["user"], "silent");
    asker.ask(json!({"who": "T"}));
    assert_eq!(asker.expect_event("members")["count"], 3);
    drop(before);
    assert_eq!(asker.expect_event("left")["user"], "before");
    // One that has neither seen it come nor asked is told nothing.
    let (_after, _) = server.extended(&["T"], json!({"user": "after"}));
    assert_eq!(silent.expect_event("joined")["user"], "after");
}

#[test]
fn a_slow_reader_that_got_a_join_gets_the_leave() {
    let server = server();
    let mut slow = Client::connect_narrow(server.addr());
    slow.register_extended(&["T"], json!({}));
    let (early, _) = server.extended(&["T"], json!({"user": "early"}));
    assert_eq!(slow.expect_event("joined")["user"], "early");
    // Registered elsewhere, so that they don't count as members.
    let mut speaker = server.join(&["T"]);
    let text = "x".repeat(16_000);
    (0..400).for_each(|_| speaker.say("T", &text));
    speaker.sync();
    drop(speaker);
    let (late, _) = server.extended(&["T"], json!({"user": "late"}));
    drop(early);
    let mut witness = server.connect();
    crate::common::eventually("early to be gone", || {
        witness.ask(json!({"who": "T"}));
        (witness.expect_event("members")["count"] == 2).then_some(())
    });
    let mut events = Vec::new();
    let mut told = |slow: &mut Client| {
        slow.send(b"{\"topics\":[\"T\"],\"extended\":{}}\n");
        loop {
            let frame = slow.frame();
            let extended = frame["extended"].as_object().unwrap();
            for name in ["joined", "left"] {
                let user = extended.get(name).map(|told| told["user"].clone());
                events.extend(user.map(|user| format!("{name} {user}")));
            }
            if extended.contains_key("registered") {
                return events.clone();
            }
        }
    };
    assert_eq!(told(&mut slow), ["left \"early\""]);
    drop(late);
    crate::common::eventually("late to be gone", || {
        witness.ask(json!({"who": "T"}));
        (witness.expect_event("members")["count"] == 1).then_some(())
    });
    assert_eq!(told(&mut slow), ["left \"early\""]);
}
