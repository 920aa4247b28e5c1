//! The power fails under a server that stores: its file system is cut off from its disk in
//! one moment, and what was only in memory is gone. On a new start the file system finds its
//! journal and the server its own, and everything that was acknowledged is there.
//!
//! The disk is a file, mounted as a loop device. The kernel's `FS_IOC_SHUTDOWN` without a
//! flush is what makes the moment: nothing that the file system holds reaches the disk after
//! it. (A copy of the file would have its first blocks from earlier than its last, and a
//! freeze would flush.)

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};

use parking_lot::Mutex;
use serde_json::json;

use crate::common::{Frail, LoopDisk, Process, eventually};

const PUBLISHERS: u64 = 3;

/// Messages that a publisher has on their way.
const BURST: u64 = 20;

/// Acknowledgements before a cut, at most.
const LIFE: u64 = 600;

/// Cuts a file system off as `godown` of xfstests does: no more of it reaches the disk. It
/// says when it is ready, and does it when it is told.
const CUT: &str = "import fcntl, os, struct, sys
disk = os.open(sys.argv[1], os.O_RDONLY)
print(flush=True)
sys.stdin.readline()
fcntl.ioctl(disk, 0x8004587D, struct.pack('I', 2))";

#[test]
fn what_was_acknowledged_survives_a_power_cut() {
    cut_again_and_again(3);
}

#[test]
#[ignore = "long: cuts the power 50 times, which takes minutes"]
fn what_was_acknowledged_survives_50_power_cuts() {
    cut_again_and_again(50);
}

fn cut_again_and_again(cuts: u32) {
    let Some(disk) = LoopDisk::new() else {
        println!("skipped: it takes root, ext4 and a loop device");
        return;
    };
    let harness = Harness::default();
    for _ in 0..cuts {
        let mut server = disk.serve(&[]);
        harness.check(&server);
        let addr = server.v4();
        harness.is_over.store(false, SeqCst);
        let knife = Knife::at(&disk);
        let target = harness.count.load(SeqCst) + 1 + getrandom::u64().unwrap() % LIFE;
        std::thread::scope(|scope| {
            for number in 0..PUBLISHERS {
                let harness = &harness;
                scope.spawn(move || harness.publish(number, Frail::connect(addr).unwrap()));
            }
            eventually("acknowledgements", || {
                (harness.count.load(SeqCst) >= target).then_some(())
            });
            // What is acknowledged later, by a machine without power, doesn't count: the
            // kernel may say of a flush that it was in time when it wasn't.
            harness.is_over.store(true, SeqCst);
            knife.cut();
            server.kill();
        });
        disk.come_back();
    }
    harness.check(&disk.serve(&[]));
    let count = harness.count.load(SeqCst);
    println!("{cuts} power cuts, {count} messages acknowledged, none lost");
}

/// What was acknowledged: the texts by their numbers.
#[derive(Default)]
struct Harness {
    acknowledged: Mutex<BTreeMap<u64, String>>,
    count: AtomicU64,
    is_over: AtomicBool,
}

impl Harness {
    /// Publishes until the connection is lost, or something isn't stored.
    fn publish(&self, number: u64, mut client: Frail) {
        let run = getrandom::u64().unwrap();
        let key = json!({"client": format!("k{number}")});
        if client.register(&["T"], &key).is_none() {
            return;
        }
        for message in 0.. {
            if message >= BURST && self.take_ack(&mut client).is_none() {
                return;
            }
            let text = format!("{run:x}-{message}");
            let frame = json!({
                "extended": {"id": text},
                "message": {"topic": "T", "text": text},
            });
            if client.send(format!("{frame}\n").as_bytes()).is_none() {
                return;
            }
        }
    }

    /// Notes the next acknowledgement; none if there is another answer.
    fn take_ack(&self, client: &mut Frail) -> Option<()> {
        loop {
            let frame = client.frame()?;
            if frame["message"].is_object() {
                continue;
            }
            let ack = &frame["extended"]["ack"];
            let (seq, id) = (ack["seq"].as_u64()?, ack["id"].as_str()?);
            let mut acknowledged = self.acknowledged.lock();
            if self.is_over.load(SeqCst) {
                return Some(());
            }
            let before = acknowledged.insert(seq, id.to_owned());
            assert_eq!(before, None, "the number {seq} was given twice");
            self.count.fetch_add(1, SeqCst);
            return Some(());
        }
    }

    /// All that was acknowledged is where it was.
    fn check(&self, server: &Process) {
        let mut reader = server.connect();
        reader.register_extended(&["T"], json!({"last": 1_000_000}));
        reader.finish_sending();
        let mut kept = BTreeMap::new();
        while let Some(line) = reader.next_line() {
            let frame: serde_json::Value = serde_json::from_slice(&line).unwrap();
            let text = frame["message"]["text"].as_str().unwrap().to_owned();
            kept.insert(frame["extended"]["seq"].as_u64().unwrap(), text);
        }
        for (seq, text) in self.acknowledged.lock().iter() {
            assert_eq!(kept.get(seq), Some(text), "message {seq} of {}", kept.len());
        }
    }
}

/// A process that cuts a disk off as soon as it is told.
struct Knife(Child);

impl Knife {
    /// Ready to cut this one off.
    fn at(disk: &LoopDisk) -> Self {
        let mut python = Command::new("python3");
        python.args(["-c", CUT]).arg(disk.path());
        let python = python.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut python = python.spawn().unwrap();
        let mut ready = [0];
        python
            .stdout
            .as_mut()
            .unwrap()
            .read_exact(&mut ready)
            .unwrap();
        Self(python)
    }

    fn cut(mut self) {
        self.0.stdin.take().unwrap().write_all(b"\n").unwrap();
        assert!(self.0.wait().unwrap().success(), "can't cut");
    }
}
