//! What a resume was promised comes, though other topics have to answer first while
//! this one's history moves on.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use serde_json::{Value, json};

use crate::common::{Client, TestServer, message};

/// So many that their answers take longer than a busy topic needs to forget.
const OTHERS: usize = 200;

#[test]
fn what_a_resume_was_promised_comes_though_others_answer_first() {
    let server = TestServer::start();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // Also when something below fails, or the publisher would go on for ever.
        let _stop_at_end = StopAtEnd(&stop);
        scope.spawn(|| {
            let mut sender = server.connect();
            sender.register_extended(&["T"], json!({}));
            let burst = message("T", "x").repeat(400);
            while !stop.load(Relaxed) {
                sender.send(&burst);
            }
        });
        let names: Vec<String> = (0..OTHERS).map(|n| format!("other {n}")).collect();
        let mut topics: Vec<&str> = names.iter().map(String::as_str).collect();
        topics.push("T");
        // In most rounds the history reaches back far enough.
        let mut kept = 0;
        for _ in 0..1_000 {
            kept += u32::from(is_kept(&server, &topics));
            if kept == 25 {
                return;
            }
        }
        panic!("only {kept} of 1,000 resumes were promised anything");
    });
}

/// Resumes at a message of just now. False: it was told that this is too old already.
fn is_kept(server: &TestServer, topics: &[&str]) -> bool {
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
    expect_all(&mut reader, seen, state);
    true
}

/// Everything up to the newest message at the registration must come.
fn expect_all(reader: &mut Client, seen: u64, state: &Value) {
    for seq in seen + 1..=state["seq"].as_u64().unwrap() {
        let frame = reader.frame();
        assert_eq!(frame["extended"]["seq"], seq, "{state}: {frame}");
    }
}

struct StopAtEnd<'a>(&'a AtomicBool);

impl Drop for StopAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}
