//! A server that is killed again and again while many publish and read, and that
//! comes back on its directory: nothing acknowledged is lost, nothing comes twice
//! or in another order, and every resume is complete.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::common::{Directory, Frail, LIMIT, Process};

const TOPICS: [&str; 2] = ["T", "U"];

const PUBLISHERS: u64 = 3;

const SUBSCRIBERS: u64 = 3;

/// Messages that a publisher has on their way at most.
const BURST: u64 = 40;

/// Acknowledgements between a start and the next kill at most.
const LIFE: u64 = 400;

/// What ends a topic: no publisher says it.
const THE_END: &str = "the end";

#[test]
fn a_server_that_is_killed_loses_doubles_and_reorders_nothing() {
    kill_again_and_again(10);
}

#[test]
#[ignore = "long: kills a server 200 times, which takes minutes"]
fn a_server_that_is_killed_200_times_loses_doubles_and_reorders_nothing() {
    kill_again_and_again(200);
}

fn kill_again_and_again(kills: u32) {
    let began = Instant::now();
    let directory = Directory::new();
    let mut server = directory.serve(&[]);
    let harness = Harness::new(epochs(&server));
    let (published, read) = std::thread::scope(|scope| {
        let _stop = StopAtEnd(&harness);
        let publishers: Vec<_> = (0..PUBLISHERS)
            .map(|number| {
                let harness = &harness;
                scope.spawn(move || Publisher::new(harness, number).run())
            })
            .collect();
        let subscribers: Vec<_> = (0..SUBSCRIBERS)
            .map(|number| {
                let harness = &harness;
                scope.spawn(move || Subscriber::new(number).run(harness))
            })
            .collect();
        harness.is_at(server.v4());
        for _ in 0..kills {
            harness.live_for_a_while();
            harness.is_gone();
            server.kill();
            server = directory.serve(&[]);
            harness.is_at(server.v4());
        }
        harness.are_to_finish.store(true, SeqCst);
        let published: Vec<_> = publishers
            .into_iter()
            .map(|one| one.join().unwrap())
            .collect();
        end_topics(&server);
        let read: Vec<_> = subscribers
            .into_iter()
            .map(|one| one.join().unwrap())
            .collect();
        (published, read)
    });
    check(&published, &read);
    println!(
        "{kills} kills in {:.1?}: {} messages acknowledged, {} of them after they were sent \
         again; {} resumes, all recovered",
        began.elapsed(),
        harness.acknowledged.load(SeqCst),
        harness.sent_again.load(SeqCst),
        harness.resumes.load(SeqCst),
    );
}

/// Everybody saw the same, and in it everything that was acknowledged, at its place,
/// once, and in its publisher's order.
fn check(published: &[Published], read: &[Read]) {
    for other in read {
        assert!(other.texts == read[0].texts, "two read different things");
    }
    for (place, texts) in read[0].texts.iter().enumerate() {
        for (number, published) in published.iter().enumerate() {
            let prefix = format!("{number} ");
            let got = texts.iter().zip(1..);
            let got = got.filter(|(text, _)| text.starts_with(&prefix));
            let got: Vec<_> = got.map(|(text, seq)| (seq, text.clone())).collect();
            assert_eq!(got, published[place], "of publisher {number}");
            assert!(got.is_sorted_by_key(|(_, text)| number_in(text)));
        }
    }
}

fn number_in(text: &str) -> u64 {
    text.split_once(' ').unwrap().1.parse().unwrap()
}

fn epochs(server: &Process) -> [Value; 2] {
    let mut client = server.connect();
    let answer = client.register_extended(&TOPICS, json!({}));
    TOPICS.map(|topic| answer["topics"][topic]["epoch"].clone())
}

fn end_topics(server: &Process) {
    let mut client = server.connect();
    client.register_extended(&TOPICS, json!({}));
    for topic in TOPICS {
        client.say_with_id(topic, THE_END, "end");
        client.expect_ack(topic, "end");
    }
}

fn random(below: u64) -> u64 {
    getrandom::u64().unwrap() % below
}

/// What everybody knows.
struct Harness {
    /// Where the server is, while it runs.
    addr: Mutex<Option<SocketAddr>>,
    epochs: [Value; 2],
    are_to_finish: AtomicBool,
    /// Something has failed, or everything is over.
    is_over: AtomicBool,
    acknowledged: AtomicU64,
    sent_again: AtomicU64,
    resumes: AtomicU64,
}

impl Harness {
    fn new(epochs: [Value; 2]) -> Self {
        Self {
            addr: Mutex::default(),
            epochs,
            are_to_finish: AtomicBool::new(false),
            is_over: AtomicBool::new(false),
            acknowledged: AtomicU64::new(0),
            sent_again: AtomicU64::new(0),
            resumes: AtomicU64::new(0),
        }
    }

    fn is_at(&self, addr: SocketAddr) {
        *self.addr.lock().unwrap() = Some(addr);
    }

    /// Nobody connects to its port any more, which may be another server's soon.
    fn is_gone(&self) {
        *self.addr.lock().unwrap() = None;
    }

    /// Waits for some acknowledgements, now and then for none.
    fn live_for_a_while(&self) {
        let wanted = random(5).min(1) * random(LIFE);
        let end = self.acknowledged.load(SeqCst) + wanted;
        self.wait("acknowledgements", || {
            (self.acknowledged.load(SeqCst) >= end).then_some(())
        });
    }

    /// A connection to the server, when it is there.
    fn connect(&self) -> Frail {
        self.wait("the server to come back", || {
            // Locked, so that it isn't gone before the connection is made.
            let addr = self.addr.lock().unwrap();
            addr.and_then(Frail::connect)
        })
    }

    fn wait<T>(&self, what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
        let start = Instant::now();
        loop {
            if let Some(answer) = ask() {
                return answer;
            }
            assert!(!self.is_over.load(SeqCst), "another thread has failed");
            assert!(start.elapsed() < LIMIT, "waited {LIMIT:?} for {what}");
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// Lets the others end, too, when one has failed.
struct StopAtEnd<'a>(&'a Harness);

impl Drop for StopAtEnd<'_> {
    fn drop(&mut self) {
        self.0.is_over.store(true, SeqCst);
    }
}

/// Per topic, what was acknowledged: numbers in the topic's order, and texts.
type Published = [Vec<(u64, String)>; 2];

/// Sends bursts of messages with ids, and sends again what wasn't acknowledged when
/// the connection was lost.
struct Publisher<'a> {
    harness: &'a Harness,
    number: u64,
    sent: u64,
    waiting: [VecDeque<String>; 2],
    acknowledged: Published,
}

impl<'a> Publisher<'a> {
    fn new(harness: &'a Harness, number: u64) -> Self {
        Self {
            harness,
            number,
            sent: 0,
            waiting: Default::default(),
            acknowledged: Default::default(),
        }
    }

    fn run(mut self) -> Published {
        while self.live().is_none() {}
        self.acknowledged
    }

    /// One connection's life; none: it was lost.
    fn live(&mut self) -> Option<()> {
        let mut link = self.harness.connect();
        let key = format!("publisher {}", self.number);
        link.register(&TOPICS, &json!({ "client": key }))?;
        let again = self.waiting.iter().map(|one| one.len() as u64).sum();
        self.harness.sent_again.fetch_add(again, SeqCst);
        self.send_waiting(&mut link)?;
        loop {
            while self.waiting.iter().any(|waiting| !waiting.is_empty()) {
                self.read(&link.frame()?);
            }
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

    fn send_waiting(&self, link: &mut Frail) -> Option<()> {
        let mut bytes = Vec::new();
        for (topic, texts) in TOPICS.iter().zip(&self.waiting) {
            for text in texts {
                let frame = json!({
                    "extended": {"id": text},
                    "message": {"topic": topic, "text": text},
                });
                bytes.extend(format!("{frame}\n").into_bytes());
            }
        }
        link.send(&bytes)
    }

    /// Acknowledgements come in each topic's order; what others say isn't of interest.
    fn read(&mut self, frame: &Value) {
        if frame.get("message").is_some() {
            return;
        }
        let ack = &frame["extended"]["ack"];
        let place = TOPICS.iter().position(|topic| ack["topic"] == *topic);
        let place = place.unwrap_or_else(|| panic!("no acknowledgement: {frame}"));
        let text = self.waiting[place].pop_front().unwrap();
        assert_eq!(ack["id"], text);
        self.acknowledged[place].push((ack["seq"].as_u64().unwrap(), text));
        self.harness.acknowledged.fetch_add(1, SeqCst);
    }
}

/// Per topic, the texts in the order of their numbers, of which none is missing.
#[derive(Default)]
struct Read {
    texts: [Vec<String>; 2],
}

/// Reads everything, and comes back with what it has.
struct Subscriber {
    /// The first stays connected as long as the server lives; the others go by
    /// themselves, too.
    number: u64,
    read: Read,
}

impl Subscriber {
    fn new(number: u64) -> Self {
        Self {
            number,
            read: Read::default(),
        }
    }

    fn run(mut self, harness: &Harness) -> Read {
        while !self.is_at_end() {
            let _lost = self.live(harness);
        }
        self.read
    }

    fn is_at_end(&self) -> bool {
        let is_end = |texts: &Vec<String>| texts.last().is_some_and(|text| text == THE_END);
        self.read.texts.iter().all(is_end)
    }

    /// One connection's life; none: it was lost.
    fn live(&mut self, harness: &Harness) -> Option<()> {
        let mut link = harness.connect();
        let has = |place: usize| json!({"epoch": harness.epochs[place], "seq": self.read.texts[place].len()});
        let resume = json!({"resume": {"T": has(0), "U": has(1)}});
        let answer = link.register(&TOPICS, &resume)?;
        for (topic, epoch) in TOPICS.iter().zip(&harness.epochs) {
            assert_eq!(answer["topics"][topic]["recovered"], true, "{answer}");
            assert_eq!(answer["topics"][topic]["epoch"], *epoch, "{answer}");
        }
        harness.resumes.fetch_add(1, SeqCst);
        let mut left = match self.number {
            0 => u64::MAX,
            _ => random(2000),
        };
        while !self.is_at_end() && left > 0 {
            self.take(&link.frame()?);
            left -= 1;
        }
        Some(())
    }

    fn take(&mut self, frame: &Value) {
        let place = TOPICS
            .iter()
            .position(|topic| frame["message"]["topic"] == *topic);
        let place = place.unwrap_or_else(|| panic!("no message: {frame}"));
        let texts = &mut self.read.texts[place];
        assert_eq!(frame["extended"]["seq"], texts.len() as u64 + 1, "{frame}");
        texts.push(frame["message"]["text"].as_str().unwrap().to_owned());
    }
}
