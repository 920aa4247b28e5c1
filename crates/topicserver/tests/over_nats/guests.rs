//! Clients that leave a server when it asks for that, as docs/protocol.md says, and complain of
//! everything else that stops them.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{PAUSE, StopAtEnd, THE_END, TOPICS, random};
use crate::links::{Events, Link, Transport};
use crate::publishers::Published;
use crate::subscribers::Read;
use crate::witness::{Outcome, Witness, request};

/// Messages that a publisher has on their way at most.
const BURST: u64 = 10;

/// The pause between two bursts or requests: what is of interest is that somebody always waits, not
/// how much a machine takes.
const REST: Duration = Duration::from_millis(25);

/// What a client knows about where it is, and where it goes.
struct Guest<'a> {
    witness: &'a Witness<'a>,
    who: String,
    addr: SocketAddr,
    /// When it leaves, and to where: the server has asked for it.
    moving: Option<(Instant, Vec<SocketAddr>)>,
}

impl<'a> Guest<'a> {
    fn new(witness: &'a Witness<'a>, who: String) -> Self {
        Self {
            witness,
            who,
            addr: witness.balanced(),
            moving: None,
        }
    }

    fn complain(&self, what: &str) {
        self.witness.complain(&self.who, what);
    }

    /// A connection: to where it was sent, at the time for that.
    fn connect(&mut self, transport: Transport) -> Link {
        if let Some((at, servers)) = self.moving.take() {
            std::thread::sleep(at.saturating_duration_since(Instant::now()));
            self.addr = servers[random(servers.len() as u64) as usize];
        }
        loop {
            if let Some(link) = Link::connect(self.addr, transport) {
                return link;
            }
            self.complain(&format!("{} can't be reached", self.addr));
            self.lose();
        }
    }

    /// Registers: what was answered. None: the connection has ended.
    fn register(&mut self, link: &mut Link, options: &Value) -> Option<Value> {
        link.send(&[json!({"topics": TOPICS, "extended": options})])?;
        loop {
            let frame = self.frame(link)?;
            if let Some(registered) = frame["extended"].get("registered") {
                return Some(registered.clone());
            }
        }
    }

    /// The next frame. None: the connection has ended, or it is time to leave.
    fn frame(&mut self, link: &mut Link) -> Option<Value> {
        if self.is_time() {
            return None;
        }
        match link.frame() {
            Some(frame) => self.heed(&frame).then_some(frame),
            None if self.moving.is_some() => None,
            None => {
                self.complain("the connection ended without a word, or nothing came");
                self.lose();
                None
            }
        }
    }

    fn is_time(&self) -> bool {
        let moving = self.moving.as_ref();
        moving.is_some_and(|(at, _)| *at <= Instant::now())
    }

    /// Whether the connection goes on.
    fn heed(&mut self, frame: &Value) -> bool {
        let extended = &frame["extended"];
        if let Some(asked) = extended.get("reconnect") {
            let within = Duration::from_millis(random(1 + asked["within"].as_u64().unwrap()));
            let servers = asked["servers"].as_array().unwrap().iter();
            let servers: Vec<_> = servers
                .map(|server| server.as_str().unwrap().parse().unwrap())
                .collect();
            assert!(!servers.is_empty(), "no other server is named: {frame}");
            self.moving = Some((Instant::now() + within, servers));
            return true;
        }
        let is_bad = frame["message"]["topic"] == "error"
            || ["error", "notice", "gap"]
                .iter()
                .any(|bad| extended.get(bad).is_some());
        if !is_bad {
            return true;
        }
        // The last word of a server that has asked its clients to leave is no error.
        let is_farewell = extended["error"]["code"] == "shutting-down" && self.moving.is_some();
        if !is_farewell {
            self.complain(&frame.to_string());
            self.lose();
        }
        false
    }

    /// Goes elsewhere.
    fn lose(&mut self) {
        std::thread::sleep(PAUSE);
        self.addr = self.witness.balanced();
    }
}

/// Publishes bursts over a connection that carries frames.
pub fn publish(witness: &Witness<'_>, number: usize, transport: Transport) -> Published {
    let stop = StopAtEnd(witness.harness);
    let mut publisher = Publisher {
        guest: Guest::new(witness, format!("publisher {number} ({transport:?})")),
        number,
        sent: 0,
        waiting: Default::default(),
        acknowledged: Default::default(),
    };
    while publisher.live(transport).is_none() {
        witness.harness.expect_no_failure();
    }
    std::mem::forget(stop);
    publisher.acknowledged
}

struct Publisher<'a> {
    guest: Guest<'a>,
    number: usize,
    sent: u64,
    /// Texts, and when each was sent first.
    waiting: [VecDeque<(String, Instant)>; 2],
    acknowledged: Published,
}

impl Publisher<'_> {
    /// One connection's life. None: it has ended.
    fn live(&mut self, transport: Transport) -> Option<()> {
        let mut link = self.guest.connect(transport);
        let key = format!("publisher {}", self.number);
        self.guest.register(&mut link, &json!({ "client": key }))?;
        self.send_waiting(&mut link)?;
        let harness = self.guest.witness.harness;
        loop {
            while self.waiting.iter().any(|waiting| !waiting.is_empty()) {
                let frame = self.guest.frame(&mut link)?;
                self.take(&frame);
            }
            harness.expect_no_failure();
            if harness.are_to_finish.load(SeqCst) {
                return Some(());
            }
            std::thread::sleep(REST);
            for _ in 0..=random(BURST) {
                self.sent += 1;
                let text = format!("{} {}", self.number, self.sent);
                self.waiting[(self.sent % 2) as usize].push_back((text, Instant::now()));
            }
            self.send_waiting(&mut link)?;
        }
    }

    fn send_waiting(&self, link: &mut Link) -> Option<()> {
        let frame = |topic: &str, text: &str| json!({"extended": {"id": text}, "message": {"topic": topic, "text": text}});
        let topics = TOPICS.iter().zip(&self.waiting);
        let frames =
            topics.flat_map(|(topic, texts)| texts.iter().map(|(text, _)| frame(topic, text)));
        link.send(&frames.collect::<Vec<_>>())
    }

    /// Takes an acknowledgement; other frames aren't of interest.
    fn take(&mut self, frame: &Value) {
        let Some(ack) = frame["extended"].get("ack") else {
            return;
        };
        let place = TOPICS.iter().position(|topic| ack["topic"] == *topic);
        let place = place.unwrap_or_else(|| panic!("no acknowledgement: {frame}"));
        let (text, sent) = self.waiting[place].pop_front().unwrap();
        assert_eq!(ack["id"], text, "to {}", self.guest.who);
        self.guest.witness.acknowledged(&self.guest.who, sent);
        self.acknowledged[place].push((ack["seq"].as_u64().unwrap(), text));
        self.guest.witness.harness.acknowledged[self.number].fetch_add(1, SeqCst);
    }
}

/// Sends one request after another, through a balancer.
pub fn publish_by_requests(witness: &Witness<'_>, number: usize) -> Published {
    let harness = witness.harness;
    let stop = StopAtEnd(harness);
    let who = format!("publisher {number} (requests)");
    let mut acknowledged = Published::default();
    let mut sent = 0;
    while !harness.are_to_finish.load(SeqCst) {
        harness.expect_no_failure();
        std::thread::sleep(REST);
        sent += 1;
        let (place, text, began) = (sent % 2, format!("{number} {sent}"), Instant::now());
        let path = format!(
            "/{}?id={number}-{sent}&user=publisher{number}",
            TOPICS[place]
        );
        let seq = harness.wait("a request to be answered", || {
            let addr = witness.balanced();
            match request(addr, "POST", &path, &text) {
                Outcome::Answered(200, body) => Some(body["seq"].as_u64().unwrap()),
                Outcome::Refused => None,
                outcome => {
                    witness.complain(&who, &format!("{addr}: {outcome:?}"));
                    None
                }
            }
        });
        witness.acknowledged(&who, began);
        acknowledged[place].push((seq, text));
        harness.acknowledged[number].fetch_add(1, SeqCst);
    }
    std::mem::forget(stop);
    acknowledged
}

/// Reads everything over connections that carry frames.
pub fn read_frames(witness: &Witness<'_>, number: usize, transport: Transport) -> Read {
    let stop = StopAtEnd(witness.harness);
    let mut guest = Guest::new(witness, format!("reader {number} ({transport:?})"));
    let mut read = Read::default();
    while !is_at_end(&read) {
        let mut link = guest.connect(transport);
        let epochs = &witness.harness.epochs;
        let has = |place: usize| json!({"epoch": epochs[place], "seq": read.texts[place].len()});
        let resume = json!({"resume": {"T": has(0), "U": has(1)}});
        if let Some(answer) = guest.register(&mut link, &resume) {
            expect_recovered(witness, &answer);
            while !is_at_end(&read)
                && let Some(frame) = guest.frame(&mut link)
            {
                take(witness, number, &mut read, &frame);
            }
        }
        witness.harness.expect_no_failure();
    }
    std::mem::forget(stop);
    read
}

/// Reads everything over streams of events, through a balancer.
pub fn read_events(witness: &Witness<'_>, number: usize) -> Read {
    let harness = witness.harness;
    let stop = StopAtEnd(harness);
    let who = format!("reader {number} (events)");
    let mut read = Read::default();
    while !is_at_end(&read) {
        harness.rest();
        let parts = harness.epochs.iter().zip(&read.texts);
        let part = |(epoch, texts): (&Value, &Vec<String>)| {
            format!("{}:{}", epoch.as_str().unwrap(), texts.len())
        };
        let last = parts.map(part).collect::<Vec<_>>().join(",");
        let addr = witness.balanced();
        let mut events = match Events::open(addr, &TOPICS, &last) {
            Some(Ok(events)) => events,
            Some(Err(status)) => {
                witness.complain(&who, &format!("status {status}"));
                continue;
            }
            // A balancer tries another one.
            None => continue,
        };
        while !is_at_end(&read) {
            // A browser comes back by itself when a stream has ended.
            let Some(event) = events.next() else {
                if !events.is_told_to_come_back() {
                    witness.complain(&who, "the stream ended without a word, or nothing came");
                }
                break;
            };
            let extended = &event.frame["extended"];
            if extended.get("registered").is_some() {
                expect_recovered(witness, &extended["registered"]);
            } else if event.frame["message"]["topic"] == "error"
                || ["error", "notice", "gap"]
                    .iter()
                    .any(|bad| extended.get(bad).is_some())
            {
                if extended["error"]["code"] != "shutting-down" {
                    witness.complain(&who, &event.frame.to_string());
                }
            } else {
                take(witness, number, &mut read, &event.frame);
            }
        }
    }
    std::mem::forget(stop);
    read
}

fn is_at_end(read: &Read) -> bool {
    let is_end = |texts: &Vec<String>| texts.last().is_some_and(|text| text == THE_END);
    read.texts.iter().all(is_end)
}

fn expect_recovered(witness: &Witness<'_>, answer: &Value) {
    for (topic, epoch) in TOPICS.iter().zip(&witness.harness.epochs) {
        assert_eq!(answer["topics"][topic]["recovered"], true, "{answer}");
        assert_eq!(answer["topics"][topic]["epoch"], *epoch, "{answer}");
    }
    witness.harness.resumes.fetch_add(1, SeqCst);
}

/// Takes a message; other frames aren't of interest.
fn take(witness: &Witness<'_>, number: usize, read: &mut Read, frame: &Value) {
    let topic = &frame["message"]["topic"];
    let Some(place) = TOPICS.iter().position(|one| topic == one) else {
        return;
    };
    let (texts, seq) = (&mut read.texts[place], &frame["extended"]["seq"]);
    assert_eq!(*seq, texts.len() + 1, "to reader {number}: {frame}");
    texts.push(frame["message"]["text"].as_str().unwrap().to_owned());
    witness.harness.read[number].fetch_add(1, SeqCst);
}
