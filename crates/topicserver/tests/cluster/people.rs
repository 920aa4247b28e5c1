//! Who is in a topic, at whichever server.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use topicserver::Config;
use topicserver::simulation::{Faults, Misfortune};

use crate::Cluster;
use crate::common::{Client, TestServer, eventually};

fn member(server: &TestServer, user: &str) -> Client {
    server.extended(&["T"], json!({"user": user})).0
}

/// The count of members, and their names.
fn who(client: &mut Client) -> (u64, Vec<String>) {
    client.ask(json!({"who": "T"}));
    let members = loop {
        let mut frame = client.frame();
        if frame["extended"].get("members").is_some() {
            break frame["extended"]["members"].take();
        }
    };
    let users = members["users"].as_array().unwrap();
    let names = users.iter().map(|user| user["user"].as_str().unwrap());
    let names = names.map(str::to_owned).collect();
    (members["count"].as_u64().unwrap(), names)
}

/// What a client was told of others up to now: their names, with + or -.
fn told(client: &mut Client) -> Vec<String> {
    client.ask(json!({"ping": "now"}));
    let mut all = Vec::new();
    loop {
        let frame = client.frame();
        let extended = frame["extended"].as_object().unwrap();
        let user = |event: &str, sign: &str| {
            let told = extended.get(event)?;
            Some(format!("{sign}{}", told["user"].as_str().unwrap()))
        };
        all.extend(user("joined", "+").or(user("left", "-")));
        if extended.contains_key("pong") {
            return all;
        }
    }
}

/// What a client is told next of a user.
fn next_told(client: &mut Client, user: &str) -> &'static str {
    loop {
        let frame = client.frame();
        for event in ["joined", "left"] {
            if frame["extended"][event]["user"] == user {
                return event;
            }
        }
    }
}

#[test]
fn members_at_other_servers_are_announced_and_listed_as_those_here() {
    let cluster = Cluster::start();
    let [a, b, c] = &cluster.servers[..] else {
        unreachable!()
    };
    let mut alice = member(a, "alice");
    let mut bob = member(b, "bob");
    assert_eq!(alice.expect_event("joined")["user"], "bob");
    let carol = member(c, "carol");
    for client in [&mut alice, &mut bob] {
        assert_eq!(client.expect_event("joined")["user"], "carol");
    }
    let _classic = c.join(&["T"]);
    let everybody = ["alice", "bob", "carol"].map(str::to_owned).to_vec();
    eventually("the count to be right", || {
        (who(&mut bob) == (4, everybody.clone())).then_some(())
    });
    // Somebody who isn't there, at a server with members and at one without.
    for server in [a, c] {
        eventually("the count to be right there", || {
            (who(&mut server.connect()) == (4, everybody.clone())).then_some(())
        });
    }
    drop(carol);
    for client in [&mut alice, &mut bob] {
        assert_eq!(client.expect_event("left")["user"], "carol");
    }
    drop(alice);
    // Bob has asked who is there, and Alice was.
    assert_eq!(bob.expect_event("left")["user"], "alice");
}

#[test]
fn who_has_neither_seen_somebody_come_nor_asked_is_not_told_that_he_goes() {
    let cluster = Cluster::start();
    let [a, b, c] = &cluster.servers[..] else {
        unreachable!()
    };
    let alice = member(a, "alice");
    let mut witness = member(a, "witness");
    let mut bob = member(b, "bob");
    witness.expect_event("joined");
    eventually("bob's server to know of alice", || {
        let (_, names) = who(&mut b.connect());
        (names.len() == 3).then_some(())
    });
    let before = told(&mut bob);
    drop(alice);
    let _carol = member(c, "carol");
    let mut after = Vec::new();
    eventually("bob to be told of carol", || {
        after.extend(told(&mut bob));
        after.contains(&"+carol".to_owned()).then_some(())
    });
    // On a busy machine it may look as if alice had come at the same time; then both are told.
    let was_told = before.contains(&"+alice".to_owned());
    let is_told = || after.contains(&"-alice".to_owned());
    assert!(was_told || !is_told(), "{before:?} {after:?}");
}

#[test]
fn a_dead_servers_members_are_gone_within_four_seconds() {
    let mut cluster = Cluster::start();
    let mut alice = member(&cluster.servers[0], "alice");
    let _bob = member(&cluster.servers[1], "bob");
    assert_eq!(alice.expect_event("joined")["user"], "bob");
    cluster.world.suffer(&Misfortune::Kill(1));
    let began = Instant::now();
    assert_eq!(alice.expect_event("left")["user"], "bob");
    let took = began.elapsed();
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert_eq!(who(&mut alice), (1, vec!["alice".to_owned()]));
    cluster.servers.truncate(1);
}

#[test]
fn comings_are_announced_as_long_as_all_servers_together_have_few_members() {
    let config = Config {
        max_presence: 3,
        ..Config::default()
    };
    let cluster = Cluster::with(3, Faults::default(), &config);
    let mut alice = member(&cluster.servers[0], "alice");
    let bob = member(&cluster.servers[1], "bob");
    let _carol = member(&cluster.servers[2], "carol");
    alice.expect_event("joined");
    alice.expect_event("joined");
    eventually("all to know of all", || {
        let counts = cluster.servers.iter().map(|one| who(&mut one.connect()).0);
        counts.eq([3, 3, 3]).then_some(())
    });
    let late = member(&cluster.servers[1], "late");
    eventually("the late one to be known", || {
        (who(&mut cluster.servers[0].connect()).1.len() == 4).then_some(())
    });
    drop(bob);
    // The coming of the late one wasn't announced, and neither is its going.
    assert_eq!(alice.expect_event("left")["user"], "bob");
    late.finish_sending();
    drop(late);
    eventually("the late one to be gone", || {
        (who(&mut cluster.servers[0].connect()).0 == 2).then_some(())
    });
    assert_eq!(told(&mut alice), [""; 0]);
}

/// A member may be told that the client has left and joined again, in pairs.
#[test]
fn a_client_that_comes_back_at_another_server_is_in_the_topic_once() {
    let cluster = Cluster::start();
    let [a, b, c] = &cluster.servers[..] else {
        unreachable!()
    };
    let key = || json!({"user": "alice", "client": "0123456789abcdef0123456789abcdef"});
    let mut witnesses = [member(a, "w0"), member(b, "w1"), member(c, "w2")];
    let (_old, _) = a.extended(&["T"], key());
    for witness in &mut witnesses {
        assert_eq!(next_told(witness, "alice"), "joined");
    }
    let (mut new, _) = b.extended(&["T"], key());
    eventually("alice to be at one server only", || {
        let (count, names) = who(&mut new);
        (count == 4 && names.contains(&"alice".to_owned())).then_some(())
    });
    drop(new);
    let mut last = witnesses.each_ref().map(|_| "+alice".to_owned());
    eventually("all to be told that she has left", || {
        for (witness, last) in witnesses.iter_mut().zip(&mut last) {
            for event in told(witness)
                .into_iter()
                .filter(|one| one.ends_with("alice"))
            {
                assert_ne!(event, *last, "half a pair");
                *last = event;
            }
        }
        last.iter().all(|last| last == "-alice").then_some(())
    });
}

#[test]
fn pages_of_members_are_of_all_servers() {
    let config = Config {
        max_presence: 3,
        ..Config::default()
    };
    let cluster = Cluster::with(3, Faults::default(), &config);
    let name = |number: usize| format!("m{number:02}");
    let members: Vec<_> = (0..20)
        .map(|number| member(&cluster.servers[number % 3], &name(number)))
        .collect();
    let mut asker = cluster.servers[1].connect();
    let mut names: Vec<String> = Vec::new();
    loop {
        let after = names.last().cloned();
        asker.ask(json!({"who": {"topic": "T", "after": after.unwrap_or_default(), "limit": 7}}));
        let page = asker.expect_event("members");
        assert_eq!(page["count"], 20, "{page}");
        let users = page["users"].as_array().unwrap();
        let found = users.iter().map(|user| user["user"].as_str().unwrap());
        names.extend(found.map(str::to_owned));
        if page["more"] == Value::Null {
            break;
        }
    }
    assert_eq!(names, (0..20).map(name).collect::<Vec<_>>());
    drop(members);
}

#[test]
fn topics_are_listed_with_the_members_at_all_servers() {
    let cluster = Cluster::start();
    let [a, b, c] = &cluster.servers[..] else {
        unreachable!()
    };
    let (_one, _other) = (a.join(&["T", "only here"]), b.join(&["T"]));
    let mut speaker = c.join_briefly("was");
    speaker.say("was", "hello");
    speaker.sync();
    drop(speaker);
    for server in [a, b, c] {
        let expected = json!([
            {"topic": "T", "members": 2, "seq": 0},
            {"topic": "only here", "members": 1, "seq": 0},
            {"topic": "was", "members": 0, "seq": 1},
        ]);
        let mut client = server.connect();
        eventually("the list to be right", || {
            client.ask(json!({"topics": {}}));
            (client.expect_event("topics") == expected).then_some(())
        });
    }
    let mut client = b.connect();
    client.ask(json!({"topics": {"after": "T", "limit": 1}}));
    let page = client.expect_event("topics");
    let expected = json!([{"topic": "only here", "members": 1, "seq": 0, "more": true}]);
    assert_eq!(page, expected);
}
