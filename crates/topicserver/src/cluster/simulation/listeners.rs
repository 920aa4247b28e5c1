//! Those who hear of what happens: feeds of the log, and subscriptions of the bus.

use std::collections::BTreeMap;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::chance::Chance;
use super::network::Life;

/// How much waits for one listener. More is lost.
const CAPACITY: usize = 1024;

/// All listeners of one kind, in the order in which they came.
pub(super) struct Listeners<T> {
    all: BTreeMap<u64, Listener<T>>,
    count: u64,
}

pub(super) struct Listener<T> {
    pub(super) life: Life,
    /// A topic or a subject.
    subject: String,
    sender: mpsc::Sender<T>,
    /// What goes wrong on the way to it.
    pub(super) chance: Chance,
    /// When the last message from each sender arrives.
    last: BTreeMap<usize, Instant>,
    /// It didn't take something.
    pub(super) has_missed: bool,
}

impl<T> Default for Listeners<T> {
    fn default() -> Self {
        Self {
            all: BTreeMap::new(),
            count: 0,
        }
    }
}

impl<T> Listeners<T> {
    pub(super) fn add(&mut self, life: Life, subject: &str, seed: u64) -> mpsc::Receiver<T> {
        let (sender, receiver) = mpsc::channel(CAPACITY);
        self.count += 1;
        let listener = Listener {
            life,
            subject: subject.to_owned(),
            sender,
            chance: Chance::new(seed, 1_000_000 + self.count),
            last: BTreeMap::new(),
            has_missed: false,
        };
        self.all.insert(self.count, listener);
        receiver
    }

    /// The listeners to a subject, by number.
    pub(super) fn to(&mut self, subject: &str) -> Vec<(u64, Life)> {
        self.all.retain(|_, known| !known.sender.is_closed());
        let listeners = self.all.iter();
        let listeners = listeners.filter(|(_, listener)| listener.subject == subject);
        listeners
            .map(|(number, listener)| (*number, listener.life))
            .collect()
    }

    pub(super) fn get(&mut self, number: u64) -> Option<&mut Listener<T>> {
        self.all.get_mut(&number)
    }

    /// Those of one server.
    pub(super) fn of(&mut self, node: usize) -> impl Iterator<Item = &mut Listener<T>> {
        let listeners = self.all.values_mut();
        listeners.filter(move |listener| listener.life.node == node)
    }

    /// A server has died.
    pub(super) fn remove(&mut self, node: usize) {
        self.all.retain(|_, listener| listener.life.node != node);
    }
}

impl<T> Listener<T> {
    /// When something from this sender arrives that was to arrive at `at`, if it doesn't pass
    /// what was sent before.
    pub(super) fn behind(&mut self, sender: usize, at: Instant) -> Instant {
        let last = self.last.entry(sender).or_insert(at);
        *last = at.max(*last);
        *last
    }

    /// Returns whether it was taken.
    pub(super) fn hand(&mut self, item: T) -> bool {
        let is_taken = self.sender.try_send(item).is_ok();
        self.has_missed |= !is_taken;
        is_taken
    }
}
