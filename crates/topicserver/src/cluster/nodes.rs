//! The servers of a cluster: who lives, and which of them appends to a topic.
//!
//! Each says once a second that it lives. This is only a hint. While servers don't agree, two may
//! take themselves for a topic's owner, and the log takes the records of one of them.

mod heartbeat;
mod known;
mod node;
mod view;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};
use wire::TopicName;

use super::bus::{Bus, Said};
use heartbeat::{Heartbeat, State};
use known::{Known, News};
pub(crate) use node::{NodeId, OwnNode};
pub(crate) use view::{Owner, View};

/// The subject of heartbeats.
const SUBJECT: &str = "nodes";

/// The time between two heartbeats.
const PERIOD: Duration = Duration::from_secs(1);

/// The pause before another try to listen.
const PAUSE: Duration = Duration::from_millis(200);

/// The servers that live, as far as this one knows. It always lives itself.
pub(crate) struct Nodes {
    own: OwnNode,
    bus: Arc<dyn Bus>,
    known: Mutex<Known>,
    view: watch::Sender<Arc<View>>,
    /// How many heartbeats this server has sent.
    sent: AtomicU64,
    is_leaving: AtomicBool,
    /// Whether it has had the time to hear of all others.
    has_settled: watch::Sender<bool>,
}

impl Nodes {
    pub(crate) fn new(own: OwnNode, bus: Arc<dyn Bus>) -> Arc<Self> {
        let view = View::of(&own, false, &[]);
        Arc::new(Self {
            own,
            bus,
            known: Mutex::default(),
            view: watch::Sender::new(Arc::new(view)),
            sent: AtomicU64::new(0),
            is_leaving: AtomicBool::new(false),
            has_settled: watch::Sender::new(false),
        })
    }

    /// This server.
    pub(crate) fn own(&self) -> NodeId {
        self.own.id
    }

    /// Who appends to a topic.
    pub(crate) fn owner(&self, topic: &TopicName) -> Owner {
        self.owner_of(topic.as_str())
    }

    /// Who is responsible for what has this key.
    pub(crate) fn owner_of(&self, key: &str) -> Owner {
        match self.view.borrow().owner(key) {
            owner if owner == self.own.id => Owner::This,
            owner => Owner::Other(owner),
        }
    }

    /// The servers that live, now and after each change.
    pub(crate) fn view(&self) -> watch::Receiver<Arc<View>> {
        self.view.subscribe()
    }

    /// Where clients reach the other servers that live and stay. Servers differ in the order in
    /// which they name them, so that clients spread.
    pub(crate) fn servers(&self) -> Vec<String> {
        self.view.borrow().servers(self.own.id)
    }

    /// Whether this server hands its topics over.
    pub(crate) fn is_leaving(&self) -> bool {
        self.is_leaving.load(Relaxed)
    }

    /// From now on others own the topics. The server goes on serving its connections.
    pub(crate) fn leave(&self) {
        self.is_leaving.store(true, Relaxed);
        self.say(State::Leaving);
        self.renew();
    }

    /// Tells the others that this server ends now. What they know of its connections goes.
    pub(crate) fn end(&self) {
        self.is_leaving.store(true, Relaxed);
        self.say(State::Gone);
    }

    /// Resolves when this server may know all others: before it does, it takes itself for the
    /// owner of too much.
    pub(crate) async fn settle(&self) {
        let mut has_settled = self.has_settled.subscribe();
        // The sender lives as long as this.
        let _ = has_settled.wait_for(|has_settled| *has_settled).await;
    }

    /// Whether it may.
    pub(crate) fn has_settled(&self) -> bool {
        *self.has_settled.borrow()
    }

    /// Says once a second that this server lives, and listens to others, for ever.
    pub(crate) async fn run(self: Arc<Self>) {
        let mut last = Instant::now();
        loop {
            let Ok(mut heard) = self.bus.subscribe(SUBJECT).await else {
                // Nobody can tell whether the others live.
                last = self.tick(last);
                sleep(PAUSE).await;
                continue;
            };
            let mut tick = interval(PERIOD);
            tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
            let mut ticks = 0;
            loop {
                tokio::select! {
                    // What was said before is heard before it is judged who is silent.
                    biased;
                    said = heard.recv() => match said {
                        Some(said) => self.hear(said, &mut heard),
                        None => break,
                    },
                    _ = tick.tick() => {
                        last = self.tick(last);
                        ticks += 1;
                        if ticks == 2 {
                            self.has_settled.send_replace(true);
                        }
                    }
                }
            }
        }
    }

    /// Takes what was said, and all that waits.
    fn hear(&self, said: Said, more: &mut mpsc::Receiver<Said>) {
        let mut has_changed = self.take(said);
        while let Ok(said) = more.try_recv() {
            has_changed |= self.take(said);
        }
        if has_changed {
            self.renew();
        }
    }

    /// Returns whether another server has come, gone or changed.
    fn take(&self, said: Said) -> bool {
        let Some(heard) = Heartbeat::decode(said.payload) else {
            return false;
        };
        if heard.id == self.own.id {
            return false;
        }
        if heard.name == self.own.name {
            self.meet_namesake(&heard);
            return false;
        }
        let news = self.known.lock().take(heard);
        if news == News::Joined {
            // It gets to know this one at once.
            self.say(self.state());
        }
        news != News::None
    }

    /// Another run has this server's name. That of an earlier run may be on its way still.
    fn meet_namesake(&self, other: &Heartbeat) {
        let is_newer = (other.started, other.id) > (self.own.started, self.own.id);
        if is_newer && self.known.lock().is_first_complaint() {
            tracing::error!(
                "another server of the cluster is called {:?} too, and others take it for this \
                 one: give each server a --node of its own",
                self.own.name,
            );
        }
    }

    /// Says that this server lives, and looks who doesn't any more. `last` is when it did so
    /// before.
    fn tick(&self, last: Instant) -> Instant {
        self.say(self.state());
        let now = Instant::now();
        let has_changed = {
            let mut known = self.known.lock();
            // This server has slept. The others may have been talking all the time.
            known.excuse((now - last).saturating_sub(PERIOD + PERIOD / 2), now);
            known.forget_silent(now)
        };
        if has_changed {
            self.renew();
        }
        now
    }

    fn state(&self) -> State {
        match self.is_leaving() {
            true => State::Leaving,
            false => State::Lives,
        }
    }

    fn say(&self, state: State) {
        let heartbeat = Heartbeat {
            id: self.own.id,
            started: self.own.started,
            number: 1 + self.sent.fetch_add(1, Relaxed),
            state,
            name: self.own.name.clone(),
            advertise: self.own.advertise.clone(),
        };
        self.bus.publish(SUBJECT, heartbeat.encode());
    }

    /// Tells everybody here who lives now.
    fn renew(&self) {
        let known = self.known.lock();
        let view = View::of(&self.own, self.is_leaving(), &known.living());
        let before = self.view.send_replace(Arc::new(view));
        let now = self.view.borrow();
        for node in now.nodes().filter(|node| !before.has(node.id)) {
            tracing::info!("the server {} has joined the cluster", node.name);
        }
        for node in before.nodes().filter(|node| !now.has(node.id)) {
            tracing::info!("the server {} has left the cluster", node.name);
        }
    }
}

#[cfg(test)]
mod tests;
