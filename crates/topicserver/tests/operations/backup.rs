//! A backup of a running server: what is in it, what it costs, and what is left when it fails.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::common::{Client, Directory, Process, eventually, finish, program};
use crate::exposition::admin;
use crate::requests::Http;

const ADMIN: [&str; 2] = ["--admin", "127.0.0.1:0"];

/// What a command has printed; it must have succeeded.
#[track_caller]
pub fn succeed(arguments: &[&str]) -> String {
    let output = finish(program().args(arguments));
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {error}");
    String::from_utf8(output.stdout).unwrap()
}

/// Why a command has failed.
#[track_caller]
pub fn fail(arguments: &[&str]) -> String {
    failure(&finish(program().args(arguments)))
}

#[track_caller]
fn failure(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8(output.stderr.clone()).unwrap()
}

pub fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// The text of a message, which is long enough that few of them fill a step.
fn said(topic: &str, seq: u64) -> String {
    format!("{topic} {seq} {}", "x".repeat(1000))
}

/// Somebody who publishes to a topic, one message after the other, until told to stop.
struct Publisher {
    topic: &'static str,
    /// How many messages were acknowledged.
    acknowledged: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Publisher {
    fn start(server: &Process, topic: &'static str) -> Self {
        let mut client = server.connect();
        client.register_extended(&[topic], json!({"client": topic}));
        let (acknowledged, stop) = (Arc::<AtomicU64>::default(), Arc::<AtomicBool>::default());
        let (count, end) = (acknowledged.clone(), stop.clone());
        let thread = std::thread::spawn(move || {
            for seq in 1.. {
                if end.load(SeqCst) {
                    return;
                }
                client.say_with_id(topic, &said(topic, seq), &seq.to_string());
                assert_eq!(client.expect_ack(topic, &seq.to_string()), seq);
                count.store(seq, SeqCst);
            }
        });
        Self {
            topic,
            acknowledged,
            stop,
            thread,
        }
    }

    fn acknowledged(&self) -> u64 {
        self.acknowledged.load(SeqCst)
    }

    fn wait_for(&self, count: u64) {
        eventually("acknowledgements", || {
            (self.acknowledged() >= count).then_some(())
        });
    }

    fn stop(self) {
        self.stop.store(true, SeqCst);
        self.thread.join().unwrap();
    }
}

/// Everything in a topic, which must be at least so many messages, with their numbers.
fn expect_all(client: &mut Client, topic: &str, count: u64, epoch: &serde_json::Value) {
    let resume = json!({"resume": {topic: {"epoch": epoch, "seq": 0}}, "client": "reader"});
    let answer = client.register_extended(&[topic], resume);
    assert_eq!(answer["topics"][topic]["recovered"], true, "{answer}");
    assert!(
        answer["topics"][topic]["seq"].as_u64() >= Some(count),
        "{answer}"
    );
    for seq in 1..=count {
        client.expect_delivered(topic, &said(topic, seq), seq);
    }
}

#[test]
fn a_backup_under_load_has_every_message_that_was_acknowledged_before() {
    let (directory, place) = (Directory::new(), Directory::new());
    let server = directory.serve(&ADMIN);
    let topics = ["one", "two", "three", "four"];
    let publishers = topics.map(|topic| Publisher::start(&server, topic));
    for publisher in &publishers {
        publisher.wait_for(200);
    }
    let dest = place.path().join("backup.ndjson");
    let restored = place.path().join("restored");
    let before: Vec<_> = publishers.iter().map(Publisher::acknowledged).collect();
    let said = succeed(&["backup", &admin(&server).to_string(), text(&dest)]);
    for publisher in &publishers {
        // They went on meanwhile, and go on.
        publisher.wait_for(publisher.acknowledged() + 1);
    }
    let epoch = |topic: &str| {
        let mut client = server.connect();
        let answer = client.register_extended(&[topic], json!({"client": "asker"}));
        answer["topics"][topic]["epoch"].clone()
    };
    let epochs = topics.map(epoch);
    for publisher in publishers {
        publisher.stop();
    }
    assert!(said.contains("messages of 4 topics"), "{said}");
    let mode = std::fs::metadata(&dest).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(!place.path().join("backup.ndjson.partial").exists());

    succeed(&["history", "import", text(&restored), text(&dest)]);
    succeed(&["history", "verify", text(&restored)]);
    let server = Process::start(&["--data", text(&restored)]);
    for ((topic, count), epoch) in topics.into_iter().zip(before).zip(&epochs) {
        expect_all(&mut server.connect(), topic, count, epoch);
        // What is sent again is recognised.
        let mut publisher = server.connect();
        publisher.register_extended(&[topic], json!({"client": topic}));
        for seq in count - 10..=count {
            publisher.say_with_id(topic, &self::said(topic, seq), &seq.to_string());
            assert_eq!(publisher.expect_ack(topic, &seq.to_string()), seq);
        }
    }
}

/// A server with some 800 KB of history, which are four steps.
fn with_history(directory: &Directory) -> Process {
    let server = directory.serve(&ADMIN);
    let publisher = Publisher::start(&server, "lab");
    publisher.wait_for(800);
    publisher.stop();
    server
}

#[test]
fn a_backup_takes_no_more_of_the_disk_than_it_may() {
    let (directory, place) = (Directory::new(), Directory::new());
    let server = with_history(&directory);
    let address = admin(&server).to_string();
    let dest = place.path().join("backup");
    let started = Instant::now();
    succeed(&["backup", &address, text(&dest), "--rate", "512KiB"]);
    // Three pauses of half a second.
    assert!(
        started.elapsed() > Duration::from_secs(1),
        "{:?}",
        started.elapsed()
    );
    let output = finish(program().args(["backup", &address, text(&dest), "--rate", "1"]));
    assert_eq!(output.status.code(), Some(2));
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("at least 64KiB"), "{error}");
}

fn begin_backup(address: SocketAddr, dest: &Path) -> (Child, PathBuf) {
    let mut command = program();
    command.args([
        "backup",
        &address.to_string(),
        text(dest),
        "--rate",
        "64KiB",
    ]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    let partial = PathBuf::from(format!("{}.partial", dest.display()));
    let has_begun = || std::fs::metadata(&partial).is_ok_and(|file| file.len() > 0);
    eventually("the backup to begin", || has_begun().then_some(()));
    (child, partial)
}

#[test]
fn a_backup_that_fails_leaves_the_one_before() {
    let (directory, place) = (Directory::new(), Directory::new());
    let mut server = with_history(&directory);
    let dest = place.path().join("backup");
    std::fs::write(&dest, "the one before").unwrap();
    let (child, partial) = begin_backup(admin(&server), &dest);
    let address = admin(&server).to_string();
    let error = fail(&["backup", &address, text(&dest)]);
    assert!(
        error.contains("backup"),
        "another one is on its way: {error}"
    );
    server.kill();
    let error = failure(&child.wait_with_output().unwrap());
    assert!(error.contains("cut off"), "{error}");
    assert_eq!(std::fs::read_to_string(&dest).unwrap(), "the one before");
    assert!(!partial.exists());

    let error = fail(&["backup", &address, text(&dest)]);
    assert!(error.contains("is it started with --admin"), "{error}");
    let error = fail(&["backup", text(directory.path()), "/nowhere/at/all"]);
    assert!(error.contains("can't write /nowhere/at/all"), "{error}");
    // Without a server, it is made of the directory.
    succeed(&["backup", text(directory.path()), text(&dest)]);
    assert!(
        std::fs::read_to_string(&dest)
            .unwrap()
            .ends_with("\"problems\":0}}\n")
    );
}

#[test]
fn nothing_is_replaced_by_a_backup_of_what_is_damaged() {
    let (directory, place) = (Directory::new(), Directory::new());
    let mut server = with_history(&directory);
    server.terminate();
    let heads = directory.path().join("heads");
    let mut marks = std::fs::read(&heads).unwrap();
    marks[16] ^= 1;
    std::fs::write(&heads, marks).unwrap();
    let error = fail(&["history", "verify", text(directory.path())]);
    assert!(error.contains("damaged or missing places: 1;"), "{error}");
    // That alone keeps no message from being read.
    let dest = place.path().join("backup");
    succeed(&["backup", text(directory.path()), text(&dest)]);

    std::fs::remove_file(&heads).unwrap();
    let end = directory.end_of_journal();
    directory.cut_journal(end - 100);
    std::fs::write(&heads, marks_of(1, 10_000)).unwrap();
    let error = fail(&["backup", text(directory.path()), text(&dest)]);
    assert!(error.contains("no backup was made"), "{error}");
    assert!(
        std::fs::read_to_string(&dest)
            .unwrap()
            .ends_with("\"problems\":0}}\n")
    );
}

/// The file of the high-water marks, with one topic.
fn marks_of(topic: u32, seq: u64) -> Vec<u8> {
    let number = seq.to_le_bytes();
    let checksum = xxhash_rust::xxh3::xxh3_64_with_seed(&number, topic.into());
    let mut marks = vec![0; 16];
    marks.extend(number);
    marks.extend(checksum.to_le_bytes());
    marks
}

#[test]
fn a_few_may_look_through_the_history_at_a_time() {
    let directory = Directory::new();
    let server = with_history(&directory);
    let address = admin(&server);
    let stuck = || {
        let mut stream = TcpStream::connect(address).unwrap();
        let request = b"GET /-/history/export?rate=65536 HTTP/1.0\r\n\r\n";
        stream.write_all(request).unwrap();
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        stream
    };
    let two = [stuck(), stuck()];
    let third = || Http::at(address).get("/-/history/topics", &[]);
    let refused = third();
    assert_eq!(refused.status, 429);
    assert!(refused.text().contains("try again"), "{refused:?}");
    drop(two);
    eventually("a place", || (third().status == 200).then_some(()));
}
