//! `GET /-/stream`: several topics in one stream; and streams that end after so many
//! messages.

use std::time::Duration;

use serde_json::{Value, json};
use topicserver::Config;

use crate::common::{TestServer, eventually};
use crate::requests::{Http, Lines, field};

const EVENTS: &str = "accept: text/event-stream";
const TEXT: &str = "accept: text/plain";

/// Topics whose names nothing may take apart.
const TOPICS: [&str; 3] = ["/a,b", "/c/d", "/e%26f"];
const STREAM: &str = "/-/stream?topic=a,b&topic=c/d&topic=e%26f";

fn publish(server: &TestServer, topic: &str, texts: impl IntoIterator<Item = impl AsRef<str>>) {
    let mut http = Http::to(server);
    for text in texts {
        assert_eq!(http.post(topic, &[], text.as_ref().as_bytes()).status, 200);
    }
}

fn text(frame: &Value) -> (&str, &str) {
    let message = &frame["message"];
    let part = |name: &str| message[name].as_str().unwrap_or_default();
    (part("topic"), part("text"))
}

/// The next event of a message: its id, and its topic and text.
fn message(events: &mut Lines) -> (String, String, String) {
    loop {
        let event = events.event();
        if field(&event, "data").is_none() || field(&event, "event").is_some() {
            continue;
        }
        let frame: Value = serde_json::from_str(field(&event, "data").unwrap()).unwrap();
        let (topic, text) = text(&frame);
        let id = field(&event, "id").unwrap().to_owned();
        return (id, topic.to_owned(), text.to_owned());
    }
}

/// The numbers of an id.
fn numbers(id: &str) -> Vec<u64> {
    let places = id.split(',');
    let number = |place: &str| place.split_once(':').unwrap().1.parse().unwrap();
    places.map(number).collect()
}

#[test]
fn each_message_says_its_topic() {
    let server = TestServer::start();
    let mut lines = Lines::of(&server, STREAM, &[]);
    let registered = lines.frame();
    let topics = &registered["extended"]["registered"]["topics"];
    assert_eq!(topics.as_object().unwrap().len(), 3);
    let mut texts = Lines::of(&server, STREAM, &[TEXT]);
    eventually("the second stream", || {
        let who = Http::to(&server).get("/-/topics/a,b/who", &[]).json();
        (who["members"]["count"] == 2).then_some(())
    });
    for topic in TOPICS {
        publish(&server, topic, ["hi"]);
    }
    let mut said: Vec<_> = (0..3).map(|_| lines.frame()).collect();
    said.sort_by_key(|frame| frame["message"]["topic"].to_string());
    let said: Vec<_> = said.iter().map(text).collect();
    assert_eq!(said, [("a,b", "hi"), ("c/d", "hi"), ("e&f", "hi")]);
    let mut said: Vec<_> = (0..3).map(|_| texts.next().unwrap()).collect();
    said.sort();
    assert_eq!(said, ["[a,b] hi", "[c/d] hi", "[e&f] hi"]);
}

#[test]
fn an_events_id_has_the_places_in_all_topics() {
    let server = TestServer::start();
    publish(&server, TOPICS[0], ["1", "2"]);
    publish(&server, TOPICS[2], ["1", "2", "3"]);
    let mut events = Lines::of(&server, &format!("{STREAM}&last=1"), &[EVENTS]);
    events.event();
    let registered = events.event();
    assert_eq!(field(&registered, "event"), Some("registered"));
    assert_eq!(numbers(field(&registered, "id").unwrap()), [1, 0, 2]);
    let mut last = vec![1, 0, 2];
    for _ in 0..2 {
        let (id, topic, _) = message(&mut events);
        last[if topic == "a,b" { 0 } else { 2 }] += 1;
        assert_eq!(numbers(&id), last);
    }
    for (index, topic) in [(1, TOPICS[1]), (0, TOPICS[0]), (1, TOPICS[1])] {
        publish(&server, topic, ["more"]);
        last[index] += 1;
        assert_eq!(numbers(&message(&mut events).0), last);
    }
}

#[test]
fn a_stream_goes_on_in_every_topic_after_any_event() {
    let server = TestServer::start();
    for topic in TOPICS {
        publish(&server, topic, ["1", "2", "3"]);
    }
    let all = format!("{STREAM}&since=0");
    let mut events = Lines::of(&server, &all, &[EVENTS]);
    let sent: Vec<_> = (0..9).map(|_| message(&mut events)).collect();
    for (index, (id, _, _)) in sent.iter().enumerate() {
        let header = format!("last-event-id: {id}");
        let query = format!("{all}&poll=1&lastEventId={id}");
        for (path, headers) in [(&all, vec![EVENTS, &header]), (&query, vec![EVENTS])] {
            let mut again = Lines::of(&server, path, &headers);
            let mut rest: Vec<_> = sent[index + 1..]
                .iter()
                .map(|(_, topic, text)| (topic.clone(), text.clone()))
                .collect();
            for _ in 0..rest.len() {
                let (_, topic, text) = message(&mut again);
                let known = rest
                    .iter()
                    .position(|known| *known == (topic.clone(), text.clone()));
                // Each topic's own order holds.
                let place = known.unwrap();
                assert!(!rest[..place].iter().any(|(other, _)| *other == topic));
                rest.remove(place);
            }
            assert_eq!(rest, []);
        }
    }
}

#[test]
fn who_is_cut_off_before_the_first_message_misses_none() {
    let server = TestServer::start();
    publish(&server, "/lab", ["1", "2"]);
    for (path, topics) in [
        ("/lab?last=1", 1),
        ("/-/stream?topic=lab&topic=ci&last=1", 2),
    ] {
        let mut events = Lines::of(&server, path, &[EVENTS]);
        events.event();
        let registered = events.event();
        let id = field(&registered, "id").unwrap().to_owned();
        assert_eq!(numbers(&id).len(), topics);
        drop(events);
        let before: u64 = numbers(&id)[0];
        publish(&server, "/lab", ["more", "and more"]);
        let header = format!("last-event-id: {id}");
        let mut again = Lines::of(&server, path, &[EVENTS, &header]);
        for number in before + 1..before + 4 {
            assert_eq!(numbers(&message(&mut again).0)[0], number);
        }
    }
}

#[test]
fn a_topic_may_be_added_to_those_that_go_on() {
    let server = TestServer::start();
    for topic in ["/a", "/b"] {
        publish(&server, topic, ["1", "2"]);
    }
    let mut lines = Lines::of(&server, "/-/stream?topic=a&poll=1", &[]);
    let registered = lines.frame();
    let epoch = &registered["extended"]["registered"]["topics"]["a"]["epoch"];
    let epoch = epoch.as_str().unwrap();
    let path = format!("/-/stream?topic=b&topic=a&poll=1&resume=,{epoch}:1");
    let mut lines = Lines::of(&server, &path, &[]);
    let registered = &lines.frame()["extended"]["registered"]["topics"];
    assert_eq!(registered["a"]["recovered"], true);
    assert_eq!(registered["b"].get("recovered"), None);
    let mut said = Vec::new();
    while let Some(line) = lines.next() {
        let frame: Value = serde_json::from_str(&line).unwrap();
        let (topic, text) = text(&frame);
        said.push(format!("{topic}{text}"));
    }
    said.sort();
    assert_eq!(said, ["a2", "b1", "b2"]);
}

#[test]
fn a_slow_reader_of_several_topics_gets_each_message_once() {
    let server = TestServer::with(Config {
        max_outbox: 64 * 1024,
        history_messages: 100_000,
        history_bytes: 64 * 1024 * 1024,
        ..Config::default()
    });
    let mut events = Lines::of(&server, "/-/stream?topic=a&topic=b", &[EVENTS]);
    events.event();
    events.event();
    let mut sender = server.join(&["a", "b"]);
    let long = "x".repeat(1000);
    for number in 0..3000 {
        sender.say("a", &format!("{number} {long}"));
        sender.say("b", &format!("{number} {long}"));
    }
    sender.sync();
    let mut next = [0, 0];
    for _ in 0..6000 {
        let (id, topic, text) = message(&mut events);
        let index = usize::from(topic == "b");
        assert!(text.starts_with(&format!("{} ", next[index])), "{topic}");
        next[index] += 1;
        assert_eq!(numbers(&id), next);
    }
}

#[test]
fn a_stream_ends_after_so_many_messages() {
    let server = TestServer::start();
    publish(&server, "/lab", ["1", "2"]);
    for (path, headers) in [
        ("/lab?last=2&count=3", vec![]),
        ("/lab?last=2&count=3", vec![EVENTS]),
        ("/lab?last=2&count=3", vec![TEXT]),
        ("/-/stream?topic=lab&topic=ci&last=2&count=3", vec![]),
        ("/-/stream?topic=lab&topic=ci&last=2&count=3", vec![EVENTS]),
    ] {
        let mut stream = Lines::of(&server, path, &headers);
        let mut messages = 0;
        let mut published = false;
        // The end of the stream comes with its last chunk, so it is complete.
        while let Some(line) = stream.next() {
            let is_message = line.contains("\"text\":") || (headers == [TEXT] && !line.is_empty());
            messages += usize::from(is_message);
            if messages == 2 && !published {
                published = true;
                // The batch brings more than the stream still takes.
                let lines = "3\n4\n5\n";
                let mut http = Http::to(&server);
                assert_eq!(
                    http.post("/lab?split=lines", &[], lines.as_bytes()).status,
                    200
                );
            }
        }
        assert_eq!(messages, 3, "{path} {headers:?}");
    }
    eventually("the streams to be over", || {
        let who = Http::to(&server).get("/-/topics/lab/who", &[]).json();
        (who["members"]["count"] == 0).then_some(())
    });
}

#[test]
fn a_count_goes_with_a_poll_and_with_a_timeout() {
    let server = TestServer::start();
    publish(&server, "/lab", ["1", "2", "3"]);
    for (query, expected) in [
        ("poll=1&count=2", vec!["1", "2"]),
        ("poll=1&last=1&count=2", vec!["3"]),
        ("last=2&timeout=1&count=9", vec!["2", "3"]),
        ("since=0&timeout=60&count=3", vec!["1", "2", "3"]),
    ] {
        let mut lines = Lines::of(&server, &format!("/lab?{query}"), &[]);
        lines.frame();
        let mut said = Vec::new();
        while let Some(line) = lines.next() {
            let frame: Value = serde_json::from_str(&line).unwrap();
            said.push(text(&frame).1.to_owned());
        }
        assert_eq!(said, expected, "{query}");
    }
    let mut http = Http::to(&server);
    for wrong in ["count=0", "count=x", "count=-1", "poll=1&before=4&count=1"] {
        let answer = http.get(&format!("/lab?{wrong}"), &[]);
        answer.expect_problem(400, "bad-request");
    }
}

#[test]
fn what_cant_be_is_told_before_the_stream_begins() {
    let server = TestServer::with(Config {
        max_stream_topics: 2,
        ..Config::default()
    });
    let mut http = Http::to(&server);
    for (query, code, reason) in [
        ("", "bad-request", "name the topics"),
        ("topic=a&topic=", "bad-topic", "topic number 2"),
        ("topic=a&topic=a", "bad-request", "twice"),
        (
            "topic=a&topic=b&topic=c",
            "too-many-topics",
            "at most 2 topics, not 3",
        ),
        ("topic=a&topic=b&resume=x:1", "bad-request", "2 topics"),
        (
            "topic=a&topic=b&poll=1&before=3",
            "bad-request",
            "one topic",
        ),
        ("topic=a&lst=3", "bad-request", "lst"),
    ] {
        let answer = http.get(&format!("/-/stream?{query}"), &[EVENTS]);
        let text = answer.expect_problem(400, code);
        assert!(text.contains(reason), "{query}: {text}");
    }
    // Looking at the head registers for nothing.
    http.ask("HEAD", "/-/stream?topic=a&topic=b", &[], b"");
    assert_eq!(http.head().status, 200);
    let topics = Http::to(&server).get("/-/topics", &[]).json();
    assert_eq!(topics, json!({"topics": []}));
}

#[test]
fn a_silent_stream_of_several_topics_shows_that_it_is_there() {
    let server = TestServer::with(Config {
        ping_interval: Duration::from_millis(20),
        ..Config::default()
    });
    let mut lines = Lines::of(&server, "/-/stream?topic=a&topic=b", &[]);
    lines.frame();
    assert_eq!(lines.next().as_deref(), Some(""));
}
