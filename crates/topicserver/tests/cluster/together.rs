//! What clients of different servers have in common.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::{Value, json};

use topicserver::Config;
use topicserver::simulation::{Faults, Misfortune};

use crate::Cluster;
use crate::common::{Client, TestServer, eventually};

/// What a server answers a balancer that asks whether it is ready.
fn readiness(server: &TestServer) -> String {
    let mut socket = TcpStream::connect(server.addr()).unwrap();
    socket.write_all(b"GET /-/ready HTTP/1.0\r\n\r\n").unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn a_server_is_ready_when_it_knows_the_others() {
    let cluster = Cluster::with(1, Faults::default(), &Config::default());
    cluster.world.suffer(&Misfortune::Disconnect(1));
    let server = TestServer::in_cluster(Config::default(), cluster.world.engine(1));
    let answer = readiness(&server);
    let is_waiting = answer.starts_with("HTTP/1.0 503") && answer.contains("\"joining\"");
    assert!(is_waiting, "{answer}");
    cluster.world.suffer(&Misfortune::Connect(1));
    eventually("the server to be ready", || {
        readiness(&server).starts_with("HTTP/1.0 200").then_some(())
    });
}

#[test]
fn a_message_reaches_the_members_at_all_servers_once() {
    let cluster = Cluster::start();
    let mut classic: Vec<_> = cluster.servers.iter().map(|one| one.join(&["t"])).collect();
    let mut extended: Vec<_> = cluster
        .servers
        .iter()
        .map(|one| one.extended(&["t"], json!({})).0)
        .collect();
    for (number, sender) in (1..).zip(0..classic.len()) {
        let text = format!("from {sender}");
        classic[sender].say("t", &text);
        for (receiver, client) in classic.iter_mut().enumerate() {
            if receiver != sender {
                assert_eq!(client.message(), ("t".into(), text.clone()));
            }
        }
        for client in &mut extended {
            client.expect_delivered("t", &text, number);
        }
    }
    for client in &mut classic {
        client.sync();
    }
}

#[test]
fn an_id_is_taken_once_whichever_server_gets_it() {
    let cluster = Cluster::start();
    let key = json!({"client": "0123456789abcdef0123456789abcdef"});
    let (mut reader, _) = cluster.servers[2].extended(&["t"], json!({}));
    for (text, server) in [("one", 0), ("one", 1), ("two", 2)] {
        let (mut client, _) = cluster.servers[server].extended(&["t"], key.clone());
        client.say_with_id("t", text, text);
        let seq = client.expect_ack("t", text);
        assert_eq!(seq, if text == "one" { 1 } else { 2 });
    }
    reader.expect_delivered("t", "one", 1);
    reader.expect_delivered("t", "two", 2);
}

#[test]
fn who_comes_back_at_another_server_goes_on_where_it_was() {
    let cluster = Cluster::start();
    let (mut first, answer) = cluster.servers[0].extended(&["t"], json!({}));
    let epoch = answer["topics"]["t"]["epoch"].clone();
    let mut publisher = cluster.servers[1].join(&["t"]);
    for number in 1..=20 {
        publisher.say("t", &number.to_string());
    }
    for number in 1..=20_u64 {
        first.expect_delivered("t", &number.to_string(), number);
    }
    drop(first);
    for number in 21..=40 {
        publisher.say("t", &number.to_string());
    }
    publisher.sync();
    let resume = json!({"resume": {"t": {"epoch": epoch, "seq": 20}}});
    let (mut again, answer) = cluster.servers[2].extended(&["t"], resume);
    assert_eq!(answer["topics"]["t"]["recovered"], true, "{answer}");
    for number in 21..=40_u64 {
        again.expect_delivered("t", &number.to_string(), number);
    }
    let (mut late, _) = cluster.servers[0].extended(&["t"], json!({"last": 3}));
    for number in 38..=40_u64 {
        late.expect_delivered("t", &number.to_string(), number);
    }
}

/// A connection without a word yet may be one of HTTP.
#[test]
fn that_there_is_no_quorum_is_told_to_those_who_have_registered() {
    let cluster = Cluster::with(1, Faults::default(), &Config::default());
    let mut classic = cluster.servers[0].join(&["t"]);
    let (mut extended, _) = cluster.servers[0].extended(&["t"], json!({}));
    let mut silent = TcpStream::connect(cluster.servers[0].addr()).unwrap();
    cluster.world.suffer(&Misfortune::StopLog);
    let (topic, text) = classic.message();
    assert!(
        topic == "error" && text.starts_with("no-quorum: "),
        "{text}"
    );
    assert_eq!(extended.expect_event("notice")["code"], "no-quorum");
    silent.write_all(b"GET /-/health HTTP/1.0\r\n\r\n").unwrap();
    let mut answer = String::new();
    silent.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.0 200"), "{answer}");
}

/// The next event that is an answer.
fn next_answer(client: &mut Client) -> Value {
    loop {
        let told = client.frame()["extended"].take();
        if told.get("notice").is_none() && told.get("ping").is_none() {
            return told;
        }
    }
}

#[test]
fn who_registers_without_a_quorum_is_told_at_once() {
    let cluster = Cluster::with(1, Faults::default(), &Config::default());
    let server = &cluster.servers[0];
    let (mut before, _) = server.extended(&["t"], json!({}));
    cluster.world.suffer(&Misfortune::StopLog);
    assert_eq!(before.expect_event("notice")["code"], "no-quorum");
    let mut extended = server.connect();
    extended.send(b"{\"topics\":[\"t\"],\"extended\":{}}");
    assert_eq!(extended.expect_event("notice")["code"], "no-quorum");
    let mut classic = server.connect();
    classic.send(b"{\"topics\":[\"t\"]}");
    let (_, text) = classic.message();
    assert!(text.starts_with("no-quorum: "), "{text}");
    cluster.world.suffer(&Misfortune::Heal);
    let told = next_answer(&mut extended);
    assert!(told.get("registered").is_some(), "{told}");
}

/// natter's client would take the server for one without the extended protocol.
#[test]
fn who_waits_for_the_answer_to_a_registration_is_pinged() {
    let cluster = Cluster::with(1, Faults::default(), &Config::default());
    cluster.world.suffer(&Misfortune::StopLog);
    let mut client = cluster.servers[0].connect();
    client.send(b"{\"topics\":[\"t\"],\"extended\":{}}{\"extended\":{\"ping\":7}}");
    client.expect_event("ping");
    cluster.world.suffer(&Misfortune::Heal);
    let told = [next_answer(&mut client), next_answer(&mut client)];
    let in_order = told[0].get("registered").is_some() && told[1]["pong"] == 7;
    assert!(in_order, "{told:?}");
}

/// The leader of the log that a server asks may have been cut off from the others together with it.
#[test]
fn a_resume_beyond_what_is_known_here_is_answered_only_by_a_confirmed_leader() {
    let cluster = Cluster::with(2, Faults::default(), &Config::default());
    let (mut reader, answer) = cluster.servers[0].extended(&["t"], json!({}));
    let (mut islander, _) = cluster.servers[1].extended(&["t"], json!({}));
    let epoch = answer["topics"]["t"]["epoch"].clone();
    let mut publisher = cluster.servers[0].join(&["t"]);
    publisher.say("t", "one");
    for client in [&mut reader, &mut islander] {
        client.expect_delivered("t", "one", 1);
    }
    cluster.world.suffer(&Misfortune::Maroon(1));
    publisher.say("t", "two");
    reader.expect_delivered("t", "two", 2);
    let resume = |seq: u64| json!({"resume": {"t": {"epoch": epoch, "seq": seq}}});
    // It would be told that its history was interrupted, and get the second message again.
    let mut refused = cluster.servers[1].connect();
    let registration = json!({"topics": ["t"], "extended": resume(2)});
    refused.send(format!("{registration}\n").as_bytes());
    let told = next_answer(&mut refused);
    assert_eq!(told["error"]["code"], "no-quorum", "{told}");
    refused.expect_end();
    cluster.world.suffer(&Misfortune::Heal);
    // It may have been told that there was no quorum.
    let message = std::iter::repeat_with(|| islander.frame());
    let message = message
        .into_iter()
        .find(|frame| frame.get("message").is_some());
    let message = message.unwrap();
    assert_eq!(message["extended"]["seq"], 2, "{message}");
    let (_, answer) = cluster.servers[1].extended(&["t"], resume(2));
    assert_eq!(answer["topics"]["t"]["recovered"], true, "{answer}");
    // What nobody has ever stored is no reason to refuse anybody.
    let (_, answer) = cluster.servers[1].extended(&["t"], resume(99));
    assert_eq!(answer["topics"]["t"]["recovered"], false, "{answer}");
}

/// A server may find messages in the log before its feed brings them.
#[test]
fn who_catches_up_from_the_log_gets_nothing_twice() {
    let config = Config {
        history_messages: 1,
        ..Config::default()
    };
    let faults = Faults {
        feed_lost: 1.0,
        ..Faults::default()
    };
    let cluster = Cluster::with(2, faults, &config);
    let _follows = cluster.servers[1].join(&["t"]);
    let mut publisher = cluster.servers[0].join(&["t"]);
    let (_, answer) = cluster.servers[0].extended(&["t"], json!({}));
    let epoch = &answer["topics"]["t"]["epoch"];
    let (mut sent, mut readers) = (0, Vec::new());
    for _ in 0..30 {
        for _ in 0..10 {
            sent += 1;
            publisher.say("t", &sent.to_string());
        }
        publisher.sync();
        let resume = json!({"resume": {"t": {"epoch": epoch, "seq": 0}}});
        readers.push(cluster.servers[1].extended(&["t"], resume).0);
    }
    for mut reader in readers {
        for number in 1..=sent {
            reader.expect_delivered("t", &number.to_string(), number);
        }
    }
}
