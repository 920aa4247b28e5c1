//! Who is there, and where.

use serde_json::json;
use topicserver::Config;

use crate::common::{TestServer, eventually};

#[test]
fn a_user_is_looked_up_by_name_without_registering() {
    let server = TestServer::start();
    let (alice, _) = server.extended(&["T"], json!({"user": "alice", "port": "2001"}));
    let (bob, _) = server.extended(&[], json!({"user": "bob"}));
    let mut asker = server.connect();
    asker.ask(json!({"lookup": "alice"}));
    let found = asker.expect_event("found");
    assert_eq!(
        found,
        json!({"user": "alice", "ip": "127.0.0.1", "port": "2001"})
    );
    asker.ask(json!({"lookup": "bob"}));
    let port = bob.local_addr().port().to_string();
    assert_eq!(asker.expect_event("found")["port"], port);
    asker.ask(json!({"lookup": "nobody"}));
    asker.expect_extended_error("unknown-user");
    drop(alice);
    eventually("the name to be given back", || {
        asker.ask(json!({"lookup": "alice"}));
        (asker.frame()["extended"]["error"]["code"] == "unknown-user").then_some(())
    });
}

#[test]
fn a_taken_name_is_refused_and_its_holder_is_not_disturbed() {
    let server = TestServer::start();
    let (mut alice, _) = server.extended(&["T"], json!({"user": "alice"}));
    let mut other = server.connect();
    other.send(br#"{"topics":["T","U"],"extended":{"user":"alice"}}"#);
    other.expect_extended_error("name-taken");
    // Nothing of the registration has taken effect.
    other.say("T", "x");
    other.expect_extended_error("not-registered");
    let answer = other.register_extended(&["T"], json!({"user": "bob"}));
    assert_eq!(answer["user"], "bob");
    assert_eq!(alice.expect_event("joined")["user"], "bob");
    alice.sync_extended();
    // A name stays, and may be said again.
    other.register_extended(&["T"], json!({"user": "bob"}));
    other.send(br#"{"topics":["T"],"extended":{"user":"carol"}}"#);
    other.expect_extended_error("name-taken");
}

#[test]
fn a_client_that_comes_back_with_its_key_takes_its_name_along() {
    let server = TestServer::start();
    let options = json!({"user": "alice", "client": "a secret"});
    let (mut witness, _) = server.extended(&["T"], json!({}));
    let (mut old, _) = server.extended(&["T"], options.clone());
    assert_eq!(witness.expect_event("joined")["user"], "alice");
    let (mut new, answer) = server.extended(&["T"], options);
    assert_eq!(answer["user"], "alice");
    old.expect_extended_error("replaced");
    old.expect_end();
    new.ask(json!({"lookup": "alice"}));
    let port = new.local_addr().port().to_string();
    assert_eq!(new.expect_event("found")["port"], port);
    let mut thief = server.connect();
    thief.send(br#"{"topics":[],"extended":{"user":"alice","client":"a guess"}}"#);
    thief.expect_extended_error("name-taken");
    // To others, she has been there all the time.
    witness.sync_topic("T");
    drop(new);
    assert_eq!(witness.expect_event("left")["user"], "alice");
}

#[test]
fn the_name_of_a_lost_connection_is_kept_for_its_key() {
    let server = TestServer::start();
    let options = json!({"user": "alice", "client": "a secret"});
    let (mut alice, _) = server.extended(&["T"], options.clone());
    alice.sync_extended();
    alice.reset();
    let mut asker = server.connect();
    eventually("the connection to be gone", || {
        asker.ask(json!({"lookup": "alice"}));
        (asker.frame()["extended"]["error"]["code"] == "unknown-user").then_some(())
    });
    for options in [
        json!({"user": "alice"}),
        json!({"user": "alice", "client": "x"}),
    ] {
        let mut thief = server.connect();
        thief.send(format!("{}\n", json!({"topics": ["T"], "extended": options})).as_bytes());
        let error = thief.expect_extended_error("name-taken");
        let text = error["text"].as_str().unwrap();
        assert!(text.contains("is kept for a client"), "{text}");
    }
    let (mut alice, answer) = server.extended(&["T"], options);
    assert_eq!(answer["user"], "alice");
    // Whoever says goodbye leaves nothing to be kept.
    alice.ask(json!({"leave": ["T"]}));
    alice.expect_event("registered");
    drop(alice);
    eventually("the name", || {
        let mut other = server.connect();
        other.send(b"{\"topics\":[\"T\"],\"extended\":{\"user\":\"alice\"}}");
        other.frame()["extended"]["registered"]
            .is_object()
            .then_some(())
    });
}

#[test]
fn a_name_is_kept_for_as_long_as_it_was_said() {
    for seconds in [0, 1] {
        let grace = std::time::Duration::from_secs(seconds);
        let server = TestServer::with(Config {
            name_grace: grace,
            ..Config::default()
        });
        let (alice, _) = server.extended(&["T"], json!({"user": "alice", "client": "k"}));
        drop(alice);
        let began = std::time::Instant::now();
        eventually("the name", || {
            let mut other = server.connect();
            other.send(b"{\"topics\":[\"T\"],\"extended\":{\"user\":\"alice\"}}");
            other.frame()["extended"]["registered"]
                .is_object()
                .then_some(())
        });
        assert!(began.elapsed() >= grace * 9 / 10);
    }
}

#[test]
fn who_counts_everyone_and_names_those_with_a_name() {
    let server = TestServer::with(Config {
        max_presence: 0,
        ..Config::default()
    });
    let (_bob, _) = server.extended(&["T"], json!({"user": "bob", "port": 2002}));
    let (mut alice, _) = server.extended(&["T"], json!({"user": "alice", "port": "2001"}));
    let (_nameless, _) = server.extended(&["T"], json!({}));
    let _classic = server.join(&["T"]);
    alice.ask(json!({"who": "T"}));
    let members = alice.expect_event("members");
    let expected = json!({"topic": "T", "count": 4, "users": [
        {"user": "alice", "ip": "127.0.0.1", "port": "2001"},
        {"user": "bob", "ip": "127.0.0.1", "port": "2002"},
    ]});
    assert_eq!(members, expected);
    alice.ask(json!({"who": "nowhere"}));
    let nobody = json!({"topic": "nowhere", "count": 0, "users": []});
    assert_eq!(alice.expect_event("members"), nobody);
}

#[test]
fn topics_are_listed_with_members_and_newest_number() {
    let server = TestServer::start();
    let (mut client, _) = server.extended(&["T", "U"], json!({}));
    let _other = server.join(&["T"]);
    client.say("U", "x");
    client.sync_topic("T");
    client.sync_topic("U");
    client.ask(json!({"topics": {}}));
    let expected = json!([
        {"topic": "T", "members": 2, "seq": 0},
        {"topic": "U", "members": 1, "seq": 1},
    ]);
    assert_eq!(client.expect_event("topics"), expected);
}

#[test]
fn names_of_64_characters_are_names_and_others_are_refused() {
    let server = TestServer::start();
    let longest = "騒".repeat(64);
    let (_client, answer) = server.extended(&["T"], json!({"user": longest}));
    assert_eq!(answer["user"], longest);
    for wrong in ["", &"a".repeat(65), "a\nb", "\u{85}"] {
        let mut client = server.connect();
        let frame = json!({"topics": ["T"], "extended": {"user": wrong}});
        client.send(frame.to_string().as_bytes());
        client.expect_error("bad-frame");
    }
}

#[test]
fn a_hundred_thousand_topics_are_listed_page_by_page() {
    const TOPICS: usize = 100_000;
    let server = TestServer::with(Config {
        max_topics: TOPICS,
        ..Config::default()
    });
    let names: Vec<_> = (0..TOPICS).map(|number| format!("{number:06}")).collect();
    let mut member = server.connect();
    for names in names.chunks(2_000) {
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        member.register(&names);
    }
    member.sync();
    let mut asker = server.connect();
    let mut listed = Vec::new();
    let mut page = json!({});
    loop {
        asker.ask(json!({ "topics": page }));
        let topics = asker.expect_event("topics");
        let topics = topics.as_array().unwrap();
        assert!(topics.len() <= 500, "{}", topics.len());
        listed.extend(
            topics
                .iter()
                .map(|one| one["topic"].as_str().unwrap().to_owned()),
        );
        if topics.last().unwrap().get("more").is_none() {
            break;
        }
        page = json!({"after": listed.last(), "limit": 1_000_000});
    }
    assert!(listed == names, "{} of {TOPICS}", listed.len());
}

#[test]
fn members_are_listed_page_by_page() {
    let server = TestServer::start();
    let users: Vec<_> = (0..7).map(|number| format!("user {number}")).collect();
    let member = |user: &String| server.extended(&["T"], json!({"user": user})).0;
    let _members: Vec<_> = users.iter().map(member).collect();
    let mut asker = server.connect();
    let mut listed = Vec::new();
    let mut after = String::new();
    loop {
        asker.ask(json!({"who": {"topic": "T", "after": after, "limit": 3}}));
        let members = asker.expect_event("members");
        assert_eq!(members["count"], 7);
        let page = members["users"].as_array().unwrap();
        listed.extend(
            page.iter()
                .map(|one| one["user"].as_str().unwrap().to_owned()),
        );
        if members.get("more").is_none() {
            break;
        }
        after.clone_from(listed.last().unwrap());
    }
    assert_eq!(listed, users);
}
