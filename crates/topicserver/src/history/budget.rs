//! The memory that the histories of all topics take together, bounded by
//! `--history-memory`.
//!
//! Messages and ids count as kept, and topics can return all of that. The cost of a topic
//! with members cannot be returned and leaves less room for the rest.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use tokio::sync::Notify;

/// What a topic costs without its history: its task, its mailbox, its entries in tables. 1,470
/// bytes were measured, with 50,000 joined topics.
pub(crate) const TOPIC_COST: usize = 1536;

/// This part of the budget is always left for histories, so that a server with very many topics
/// still keeps some history.
const LEAST_PART: usize = 4;

/// Topics return this much more than is missing, as a part of the allowed bytes, so that
/// the server does not ask them all the time.
const SPARE_PART: usize = 16;

/// The bytes that all histories may take, and those that they take.
pub(crate) struct MemoryBudget {
    limit: AtomicUsize,
    /// Bytes that can be returned.
    kept: AtomicUsize,
    /// Bytes that cannot be returned while their topics exist.
    fixed: AtomicUsize,
    exceeded: Notify,
}

impl MemoryBudget {
    pub(crate) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self {
            limit: limit.into(),
            kept: AtomicUsize::new(0),
            fixed: AtomicUsize::new(0),
            exceeded: Notify::new(),
        })
    }

    /// Changes the limit.
    pub(crate) fn set_limit(&self, limit: usize) {
        self.limit.store(limit, Relaxed);
        self.check();
    }

    /// Bytes that can be returned.
    pub(crate) fn kept(&self) -> usize {
        self.kept.load(Relaxed)
    }

    /// Bytes that topics must return now; 0 within the budget.
    pub(crate) fn to_give_back(&self) -> usize {
        let kept = self.kept.load(Relaxed);
        let allowed = self.allowed();
        if kept <= allowed {
            return 0;
        }
        kept - (allowed - allowed / SPARE_PART)
    }

    /// Resolves when too much is kept.
    pub(crate) async fn exceeded(&self) {
        while self.to_give_back() == 0 {
            self.exceeded.notified().await;
        }
    }

    /// Bytes that may be kept in addition to the fixed cost of topics.
    fn allowed(&self) -> usize {
        let fixed = self.fixed.load(Relaxed);
        let limit = self.limit.load(Relaxed);
        limit.saturating_sub(fixed).max(limit / LEAST_PART)
    }

    fn check(&self) {
        if self.kept.load(Relaxed) > self.allowed() {
            self.exceeded.notify_one();
        }
    }
}

/// Changes a number, and returns whether it has grown.
fn change(number: &AtomicUsize, from: usize, to: usize) -> bool {
    if to < from {
        number.fetch_sub(from - to, Relaxed);
    } else if to > from {
        number.fetch_add(to - from, Relaxed);
    }
    to > from
}

/// One topic's part of the budget. Dropping it gives the part back.
pub(crate) struct MemoryShare {
    budget: Arc<MemoryBudget>,
    /// Bytes that the topic would return if it dropped everything. The registry reads it to
    /// choose a topic.
    counted: Arc<AtomicUsize>,
    /// Bytes of its history and its ids.
    bytes: usize,
    /// The topic has members, so it would exist without a history.
    is_joined: bool,
}

impl MemoryShare {
    pub(crate) fn new(budget: Arc<MemoryBudget>, counted: Arc<AtomicUsize>) -> Self {
        Self {
            budget,
            counted,
            bytes: 0,
            is_joined: false,
        }
    }

    /// Sets the bytes of the topic's history and ids.
    pub(crate) fn set(&mut self, bytes: usize) {
        self.bytes = bytes;
        self.count();
    }

    /// Sets whether the topic has members.
    pub(crate) fn set_joined(&mut self, is_joined: bool) {
        if self.is_joined != is_joined {
            self.is_joined = is_joined;
            let (from, to) = if is_joined {
                (0, TOPIC_COST)
            } else {
                (TOPIC_COST, 0)
            };
            change(&self.budget.fixed, from, to);
            self.count();
            self.budget.check();
        }
    }

    fn count(&self) {
        // A topic without members disappears with its history.
        let own = if self.is_joined || self.bytes == 0 {
            0
        } else {
            TOPIC_COST
        };
        let cost = self.bytes + own;
        let before = self.counted.swap(cost, Relaxed);
        if change(&self.budget.kept, before, cost) {
            self.budget.check();
        }
    }
}

impl Drop for MemoryShare {
    fn drop(&mut self) {
        self.set(0);
        self.set_joined(false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(budget: &Arc<MemoryBudget>) -> MemoryShare {
        MemoryShare::new(budget.clone(), Arc::default())
    }

    #[tokio::test]
    async fn more_than_the_limit_is_noticed_and_what_is_given_back_is_counted() {
        let budget = MemoryBudget::new(16 * 1024);
        let (mut one, mut two) = (share(&budget), share(&budget));
        one.set(10_000);
        assert_eq!(budget.to_give_back(), 0);
        two.set(5_000);
        budget.exceeded().await;
        assert_eq!(budget.to_give_back(), 15_000 + 2 * TOPIC_COST - 15 * 1024);
        one.set(0);
        assert_eq!(budget.to_give_back(), 0);
        drop(two);
        one.set(1_000);
        assert_eq!(budget.to_give_back(), 0);
        budget.set_limit(1_024);
        budget.exceeded().await;
        assert!(budget.to_give_back() > 0);
        drop(one);
        assert_eq!(budget.kept.load(Relaxed), 0);
    }

    #[tokio::test]
    async fn joined_topics_leave_less_for_histories_but_a_quarter() {
        let limit = 16 * TOPIC_COST;
        let budget = MemoryBudget::new(limit);
        let mut all: Vec<_> = (0..8).map(|_| share(&budget)).collect();
        all[0].set(10 * TOPIC_COST);
        assert_eq!(budget.to_give_back(), 0);
        all.iter_mut().for_each(|share| share.set_joined(true));
        budget.exceeded().await;
        let allowed = limit / 2;
        assert_eq!(
            budget.to_give_back(),
            10 * TOPIC_COST - (allowed - allowed / 16)
        );
        let more: Vec<_> = (0..90)
            .map(|_| {
                let mut share = share(&budget);
                share.set_joined(true);
                share
            })
            .collect();
        all[0].set(limit / 4);
        assert_eq!(budget.to_give_back(), 0);
        all[0].set(limit / 4 + 1);
        assert!(budget.to_give_back() > 0);
        drop((all, more));
        assert_eq!(budget.fixed.load(Relaxed), 0);
    }
}
