//! What outlives a server that keeps its history on disk, and which directories it
//! refuses.

use std::os::unix::fs::PermissionsExt;
use std::process::Output;

use serde_json::{Value, json};

use crate::common::{Client, Directory, Process, SmallDisk, finish, program};

fn extended(server: &Process, topics: &[&str], options: Value) -> (Client, Value) {
    let mut client = server.connect();
    let answer = client.register_extended(topics, options);
    (client, answer)
}

/// Publishes messages whose texts are their numbers, with their numbers as ids.
fn publish(client: &mut Client, numbers: std::ops::RangeInclusive<u64>) {
    for number in numbers.clone() {
        client.say_with_id("T", &number.to_string(), &number.to_string());
    }
    for number in numbers {
        assert_eq!(client.expect_ack("T", &number.to_string()), number);
    }
}

fn expect_numbers(client: &mut Client, numbers: impl IntoIterator<Item = u64>) {
    for number in numbers {
        client.expect_delivered("T", &number.to_string(), number);
    }
}

fn resume(answer: &Value, seq: u64) -> Value {
    json!({"resume": {"T": {"epoch": answer["topics"]["T"]["epoch"], "seq": seq}}})
}

#[test]
fn what_an_acknowledgement_promises_is_said() {
    let directory = Directory::new();
    let server = directory.serve(&[]);
    let (_, answer) = extended(&server, &["T"], json!({}));
    assert_eq!(answer["durability"], "flushed");
}

#[test]
fn order_history_and_ids_outlive_a_restart() {
    let directory = Directory::new();
    let mut server = directory.serve(&[]);
    let (mut publisher, before) = extended(&server, &["T"], json!({"client": "k"}));
    publish(&mut publisher, 1..=20);
    server.terminate();
    let mut server = directory.serve(&[]);
    let (mut reader, after) = extended(&server, &["T"], resume(&before, 5));
    let epoch = &before["topics"]["T"]["epoch"];
    assert_eq!(
        after["topics"]["T"],
        json!({"epoch": epoch, "seq": 20, "recovered": true})
    );
    expect_numbers(&mut reader, 6..=20);
    // What is sent again is acknowledged again, and delivered to nobody.
    let (mut publisher, _) = extended(&server, &["T"], json!({"client": "k"}));
    publish(&mut publisher, 11..=20);
    publish(&mut publisher, 21..=22);
    expect_numbers(&mut reader, 21..=22);
    server.terminate();
    // A third life, of a topic that nobody has used since.
    let server = directory.serve(&[]);
    let (mut reader, after) = extended(&server, &["T"], resume(&before, 22));
    assert_eq!(after["topics"]["T"]["seq"], 22);
    assert_eq!(after["topics"]["T"]["recovered"], true);
    reader.sync_topic("T");
}

#[test]
fn ones_own_messages_are_known_after_a_restart() {
    let directory = Directory::new();
    let mut server = directory.serve(&[]);
    let (mut mine, before) = extended(&server, &["T"], json!({"client": "k", "user": "alice"}));
    publish(&mut mine, 1..=2);
    server.join(&["T"]).say("T", "3");
    mine.expect_delivered("T", "3", 3);
    server.terminate();
    let server = directory.serve(&[]);
    let mut again = resume(&before, 0);
    again["client"] = json!("k");
    let (mut mine, after) = extended(&server, &["T"], again);
    assert_eq!(after["topics"]["T"]["recovered"], true);
    expect_numbers(&mut mine, [3]);
    mine.sync_topic("T");
    // Others are told who said it, which is kept too.
    let (mut other, _) = extended(&server, &["T"], json!({"last": 3}));
    let users: Vec<_> = (0..3).map(|_| other.delivered().user).collect();
    assert_eq!(users, [Some("alice".into()), Some("alice".into()), None]);
}

#[test]
fn an_id_is_known_after_a_restart_though_a_message_without_one_came_first() {
    let directory = Directory::new();
    let mut server = directory.serve(&[]);
    let (mut publisher, _) = extended(&server, &["T"], json!({"client": "k"}));
    publish(&mut publisher, 1..=3);
    server.terminate();
    let server = directory.serve(&[]);
    let (mut reader, _) = extended(&server, &["T"], json!({}));
    let (mut publisher, _) = extended(&server, &["T"], json!({"client": "k"}));
    publisher.say("T", "without");
    reader.expect_delivered("T", "without", 4);
    // Known ones are acknowledged with the numbers that they got before.
    publish(&mut publisher, 1..=3);
    publisher.say("T", "next");
    reader.expect_delivered("T", "next", 5);
}

#[test]
fn an_id_that_several_use_is_known_after_a_restart_for_what_was_said_last() {
    let directory = Directory::new();
    let mut server = directory.serve(&[]);
    let (mut nameless, _) = extended(&server, &["T"], json!({}));
    for (text, seq) in [("one", 1), ("two", 2), ("two", 2)] {
        nameless.say_with_id("T", text, "1");
        assert_eq!(nameless.expect_ack("T", "1"), seq);
    }
    server.terminate();
    let server = directory.serve(&[]);
    let (mut nameless, _) = extended(&server, &["T"], json!({}));
    nameless.say_with_id("T", "two", "1");
    assert_eq!(nameless.expect_ack("T", "1"), 2);
}

#[test]
fn what_memory_no_longer_has_is_read_from_disk() {
    let directory = Directory::new();
    let options = ["--history-messages", "10"];
    let mut server = directory.serve(&options);
    let (mut publisher, _) = extended(&server, &["T"], json!({}));
    publish(&mut publisher, 1..=100);
    for restarted in [false, true] {
        if restarted {
            server.terminate();
            server = directory.serve(&options);
        }
        for (last, first) in [(5, 96), (10, 91), (11, 90), (50, 51), (1000, 1)] {
            let (mut late, _) = extended(&server, &["T"], json!({ "last": last }));
            expect_numbers(&mut late, first..=100);
            late.sync_topic("T");
        }
        let (mut late, _) = extended(&server, &["T"], json!({"since": 0}));
        let first = late.delivered();
        assert_eq!(first.seq, Some(1));
        expect_numbers(&mut late, 2..=100);
        // A message isn't older than the time that it has.
        let (mut late, _) = extended(&server, &["T"], json!({"since": first.time}));
        expect_numbers(&mut late, 1..=100);
        let (mut late, _) = extended(&server, &["T"], json!({"since": u64::MAX / 2}));
        late.sync_topic("T");
    }
}

#[test]
fn a_deep_replay_from_disk_joins_what_is_live_without_a_seam() {
    let directory = Directory::new();
    let server = directory.serve(&["--history-messages", "10"]);
    let (mut publisher, before) = extended(&server, &["T"], json!({}));
    publish(&mut publisher, 1..=2_000);
    let last = 6_000;
    std::thread::scope(|scope| {
        let publishing = scope.spawn(|| {
            for first in (2_001..last).step_by(50) {
                publish(&mut publisher, first..=first + 49);
            }
        });
        for round in 0..4 {
            let options = match round % 2 {
                0 => resume(&before, round),
                _ => json!({"last": u64::MAX}),
            };
            let (mut reader, _) = extended(&server, &["T"], options.clone());
            let first = options.get("resume").map_or(1, |_| round + 1);
            expect_numbers(&mut reader, first..=last);
        }
        publishing.join().unwrap();
    });
}

#[test]
fn a_slow_reader_is_caught_up_from_disk() {
    let directory = Directory::new();
    let options = [
        ["--history-messages", "10"],
        ["--max-outbox", "65536"],
        ["--write-timeout", "3600"],
    ];
    let server = directory.serve(options.as_flattened());
    let mut slow = Client::connect_narrow(server.v4());
    slow.register_extended(&["T"], json!({}));
    let (mut publisher, _) = extended(&server, &["T"], json!({}));
    let filler = "x".repeat(1000);
    // More than the sockets between the two and the outbox hold.
    let count = 12_000;
    for number in 1..=count {
        publisher.say("T", &format!("{number} {filler}"));
    }
    publisher.sync_topic("T");
    for number in 1..=count {
        let delivered = slow.delivered();
        assert_eq!(delivered.seq, Some(number));
        assert!(delivered.text.starts_with(&format!("{number} ")));
    }
    publisher.say("T", "live");
    slow.expect_delivered("T", "live", count + 1);
}

#[test]
fn topics_that_are_only_on_disk_are_listed() {
    let directory = Directory::new();
    let mut server = directory.serve(&[]);
    let (mut publisher, _) = extended(&server, &["T", "U"], json!({}));
    publish(&mut publisher, 1..=3);
    server.terminate();
    let server = directory.serve(&[]);
    let (mut client, _) = extended(&server, &["V"], json!({}));
    client.ask(json!({"topics": {}}));
    let topics = client.expect_event("topics");
    let expected = json!([
        {"topic": "T", "members": 0, "seq": 3},
        {"topic": "U", "members": 0, "seq": 0},
        {"topic": "V", "members": 1, "seq": 0},
    ]);
    assert_eq!(topics, expected);
}

#[test]
fn what_is_no_longer_kept_on_disk_is_told_as_a_gap() {
    let directory = Directory::new();
    let options = ["--keep-messages", "100", "--history-messages", "10"];
    let mut server = directory.serve(&options);
    let (mut publisher, before) = extended(&server, &["T"], json!({}));
    for first in (1..=900).step_by(10) {
        publish(&mut publisher, first..=first + 9);
    }
    server.terminate();
    let server = directory.serve(&options);
    // It is trimmed in groups: for a moment there may be some more.
    let (gap, mut reader) = crate::common::eventually("old messages to go", || {
        let (mut reader, after) = extended(&server, &["T"], resume(&before, 7));
        assert_eq!(after["topics"]["T"]["recovered"], false);
        let gap = reader.expect_event("gap");
        (gap["to"].as_u64().unwrap() >= 780).then_some((gap, reader))
    });
    assert_eq!(gap["from"], 8);
    let to = gap["to"].as_u64().unwrap();
    assert!(to <= 800, "{to}");
    expect_numbers(&mut reader, to + 1..=900);
    reader.sync_topic("T");
    let (_, after) = extended(&server, &["T"], resume(&before, 850));
    assert_eq!(after["topics"]["T"]["recovered"], true);
}

/// Starts the program on what can't be used: it must end at once and say why.
fn refused(data: &std::path::Path) -> String {
    let output = finish(program().arg("0").arg("--data").arg(data));
    complaint(&output)
}

fn complaint(output: &Output) -> String {
    let stderr = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(output.stdout.is_empty());
    let last = stderr.lines().last().unwrap_or_default().to_owned();
    assert!(last.starts_with("topicserver: "), "{stderr}");
    last
}

#[test]
fn a_second_server_on_the_same_directory_is_refused() {
    let directory = Directory::new();
    let mut server = directory.serve(&[]);
    let (mut publisher, _) = extended(&server, &["T"], json!({}));
    publish(&mut publisher, 1..=1);
    let text = refused(directory.path());
    assert!(text.contains("in use by another topicserver"), "{text}");
    assert!(text.contains(directory.path().to_str().unwrap()), "{text}");
    // The first one isn't disturbed, and the directory is free when it has ended.
    publish(&mut publisher, 2..=2);
    server.kill();
    let server = directory.serve(&[]);
    let (mut reader, _) = extended(&server, &["T"], json!({"last": 9}));
    expect_numbers(&mut reader, 1..=2);
}

#[test]
fn a_path_that_is_a_file_is_refused() {
    let directory = Directory::new();
    let file = directory.path().join("file");
    std::fs::write(&file, "text").unwrap();
    let text = refused(&file);
    assert!(text.contains("is no directory"), "{text}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "text");
    let text = refused(&file.join("below"));
    assert!(text.contains("must be able to write there"), "{text}");
}

#[test]
fn a_directory_that_cant_be_written_to_is_refused() {
    let directory = Directory::new();
    let mut permissions = std::fs::metadata(directory.path()).unwrap().permissions();
    permissions.set_mode(0o500);
    std::fs::set_permissions(directory.path(), permissions).unwrap();
    let probe = directory.path().join("probe");
    if std::fs::write(&probe, "").is_ok() {
        println!("permissions don't hold for this user; trying a read-only file system");
        let Some(disk) = SmallDisk::new("size=1m,ro") else {
            return;
        };
        let text = refused(disk.path());
        assert!(text.contains("must be able to write there"), "{text}");
        return;
    }
    let text = refused(directory.path());
    assert!(text.contains("must be able to write there"), "{text}");
}
