//! Empty vectors with capacity, kept by each thread. Thousands of topics need one, but one after
//! the other, so they share them.

use std::cell::RefCell;

/// How many a thread keeps: as many as are in use at a time, one for each topic that is woken
/// before the first of them has run.
const KEPT: usize = 16;

/// Vectors with a larger capacity are freed, so that a burst doesn't keep its memory.
const KEPT_CAPACITY: usize = 32;

/// The spare vectors of one thread.
pub(crate) struct Spare<T>(RefCell<Vec<Vec<T>>>);

impl<T> Spare<T> {
    pub(crate) const fn new() -> Self {
        Self(RefCell::new(Vec::new()))
    }

    /// An empty vector, with capacity if a spare one is there.
    pub(crate) fn take(&self) -> Vec<T> {
        self.0.borrow_mut().pop().unwrap_or_default()
    }

    /// Keeps a vector for reuse, if it has a useful capacity.
    pub(crate) fn keep(&self, mut used: Vec<T>) {
        used.clear();
        let mut kept = self.0.borrow_mut();
        if (1..=KEPT_CAPACITY).contains(&used.capacity()) && kept.len() < KEPT {
            kept.push(used);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_used_again_but_not_that_of_a_burst() {
        let spare = Spare::new();
        assert_eq!(spare.take().capacity(), 0);
        spare.keep(vec![1; 10]);
        spare.keep(vec![1; KEPT_CAPACITY + 1]);
        let taken: Vec<i32> = spare.take();
        assert_eq!((taken.len(), taken.capacity()), (0, 10));
        assert_eq!(spare.take().capacity(), 0);
        (0..2 * KEPT).for_each(|_| spare.keep(vec![1]));
        assert_eq!(spare.0.borrow().len(), KEPT);
    }
}
