//! Publishers that send what wasn't acknowledged again, with the same ids, at another server.

use std::collections::VecDeque;
use std::sync::atomic::Ordering::SeqCst;

use serde_json::{Value, json};

use crate::harness::{Harness, PAUSE, StopAtEnd, TOPICS, Who, random};
use crate::links::{Link, Transport, error, expect_away, post};
use crate::servers::COUNT;

/// Messages that a publisher has on their way at most.
const BURST: u64 = 40;

/// Per topic, what was acknowledged: numbers in the topic's order, and texts.
pub type Published = [Vec<(u64, String)>; 2];

/// Sends bursts of messages over a connection that carries frames.
pub struct Publisher<'a> {
    harness: &'a Harness,
    number: usize,
    transport: Transport,
    /// The server that it is connected to, or was.
    server: usize,
    sent: u64,
    waiting: [VecDeque<String>; 2],
    acknowledged: Published,
}

impl<'a> Publisher<'a> {
    pub fn new(harness: &'a Harness, number: usize, transport: Transport) -> Self {
        Self {
            harness,
            number,
            transport,
            server: number,
            sent: 0,
            waiting: Default::default(),
            acknowledged: Default::default(),
        }
    }

    pub fn run(mut self) -> Published {
        let stop = StopAtEnd(self.harness);
        while self.live().is_none() {
            self.tell("leaves it");
            std::thread::sleep(PAUSE);
            self.harness.rest();
        }
        std::mem::forget(stop);
        self.acknowledged
    }

    fn tell(&self, what: &str) {
        let waiting = self.waiting.each_ref().map(|one| (one.len(), one.front()));
        let what = format!("server {}, waiting for {waiting:?}: {what}", self.server);
        self.harness.tell(Who::Publisher(self.number), &what);
    }

    /// One connection's life; none: it was lost.
    fn live(&mut self) -> Option<()> {
        let transport = self.transport;
        let connect = |addr| Link::connect(addr, transport);
        let mut link = self.harness.connect(&mut self.server, connect);
        let key = format!("publisher {}", self.number);
        self.tell("registers");
        link.register(&TOPICS, &json!({ "client": key }))?;
        self.tell("is registered");
        let again = self.waiting.iter().map(|one| one.len() as u64).sum();
        self.harness.sent_again.fetch_add(again, SeqCst);
        self.send_waiting(&mut link)?;
        loop {
            while self.waiting.iter().any(|waiting| !waiting.is_empty()) {
                self.read(&link.frame()?)?;
            }
            self.harness.expect_no_failure();
            if self.harness.are_to_finish.load(SeqCst) {
                return Some(());
            }
            for _ in 0..=random(BURST) {
                self.sent += 1;
                let text = format!("{} {}", self.number, self.sent);
                self.waiting[(self.sent % 2) as usize].push_back(text);
            }
            self.send_waiting(&mut link)?;
        }
    }

    fn send_waiting(&self, link: &mut Link) -> Option<()> {
        let frame = |topic: &str, text: &String| json!({"extended": {"id": text}, "message": {"topic": topic, "text": text}});
        let topics = TOPICS.iter().zip(&self.waiting);
        let frames = topics.flat_map(|(topic, texts)| texts.iter().map(|text| frame(topic, text)));
        link.send(&frames.collect::<Vec<_>>())
    }

    /// Acknowledgements come in each topic's order; what others say isn't of interest. None: the
    /// server can't tell what became of a message, or ends.
    fn read(&mut self, frame: &Value) -> Option<()> {
        let extended = &frame["extended"];
        if let Some(error) = error(frame) {
            self.tell(&frame.to_string());
            expect_away(&error);
            return None;
        }
        if frame.get("message").is_some() || extended.get("ack").is_none() {
            return Some(());
        }
        let ack = &extended["ack"];
        let place = TOPICS.iter().position(|topic| ack["topic"] == *topic);
        let place = place.unwrap_or_else(|| panic!("no acknowledgement: {frame}"));
        let text = self.waiting[place].pop_front().unwrap();
        assert_eq!(ack["id"], text, "to publisher {}", self.number);
        if self.waiting.iter().all(VecDeque::is_empty) {
            self.tell(&format!("all acknowledged up to {text}"));
        }
        self.acknowledged[place].push((ack["seq"].as_u64().unwrap(), text));
        self.harness.acknowledged[self.number].fetch_add(1, SeqCst);
        Some(())
    }
}

/// Sends one request after another.
pub fn publish_by_requests(harness: &Harness, number: usize) -> Published {
    let stop = StopAtEnd(harness);
    let mut acknowledged = Published::default();
    let mut server = number;
    let mut sent = 0;
    while !harness.are_to_finish.load(SeqCst) {
        harness.expect_no_failure();
        sent += 1;
        let place = sent % 2;
        let text = format!("{number} {sent}");
        let path = format!(
            "/{}?id={number}-{sent}&user=publisher{number}",
            TOPICS[place]
        );
        let seq = harness.wait("a request to be answered", || {
            let answer = harness
                .addr(server)
                .and_then(|addr| post(addr, &path, &text));
            let told = format!("server {server}, {text}: {answer:?}");
            harness.tell(Who::Publisher(number), &told);
            match answer {
                Some((200, body)) => Some(body["seq"].as_u64().unwrap()),
                // It stays at a server as long as that answers.
                None | Some((503, _)) => {
                    harness.sent_again.fetch_add(1, SeqCst);
                    server = (server + 1) % COUNT;
                    std::thread::sleep(PAUSE);
                    None
                }
                Some((status, body)) => panic!("status {status}: {body}"),
            }
        });
        acknowledged[place].push((seq, text));
        harness.acknowledged[number].fetch_add(1, SeqCst);
    }
    std::mem::forget(stop);
    acknowledged
}
