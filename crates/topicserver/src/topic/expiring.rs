//! The topics that remember ids. Their ids must expire also when nothing is published any more.
//! One task tells all topics, so no topic has a timer.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::history::dedup::PARTS_OF_WINDOW;
use crate::topic::handle::Topic;

/// How many topics are woken before other tasks run: some dozens of microseconds of work.
const TOPICS_PER_TURN: usize = 64;

/// The shortest time between two checks of a topic.
const MIN_DELAY: Duration = Duration::from_millis(100);

/// Topics that remember ids.
pub(crate) struct Expiring {
    /// The time until a topic is checked. It is the same for all topics, so they are due in the
    /// order in which they were added.
    delay: Duration,
    topics: Mutex<VecDeque<(Instant, Weak<Topic>)>>,
    /// Notified when the first topic is added.
    added: Notify,
}

impl Expiring {
    pub(crate) fn new(window: Duration) -> Self {
        // A topic checks its ids when more than a part of the window has passed.
        let part = window / u32::try_from(PARTS_OF_WINDOW).unwrap_or(1);
        Self {
            delay: part.max(MIN_DELAY) + Duration::from_millis(2),
            topics: Mutex::default(),
            added: Notify::new(),
        }
    }

    /// Adds a topic that has ids. It is told when some of them may be too old.
    pub(crate) fn add(&self, topic: &Arc<Topic>) {
        let due = Instant::now() + self.delay;
        let mut topics = self.topics.lock();
        topics.push_back((due, Arc::downgrade(topic)));
        if topics.len() == 1 {
            self.added.notify_one();
        }
    }

    /// Tells each topic when it is due; never ends.
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

    /// Takes out topics that are due. Topics that have ended are left out.
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
