//! Whether the log can be used: it can't when this server, or its part of the log's servers, is
//! cut off from most of them.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use wire::TopicName;

use super::bus::Link;
use super::log::Log;

/// How often the log is asked.
const PERIOD: Duration = Duration::from_secs(1);

/// How long it has for an answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// For how long no question must have been answered. While the log elects a leader of one of its
/// parts, the others answer.
const LOST_AFTER: Duration = Duration::from_secs(4);

/// Names of topics that are asked for in turn, so that all parts of the log are.
const NAMES: usize = 32;

/// Knows whether the log can be used.
pub(crate) struct Quorum {
    is_there: watch::Sender<bool>,
}

impl Quorum {
    /// It can be used, as far as is known.
    pub(crate) fn new() -> Self {
        Self {
            is_there: watch::Sender::new(true),
        }
    }

    /// Whether the log can be used, whenever that changes.
    pub(crate) fn watch(&self) -> watch::Receiver<bool> {
        self.is_there.subscribe()
    }

    pub(crate) fn is_there(&self) -> bool {
        *self.is_there.borrow()
    }

    /// Asks the log again and again, for ever.
    pub(crate) async fn run(&self, log: Arc<dyn Log>, mut link: watch::Receiver<Link>) {
        let names = (0..NAMES).filter_map(|number| TopicName::new(&format!("{number}")).ok());
        let mut answered = Instant::now();
        let mut tick = interval(PERIOD);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for name in names.collect::<Vec<_>>().iter().cycle() {
            tokio::select! {
                biased;
                _ = tick.tick() => {}
                // Who is connected again is told at once.
                Ok(()) = link.changed() => {}
            }
            if matches!(timeout(ANSWER_TIMEOUT, log.head(name)).await, Ok(Ok(_))) {
                answered = Instant::now();
            }
            let is_there = answered.elapsed() < LOST_AFTER;
            self.is_there
                .send_if_modified(|known| std::mem::replace(known, is_there) != is_there);
        }
    }
}
