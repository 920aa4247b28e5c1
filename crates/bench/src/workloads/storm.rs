//! A join storm: everybody connects and registers at once, as after a server's
//! restart. A join ends when the connection has received its first message.

use super::{MESSAGE, TOPIC, Target};
use crate::hub::Hub;
use crate::measure::{Meter, Metric, Sample};
use crate::payload::{Kind, Stamp, Template, read_stamp};
use crate::proc;
use anyhow::{Result, ensure};
use std::time::{Duration, Instant};

/// Connections begun between two looks at what has arrived.
const CHUNK: usize = 50;
/// The time between two probes, and so how exactly a join is timed.
const PROBE_PERIOD: Duration = Duration::from_millis(50);
/// A connection that has not joined by then has failed.
const LIMIT: Duration = Duration::from_secs(10);
/// The kernel repeats a lost SYN after this time: a join that took so long
/// has lost one, unless the server as a whole is that slow.
const LATE: u64 = 1_000_000_000;

/// Opens `connections` and times their joins.
pub(super) fn run(target: Target, connections: usize) -> Result<Sample> {
    let mut storm = Storm::new(target, connections)?;
    let drops = proc::listen_drops();
    let meter = Meter::start(target.pid);
    storm.blow(connections)?;
    let reading = meter.stop();
    let times = storm.joins.iter().filter_map(|join| join.took);
    let slowest = times.clone().max().unwrap_or_default();
    let joined = times.clone().count();
    ensure!(joined > 0, "nobody of {connections} has joined");
    let each = |seconds: f64| seconds * 1e6 / joined as f64;
    let mut sample = Sample::new();
    let seconds = (storm.last_joined - storm.joins[0].began) as f64 / 1e9;
    sample.insert(Metric::Joins, joined as f64 / seconds);
    sample.insert(Metric::FailedJoins, (connections - joined) as f64);
    sample.insert(Metric::SlowestJoin, slowest as f64 / 1e6);
    let late = times.filter(|&took| took >= LATE).count();
    sample.insert(Metric::LateJoins, late as f64);
    if let (Some(before), Some(after)) = (drops, proc::listen_drops()) {
        sample.insert(Metric::ListenDrops, after.saturating_sub(before) as f64);
    }
    if let Some(cpu) = reading.server_cpu() {
        sample.insert(Metric::CpuPerJoin, each(cpu));
    }
    if let Some(memory) = reading.memory() {
        sample.insert(Metric::Memory, memory as f64 / 1e6);
    }
    Ok(sample)
}

/// One connection's join, in nanoseconds of the generator's clock.
struct Join {
    began: u64,
    /// `None` until it has received something.
    took: Option<u64>,
}

struct Storm {
    hub: Hub,
    topic: String,
    template: Template,
    /// By connection, less the publisher's.
    joins: Vec<Join>,
    /// The connections that have neither joined nor been refused.
    missing: usize,
    /// When the latest join ended, by the generator's clock.
    last_joined: u64,
    probed: Instant,
}

impl Storm {
    /// Only the publisher is there.
    fn new(target: Target, connections: usize) -> Result<Self> {
        let mut hub = Hub::new(target.codec, target.address)?;
        let topic = TOPIC.to_owned();
        let publisher = hub.connect()?;
        let mut bytes = Vec::new();
        target.codec.enter(&topic, &mut bytes);
        hub.send(publisher, &bytes)?;
        hub.tolerate_closing();
        Ok(Self {
            hub,
            template: Template::new(&topic, MESSAGE)?,
            topic,
            joins: Vec::with_capacity(connections),
            missing: connections,
            last_joined: 0,
            probed: Instant::now(),
        })
    }

    fn blow(&mut self, connections: usize) -> Result<()> {
        let started = Instant::now();
        let mut bytes = Vec::new();
        while self.joins.len() < connections {
            for _ in 0..CHUNK.min(connections - self.joins.len()) {
                let began = self.hub.clock.now();
                let member = self.hub.begin_connect()?;
                bytes.clear();
                self.hub.codec.join(&self.topic, &mut bytes);
                self.hub.send(member, &bytes)?;
                self.joins.push(Join { began, took: None });
            }
            self.turn(Duration::ZERO)?;
        }
        while self.missing > 0 && started.elapsed() < LIMIT {
            self.turn(PROBE_PERIOD.saturating_sub(self.probed.elapsed()))?;
        }
        Ok(())
    }

    /// Takes what has arrived, and probes when it is time to.
    fn turn(&mut self, timeout: Duration) -> Result<()> {
        let (joins, missing) = (&mut self.joins, &mut self.missing);
        let last_joined = &mut self.last_joined;
        self.hub.turn(timeout, &mut |member, now, payload| {
            ensure!(
                member > 0 && read_stamp(payload).is_some(),
                "connection {member} received what was not published: {}",
                crate::protocols::shown(payload)
            );
            let join = &mut joins[member - 1];
            if join.took.is_none() {
                join.took = Some(now.saturating_sub(join.began));
                *last_joined = now;
                *missing -= 1;
            }
            Ok(())
        })?;
        for member in self.hub.take_closed() {
            ensure!(member > 0, "the server closed the publisher's connection");
            let turned_away = self.joins[member - 1].took.is_none();
            self.missing -= usize::from(turned_away);
        }
        if self.missing > 0 && self.probed.elapsed() >= PROBE_PERIOD {
            self.probe()?;
        }
        Ok(())
    }

    fn probe(&mut self) -> Result<()> {
        let stamp = Stamp {
            kind: Kind::Probe,
            lane: 0,
            sequence: 0,
            time: self.hub.clock.now(),
        };
        let mut bytes = Vec::new();
        let payload = self.template.stamped(stamp);
        self.hub.codec.publish(&self.topic, payload, &mut bytes);
        self.probed = Instant::now();
        self.hub.send(0, &bytes)
    }
}
