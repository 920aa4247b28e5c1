//! Somebody who publishes, at one server or another.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use wire::TopicName;
use xxhash_rust::xxh3::xxh3_64;

use super::chain::Told;
use super::cluster::Cluster;
use super::server::{PATIENCE, Server};
use crate::cluster::simulation::Chance;
use crate::history::dedup;
use crate::history::entry::Stored;
use crate::outbox::batch::Batch;
use crate::topic::publication::{MessageId, Publication, Receipt, Reply, Unstored};

/// A server says within this time what became of a message, or that it isn't known, whatever the
/// message waits for: its patience, and a moment to read what is in the log.
const ANSWER: Duration = PATIENCE.saturating_add(Duration::from_millis(2_500));

pub(super) struct Publisher {
    name: String,
    sent: Arc<Mutex<Vec<Sent>>>,
    task: JoinHandle<()>,
}

/// Messages that were published together.
#[derive(Clone, Debug)]
struct Sent {
    texts: Vec<String>,
    has_id: bool,
    /// The number of the first one, if it was told.
    seq: Option<u64>,
}

/// Who publishes.
struct Author {
    cluster: Arc<Cluster>,
    topic: TopicName,
    name: String,
    chance: Chance,
    sent: Arc<Mutex<Vec<Sent>>>,
}

impl Publisher {
    pub(super) fn start(cluster: &Arc<Cluster>, topic: &TopicName, number: u64) -> Self {
        let name = format!("publisher {number}");
        let sent = Arc::new(Mutex::new(Vec::new()));
        let author = Author {
            cluster: cluster.clone(),
            topic: topic.clone(),
            name: name.clone(),
            chance: Chance::new(cluster.seed, 200 + number),
            sent: sent.clone(),
        };
        let task = tokio::spawn(author.publish_all());
        Self { name, sent, task }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn has_ended(&self) -> bool {
        self.task.is_finished()
    }

    /// What was acknowledged is in the log, and everything is there once.
    pub(super) fn check(&self, cluster: &Cluster, told: &Told) {
        for Sent { texts, has_id, seq } in &*self.sent.lock() {
            for (place, text) in (0..).zip(texts) {
                let numbers = told.numbers_of(text);
                let is_right = match seq {
                    Some(seq) => numbers == [seq + place],
                    None => !has_id && numbers.len() <= 1,
                };
                if !is_right {
                    let expected = seq.map(|seq| seq + place);
                    cluster.complain(format!("{text} is at {numbers:?}, told: {expected:?}"));
                }
            }
        }
    }
}

impl Author {
    async fn publish_all(mut self) {
        let pause = Duration::ZERO..=Duration::from_millis(400);
        let mut number = 0;
        while !self.cluster.calm.is_cancelled() {
            number += 1;
            self.publish(number).await;
            sleep(self.chance.within(&pause)).await;
        }
    }

    /// Publishes one message with an id until it is acknowledged, or some without one once.
    async fn publish(&mut self, number: u64) {
        let has_id = self.chance.happens(0.6);
        let count = if has_id { 1 } else { 1 + self.chance.below(3) };
        let name = &self.name;
        let texts: Vec<_> = (0..count)
            .map(|n| format!("{name}: {number}.{n}"))
            .collect();
        let mut seq = None;
        loop {
            let server = self.cluster.choose(&mut self.chance).await;
            // At once, or one after the other at the same server.
            let times = if has_id && self.chance.happens(0.05) {
                2
            } else {
                1
            };
            for _ in 0..times {
                seq = self.send(&server, &texts, has_id).await.or(seq);
            }
            if seq.is_some() || !has_id {
                break;
            }
            sleep(Duration::from_millis(50 + self.chance.below(500))).await;
        }
        // What was acknowledged may come again.
        if has_id && self.chance.happens(0.2) {
            let server = self.cluster.choose(&mut self.chance).await;
            let again = self.send(&server, &texts, has_id).await;
            if again.is_some() && again != seq {
                let complaint = format!("{texts:?} was told to be at {seq:?} and {again:?}");
                self.cluster.complain(complaint);
            }
        }
        let sent = Sent { texts, has_id, seq };
        self.sent.lock().push(sent);
    }

    /// The number of the first message; `None` if it isn't known whether they are stored.
    async fn send(&self, server: &Server, texts: &[String], has_id: bool) -> Option<u64> {
        let lines: String = texts
            .iter()
            .map(|text| format!("{{\"m\":\"{text}\"}}\n"))
            .collect();
        let id = has_id.then_some((&*self.name, &*texts[0]));
        let receipt = publish(server, &self.topic, &lines, id);
        let answer = tokio::select! {
            biased;
            () = server.dead.cancelled() => return None,
            answer = timeout(ANSWER, receipt) => answer,
        };
        match answer {
            Ok(Ok(Ok(stored))) => Some(stored.seq),
            Ok(Ok(Err(unstored))) if unstored.code == wire::ErrorCode::NoQuorum => None,
            other => {
                let complaint = format!("{texts:?} was answered with {other:?}");
                self.cluster.complain(complaint);
                None
            }
        }
    }
}

/// Publishes lines, with the name of their publisher and their id, or without.
pub(super) fn publish(
    server: &Server,
    topic: &TopicName,
    lines: &str,
    id: Option<(&str, &str)>,
) -> oneshot::Receiver<Result<Stored, Unstored>> {
    let hash = xxh3_64(lines.as_bytes());
    let id = id.map(|(name, id)| MessageId {
        id: id.into(),
        origin: xxh3_64(name.as_bytes()),
        hash: dedup::with_text(xxh3_64(id.as_bytes()), hash),
    });
    let (to, receipt) = oneshot::channel();
    let count = lines.lines().count() as u32;
    let publication = Publication {
        origin: None,
        identity: None,
        batch: Batch::owned(Bytes::copy_from_slice(lines.as_bytes()), count),
        reply: Reply::Receipt(Box::new(Receipt { id, to })),
    };
    // What is published here is little.
    let _ = server.registry.publish(topic, publication);
    receipt
}
