//! A disk that is full: publishers are told, live delivery goes on, and so does
//! storing as soon as there is room.

use serde_json::{Value, json};

use crate::common::{Client, Process, SmallDisk, eventually, message};

const SIZE: &str = "size=16m";

/// A server whose disk takes no more, and a publisher whose messages `1` to `acked`,
/// with the same ids, were acknowledged.
struct Full {
    disk: SmallDisk,
    server: Process,
    publisher: Client,
    /// What the publisher's registration was answered.
    answer: Value,
    acked: u64,
    /// The last one that was tried.
    tried: u64,
}

/// What a message with an id came to.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Stored(u64),
    Refused,
}

/// None: no disk can be filled here.
fn full() -> Option<Full> {
    let disk = SmallDisk::new(SIZE)?;
    let server = disk.serve(&[]);
    let mut publisher = server.connect();
    let answer = publisher.register_extended(&["T"], json!({"user": "alice", "client": "k"}));
    let mut full = Full {
        disk,
        server,
        publisher,
        answer,
        acked: 0,
        tried: 0,
    };
    assert_eq!(full.publish(), Outcome::Stored(1));
    full.disk.fill();
    // What was written to before may have some room of its own.
    while full.publish() != Outcome::Refused {
        assert!(full.acked < 10_000, "the disk doesn't become full");
    }
    Some(full)
}

impl Full {
    /// Publishes the next message: its text and id are its number among those that
    /// were tried.
    fn publish(&mut self) -> Outcome {
        self.tried += 1;
        let text = format!("{:01000}", self.tried);
        let outcome = say(&mut self.publisher, "T", &text, &self.tried.to_string());
        match outcome {
            Outcome::Stored(seq) => {
                self.acked += 1;
                assert_eq!(seq, self.acked, "a hole in the order");
            }
            Outcome::Refused => {}
        }
        outcome
    }

    fn extended(&self, topics: &[&str], options: Value) -> (Client, Value) {
        let mut client = self.server.connect();
        let answer = client.register_extended(topics, options);
        (client, answer)
    }

    fn resume(&self, seq: u64) -> Value {
        json!({"resume": {"T": {"epoch": self.answer["topics"]["T"]["epoch"], "seq": seq}}})
    }

    /// Makes room, and publishes until something is stored again.
    fn recover(&mut self) {
        self.disk.make_room();
        eventually("storing to work again", || {
            (self.publish() != Outcome::Refused).then_some(())
        });
    }

    /// Whoever comes back gets exactly what was acknowledged.
    fn check(&self, texts: &[String]) {
        let (mut reader, answer) = self.extended(&["T"], self.resume(0));
        assert_eq!(answer["topics"]["T"]["recovered"], true);
        assert_eq!(answer["topics"]["T"]["seq"], texts.len() as u64);
        for (text, seq) in texts.iter().zip(1..) {
            reader.expect_delivered("T", text, seq);
        }
        reader.sync_topic("T");
    }
}

/// Says something with an id, and waits for the answer.
fn say(publisher: &mut Client, topic: &str, text: &str, id: &str) -> Outcome {
    publisher.say_with_id(topic, text, id);
    outcome(publisher, topic, id)
}

fn outcome(publisher: &mut Client, topic: &str, id: &str) -> Outcome {
    let frame = publisher.frame();
    let (ack, error) = (&frame["extended"]["ack"], &frame["extended"]["error"]);
    if ack.is_object() {
        assert_eq!((&ack["id"], &ack["topic"]), (&json!(id), &json!(topic)));
        return Outcome::Stored(ack["seq"].as_u64().unwrap());
    }
    assert_eq!(error["code"], "storage-full", "{frame}");
    assert_eq!(error["id"], id, "{frame}");
    Outcome::Refused
}

/// The next frame must be this message, of which is told that it isn't stored.
#[track_caller]
fn expect_unstored(reader: &mut Client, topic: &str, text: &str, user: Option<&str>) {
    let frame = reader.frame();
    assert_eq!(frame["message"], json!({"topic": topic, "text": text}));
    let extended = &frame["extended"];
    assert_eq!(extended["stored"], false, "{frame}");
    assert!(extended.get("seq").is_none(), "{frame}");
    assert_eq!(extended["user"].as_str(), user, "{frame}");
    assert!(extended["time"].is_u64(), "{frame}");
}

#[test]
fn publishers_are_told_and_everybody_gets_it_all_the_same() {
    let Some(mut full) = full() else { return };
    let mut classic = full.server.join(&["T"]);
    let (mut extended, answer) = full.extended(&["T"], json!({}));
    assert_eq!(answer["topics"]["T"]["seq"], full.acked);
    // With an id, of which it is told.
    assert_eq!(say(&mut full.publisher, "T", "x", "a"), Outcome::Refused);
    classic.expect("T", "x");
    expect_unstored(&mut extended, "T", "x", Some("alice"));
    // Without one.
    full.publisher.say("T", "y");
    let error = full.publisher.expect_extended_error("storage-full");
    assert!(error.get("id").is_none(), "{error}");
    classic.expect("T", "y");
    let line = String::from_utf8(extended.line()).unwrap();
    assert!(line.starts_with(r#"{"extended":{"stored":false,"#) && line.contains(r#""text":"y""#));
    // Of a classic publisher.
    classic.say("T", "z");
    let text = classic.expect_error("storage-full");
    assert!(text.contains("isn't stored"), "{text}");
    let line: Value = serde_json::from_slice(&extended.line()).unwrap();
    assert_eq!(line["message"]["text"], "z");
    assert_eq!(line["extended"]["stored"], false);
    // What was acknowledged before still is, and can be had.
    let text = format!("{:01000}", 1);
    full.publisher.line();
    assert_eq!(
        say(&mut full.publisher, "T", &text, "1"),
        Outcome::Stored(1)
    );
    let texts: Vec<_> = (1..=full.acked).map(|n| format!("{n:01000}")).collect();
    full.check(&texts);
    full.server.wait_for("messages aren't stored");
}

#[test]
fn storing_goes_on_without_a_restart_when_there_is_room() {
    let Some(mut full) = full() else { return };
    let before = full.acked;
    let (mut reader, _) = full.extended(&["T"], full.resume(before));
    full.recover();
    assert_eq!(full.acked, before + 1);
    let mut texts: Vec<_> = (1..=before).map(|n| format!("{n:01000}")).collect();
    texts.push(format!("{:01000}", full.tried));
    // The one who was there saw what wasn't stored, and then goes on counting.
    let stored = loop {
        let delivered = reader.delivered();
        if delivered.seq.is_some() {
            break delivered;
        }
    };
    assert_eq!(stored.seq, Some(before + 1));
    assert_eq!(stored.text, texts[texts.len() - 1]);
    // What was refused is new when it is sent again.
    let refused = (before + 1).to_string();
    let again = say(&mut full.publisher, "T", "again", &refused);
    assert_eq!(again, Outcome::Stored(before + 2));
    reader.expect_delivered("T", "again", before + 2);
    texts.push("again".to_owned());
    full.check(&texts);
    // Also for whoever is there after a crash.
    full.server.kill();
    full.server = full.disk.serve(&[]);
    full.check(&texts);
}

#[test]
fn an_id_that_comes_twice_at_once_is_never_acknowledged_for_what_isnt_stored() {
    let Some(mut full) = full() else { return };
    // In one piece, so that the topic gets several of them at once.
    let twice = json!({"extended": {"id": "twice"}, "message": {"topic": "T", "text": "x"}});
    let burst = format!("{twice}\n").repeat(20);
    full.publisher.send(burst.as_bytes());
    for _ in 0..20 {
        assert_eq!(outcome(&mut full.publisher, "T", "twice"), Outcome::Refused);
    }
    full.recover();
    let next = full.acked + 1;
    let again = say(&mut full.publisher, "T", "x", "twice");
    assert_eq!(again, Outcome::Stored(next));
}

#[test]
fn a_topic_that_is_new_while_the_disk_is_full_works_and_is_stored_later() {
    let Some(mut full) = full() else { return };
    let (mut publisher, answer) = full.extended(&["new"], json!({"client": "l"}));
    let (mut reader, same) = full.extended(&["new"], json!({}));
    let mut classic = full.server.join(&["new"]);
    let state = answer["topics"]["new"].clone();
    assert_eq!(state["seq"], 0);
    assert_eq!(same["topics"]["new"], state);
    assert_eq!(say(&mut publisher, "new", "x", "a"), Outcome::Refused);
    expect_unstored(&mut reader, "new", "x", None);
    classic.expect("new", "x");
    full.disk.make_room();
    eventually("the topic to be stored", || {
        let outcome = say(&mut publisher, "new", "y", "b");
        classic.expect("new", "y");
        match outcome {
            Outcome::Refused => {
                expect_unstored(&mut reader, "new", "y", None);
                None
            }
            stored => {
                assert_eq!(stored, Outcome::Stored(1));
                reader.expect_delivered("new", "y", 1);
                Some(())
            }
        }
    });
    classic.send(&message("new", "z"));
    reader.expect_delivered("new", "z", 2);
    // It is the life of the topic that its members were told of.
    let resume = json!({"resume": {"new": {"epoch": state["epoch"], "seq": 1}}});
    for is_restarted in [false, true] {
        if is_restarted {
            full.server.kill();
            full.server = full.disk.serve(&[]);
        }
        let (mut back, answer) = full.extended(&["new"], resume.clone());
        assert_eq!(answer["topics"]["new"]["epoch"], state["epoch"]);
        assert_eq!(answer["topics"]["new"]["recovered"], true);
        back.expect_delivered("new", "z", 2);
        back.sync_topic("new");
    }
}

#[test]
fn a_server_that_starts_with_a_full_disk_knows_what_is_there() {
    let Some(mut full) = full() else { return };
    let texts: Vec<_> = (1..=full.acked).map(|n| format!("{n:01000}")).collect();
    full.server.kill();
    full.server = full.disk.serve(&[]);
    // Opening it may have made a little room, which is taken.
    full.disk.make_room();
    full.disk.fill();
    full.check(&texts);
    let options = json!({"client": "k"});
    (full.publisher, _) = full.extended(&["T"], options);
    assert_eq!(
        say(&mut full.publisher, "T", &texts[0], "1"),
        Outcome::Stored(1)
    );
    full.recover();
    let mut texts = texts;
    texts.truncate(full.acked as usize - 1);
    texts.push(format!("{:01000}", full.tried));
    full.check(&texts);
}
