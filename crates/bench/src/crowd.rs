//! A crowd: topics with their publishers and receivers, gathered at one
//! server: connects them, proves by probes that each receives, and sends.

use crate::floor::{Floor, Lane, Receiver};
use crate::hub::Hub;
use crate::payload::{Kind, Stamp, Template};
use crate::protocols::Codec;
use crate::verify::Ledger;
use anyhow::{Context, Result, ensure};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// The connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    /// Topics, each with the publishers and receivers below.
    pub(crate) topics: usize,
    /// Publishers of one topic.
    pub(crate) publishers: usize,
    /// Receivers of one topic.
    pub(crate) receivers: usize,
    /// Bytes of one message, line break included.
    pub(crate) size: usize,
}

impl Layout {
    /// Connections of one topic.
    pub(crate) fn group(&self) -> usize {
        self.publishers + self.receivers
    }
}

/// A layout's connections, with what each must receive.
pub(crate) struct Crowd {
    /// The connections.
    pub(crate) hub: Hub,
    /// The account of them.
    pub(crate) floor: Floor,
    layout: Layout,
    addresses: Vec<SocketAddr>,
}

/// How long a run waits at most for a crowd to be registered.
const JOIN_LIMIT: Duration = Duration::from_secs(30);
/// The time for the first probe; each further one has twice as long.
const FIRST_PROBE: Duration = Duration::from_millis(10);
const LAST_PROBE: Duration = Duration::from_millis(640);

impl Crowd {
    /// Connects and registers everybody, topic by topic, and returns when
    /// everybody has been seen to receive. Two crowds at one server need two
    /// names for their topics.
    pub(crate) fn gather(
        codec: &'static dyn Codec,
        address: SocketAddr,
        layout: Layout,
        name: &str,
    ) -> Result<Self> {
        Self::gather_at(codec, &[address], layout, name)
    }

    /// The same at several servers: each topic's connections, publishers first, go to one
    /// after the other.
    pub(crate) fn gather_at(
        codec: &'static dyn Codec,
        addresses: &[SocketAddr],
        layout: Layout,
        name: &str,
    ) -> Result<Self> {
        let first = addresses.first().context("there is no server")?;
        let mut crowd = Self {
            hub: Hub::new(codec, *first)?,
            floor: Floor::new()?,
            layout,
            addresses: addresses.to_vec(),
        };
        for topic in 0..layout.topics {
            crowd.open_topic(&format!("{name}-{topic}"))?;
        }
        crowd.probe()?;
        crowd.flush()?;
        Ok(crowd)
    }

    fn open_topic(&mut self, topic: &str) -> Result<()> {
        let codec = self.hub.codec;
        let layout = self.layout;
        let first_lane = self.floor.lanes.len();
        let mut bytes = Vec::new();
        // A publisher that receives too gets what the other publishers send.
        let publishers_receive = codec.publishers_receive() && layout.publishers > 1;
        let others = if publishers_receive {
            layout.publishers - 1
        } else {
            0
        };
        self.hub.expect(layout.group());
        for index in 0..layout.group() {
            self.hub
                .turn_to(self.addresses[index % self.addresses.len()]);
            let member = self.hub.connect()?;
            let publishes = index < layout.publishers;
            bytes.clear();
            if publishes {
                codec.enter(topic, &mut bytes);
                self.floor.lanes.push(Lane {
                    member,
                    topic: topic.to_owned(),
                    template: Template::new(topic, layout.size)?,
                    sequence: 0,
                    fan: (layout.receivers + others) as u64,
                    outstanding: 0,
                });
            } else {
                codec.join(topic, &mut bytes);
            }
            self.hub.send(member, &bytes)?;
            let receiver = (!publishes || publishers_receive).then(|| Receiver {
                ledger: Ledger::new(first_lane, layout.publishers),
                own_lane: publishes.then_some(first_lane + index),
                joined: false,
                counted: true,
            });
            self.floor.missing += usize::from(receiver.is_some());
            self.floor.receivers.push(receiver);
        }
        Ok(())
    }

    /// Sends probes until every receiver has seen one: a registration has no
    /// answer in every protocol, and a sleep would prove nothing.
    fn probe(&mut self) -> Result<()> {
        let started = Instant::now();
        let mut patience = FIRST_PROBE;
        while self.floor.missing > 0 {
            ensure!(
                started.elapsed() < JOIN_LIMIT,
                "{} of {} connections have received nothing {} s after they joined",
                self.floor.missing,
                self.floor.receivers.len(),
                JOIN_LIMIT.as_secs()
            );
            // Two publishers of a topic that receive themselves prove one
            // another's registration; more would only add load.
            for lane in 0..self.floor.lanes.len() {
                if lane % self.layout.publishers < 2 {
                    self.send(lane, 1, Kind::Probe)?;
                }
            }
            let sent = Instant::now();
            while self.floor.missing > 0 && sent.elapsed() < patience {
                self.turn(patience)?;
            }
            patience = (patience * 2).min(LAST_PROBE);
        }
        Ok(())
    }

    /// Sends a message on every lane and waits for all: whatever probes were
    /// still under way have arrived before them, and no one's time is spent on
    /// them later.
    fn flush(&mut self) -> Result<()> {
        let started = Instant::now();
        let mut expected = 0;
        for lane in 0..self.floor.lanes.len() {
            expected += self.floor.lanes[lane].fan;
            self.send(lane, 1, Kind::Data)?;
        }
        while self.floor.deliveries < expected {
            ensure!(
                started.elapsed() < JOIN_LIMIT,
                "{} of {expected} first messages have not arrived after {} s",
                expected - self.floor.deliveries,
                JOIN_LIMIT.as_secs()
            );
            self.turn(LAST_PROBE)?;
        }
        self.floor.reset();
        Ok(())
    }

    /// Sends `window` messages of one publisher in one write.
    pub(crate) fn send(&mut self, lane: usize, window: u64, kind: Kind) -> Result<()> {
        let codec = self.hub.codec;
        let time = self.hub.clock.now();
        let publisher = &mut self.floor.lanes[lane];
        let mut bytes = Vec::new();
        for _ in 0..window {
            let stamp = Stamp {
                kind,
                lane,
                sequence: publisher.sequence,
                time,
            };
            let payload = publisher.template.stamped(stamp);
            codec.publish(&publisher.topic, payload, &mut bytes);
            if kind == Kind::Data {
                publisher.sequence += 1;
                publisher.outstanding += publisher.fan;
            }
        }
        self.hub.send(publisher.member, &bytes)
    }

    /// Waits at most `timeout` for arrivals, and checks and counts them.
    pub(crate) fn turn(&mut self, timeout: Duration) -> Result<()> {
        let floor = &mut self.floor;
        self.hub.turn(timeout, &mut |member, now, payload| {
            floor
                .arrival(member, now, payload)
                .with_context(|| format!("verification failed at connection {member}"))
        })
    }

    /// The connection of the last receiver.
    pub(crate) fn last_member(&self) -> usize {
        self.floor.receivers.len() - 1
    }

    /// The last receiver is checked as before, but waited for no more.
    pub(crate) fn stop_counting_last(&mut self) {
        let last = self.last_member();
        if let Some(receiver) = &mut self.floor.receivers[last] {
            receiver.counted = false;
        }
        for lane in &mut self.floor.lanes {
            lane.fan -= 1;
        }
    }

    /// Checks that all that was sent has arrived everywhere.
    pub(crate) fn settle(&self) -> Result<()> {
        self.floor.settle()
    }
}
