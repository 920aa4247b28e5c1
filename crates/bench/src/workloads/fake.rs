//! A natter server as far as tests of what a server keeps need one: one topic,
//! acknowledgements and replay, and faults where a test wants them.

#![expect(
    clippy::disallowed_types,
    reason = "a panic ends the fake server, so nobody meets a poisoned lock"
)]

use super::Target;
use crate::contender::{System, Variant};
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// What it does, faults included.
pub(super) struct Fake {
    /// The answer to a message: its id, and its number in the topic, from 1.
    pub(super) ack: fn(&str, usize) -> String,
    /// How often a reader gets the message of that number.
    pub(super) copies: fn(usize) -> usize,
}

/// All frames of the topic, without their first brace and their ids.
type Topic = Arc<Mutex<Vec<String>>>;

/// The answer of a server without faults.
pub(super) fn acknowledgement(id: &str, sequence: usize) -> String {
    let ack = serde_json::json!({ "id": id, "topic": "t-0", "seq": sequence });
    format!("{{\"extended\":{{\"ack\":{ack}}}}}\n")
}

impl Fake {
    /// A server without faults.
    pub(super) fn sound() -> Self {
        Self {
            ack: acknowledgement,
            copies: |_| 1,
        }
    }

    /// Serves on its own port until the process ends.
    pub(super) fn start(self) -> Target {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (fake, topic) = (Arc::new(self), Topic::default());
        std::thread::spawn(move || {
            for peer in listener.incoming().flatten() {
                let (fake, topic) = (fake.clone(), topic.clone());
                // It ends with an error when the peer has gone.
                std::thread::spawn(move || fake.serve(&peer, &topic));
            }
        });
        Target::new(System::Natter, Variant::Usual, address, None)
    }

    fn serve(&self, peer: &TcpStream, topic: &Topic) -> std::io::Result<()> {
        let mut out = BufWriter::new(peer);
        for line in BufReader::new(peer).lines() {
            let line = line?;
            let frame: serde_json::Value = serde_json::from_str(&line)?;
            let extended = &frame["extended"];
            if let Some(id) = extended["id"].as_str() {
                let (_, rest) = line.split_once("},").unwrap();
                let mut topic = topic.lock().unwrap();
                topic.push(rest.to_owned());
                out.write_all((self.ack)(id, topic.len()).as_bytes())?;
            } else {
                writeln!(
                    out,
                    "{{\"extended\":{{\"registered\":{{\"topics\":{{}}}}}}}}"
                )?;
                let last = extended["last"].as_u64().unwrap_or(0);
                self.replay(usize::try_from(last).unwrap(), topic, &mut out)?;
            }
            out.flush()?;
        }
        Ok(())
    }

    fn replay(&self, last: usize, topic: &Topic, out: &mut impl Write) -> std::io::Result<()> {
        let topic = topic.lock().unwrap();
        for (index, rest) in topic.iter().enumerate().skip(topic.len() - last) {
            let sequence = index + 1;
            let envelope = format!("{{\"extended\":{{\"seq\":{sequence},\"time\":1}},");
            for _ in 0..(self.copies)(sequence) {
                writeln!(out, "{envelope}{rest}")?;
            }
        }
        Ok(())
    }
}
