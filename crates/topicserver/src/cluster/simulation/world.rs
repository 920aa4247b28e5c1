//! One simulated cluster, and what is done to it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, sleep_until};

use crate::cluster::Engine;
use crate::cluster::bus::{Bus, Link};
use crate::cluster::log::{Followed, Located, Log};

use super::bus::SimulatedBus;
use super::faults::{Fate, Faults};
use super::feeds::publish;
use super::log::SimulatedLog;
use super::plan::{Misfortune, Plan};
use super::state::{Shared, State};

/// A log and a bus that several servers share. Clones are the same one.
#[derive(Clone)]
pub struct World(Arc<Shared>);

impl World {
    /// A new one, in which a task of this runtime has things happen.
    #[must_use]
    pub fn new(seed: u64, faults: Faults) -> Self {
        Self(Shared::start(seed, faults))
    }

    /// The log and the bus for this server, in the life that it has now.
    pub(crate) fn join(&self, node: usize) -> (Arc<dyn Log>, Arc<dyn Bus>) {
        let life = self.0.with(|state| state.network.now(node));
        let log = SimulatedLog::new(self.0.clone(), life);
        let bus = SimulatedBus::new(self.0.clone(), life);
        (Arc::new(log), Arc::new(bus))
    }

    /// The same for a server that is to be started.
    #[must_use]
    pub fn engine(&self, node: usize) -> Engine {
        let (log, bus) = self.join(node);
        let secret = [7; 16];
        Engine { log, bus, secret }
    }

    /// Sets the log's clock, to milliseconds since the Unix epoch.
    pub fn set_clock(&self, now: u64) {
        self.0.with(|state| {
            let by = i128::from(now) - i128::from(state.moment().stamp);
            let by = i64::try_from(by).unwrap_or(0);
            state.clock_moved = state.clock_moved.saturating_add(by);
        });
    }

    /// Changes what goes wrong from now on.
    pub fn set_faults(&self, change: impl FnOnce(&mut Faults)) {
        self.0.with(|state| change(&mut state.faults));
    }

    /// Decides what becomes of a server's next append, after those that are decided already.
    pub fn decide(&self, node: usize, fate: Fate) {
        self.0
            .with(|state| state.network.node(node).fates.push_back(fate));
    }

    /// Refuses everything that is to be appended, or nothing any more.
    pub fn refuse(&self, why: Option<&str>) {
        self.0.with(|state| state.refusal = why.map(str::to_owned));
    }

    /// Has something happen to the servers.
    pub fn suffer(&self, misfortune: &Misfortune) {
        self.0.with(|state| {
            state.note(format_args!("{misfortune:?}"));
            suffer(state, misfortune);
        });
    }

    /// Has all of a plan happen. `also` does what is to be done to the servers' tasks when they
    /// are killed and started.
    pub async fn live_through(&self, plan: &Plan, mut also: impl FnMut(&Misfortune)) {
        let began = Instant::now();
        for (after, misfortune) in &plan.0 {
            sleep_until(began + *after).await;
            self.suffer(misfortune);
            also(misfortune);
        }
    }

    /// Appends a record behind no matter which one, as a log does that is not sound. Returns
    /// where it is.
    pub fn force(&self, topic: &str, record: &[u8]) -> u64 {
        self.0.with(|state| {
            let (moment, record) = (state.moment(), Bytes::copy_from_slice(record));
            let id = format!("forced {}", state.records.newest());
            let records = &mut state.records;
            let at = records.force(moment, topic, &id, record.clone(), 0);
            state.note(format_args!("forced {topic}: {at}"));
            publish(state, topic, &Located { at, record });
            at
        })
    }

    /// The log loses the newest records of a topic.
    pub fn lose(&self, topic: &str, count: usize) {
        self.0.with(|state| {
            state.note(format_args!("lost {topic}: {count}"));
            state.records.lose(topic, count);
        });
    }

    /// The records of a topic, as they are in the log.
    #[must_use]
    pub fn records(&self, topic: &str) -> Vec<(u64, Vec<u8>)> {
        let all = self
            .0
            .with(|state| state.records.read(topic, 0, usize::MAX, u64::MAX));
        let all = all.into_iter();
        all.map(|known| (known.at, known.record.to_vec())).collect()
    }

    /// For how long records are to be kept; `None` if no server has changed that.
    #[must_use]
    pub fn keep_age(&self) -> Option<Duration> {
        self.0.with(|state| state.keep_age)
    }

    /// The newest lines of what has happened, the oldest first.
    #[must_use]
    pub fn trace(&self) -> Vec<String> {
        self.0.with(|state| state.lines.iter().cloned().collect())
    }

    /// A number that is the same if the same has happened at the same times.
    #[must_use]
    pub fn digest(&self) -> u64 {
        self.0.with(|state| state.digest)
    }
}

fn suffer(state: &mut State, misfortune: &Misfortune) {
    match misfortune {
        Misfortune::Isolate(nodes) => {
            let newest = state.records.newest();
            state.network.isolate(nodes, newest);
        }
        Misfortune::Maroon(node) => {
            let newest = state.records.newest();
            state.network.isolate(&[*node], newest);
            state.network.node(*node).has_old_leader = true;
        }
        Misfortune::Disconnect(node) => {
            state.network.connect(*node, Link::Down);
        }
        Misfortune::Connect(node) => {
            if state.network.connect(*node, Link::Up) {
                connected(state, *node);
            }
        }
        Misfortune::StopLog => state.network.is_log_stopped = true,
        Misfortune::Heal => {
            for node in state.network.heal() {
                connected(state, node);
            }
        }
        Misfortune::Kill(node) => {
            state.network.kill(*node);
            state.held.remove(node);
            state.feeds.remove(*node);
            state.subscribers.remove(*node);
        }
        Misfortune::Return(node) => state.network.revive(*node),
        Misfortune::MoveClock(by) => state.clock_moved = state.clock_moved.saturating_add(*by),
    }
}

/// A server has a connection again: what it held back goes out, and its feeds say that they have
/// missed something.
fn connected(state: &mut State, node: usize) {
    for feed in state.feeds.of(node) {
        feed.has_missed = !feed.hand(Followed::Interrupted);
    }
    for request in state.held.remove(&node).unwrap_or_default() {
        request(state);
    }
}
