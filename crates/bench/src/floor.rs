//! The connections of a run and what each must receive. Every arrival is checked against
//! that, counted and timed. This module has no sockets.

use crate::payload::{Kind, Template, read_stamp};
use crate::protocols::shown;
use crate::stats::Latencies;
use crate::verify::Ledger;
use anyhow::{Context, Result, bail, ensure};

/// One publisher.
pub(crate) struct Lane {
    /// Its connection.
    pub(crate) member: usize,
    /// The name of its topic.
    pub(crate) topic: String,
    /// Its message but for the stamp.
    pub(crate) template: Template,
    /// The sequence number of its next message.
    pub(crate) sequence: u64,
    /// Counted receivers of each of its messages.
    pub(crate) fan: u64,
    /// Counted deliveries of its messages still to come.
    pub(crate) outstanding: u64,
}

/// One receiving connection.
pub(crate) struct Receiver {
    /// What it has received.
    pub(crate) ledger: Ledger,
    /// The lane that it publishes on itself, and must never receive.
    pub(crate) own_lane: Option<usize>,
    /// It has seen a probe, so it is registered.
    pub(crate) joined: bool,
    /// The run waits for it and counts its deliveries.
    pub(crate) counted: bool,
}

/// What each arrival is checked against.
pub(crate) struct Floor {
    /// All publishers; a topic's publishers follow one another.
    pub(crate) lanes: Vec<Lane>,
    /// By connection; `None` for one that must receive nothing.
    pub(crate) receivers: Vec<Option<Receiver>>,
    /// Receivers that have not seen a probe.
    pub(crate) missing: usize,
    /// Publishers whose messages have all arrived.
    pub(crate) ready: Vec<usize>,
    /// Counted deliveries since the last reset.
    pub(crate) deliveries: u64,
    /// From stamp to arrival, since the last reset.
    pub(crate) latencies: Latencies,
}

impl Floor {
    /// Nobody there yet.
    pub(crate) fn new() -> Result<Self> {
        Ok(Self {
            lanes: Vec::new(),
            receivers: Vec::new(),
            missing: 0,
            ready: Vec::new(),
            deliveries: 0,
            latencies: Latencies::new()?,
        })
    }

    /// Begins to count and to time from nothing.
    pub(crate) fn reset(&mut self) {
        self.deliveries = 0;
        self.latencies.clear();
    }

    /// Expects `messages` of a publisher that writes by other means than `send`.
    pub(crate) fn expect(&mut self, lane: usize, messages: u64) {
        let lane = &mut self.lanes[lane];
        lane.sequence += messages;
        lane.outstanding += messages * lane.fan;
    }

    /// Deliveries that have not arrived.
    pub(crate) fn outstanding(&self) -> u64 {
        self.lanes.iter().map(|lane| lane.outstanding).sum()
    }

    /// Enters what connection `member` has received at `now`.
    pub(crate) fn arrival(&mut self, member: usize, now: u64, payload: &[u8]) -> Result<()> {
        let Some(stamp) = read_stamp(payload) else {
            bail!("this is not what was published: {}", shown(payload));
        };
        let Some(receiver) = self.receivers.get_mut(member).and_then(Option::as_mut) else {
            bail!("a publisher received a message: {}", shown(payload));
        };
        if stamp.kind == Kind::Probe {
            self.missing -= usize::from(!receiver.joined);
            receiver.joined = true;
            return Ok(());
        }
        ensure!(
            receiver.own_lane != Some(stamp.lane),
            "publisher {} received its own message {}",
            stamp.lane,
            stamp.sequence
        );
        receiver.ledger.enter(stamp.lane, stamp.sequence)?;
        if receiver.counted {
            self.deliveries += 1;
            self.latencies.record(now.saturating_sub(stamp.time));
            let lane = &mut self.lanes[stamp.lane];
            lane.outstanding = lane.outstanding.saturating_sub(1);
            if lane.outstanding == 0 {
                self.ready.push(stamp.lane);
            }
        }
        Ok(())
    }

    /// Checks that every counted receiver has received all that it had to.
    pub(crate) fn settle(&self) -> Result<()> {
        for (lane, publisher) in self.lanes.iter().enumerate() {
            for (member, receiver) in self.receivers.iter().enumerate() {
                let Some(receiver) = receiver else { continue };
                let own = receiver.own_lane == Some(lane);
                if own || !receiver.counted || !receiver.ledger.hears(lane) {
                    continue;
                }
                receiver
                    .ledger
                    .settle(lane, publisher.sequence)
                    .with_context(|| format!("verification failed at connection {member}"))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payload::Stamp;

    /// Two publishers (connections 0 and 1, which receive too) and a receiver.
    fn floor() -> Floor {
        let mut floor = Floor::new().unwrap();
        for member in 0..3 {
            if member < 2 {
                floor.lanes.push(Lane {
                    member,
                    topic: "T".to_owned(),
                    template: Template::new("T", 220).unwrap(),
                    sequence: 0,
                    fan: 2,
                    outstanding: 0,
                });
            }
            floor.receivers.push(Some(Receiver {
                ledger: Ledger::new(0, 2),
                own_lane: (member < 2).then_some(member),
                joined: false,
                counted: true,
            }));
            floor.missing += 1;
        }
        floor
    }

    fn frame(kind: Kind, lane: usize, sequence: u64) -> Vec<u8> {
        let stamp = Stamp {
            kind,
            lane,
            sequence,
            time: 0,
        };
        Template::new("T", 220).unwrap().stamped(stamp).to_vec()
    }

    #[test]
    fn a_publisher_is_ready_when_all_its_receivers_have_everything() {
        let mut floor = floor();
        floor.expect(0, 1);
        floor.arrival(1, 5, &frame(Kind::Data, 0, 0)).unwrap();
        assert!(floor.ready.is_empty());
        assert!(floor.settle().is_err(), "the receiver has nothing yet");
        floor.arrival(2, 9, &frame(Kind::Data, 0, 0)).unwrap();
        assert_eq!((floor.ready.as_slice(), floor.deliveries), (&[0][..], 2));
        floor.settle().unwrap();
    }

    #[test]
    fn an_echo_to_the_publisher_fails() {
        let error = floor().arrival(0, 0, &frame(Kind::Data, 0, 0)).unwrap_err();
        assert!(error.to_string().contains("its own message"), "{error}");
    }

    #[test]
    fn what_was_never_published_fails() {
        let error = floor().arrival(2, 0, b"{\"message\":{}}\n").unwrap_err();
        assert!(
            error.to_string().contains("not what was published"),
            "{error}"
        );
    }

    #[test]
    fn doubled_and_missing_messages_fail() {
        let mut floor = floor();
        floor.expect(1, 3);
        floor.arrival(2, 0, &frame(Kind::Data, 1, 0)).unwrap();
        assert!(floor.arrival(2, 0, &frame(Kind::Data, 1, 0)).is_err());
        assert!(floor.arrival(2, 0, &frame(Kind::Data, 1, 2)).is_err());
    }

    #[test]
    fn probes_join_once_and_are_never_counted() {
        let mut floor = floor();
        for _ in 0..3 {
            floor.arrival(2, 0, &frame(Kind::Probe, 0, 0)).unwrap();
        }
        assert_eq!((floor.missing, floor.deliveries), (2, 0));
    }

    #[test]
    fn an_uncounted_receiver_is_checked_but_not_waited_for() {
        let mut floor = floor();
        if let Some(receiver) = &mut floor.receivers[2] {
            receiver.counted = false;
        }
        floor.lanes[0].fan = 1;
        floor.expect(0, 1);
        floor.arrival(1, 0, &frame(Kind::Data, 0, 0)).unwrap();
        assert_eq!(floor.ready, [0]);
        floor.settle().unwrap();
        assert!(floor.arrival(2, 0, &frame(Kind::Data, 0, 1)).is_err());
    }
}
