//! A disk that becomes full, and is made free again, under several publishers at
//! full speed: what was acknowledged is there, at its number, and nothing else is.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use serde_json::{Value, json};

use crate::common::{Client, SmallDisk, eventually};

const PUBLISHERS: u64 = 3;

/// Messages that a publisher has on their way.
const BURST: u64 = 20;

/// What has become of messages so far.
#[derive(Default)]
struct Counts {
    stored: AtomicU64,
    refused: AtomicU64,
    are_to_finish: AtomicBool,
}

#[test]
fn what_is_acknowledged_while_the_disk_fills_and_empties_is_there() {
    let Some(disk) = SmallDisk::new("size=24m") else {
        return;
    };
    let server = disk.serve(&[]);
    let (addr, counts) = (server.v4(), Counts::default());
    let mut reader = server.connect();
    let answer = reader.register_extended(&["T"], json!({}));
    let stored: BTreeMap<u64, String> = std::thread::scope(|scope| {
        let _finish = Finish(&counts);
        let publishers: Vec<_> = (0..PUBLISHERS)
            .map(|number| {
                let counts = &counts;
                scope.spawn(move || publish(addr, number, counts))
            })
            .collect();
        for _ in 0..2 {
            counts.wait_for_more(&counts.stored);
            disk.fill();
            counts.wait_for_more(&counts.refused);
            disk.make_room();
        }
        counts.wait_for_more(&counts.stored);
        counts.are_to_finish.store(true, SeqCst);
        let all = publishers.into_iter().flat_map(|one| one.join().unwrap());
        all.collect()
    });
    let newest = stored.len() as u64;
    // No number was given twice, and none left out.
    assert!(stored.keys().copied().eq(1..=newest));
    assert_eq!(newest, counts.stored.load(SeqCst));
    // Who was there all the time saw them in this order, among those not stored.
    let mut seen = 0;
    while seen < newest {
        let delivered = reader.delivered();
        if let Some(seq) = delivered.seq {
            seen += 1;
            assert_eq!((seq, &delivered.text), (seen, &stored[&seq]));
        }
    }
    // And so does who comes back.
    let mut late = server.connect();
    let epoch = &answer["topics"]["T"]["epoch"];
    let resume = json!({"resume": {"T": {"epoch": epoch, "seq": 0}}});
    let answer = late.register_extended(&["T"], resume);
    let state = json!({"epoch": epoch, "seq": newest, "recovered": true});
    assert_eq!(answer["topics"]["T"], state);
    for (seq, text) in &stored {
        late.expect_delivered("T", text, *seq);
    }
    late.sync_topic("T");
}

/// Publishes bursts of messages with ids; gives those that were acknowledged, by
/// their numbers.
fn publish(addr: SocketAddr, number: u64, counts: &Counts) -> Vec<(u64, String)> {
    let mut client = Client::connect(addr);
    client.register_extended(&["T"], json!({"client": format!("publisher {number}")}));
    let filler = "x".repeat(500);
    let mut stored = Vec::new();
    let mut sent = 0;
    while !counts.are_to_finish.load(SeqCst) {
        let mut burst = Vec::new();
        for _ in 0..BURST {
            sent += 1;
            let frame = json!({
                "extended": {"id": sent.to_string()},
                "message": {"topic": "T", "text": format!("{number} {sent} {filler}")},
            });
            burst.extend(format!("{frame}\n").into_bytes());
        }
        client.send(&burst);
        let mut told = 0;
        while told < BURST {
            let frame = client.frame();
            let (ack, error) = (&frame["extended"]["ack"], &frame["extended"]["error"]);
            if ack.is_object() {
                let (seq, id) = (ack["seq"].as_u64().unwrap(), text(&ack["id"]));
                stored.push((seq, format!("{number} {id} {filler}")));
                counts.stored.fetch_add(1, SeqCst);
            } else if error.is_object() {
                assert_eq!(error["code"], "storage-full", "{frame}");
                let id: u64 = text(&error["id"]).parse().unwrap();
                assert!((sent - BURST + 1..=sent).contains(&id), "{frame}");
                counts.refused.fetch_add(1, SeqCst);
            } else {
                continue;
            }
            told += 1;
        }
        // A full disk refuses at once: leave the processor to those who read.
        std::thread::sleep(Duration::from_millis(1));
    }
    stored
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

impl Counts {
    /// Waits until there are some more.
    fn wait_for_more(&self, count: &AtomicU64) {
        let enough = count.load(SeqCst) + 10 * PUBLISHERS * BURST;
        eventually("messages to be stored or refused", || {
            (count.load(SeqCst) >= enough).then_some(())
        });
    }
}

/// Lets the publishers end, too, when something has failed.
struct Finish<'a>(&'a Counts);

impl Drop for Finish<'_> {
    fn drop(&mut self) {
        self.0.are_to_finish.store(true, SeqCst);
    }
}
