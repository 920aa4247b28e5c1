//! Publishers that have every message acknowledged. Each has its own connection and
//! topics, so that nothing is delivered and only storing is measured.

use super::closed::STILLNESS;
use super::{Bounds, MESSAGE, TOPIC, Target};
use crate::hub::Hub;
use crate::payload::{Kind, Stamp, Template};
use crate::protocols::journal::{Answer, Id, Journal};
use crate::receipts::Receipts;
use crate::stats::Latencies;
use anyhow::{Context, Result, bail, ensure};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Who publishes what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    /// Publishers, with a connection each.
    pub(crate) connections: usize,
    /// Topics of each, which its messages go to in turn.
    pub(crate) topics: usize,
    /// Messages that each keeps unacknowledged.
    pub(crate) window: u64,
    /// Bytes of a text; `None` for frames of the usual size.
    pub(crate) text: Option<usize>,
}

/// Publishers at one server, with what each has been told.
pub(crate) struct Publishers {
    hub: Hub,
    journal: &'static dyn Journal,
    load: Load,
    /// By lane, all of one connection side by side.
    lanes: Vec<Lane>,
    /// By connection: which of its topics its next message goes to.
    turns: Vec<usize>,
    /// What they have been told.
    pub(crate) told: Told,
}

/// A publisher's topic.
struct Lane {
    topic: String,
    /// Its messages but for their stamps.
    template: Template,
}

/// What all of them have been told.
pub(crate) struct Told {
    /// Topics of each connection.
    topics: usize,
    /// By lane.
    receipts: Vec<Receipts>,
    /// Connections that have been let in.
    entered: usize,
    /// By connection: what it has been told.
    accounts: Vec<Account>,
    /// Connections that have something free.
    ready: Vec<usize>,
    /// Messages that are not acknowledged.
    outstanding: u64,
    /// Acknowledgements since the last reset.
    pub(crate) acknowledged: u64,
    /// From sending to acknowledgement, since the last reset.
    pub(crate) latencies: Latencies,
    /// Between acknowledgements, since the first message of all: a server may not
    /// stand still in a warm-up either.
    pub(super) pauses: Pauses,
}

/// What one connection has been told.
#[derive(Clone, Debug, Default)]
struct Account {
    /// Acknowledgements in all.
    acknowledged: usize,
    /// Those since it sent last.
    free: u64,
}

/// The times in which messages were unacknowledged and nothing was acknowledged.
#[derive(Debug, Default)]
pub(super) struct Pauses {
    /// When the present one began, by the generator's clock.
    since: u64,
    /// The longest that has ended.
    pub(super) longest: Duration,
}

impl Pauses {
    /// Messages are sent at `now`, and none was unacknowledged before.
    fn begin(&mut self, now: u64) {
        self.since = now;
    }

    /// Something is acknowledged at `now`.
    fn end(&mut self, now: u64) {
        let pause = Duration::from_nanos(now.saturating_sub(self.since));
        self.longest = self.longest.max(pause);
        self.since = now;
    }
}

impl Load {
    /// Publishers with a topic each.
    pub(crate) const fn new(connections: usize, window: u64) -> Self {
        Self {
            connections,
            topics: 1,
            window,
            text: None,
        }
    }

    /// The same in miniature.
    pub(crate) fn quick(self) -> Self {
        Self {
            connections: self.connections.min(3),
            topics: self.topics.min(5),
            ..self
        }
    }
}

impl Publishers {
    /// Connects the publishers and waits until all may publish.
    pub(super) fn gather(target: Target, load: Load) -> Result<Self> {
        Self::gather_at(target.journal()?, &[target.address], load, &topic)
    }

    /// The same at several servers, one after the other; `topic` names the topic of a lane.
    pub(crate) fn gather_at(
        journal: &'static dyn Journal,
        addresses: &[SocketAddr],
        load: Load,
        topic: &dyn Fn(usize) -> String,
    ) -> Result<Self> {
        let first = addresses.first().context("there is no server")?;
        let mut publishers = Self {
            hub: Hub::new(journal, *first)?,
            journal,
            load,
            lanes: Vec::with_capacity(load.connections * load.topics),
            turns: vec![0; load.connections],
            told: Told::new(load)?,
        };
        for connection in 0..load.connections {
            let address = addresses[connection % addresses.len()];
            publishers.hub.turn_to(address);
            publishers.enter(topic)?;
        }
        let entered = if journal.answers_entering() {
            load.connections
        } else {
            0
        };
        publishers.wait_until("being let in", |told| told.entered == entered)?;
        Ok(publishers)
    }

    /// Connects the next publisher and enters its topics.
    fn enter(&mut self, topic: &dyn Fn(usize) -> String) -> Result<()> {
        let member = self.hub.connect()?;
        let first = self.lanes.len();
        let topics: Vec<String> = (first..first + self.load.topics).map(topic).collect();
        let mut bytes = Vec::new();
        self.journal.enter_all(first, &topics, &mut bytes);
        for topic in topics {
            let size = self
                .load
                .text
                .map_or(MESSAGE, |text| Template::size_for_text(&topic, text));
            self.lanes.push(Lane {
                template: Template::new(&topic, size)?,
                topic,
            });
        }
        self.hub.send(member, &bytes)
    }

    /// Keeps every publisher's window full until the bounds are reached, and
    /// returns when all is acknowledged.
    pub(crate) fn drive(&mut self, bounds: Bounds) -> Result<()> {
        let window = self.load.window;
        let started = Instant::now();
        self.told.pauses.begin(self.hub.clock.now());
        let mut left = bounds.messages;
        for connection in 0..self.load.connections {
            left -= self.send(connection, window.min(left))?;
        }
        let mut ready = Vec::new();
        while self.told.outstanding > 0 {
            let before = self.told.acknowledged;
            self.wait_until("an acknowledgement", |told| told.acknowledged > before)?;
            std::mem::swap(&mut ready, &mut self.told.ready);
            for connection in ready.drain(..) {
                let free = std::mem::take(&mut self.told.accounts[connection].free);
                if started.elapsed() < bounds.time {
                    left -= self.send(connection, free.min(left))?;
                }
            }
        }
        Ok(())
    }

    /// Answers the pings that have arrived while nothing was published, or that arrive in this
    /// time.
    pub(crate) fn answer_pings(&mut self, wait: Duration) -> Result<()> {
        let (told, journal) = (&mut self.told, self.journal);
        self.hub.turn(wait, &mut |connection, now, arrival| {
            told.enter(connection, now, journal.answer(arrival)?)
        })
    }

    /// Sends this many messages in one write, and returns how many.
    fn send(&mut self, connection: usize, messages: u64) -> Result<u64> {
        let time = self.hub.clock.now();
        let topics = self.load.topics;
        let mut bytes = Vec::new();
        for _ in 0..messages {
            let turn = &mut self.turns[connection];
            let lane = connection * topics + *turn;
            *turn = (*turn + 1) % topics;
            let number = self.told.receipts[lane].expect(time);
            let Lane { topic, template } = &mut self.lanes[lane];
            let payload = template.stamped(Stamp {
                kind: Kind::Data,
                lane,
                sequence: number,
                time,
            });
            let id = Id { lane, number };
            self.journal.append(topic, id, payload, &mut bytes);
        }
        self.told.outstanding += messages;
        self.hub.send(connection, &bytes)?;
        Ok(messages)
    }

    /// Takes answers until it has come to this.
    fn wait_until(&mut self, what: &str, is_so: impl Fn(&Told) -> bool) -> Result<()> {
        let started = Instant::now();
        while !is_so(&self.told) {
            ensure!(
                started.elapsed() < STILLNESS,
                "waiting for {what}: nothing for {} s, {} messages are not acknowledged",
                STILLNESS.as_secs(),
                self.told.outstanding
            );
            let (told, journal) = (&mut self.told, self.journal);
            self.hub.turn(STILLNESS, &mut |connection, now, arrival| {
                told.enter(connection, now, journal.answer(arrival)?)
                    .with_context(|| format!("verification failed at publisher {connection}"))
            })?;
        }
        Ok(())
    }
}

impl Told {
    fn new(load: Load) -> Result<Self> {
        let mut receipts = Vec::new();
        receipts.resize_with(load.connections * load.topics, Receipts::default);
        Ok(Self {
            topics: load.topics,
            receipts,
            entered: 0,
            accounts: vec![Account::default(); load.connections],
            ready: Vec::new(),
            outstanding: 0,
            acknowledged: 0,
            latencies: Latencies::new()?,
            pauses: Pauses::default(),
        })
    }

    /// Begins to count and to time from nothing.
    pub(crate) fn reset(&mut self) {
        self.acknowledged = 0;
        self.latencies.clear();
    }

    /// Enters what a connection has been told at `now`.
    fn enter(&mut self, connection: usize, now: u64, answer: Answer) -> Result<()> {
        let (id, position) = match answer {
            Answer::Ready => {
                self.entered += 1;
                return Ok(());
            }
            Answer::Ack { id, position } => (id, position),
        };
        let account = &mut self.accounts[connection];
        // Who names no message answers in the order of the messages, and so of the
        // topics' turns.
        let in_turn = connection * self.topics + account.acknowledged % self.topics;
        let lane = id.map_or(in_turn, |id| id.lane);
        if lane / self.topics != connection {
            let other = lane / self.topics;
            bail!("a message of publisher {other} was acknowledged to it");
        }
        let sent = self.receipts[lane].enter(id.map(|id| id.number), position)?;
        account.acknowledged += 1;
        if account.free == 0 {
            self.ready.push(connection);
        }
        account.free += 1;
        self.outstanding -= 1;
        self.acknowledged += 1;
        self.latencies.record(now.saturating_sub(sent));
        self.pauses.end(now);
        Ok(())
    }
}

/// The topic of a lane.
pub(super) fn topic(lane: usize) -> String {
    format!("{TOPIC}-{lane}")
}
