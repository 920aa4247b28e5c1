//! A disk that doesn't answer: publishers are told within `--storage-timeout`, and when the
//! disk answers again, what they send again with the same id is stored once.

use serde_json::{Value, json};

use crate::common::{Client, LoopDisk, Process, eventually};

/// Short, so that the test takes no longer than it must.
const TIMEOUT: &[&str] = &["--storage-timeout", "1"];

/// Messages on their way when the disk stops.
const BURST: u64 = 20;

/// Publishes what has this number.
fn say(publisher: &mut Client, number: u64) {
    publisher.say_with_id("T", &format!("text {number}"), &number.to_string());
}

/// The answer to it: its sequence number, or the error's code.
fn answer(publisher: &mut Client) -> Result<(String, u64), String> {
    let frame = publisher.frame();
    let extended = &frame["extended"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    match extended["ack"]["seq"].as_u64() {
        Some(seq) => Ok((text(&extended["ack"]["id"]), seq)),
        None => Err(text(&extended["error"]["code"])),
    }
}

/// A reader gets each message exactly once, in the order of its number.
fn check(server: &Process, count: u64) {
    let (mut reader, state) = (server.connect(), json!({"last": 1000}));
    reader.register_extended(&["T"], state);
    for number in 1..=count {
        reader.expect_delivered("T", &format!("text {number}"), number);
    }
    reader.sync_topic("T");
}

#[test]
fn a_disk_that_does_not_answer_is_told_to_publishers_and_nothing_is_lost_or_doubled() {
    let Some(disk) = LoopDisk::new() else {
        println!("skipped: it takes root, ext4 and a loop device");
        return;
    };
    let mut server = disk.serve(TIMEOUT);
    let mut reader = server.connect();
    reader.register_extended(&["T"], json!({}));
    let mut publisher = server.connect();
    publisher.register_extended(&["T"], json!({"client": "k"}));
    say(&mut publisher, 1);
    assert_eq!(answer(&mut publisher), Ok(("1".to_owned(), 1)));

    disk.freeze();
    for number in 2..=BURST {
        say(&mut publisher, number);
    }
    for _ in 2..=BURST {
        assert_eq!(answer(&mut publisher), Err("storage-busy".to_owned()));
    }
    server.wait_for("the disk");
    disk.thaw();

    // Some of them may have been stored; sent again, each is there once.
    for number in 2..=BURST {
        eventually("the disk to answer", || {
            say(&mut publisher, number);
            answer(&mut publisher)
                .ok()
                .map(|acknowledged| assert_eq!(acknowledged, (number.to_string(), number)))
        });
    }
    for number in 1..=BURST {
        reader.expect_delivered("T", &format!("text {number}"), number);
    }
    reader.sync_topic("T");
    check(&server, BURST);
    server.kill();
    check(&disk.serve(TIMEOUT), BURST);
}
