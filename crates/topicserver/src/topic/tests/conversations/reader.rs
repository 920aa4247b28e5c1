//! Somebody who reads, at one server and then at the next one.

use std::collections::BTreeMap;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use wire::{Position, RegistrationOptions, TopicName};

use super::chain::Told;
use super::cluster::Cluster;
use super::server::Server;
use crate::cluster::simulation::Chance;
use crate::identity::Identity;
use crate::outbox::transport::Transport;
use crate::outbox::{Outbox, SharedOutbox};
use crate::queues::QueueLimits;
use crate::topic::handle::{Registration, Topic};
use crate::topic::presence::People;
use crate::topic::registration::{RegistrationReply, StartPosition};

/// A socket that takes everything, and hands it to a reader.
struct Socket(mpsc::UnboundedSender<Vec<u8>>);

impl Transport for Socket {
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        // The reader may have gone.
        let _ = self.0.send(bytes.to_vec());
        Ok(bytes.len())
    }

    fn try_write_vectored(&self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        let all: Vec<u8> = pieces.iter().flat_map(|piece| piece.to_vec()).collect();
        self.try_write(&all)
    }

    fn poll_writable(&self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn finish(&self) {}

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(([10, 0, 0, 1], 1).into())
    }
}

/// A reader's connection to a server. Dropping it ends it.
pub(super) struct Connection {
    pub(super) topic: Arc<Topic>,
    /// What the server sends.
    pub(super) lines: mpsc::UnboundedReceiver<Vec<u8>>,
    pub(super) outbox: SharedOutbox,
}

impl Connection {
    /// Registers for a topic, as the reader with this number.
    pub(super) fn open(
        server: &Server,
        topic: &TopicName,
        options: &RegistrationOptions,
        number: u64,
    ) -> Self {
        let (sender, lines) = mpsc::unbounded_channel();
        let queues = QueueLimits::new(1 << 20, 1 << 20, usize::MAX);
        let outbox = Outbox::new(Socket(sender), ([10, 0, 0, 2], 2).into(), queues);
        let outbox: SharedOutbox = Arc::new(outbox);
        let names = std::iter::once(topic);
        let answer = RegistrationReply::new(outbox.clone(), None, None, names);
        let identity = Identity::of_publisher((number + 1) << 32, None, None).unwrap();
        let registration = Registration {
            outbox: outbox.clone(),
            identity: Arc::new(identity),
            start: StartPosition::of(options, topic.as_str()),
            people: People::Hidden,
            answer,
        };
        let (topic, _) = server.registry.register(topic, registration);
        Self {
            topic,
            lines,
            outbox,
        }
    }

    /// Resolves with the answer to the registration.
    pub(super) async fn registered(&mut self) -> Value {
        let answered = timeout(Duration::from_secs(60), self.lines.recv()).await;
        let answer = answered.expect("a registration isn't answered").unwrap();
        let answer = String::from_utf8(answer).unwrap();
        assert!(answer.contains("\"registered\":"), "{answer}");
        serde_json::from_str(&answer).unwrap()
    }

    /// Resolves when the server has ended it.
    pub(super) async fn closed(&self) {
        let closed = timeout(Duration::from_secs(60), self.outbox.closed());
        closed.await.expect("the server doesn't end the connection");
    }

    /// Everything that has come, a line each.
    pub(super) fn taken(&mut self) -> Vec<Value> {
        let mut all = Vec::new();
        while let Ok(bytes) = self.lines.try_recv() {
            let lines = bytes
                .split(|byte| *byte == b'\n')
                .filter(|line| !line.is_empty());
            all.extend(lines.map(|line| serde_json::from_slice::<Value>(line).unwrap()));
        }
        all
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.topic.leave(self.outbox.clone());
    }
}

/// What a reader has got.
#[derive(Default)]
struct Seen {
    /// As the servers write it; empty before the first registration.
    epoch: String,
    seq: u64,
    messages: BTreeMap<u64, String>,
}

pub(super) struct Reader {
    name: String,
    seen: Arc<Mutex<Seen>>,
}

/// Who reads.
struct Person {
    cluster: Arc<Cluster>,
    topic: TopicName,
    name: String,
    number: u64,
    chance: Chance,
    seen: Arc<Mutex<Seen>>,
}

impl Reader {
    pub(super) fn start(cluster: &Arc<Cluster>, topic: &TopicName, number: u64) -> Self {
        let name = format!("reader {number}");
        let seen = Arc::new(Mutex::new(Seen::default()));
        let person = Person {
            cluster: cluster.clone(),
            topic: topic.clone(),
            name: name.clone(),
            number,
            chance: Chance::new(cluster.seed, 300 + number),
            seen: seen.clone(),
        };
        tokio::spawn(person.read());
        Self { name, seen }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The number of the last message that was read.
    pub(super) fn seq(&self) -> u64 {
        self.seen.lock().seq
    }

    /// It has read what the log tells.
    pub(super) fn check(&self, cluster: &Cluster, told: &Told) {
        let name = &self.name;
        for (seq, text) in &self.seen.lock().messages {
            let expected = told.messages.get(seq);
            if expected != Some(text) {
                cluster.complain(format!("{name} got {text} as {seq}, not {expected:?}"));
            }
        }
    }
}

impl Person {
    async fn read(mut self) {
        let pause = Duration::ZERO..=Duration::from_secs(2);
        sleep(self.chance.within(&pause)).await;
        loop {
            self.visit().await;
            sleep(self.chance.within(&pause)).await;
        }
    }

    /// Reads at one server for a while.
    async fn visit(&mut self) {
        let server = self.cluster.choose(&mut self.chance).await;
        let options = self.options();
        let mut connection = Connection::open(&server, &self.topic, &options, self.number);
        let leave = Instant::now() + Duration::from_millis(200 + self.chance.below(8_000));
        let calm = self.cluster.calm.clone();
        let is_calm = calm.is_cancelled();
        loop {
            let bytes = tokio::select! {
                biased;
                () = server.dead.cancelled() => break,
                () = sleep_until(leave), if !is_calm => break,
                bytes = connection.lines.recv() => bytes,
            };
            let Some(bytes) = bytes else { break };
            let mut lines = bytes.split(|byte| *byte == b'\n');
            if !lines.all(|line| self.take(line, &options)) {
                break;
            }
        }
    }

    /// From where on the reader wants to read.
    fn options(&mut self) -> RegistrationOptions {
        let seen = self.seen.lock();
        let mut options = RegistrationOptions::default();
        if seen.epoch.is_empty() {
            options.last = self.chance.happens(0.5).then(|| self.chance.below(30));
            return options;
        }
        let position = Position {
            epoch: seen.epoch.clone(),
            seq: seen.seq,
        };
        options.resume.insert(self.topic.to_string(), position);
        options
    }

    /// Takes a line. Returns whether it wasn't the last one.
    fn take(&self, line: &[u8], options: &RegistrationOptions) -> bool {
        if line.is_empty() {
            return true;
        }
        let line: Value = serde_json::from_slice(line).unwrap();
        let extended = &line["extended"];
        let mut seen = self.seen.lock();
        if let Some(text) = line["m"].as_str() {
            let seq = extended["seq"].as_u64().unwrap();
            if seq != seen.seq + 1 {
                self.complain(&format!("got {seq} ({text}) after {}", seen.seq));
            }
            seen.seq = seq;
            seen.messages.insert(seq, text.to_owned());
        } else if let Some(registered) = extended.get("registered") {
            self.begin(
                &mut seen,
                &registered["topics"][self.topic.as_str()],
                options,
            );
        } else if extended.get("error").is_some() {
            return false;
        } else {
            self.complain(&format!("got {line}"));
        }
        true
    }

    /// Takes the state of the topic.
    fn begin(&self, seen: &mut Seen, state: &Value, options: &RegistrationOptions) {
        let newest = state["seq"].as_u64().unwrap();
        let epoch = state["epoch"].as_str().unwrap();
        if seen.epoch.is_empty() {
            seen.epoch = epoch.to_owned();
            seen.seq = newest.saturating_sub(options.last.unwrap_or(0));
            return;
        }
        if seen.epoch != epoch || state["recovered"] != true {
            let (epoch, seq) = (&seen.epoch, seen.seq);
            self.complain(&format!("had {epoch}:{seq}, and is told {state}"));
        }
    }

    fn complain(&self, complaint: &str) {
        self.cluster.complain(format!("{} {complaint}", self.name));
    }
}
