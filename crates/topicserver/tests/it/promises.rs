//! What a resume was promised comes, though other topics have to answer first while
//! this one's history moves on.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Condvar, Mutex};

use serde_json::{Value, json};

use crate::common::{Client, TestServer, is_in_cluster, message};

/// So many that their answers take longer than a busy topic needs to forget.
const OTHERS: usize = 200;

#[test]
fn what_a_resume_was_promised_comes_though_others_answer_first() {
    let server = TestServer::start();
    let stop = AtomicBool::new(false);
    let flood = Flood::default();
    std::thread::scope(|scope| {
        // Also when something below fails, or the publisher would go on for ever.
        let _stop_at_end = StopAtEnd(&stop, &flood);
        scope.spawn(|| {
            let mut sender = server.connect();
            sender.register_extended(&["T"], json!({}));
            let burst = message("T", "x").repeat(400);
            while !stop.load(Relaxed) {
                flood.wait();
                sender.send(&burst);
            }
        });
        let names: Vec<String> = (0..OTHERS).map(|n| format!("other {n}")).collect();
        let mut topics: Vec<&str> = names.iter().map(String::as_str).collect();
        topics.push("T");
        // In most rounds the history reaches back far enough.
        let mut kept = 0;
        for _ in 0..1_000 {
            kept += u32::from(is_kept(&server, &topics, &flood));
            if kept == 25 {
                return;
            }
        }
        panic!("only {kept} of 1,000 resumes were promised anything");
    });
}

/// Resumes at a message of just now. False: it was told that this is too old already.
fn is_kept(server: &TestServer, topics: &[&str], flood: &Flood) -> bool {
    let (mut reader, answer) = server.extended(&["T"], json!({}));
    let frame = reader.frame();
    let seen = match frame["extended"]["gap"]["to"].as_u64() {
        Some(to) => to,
        None => frame["extended"]["seq"].as_u64().unwrap(),
    };
    let resume = json!({"T": {"epoch": answer["topics"]["T"]["epoch"], "seq": seen}});
    let (mut reader, answer) = server.extended(topics, json!({ "resume": resume }));
    let state = &answer["topics"]["T"];
    if state["recovered"] != true {
        return false;
    }
    flood.hold(is_in_cluster());
    expect_all(&mut reader, seen, state);
    flood.hold(false);
    true
}

/// Everything up to the newest message at the registration must come.
fn expect_all(reader: &mut Client, seen: u64, state: &Value) {
    for seq in seen + 1..=state["seq"].as_u64().unwrap() {
        let frame = reader.frame();
        assert_eq!(frame["extended"]["seq"], seq, "{state}: {frame}");
    }
}

/// Holds the publisher back. A cluster gives what isn't in memory from its log, at the pace of the
/// reader, and this test's reads so slowly that a million newer messages would overtake it; what is
/// deleted for them is told by a gap, as beneath any server with a disk.
#[derive(Default)]
struct Flood {
    is_held: Mutex<bool>,
    changed: Condvar,
}

impl Flood {
    fn hold(&self, is_held: bool) {
        *self.is_held.lock().unwrap() = is_held;
        self.changed.notify_all();
    }

    fn wait(&self) {
        let is_held = self.is_held.lock().unwrap();
        drop(self.changed.wait_while(is_held, |is_held| *is_held));
    }
}

struct StopAtEnd<'a>(&'a AtomicBool, &'a Flood);

impl Drop for StopAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
        self.1.hold(false);
    }
}
