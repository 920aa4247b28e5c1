//! Subscribers that read everything, and come back at another server with what they have.

use std::sync::atomic::Ordering::SeqCst;

use serde_json::{Value, json};

use crate::harness::{Harness, PAUSE, StopAtEnd, THE_END, TOPICS, Who, random};
use crate::links::{Events, Link, Transport, error, expect_away};

/// Per topic, the texts in the order of their numbers, of which none is missing.
#[derive(Default)]
pub struct Read {
    pub texts: [Vec<String>; 2],
}

/// How a subscriber gets its messages.
#[derive(Clone, Copy, Debug)]
pub enum Way {
    Frames(Transport),
    Events,
}

pub struct Subscriber<'a> {
    harness: &'a Harness,
    number: usize,
    way: Way,
    /// The server that it is connected to, or was.
    server: usize,
    read: Read,
}

impl<'a> Subscriber<'a> {
    pub fn new(harness: &'a Harness, number: usize, way: Way) -> Self {
        Self {
            harness,
            number,
            way,
            server: number,
            read: Read::default(),
        }
    }

    pub fn run(mut self) -> Read {
        let stop = StopAtEnd(self.harness);
        while !self.is_at_end() {
            let lost = match self.way {
                Way::Frames(transport) => self.read_frames(transport),
                Way::Events => self.read_events(),
            };
            if lost.is_none() {
                let (number, server) = (self.number, self.server);
                println!("subscriber {number} leaves server {server}");
                self.tell("leaves it");
                std::thread::sleep(PAUSE);
            }
            if !self.is_at_end() {
                self.harness.rest();
            }
        }
        std::mem::forget(stop);
        self.read
    }

    fn tell(&self, what: &str) {
        let has = self.read.texts.each_ref().map(Vec::len);
        let what = format!("server {}, has {has:?}: {what}", self.server);
        self.harness.tell(Who::Subscriber(self.number), &what);
    }

    fn is_at_end(&self) -> bool {
        let is_end = |texts: &Vec<String>| texts.last().is_some_and(|text| text == THE_END);
        self.read.texts.iter().all(is_end)
    }

    /// One connection's life; none: it was lost.
    fn read_frames(&mut self, transport: Transport) -> Option<()> {
        let connect = |addr| Link::connect(addr, transport);
        let mut link = self.harness.connect(&mut self.server, connect);
        let epochs = &self.harness.epochs;
        let has =
            |place: usize| json!({"epoch": epochs[place], "seq": self.read.texts[place].len()});
        let resume = json!({"resume": {"T": has(0), "U": has(1)}});
        self.tell("registers");
        let answer = link.register(&TOPICS, &resume)?;
        self.tell("is registered");
        self.expect_recovered(&answer);
        let mut left = 1 + random(2000);
        while !self.is_at_end() && left > 0 {
            self.take(&link.frame()?)?;
            left -= 1;
        }
        Some(())
    }

    fn read_events(&mut self) -> Option<()> {
        let last = self.place();
        let open = |addr| Events::open(addr, &TOPICS, &last);
        self.tell("asks for a stream");
        let mut events = match self.harness.connect(&mut self.server, open) {
            Ok(events) => events,
            Err(503) => return None,
            Err(status) => panic!("status {status} for a stream"),
        };
        let mut left = 1 + random(2000);
        while !self.is_at_end() && left > 0 {
            let event = events.next()?;
            if event.frame["extended"].get("registered").is_some() {
                self.expect_recovered(&event.frame["extended"]["registered"]);
                continue;
            }
            self.take(&event.frame)?;
            if event.frame["message"].is_object() {
                assert_eq!(event.id, self.place(), "{}", event.frame);
            }
            left -= 1;
        }
        Some(())
    }

    /// What it has, as an event's id says it.
    fn place(&self) -> String {
        let parts = self.harness.epochs.iter().zip(&self.read.texts);
        let part = |(epoch, texts): (&Value, &Vec<String>)| {
            format!("{}:{}", epoch.as_str().unwrap(), texts.len())
        };
        parts.map(part).collect::<Vec<_>>().join(",")
    }

    fn expect_recovered(&self, answer: &Value) {
        for (topic, epoch) in TOPICS.iter().zip(&self.harness.epochs) {
            assert_eq!(answer["topics"][topic]["recovered"], true, "{answer}");
            assert_eq!(answer["topics"][topic]["epoch"], *epoch, "{answer}");
        }
        self.harness.resumes.fetch_add(1, SeqCst);
    }

    /// None: the server ends, or says that it knows nothing.
    fn take(&mut self, frame: &Value) -> Option<()> {
        if let Some(error) = error(frame) {
            self.tell(&frame.to_string());
            expect_away(&error);
            return None;
        }
        let extended = &frame["extended"];
        if extended.get("notice").is_some() || extended.get("reconnect").is_some() {
            return Some(());
        }
        let place = TOPICS
            .iter()
            .position(|topic| frame["message"]["topic"] == *topic);
        let place = place.unwrap_or_else(|| panic!("no message: {frame}"));
        let texts = &mut self.read.texts[place];
        let (number, server) = (self.number, self.server);
        let (has, seq) = (texts.len(), extended["seq"].as_u64().unwrap());
        let known = seq.checked_sub(1).and_then(|at| texts.get(at as usize));
        assert!(
            seq == has as u64 + 1,
            "subscriber {number} has {has} messages, number {seq} is {known:?}, and got from \
             server {server}: {frame}"
        );
        texts.push(frame["message"]["text"].as_str().unwrap().to_owned());
        self.harness.read[number].fetch_add(1, SeqCst);
        Some(())
    }
}
