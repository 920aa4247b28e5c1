//! Everything that a simulated cluster consists of, and what is going to happen in it.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, sleep_until};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::cluster::bus::Said;
use crate::cluster::log::Followed;

use super::chance::Chance;
use super::faults::Faults;
use super::listeners::Listeners;
use super::network::Network;
use super::records::{Moment, Records};

/// How many lines of the trace are kept.
const KEPT_LINES: usize = 10_000;

/// The log's clock at the beginning, in milliseconds since the Unix epoch.
const BEGINNING: i64 = 1_800_000_000_000;

/// Something that will happen.
type Happening = Box<dyn FnOnce(&mut State) + Send>;

/// The state, and the task that makes things happen in it.
pub(super) struct Shared {
    state: Mutex<State>,
    changed: Arc<Notify>,
}

pub(super) struct State {
    pub(super) seed: u64,
    pub(super) faults: Faults,
    pub(super) network: Network,
    pub(super) records: Records,
    pub(super) feeds: Listeners<Followed>,
    pub(super) subscribers: Listeners<Said>,
    /// What the log itself leaves to chance.
    pub(super) chance: Chance,
    /// Why the log refuses everything, if it does.
    pub(super) refusal: Option<String>,
    /// For how long records are to be kept, if a server has changed that. They stay all the same.
    pub(super) keep_age: Option<Duration>,
    /// Requests that servers without a connection hold back, by the server.
    pub(super) held: BTreeMap<usize, Vec<Happening>>,
    /// By how much the log's clock has been moved, in milliseconds.
    pub(super) clock_moved: i64,
    began: Instant,
    future: BTreeMap<(Instant, u64), Happening>,
    happenings: u64,
    /// The hash of all lines of the trace.
    pub(super) digest: u64,
    pub(super) lines: VecDeque<String>,
}

impl Shared {
    /// A state whose future a task of this runtime brings about.
    pub(super) fn start(seed: u64, faults: Faults) -> Arc<Self> {
        let changed = Arc::new(Notify::new());
        let shared = Arc::new(Self {
            state: Mutex::new(State::new(seed, faults)),
            changed: changed.clone(),
        });
        tokio::spawn(go_on(Arc::downgrade(&shared), changed));
        shared
    }

    /// Looks at the state, or changes it.
    pub(super) fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        let result = act(&mut self.state.lock());
        self.changed.notify_one();
        result
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.changed.notify_one();
    }
}

/// Has everything happen at its time, until the state is gone.
async fn go_on(shared: Weak<Shared>, changed: Arc<Notify>) {
    loop {
        let next = match shared.upgrade() {
            None => return,
            Some(shared) => shared.state.lock().catch_up(),
        };
        match next {
            None => changed.notified().await,
            Some(at) => tokio::select! {
                biased;
                () = changed.notified() => {}
                () = sleep_until(at) => {}
            },
        }
    }
}

impl State {
    fn new(seed: u64, faults: Faults) -> Self {
        Self {
            seed,
            faults,
            network: Network::new(seed),
            records: Records::default(),
            feeds: Listeners::default(),
            subscribers: Listeners::default(),
            chance: Chance::new(seed, 2),
            refusal: None,
            keep_age: None,
            held: BTreeMap::new(),
            clock_moved: 0,
            began: Instant::now(),
            future: BTreeMap::new(),
            happenings: 0,
            digest: 0,
            lines: VecDeque::new(),
        }
    }

    pub(super) fn moment(&self) -> Moment {
        let now = Instant::now();
        let elapsed = i64::try_from((now - self.began).as_millis()).unwrap_or(i64::MAX);
        let stamp = BEGINNING
            .saturating_add(elapsed)
            .saturating_add(self.clock_moved);
        Moment {
            now,
            stamp: u64::try_from(stamp).unwrap_or(0),
        }
    }

    /// Has something happen at this time.
    pub(super) fn at(&mut self, time: Instant, happening: impl FnOnce(&mut Self) + Send + 'static) {
        self.happenings += 1;
        let place = (time, self.happenings);
        self.future.insert(place, Box::new(happening));
    }

    /// Has something happen after this time.
    pub(super) fn after(
        &mut self,
        time: Duration,
        happening: impl FnOnce(&mut Self) + Send + 'static,
    ) {
        self.at(Instant::now() + time, happening);
    }

    /// Has everything happen whose time has come. Returns when the next thing happens.
    fn catch_up(&mut self) -> Option<Instant> {
        loop {
            let first = self.future.first_entry()?;
            let at = first.key().0;
            if at > Instant::now() {
                return Some(at);
            }
            first.remove()(self);
        }
    }

    /// Notes what has happened.
    pub(super) fn note(&mut self, what: fmt::Arguments<'_>) {
        let elapsed = Instant::now() - self.began;
        let line = format!("{:>8} {what}", elapsed.as_millis());
        self.digest = xxh3_64_with_seed(line.as_bytes(), self.digest);
        if self.lines.len() == KEPT_LINES {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
    }
}

/// The place of one answer. The first one is taken.
pub(super) struct Slot<T>(Arc<Mutex<Option<oneshot::Sender<T>>>>);

impl<T> Clone for Slot<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Slot<T> {
    pub(super) fn new() -> (Self, oneshot::Receiver<T>) {
        let (sender, receiver) = oneshot::channel();
        (Self(Arc::new(Mutex::new(Some(sender)))), receiver)
    }

    /// Answers. Returns whether it was the first answer.
    pub(super) fn answer(&self, answer: T) -> bool {
        let sender = self.0.lock().take();
        // Nobody may wait for it any more.
        sender.is_some_and(|sender| {
            let _ = sender.send(answer);
            true
        })
    }

    /// Takes the chance of an answer away.
    pub(super) fn drop_it(&self) {
        self.0.lock().take();
    }
}
