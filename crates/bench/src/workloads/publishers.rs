//! Publishers that have every message acknowledged: each has a connection and a
//! topic of its own, so that nobody's messages are delivered to anybody and only
//! keeping them is measured.

use super::acks::Load;
use super::closed::STILLNESS;
use super::{Bounds, MESSAGE, TOPIC, Target};
use crate::hub::Hub;
use crate::payload::{Kind, Stamp, Template};
use crate::protocols::journal::{Answer, Id, Journal};
use crate::receipts::Receipts;
use crate::stats::Latencies;
use anyhow::{Context, Result, bail, ensure};
use std::time::{Duration, Instant};

/// Publishers at one server, with what each has been told.
pub(super) struct Publishers {
    hub: Hub,
    journal: &'static dyn Journal,
    /// By connection: the topic's name, and the message but for its stamp.
    topics: Vec<(String, Template)>,
    load: Load,
    /// What they have been told.
    pub(super) told: Told,
}

/// What all of them have been told.
pub(super) struct Told {
    /// By connection.
    receipts: Vec<Receipts>,
    /// Connections that have been let in.
    entered: usize,
    /// By connection: acknowledged since it sent last.
    free: Vec<u64>,
    /// Connections that have something free.
    ready: Vec<usize>,
    /// Acknowledgements since the last reset.
    pub(super) acknowledged: u64,
    /// From sending to acknowledgement, since the last reset.
    pub(super) latencies: Latencies,
    /// Between acknowledgements, since the first message of all: a server may not
    /// stand still in a warm-up either.
    pub(super) pauses: Pauses,
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

impl Publishers {
    /// Connects the load's publishers and waits until all may publish.
    pub(super) fn gather(target: Target, load: Load) -> Result<Self> {
        let count = load.publishers;
        let journal = target.journal()?;
        let mut publishers = Self {
            hub: Hub::new(journal, target.address)?,
            journal,
            topics: Vec::with_capacity(count),
            load,
            told: Told::new()?,
        };
        for lane in 0..count {
            publishers.enter(lane)?;
        }
        let expected = if journal.answers_entering() { count } else { 0 };
        publishers.wait_until("being let in", |told| told.entered == expected)?;
        Ok(publishers)
    }

    fn enter(&mut self, lane: usize) -> Result<()> {
        let topic = topic(lane);
        let size = match self.load.text {
            Some(text) => Template::size_for_text(&topic, text),
            None => MESSAGE,
        };
        let template = Template::new(&topic, size)?;
        let member = self.hub.connect()?;
        let mut bytes = Vec::new();
        self.journal.enter(&topic, &mut bytes);
        self.topics.push((topic, template));
        self.told.receipts.push(Receipts::default());
        self.told.free.push(0);
        self.hub.send(member, &bytes)
    }

    /// Keeps as much unacknowledged as the load says until the bounds are
    /// reached, and returns when all is acknowledged.
    pub(super) fn drive(&mut self, bounds: Bounds) -> Result<()> {
        let started = Instant::now();
        self.told.pauses.begin(self.hub.clock.now());
        let mut left = bounds.messages;
        for lane in 0..self.topics.len() {
            left -= self.send(lane, self.load.window(lane).min(left))?;
        }
        let mut ready = Vec::new();
        while self.told.outstanding() > 0 {
            let before = self.told.acknowledged;
            self.wait_until("an acknowledgement", |told| told.acknowledged > before)?;
            std::mem::swap(&mut ready, &mut self.told.ready);
            for lane in ready.drain(..) {
                let free = std::mem::take(&mut self.told.free[lane]);
                if started.elapsed() < bounds.time {
                    left -= self.send(lane, free.min(left))?;
                }
            }
        }
        Ok(())
    }

    /// Sends so many messages in one write, and returns how many.
    fn send(&mut self, lane: usize, messages: u64) -> Result<u64> {
        let time = self.hub.clock.now();
        let (topic, template) = &mut self.topics[lane];
        let mut bytes = Vec::new();
        for _ in 0..messages {
            let number = self.told.receipts[lane].expect(time);
            let payload = template.stamped(Stamp {
                kind: Kind::Data,
                lane,
                sequence: number,
                time,
            });
            let id = Id { lane, number };
            self.journal.append(topic, id, payload, &mut bytes);
        }
        self.hub.send(lane, &bytes)?;
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
                self.told.outstanding()
            );
            let (told, journal) = (&mut self.told, self.journal);
            self.hub.turn(STILLNESS, &mut |lane, now, arrival| {
                told.enter(lane, now, journal.answer(arrival)?)
                    .with_context(|| format!("verification failed at publisher {lane}"))
            })?;
        }
        Ok(())
    }
}

impl Told {
    fn new() -> Result<Self> {
        Ok(Self {
            receipts: Vec::new(),
            entered: 0,
            free: Vec::new(),
            ready: Vec::new(),
            acknowledged: 0,
            latencies: Latencies::new()?,
            pauses: Pauses::default(),
        })
    }

    /// Begins to count and to time from nothing.
    pub(super) fn reset(&mut self) {
        self.acknowledged = 0;
        self.latencies.clear();
    }

    fn outstanding(&self) -> u64 {
        self.receipts.iter().map(Receipts::outstanding).sum()
    }

    /// Enters what connection `lane` has been told at `now`.
    fn enter(&mut self, lane: usize, now: u64, answer: Answer) -> Result<()> {
        let (id, position) = match answer {
            Answer::Ready => {
                self.entered += 1;
                return Ok(());
            }
            Answer::Ack { id, position } => (id, position),
        };
        if let Some(other) = id.filter(|id| id.lane != lane) {
            bail!(
                "a message of publisher {} was acknowledged to it",
                other.lane
            );
        }
        let number = id.map(|id| id.number);
        let sent = self.receipts[lane].enter(number, position)?;
        self.latencies.record(now.saturating_sub(sent));
        self.pauses.end(now);
        self.acknowledged += 1;
        if self.free[lane] == 0 {
            self.ready.push(lane);
        }
        self.free[lane] += 1;
        Ok(())
    }
}

/// The topic of a publisher.
pub(super) fn topic(lane: usize) -> String {
    format!("{TOPIC}-{lane}")
}
