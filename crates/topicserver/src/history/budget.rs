//! How much memory the histories of all topics take together, and who gives some
//! back when it is too much.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use tokio::sync::Notify;

/// What a topic costs that is only there because it remembers something: its task,
/// its mailbox, its places in tables.
const TOPIC_COST: usize = 2 * 1024;

/// The bytes that all histories may take, and do.
pub(crate) struct Budget {
    limit: usize,
    used: AtomicUsize,
    exceeded: Notify,
}

impl Budget {
    pub(crate) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self {
            limit,
            used: AtomicUsize::new(0),
            exceeded: Notify::new(),
        })
    }

    /// Bytes that must be given back now; 0 while all is well. It asks for a
    /// sixteenth more than is needed, so that it isn't asked for all the time.
    pub(crate) fn to_give_back(&self) -> usize {
        let used = self.used.load(Relaxed);
        if used <= self.limit {
            return 0;
        }
        used - (self.limit - self.limit / 16)
    }

    /// Resolves when too much is used.
    pub(crate) async fn exceeded(&self) {
        while self.to_give_back() == 0 {
            self.exceeded.notified().await;
        }
    }

    fn change(&self, from: usize, to: usize) {
        if to < from {
            self.used.fetch_sub(from - to, Relaxed);
        } else if self.used.fetch_add(to - from, Relaxed) + (to - from) > self.limit {
            self.exceeded.notify_one();
        }
    }
}

/// One topic's part of the budget. Dropping it gives the part back.
pub(crate) struct Share {
    budget: Arc<Budget>,
    /// What is counted for this topic; read by whoever looks for a topic to forget.
    counted: Arc<AtomicUsize>,
}

impl Share {
    pub(crate) fn new(budget: Arc<Budget>, counted: Arc<AtomicUsize>) -> Self {
        Self { budget, counted }
    }

    /// The topic's history and ids take so many bytes now.
    pub(crate) fn set(&self, bytes: usize) {
        let cost = if bytes == 0 { 0 } else { bytes + TOPIC_COST };
        let before = self.counted.swap(cost, Relaxed);
        self.budget.change(before, cost);
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.set(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn more_than_the_limit_is_noticed_and_what_is_given_back_is_counted() {
        let budget = Budget::new(16 * 1024);
        let share = |budget: &Arc<Budget>| Share::new(budget.clone(), Arc::default());
        let (one, two) = (share(&budget), share(&budget));
        one.set(10_000);
        assert_eq!(budget.to_give_back(), 0);
        two.set(5_000);
        budget.exceeded().await;
        assert_eq!(budget.to_give_back(), 15_000 + 2 * TOPIC_COST - 15 * 1024);
        one.set(0);
        assert_eq!(budget.to_give_back(), 0);
        drop(two);
        assert_eq!(budget.used.load(Relaxed), 0);
    }
}
