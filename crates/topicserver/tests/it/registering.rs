//! Registering as an extended client: what is answered, and what comes then.

use serde_json::json;

use crate::common::{Client, TestServer, is_in_cluster, is_left_out, message};

#[test]
fn a_registration_is_answered_with_where_each_topic_is() {
    let server = TestServer::start();
    let (mut alice, answer) = server.extended(&["T", "U"], json!({"user": "alice"}));
    assert_eq!(answer["user"], "alice");
    let topics = answer["topics"].as_object().unwrap();
    assert_eq!(topics.len(), 2);
    for topic in ["T", "U"] {
        assert_eq!(topics[topic]["seq"], 0);
        assert!(!topics[topic]["epoch"].as_str().unwrap().is_empty());
        assert!(topics[topic].get("recovered").is_none());
    }
    alice.say("T", "one");
    alice.sync_topic("T");
    let (_, again) = server.extended(&["T"], json!({}));
    assert_eq!(again["topics"]["T"]["seq"], 1);
    assert_eq!(again["topics"]["T"]["epoch"], topics["T"]["epoch"]);
    assert!(again.get("user").is_none());
}

#[test]
fn a_registration_for_nothing_is_answered_too() {
    let server = TestServer::start();
    let (mut client, answer) = server.extended(&[], json!({}));
    let durability = if is_in_cluster() { "flushed" } else { "memory" };
    assert_eq!(answer, json!({"topics": {}, "durability": durability}));
    let more = client.register_extended(&["T"], json!({}));
    assert!(more["topics"].get("T").is_some());
}

#[test]
fn messages_come_with_an_envelope_and_classic_ones_without() {
    let server = TestServer::start();
    let (mut alice, _) = server.extended(&["T"], json!({"user": "alice"}));
    let (mut bob, _) = server.extended(&["T"], json!({"user": "bob"}));
    assert_eq!(alice.expect_event("joined")["user"], "bob");
    let mut classic = server.join(&["T"]);
    let before = now();
    alice.say("T", "hello");
    let delivered = bob.delivered();
    assert_eq!((delivered.seq, delivered.text.as_str()), (Some(1), "hello"));
    assert_eq!(delivered.user.as_deref(), Some("alice"));
    assert!((before..=now()).contains(&delivered.time), "{delivered:?}");
    assert_eq!(
        [classic.line(), vec![b'\n']].concat(),
        message("T", "hello")
    );
    classic.say("T", "hi");
    for extended in [&mut alice, &mut bob] {
        let delivered = extended.delivered();
        assert_eq!((delivered.seq, delivered.user), (Some(2), None));
    }
}

#[test]
fn the_rest_of_a_frame_is_the_same_byte_for_byte() {
    let server = TestServer::start();
    let mut sender = server.join(&["T"]);
    let (mut receiver, _) = server.extended(&["T"], json!({}));
    for frame in [
        "{ \"x\" : 1.50e+1, \"message\":{\"text\":\"\\u00e9\",\"topic\":\"T\"} }",
        "{\"message\":{\"topic\":\"T\",\"text\":\"\u{1f388}\",\"extended\":1},\"more\":[]}",
    ] {
        sender.send(format!("{frame}\n").as_bytes());
        let line = String::from_utf8(receiver.line()).unwrap();
        let end = line.find("},").unwrap();
        assert_eq!(format!("{{{}", &line[end + 2..]), frame);
    }
}

#[test]
fn an_envelope_cannot_be_forged() {
    let server = TestServer::start();
    let mut sender = server.join(&["T"]);
    let (mut receiver, _) = server.extended(&["T"], json!({}));
    sender.send(
        br#"{"extended":{"seq":99,"user":"root","time":1},"message":{"topic":"T","text":"a"}}
           {"message":{"topic":"T","text":"b"},"\u0065xtended":{"seq":98,"user":"root"}}"#,
    );
    for (text, seq) in [("a", 1), ("b", 2)] {
        let got = receiver.delivered();
        assert_eq!(
            (got.text.as_str(), got.seq, got.user),
            (text, Some(seq), None)
        );
        assert!(got.time > 1);
    }
}

#[test]
fn a_classic_connection_that_becomes_extended_misses_nothing() {
    let server = TestServer::start();
    let mut client = server.join(&["T"]);
    let mut sender = server.join(&["T"]);
    sender.say("T", "classic");
    client.expect("T", "classic");
    let answer = client.register_extended(&["U"], json!({}));
    assert_eq!(answer["topics"]["T"]["seq"], 1);
    assert_eq!(answer["topics"]["U"]["seq"], 0);
    sender.say("T", "extended");
    client.expect_delivered("T", "extended", 2);
    // It isn't counted twice.
    client.ask(json!({"who": "T"}));
    assert_eq!(client.expect_event("members")["count"], 2);
}

#[test]
fn leaving_is_answered_with_what_was_left() {
    let server = TestServer::start();
    let (mut client, _) = server.extended(&["A", "B", "C"], json!({"user": "alice"}));
    let mut sender = server.join(&["A", "B"]);
    client.ask(json!({"leave": ["A", "elsewhere"]}));
    let answer = client.expect_event("registered");
    assert_eq!(answer["user"], "alice");
    assert_eq!(answer["topics"], json!({}));
    assert_eq!(answer["left"], json!(["A"]));
    sender.say("A", "unheard");
    sender.say("B", "heard");
    client.expect_delivered("B", "heard", 1);
    client.say("A", "x");
    client.expect_extended_error("not-registered");
    client.ask(json!({"leave": "B"}));
    client.expect_event("registered");
    client.ask(json!({"leave": ["C"]}));
    assert_eq!(
        client.expect_event("registered"),
        json!({"user": "alice", "topics": {}, "left": ["C"]})
    );
}

#[test]
fn what_is_said_before_leaving_in_one_write_is_still_sent() {
    let server = TestServer::start();
    let (mut client, _) = server.extended(&["A", "B"], json!({}));
    let mut receiver = server.join(&["A", "B"]);
    let said: Vec<u8> = [message("B", "1"), message("B", "2")].concat();
    let leaving = b"{\"extended\":{\"leave\":[\"A\",\"B\"]}}\n";
    client.send(&[said, leaving.to_vec()].concat());
    receiver.expect("B", "1");
    receiver.expect("B", "2");
    client.expect_event("registered");
}

#[test]
fn errors_have_the_form_that_the_connection_understands() {
    let server = TestServer::start();
    let (mut client, _) = server.extended(&["T"], json!({}));
    client.say_with_id("elsewhere", "x", "k7-1");
    let error = client.expect_extended_error("not-registered");
    assert_eq!(error["id"], "k7-1");
    client.say("elsewhere", "x");
    assert!(
        client
            .expect_extended_error("not-registered")
            .get("id")
            .is_none()
    );
    client.send(b"{}");
    client.expect_extended_error("unknown-frame");
    client.send(b"nonsense");
    client.expect_extended_error("not-json");
    client.expect_end();
    let mut classic = server.join(&["T"]);
    classic.send(br#"{"extended":{"what":1}}"#);
    classic.expect_error("unknown-frame");
    classic.send(br#"{"topics":["U"],"extended":{"user":7}}"#);
    classic.expect_error("bad-frame");
}

#[test]
fn a_ping_is_answered_with_its_value() {
    let server = TestServer::start();
    let mut client = server.connect();
    for value in [json!(7), json!(null), json!({"a": [1, "x"]})] {
        client.ask(json!({"ping": value}));
        let frame = client.frame();
        assert_eq!(frame, json!({"extended": {"pong": value}}));
    }
    client.ask(json!({"pong": 7}));
    client.sync_extended();
}

#[test]
fn a_peer_that_asks_for_ever_and_never_reads_is_slowed_and_harms_nobody() {
    if is_left_out("its 400,000 questions go to all servers") {
        return;
    }
    let server = TestServer::start();
    let mut bystanders = crate::common::Bystanders::on(&server);
    let (mut greedy, _) = server.extended(&["T"], json!({}));
    let mut writer = greedy.writer();
    let flooding = std::thread::spawn(move || {
        let asked =
            b"{\"extended\":{\"who\":\"T\"}}\n{\"extended\":{\"topics\":{}}}\n".repeat(1000);
        // More than all buffers between the two take.
        for _ in 0..200 {
            writer.send(&asked);
        }
    });
    for _ in 0..50 {
        bystanders.talk();
    }
    // The topic's answers and the server's have an order each, but none together.
    let mut answers = (0, 0);
    for _ in 0..400_000 {
        let frame = greedy.line();
        match frame.starts_with(b"{\"extended\":{\"members\"") {
            true => answers.0 += 1,
            false => answers.1 += 1,
        }
    }
    assert_eq!(answers, (200_000, 200_000));
    flooding.join().unwrap();
    greedy.sync_extended();
}

fn now() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.unwrap().as_millis() as u64
}

#[test]
fn presence_is_told_to_extended_members_of_small_topics() {
    let server = TestServer::with(topicserver::Config {
        max_presence: 3,
        ..topicserver::Config::default()
    });
    let (mut alice, _) = server.extended(&["T"], json!({"user": "alice"}));
    let mut classic = server.join(&["T"]);
    let (bob, _) = server.extended(&["T"], json!({"user": "bob", "port": "2001"}));
    let joined = alice.expect_event("joined");
    let expected = json!({"topic": "T", "user": "bob", "ip": "127.0.0.1", "port": "2001"});
    assert_eq!(joined, expected);
    // The fourth member is one too many to be told of, when it comes and when it goes.
    let (mut carol, _) = server.extended(&["T"], json!({"user": "carol"}));
    alice.sync_topic("T");
    carol.finish_sending();
    carol.expect_end();
    drop(bob);
    assert_eq!(alice.expect_event("left"), expected);
    // Nobody without a name is told of, and no classic member is told.
    let (_nameless, _) = server.extended(&["T"], json!({}));
    alice.say("T", "the next thing");
    classic.expect("T", "the next thing");
    alice.sync_topic("T");
}

#[test]
fn bytes_may_arrive_in_any_pieces() {
    let server = TestServer::start();
    let mut client: Client = server.connect();
    let frames = b"{\"topics\":[\"T\"],\"extended\":{}}{\"extended\":{\"id\":\"a\"},\
                   \"message\":{\"topic\":\"T\",\"text\":\"x\"}}{\"extended\":{\"ping\":1}}";
    for byte in frames {
        client.send(&[*byte]);
    }
    // The answer to a ping needn't wait for the topic, the others come in their order.
    let answers: Vec<_> = (0..3).map(|_| client.frame().to_string()).collect();
    let of_topic: Vec<_> = answers
        .iter()
        .filter(|line| !line.contains("pong"))
        .collect();
    assert_eq!(of_topic.len(), 2, "{answers:?}");
    assert!(of_topic[0].contains("registered"), "{answers:?}");
    assert!(of_topic[1].contains("ack"), "{answers:?}");
}
