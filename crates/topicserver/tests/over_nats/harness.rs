//! What publishers and subscribers know of the cluster, and what they report.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::common::Client;
use crate::links::{Link, Transport};
use crate::servers::{COUNT, Cluster};

pub const TOPICS: [&str; 2] = ["T", "U"];

/// What ends a topic: no publisher says it.
pub const THE_END: &str = "the end";

/// How long anything may take while at most one process is missing: two elections, and the
/// machine may be busy.
pub const LIMIT: Duration = Duration::from_secs(60);

/// What is told of each client when one of them doesn't go on: so many things that it saw last.
const STORY: usize = 12;

/// The pause before a client that was refused tries again.
pub const PAUSE: Duration = Duration::from_millis(100);

/// What everybody knows.
pub struct Harness {
    /// Where the servers are, while they run.
    addrs: Mutex<[Option<SocketAddr>; COUNT]>,
    pub epochs: [Value; 2],
    pub are_to_finish: AtomicBool,
    /// Something has failed, or everything is over.
    pub is_over: AtomicBool,
    /// Messages that were acknowledged, of each publisher.
    pub acknowledged: Vec<AtomicU64>,
    /// Messages that were read, by each subscriber.
    pub read: Vec<AtomicU64>,
    pub sent_again: AtomicU64,
    pub resumes: AtomicU64,
    began: Instant,
    /// What each publisher, and then each subscriber, saw last.
    stories: Vec<Mutex<VecDeque<String>>>,
}

/// A client, by its number.
#[derive(Clone, Copy, Debug)]
pub enum Who {
    Publisher(usize),
    Subscriber(usize),
}

impl Harness {
    pub fn new(cluster: &Cluster, publishers: usize, subscribers: usize) -> Self {
        let counters = |count| (0..count).map(|_| AtomicU64::new(0)).collect();
        let harness = Self {
            addrs: Mutex::default(),
            epochs: epochs(cluster),
            are_to_finish: AtomicBool::new(false),
            is_over: AtomicBool::new(false),
            acknowledged: counters(publishers),
            read: counters(subscribers),
            sent_again: AtomicU64::new(0),
            resumes: AtomicU64::new(0),
            began: Instant::now(),
            stories: (0..publishers + subscribers)
                .map(|_| Mutex::default())
                .collect(),
        };
        for number in 0..COUNT {
            harness.is_at(number, cluster.addr(number));
        }
        harness
    }

    pub fn is_at(&self, server: usize, addr: SocketAddr) {
        self.addrs.lock().unwrap()[server] = Some(addr);
    }

    /// A client has seen or done something.
    pub fn tell(&self, who: Who, what: &str) {
        let place = match who {
            Who::Publisher(number) => number,
            Who::Subscriber(number) => self.acknowledged.len() + number,
        };
        let mut story = self.stories[place].lock().unwrap();
        if story.len() == STORY {
            story.pop_front();
        }
        story.push_back(format!("{:.1?}: {what}", self.began.elapsed()));
    }

    /// What everybody saw last.
    fn stories(&self) -> Vec<VecDeque<String>> {
        let stories = self.stories.iter();
        stories.map(|story| story.lock().unwrap().clone()).collect()
    }

    /// Nobody connects to its port any more, which may be another server's soon.
    pub fn is_gone(&self, server: usize) {
        self.addrs.lock().unwrap()[server] = None;
    }

    /// Where a server is.
    pub fn addr(&self, server: usize) -> Option<SocketAddr> {
        self.addrs.lock().unwrap()[server]
    }

    /// Another server than the last one, and a connection to it.
    pub fn connect<T>(&self, last: &mut usize, connect: impl Fn(SocketAddr) -> Option<T>) -> T {
        self.wait("a server", || {
            *last = (*last + 1 + random(COUNT as u64 - 1) as usize) % COUNT;
            self.addr(*last).and_then(&connect)
        })
    }

    /// Waits until each publisher and each subscriber has got that many messages further.
    pub fn progress(&self, count: u64, what: &str) {
        let now = || -> Vec<u64> {
            let all = self.acknowledged.iter().chain(&self.read);
            all.map(|one| one.load(SeqCst)).collect()
        };
        let (first, began) = (now(), Instant::now());
        let (mut last, mut moved) = (first.clone(), vec![began; first.len()]);
        loop {
            for ((last, moved), now) in last.iter_mut().zip(&mut moved).zip(now()) {
                if *last != now {
                    (*last, *moved) = (now, Instant::now());
                }
            }
            let gone: Vec<_> = last
                .iter()
                .zip(&first)
                .map(|(last, first)| last - first)
                .collect();
            if gone.iter().all(|gone| *gone >= count) {
                return;
            }
            let silent: Vec<_> = moved
                .iter()
                .map(|moved| moved.elapsed().as_secs())
                .collect();
            assert!(
                began.elapsed() < LIMIT,
                "{what}: waited {LIMIT:?}; publishers and then subscribers went on by {gone:?}, \
                 and nothing came for {silent:?} s; it is {:.1?} now, and they saw {:#?}",
                self.began.elapsed(),
                self.stories()
            );
            self.rest();
        }
    }

    pub fn wait<T>(&self, what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
        let began = Instant::now();
        loop {
            if let Some(answer) = ask() {
                return answer;
            }
            assert!(began.elapsed() < LIMIT, "waited {LIMIT:?} for {what}");
            self.rest();
        }
    }

    /// Waits a moment, unless another one has failed.
    pub fn rest(&self) {
        self.expect_no_failure();
        std::thread::sleep(Duration::from_millis(5));
    }

    pub fn expect_no_failure(&self) {
        assert!(!self.is_over.load(SeqCst), "another thread has failed");
    }
}

fn epochs(cluster: &Cluster) -> [Value; 2] {
    let mut client = Client::connect(cluster.addr(0));
    let answer = client.register_extended(&TOPICS, json!({}));
    TOPICS.map(|topic| answer["topics"][topic]["epoch"].clone())
}

/// Says what ends the topics.
pub fn end_topics(harness: &Harness) {
    let mut last = 0;
    harness.wait("the end to be acknowledged", || {
        let tcp = |addr| Link::connect(addr, Transport::Tcp);
        let mut link = harness.connect(&mut last, tcp);
        link.register(&TOPICS, &json!({"client": "who ends it"}))?;
        let end = |topic| json!({"extended": {"id": THE_END}, "message": {"topic": topic, "text": THE_END}});
        link.send(&TOPICS.map(end))?;
        let mut acknowledged = 0;
        while acknowledged < TOPICS.len() {
            let frame = link.frame()?;
            assert!(frame["extended"]["ack"]["id"] == THE_END, "{frame}");
            acknowledged += 1;
        }
        Some(())
    });
}

pub fn random(below: u64) -> u64 {
    getrandom::u64().unwrap() % below
}

/// Lets the others end, too, when one has failed.
pub struct StopAtEnd<'a>(pub &'a Harness);

impl Drop for StopAtEnd<'_> {
    fn drop(&mut self) {
        self.0.is_over.store(true, SeqCst);
    }
}
