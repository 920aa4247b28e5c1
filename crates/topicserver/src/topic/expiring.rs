//! The topics that remember ids, so that these become too old where nothing is
//! published any more. One task goes round; no topic has a timer of its own.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::history::dedup::PARTS_OF_WINDOW;
use crate::topic::handle::Topic;

/// Topics that are woken before other tasks get their turn: some dozens of
/// microseconds.
const TOPICS_PER_TURN: usize = 64;

/// The shortest time between two looks at a topic.
const MIN_DELAY: Duration = Duration::from_millis(100);

/// Topics that remember ids.
pub(crate) struct Expiring {
    /// From now to the next look at a topic: the same for all, so that they are due
    /// in the order in which they came.
    delay: Duration,
    topics: Mutex<VecDeque<(Instant, Weak<Topic>)>>,
    /// Told of the first one.
    added: Notify,
}

impl Expiring {
    pub(crate) fn new(window: Duration) -> Self {
        // A topic looks at its ids when more than a part of the window has passed.
        let part = window / u32::try_from(PARTS_OF_WINDOW).unwrap_or(1);
        Self {
            delay: part.max(MIN_DELAY) + Duration::from_millis(2),
            topics: Mutex::default(),
            added: Notify::new(),
        }
    }

    /// A topic has ids, and wants to be told when some of them may be too old.
    pub(crate) fn add(&self, topic: &Arc<Topic>) {
        let due = Instant::now() + self.delay;
        let mut topics = self.topics.lock();
        topics.push_back((due, Arc::downgrade(topic)));
        if topics.len() == 1 {
            self.added.notify_one();
        }
    }

    /// Tells topics, each when it is due; never ends.
    pub(crate) async fn run(&self) {
        loop {
            match self.next_due() {
                None => self.added.notified().await,
                Some(due) => {
                    tokio::time::sleep_until(due).await;
                    self.take_due().iter().for_each(|topic| topic.expire());
                    tokio::task::yield_now().await;
                }
            }
        }
    }

    fn next_due(&self) -> Option<Instant> {
        self.topics.lock().front().map(|(due, _)| *due)
    }

    /// Takes out topics that are due, without those that have gone.
    fn take_due(&self) -> Vec<Arc<Topic>> {
        let now = Instant::now();
        let mut topics = self.topics.lock();
        let is_due = |(due, _): &(Instant, Weak<Topic>)| *due <= now;
        let count = topics
            .iter()
            .take(TOPICS_PER_TURN)
            .take_while(|one| is_due(one))
            .count();
        let due = topics
            .drain(..count)
            .filter_map(|(_, topic)| topic.upgrade())
            .collect();
        if topics.is_empty() {
            topics.shrink_to_fit();
        }
        due
    }
}
