//! What is older than `--keep-age` isn't sent, whatever has been deleted yet.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::common::{Client, Directory, LIMIT, Process};

const AGE: Duration = Duration::from_secs(2);

/// Messages that are published before anybody wants them.
const FIRSTS: u64 = 20;

fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    u64::try_from(now.as_millis()).unwrap()
}

/// When those of the first messages were published that a newcomer gets who wants
/// everything. `mark` is published then, which comes after all of them.
fn everything(server: &Process, publisher: &mut Client, mark: &str) -> Vec<u64> {
    let mut reader = server.connect();
    reader.register_extended(&["T"], json!({"last": 1000}));
    publisher.say_with_id("T", mark, mark);
    publisher.expect_event("ack");
    let messages = std::iter::from_fn(|| {
        let frame = reader.frame();
        (frame["message"]["text"] != mark).then_some(frame)
    });
    // What becomes too old just now is a gap.
    let messages = messages.filter(|frame| frame["extended"]["gap"].is_null());
    let seq = |frame: &Value| frame["extended"]["seq"].as_u64().unwrap();
    let firsts = messages.filter(|frame| seq(frame) <= FIRSTS);
    let time = |frame: Value| frame["extended"]["time"].as_u64().unwrap();
    firsts.map(time).collect()
}

fn publish(client: &mut Client) {
    for number in 1..=FIRSTS {
        client.say_with_id("T", &number.to_string(), &number.to_string());
        assert_eq!(client.expect_ack("T", &number.to_string()), number);
    }
}

fn check(options: &[&str]) {
    let directory = Directory::new();
    let options = [&["--keep-age", "2", "--clock-settle", "1"], options].concat();
    let mut server = directory.serve(&options);
    let mut publisher = server.connect();
    let before = publisher.register_extended(&["T"], json!({"client": "k"}));
    publish(&mut publisher);
    let started = Instant::now();
    let mut seen = 0;
    for mark in 0.. {
        let oldest = now() - u64::try_from(AGE.as_millis()).unwrap();
        let times = everything(&server, &mut publisher, &format!("mark {mark}"));
        let are_young = times.iter().all(|time| *time >= oldest);
        assert!(are_young, "{times:?} at {oldest}");
        seen = seen.max(times.len());
        if times.is_empty() {
            break;
        }
        assert!(started.elapsed() < LIMIT, "it is still sent");
    }
    assert!(seen > 0, "nothing was ever sent");
    // Nor after a restart, and whoever comes back is told of the gap.
    server.terminate();
    let server = directory.serve(&options);
    let mut publisher = server.connect();
    publisher.register_extended(&["T"], json!({"client": "k"}));
    assert!(everything(&server, &mut publisher, "mark").is_empty());
    let mut reader = server.connect();
    let epoch = &before["topics"]["T"]["epoch"];
    let resume = json!({"resume": {"T": {"epoch": epoch, "seq": 5}}});
    let answer = reader.register_extended(&["T"], resume);
    assert_eq!(answer["topics"]["T"]["recovered"], false, "{answer}");
    let gap = reader.expect_event("gap");
    assert_eq!(gap["from"], 6);
    assert!(gap["to"].as_u64() >= Some(FIRSTS), "{gap}");
}

#[test]
fn what_is_too_old_is_not_sent_from_memory() {
    check(&[]);
}

#[test]
fn what_is_too_old_is_not_sent_from_disk() {
    check(&["--history-messages", "0"]);
}
