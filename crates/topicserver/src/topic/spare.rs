//! Empty vectors with room, kept by each thread for whoever needs one next: what
//! thousands of topics need one after the other, they needn't all have.

use std::cell::RefCell;

/// How many a thread keeps: those that are in use at a time, one for each topic that
/// is woken before the first of them has run.
const KEPT: usize = 16;

/// Larger ones are given back, so that a burst isn't kept.
const KEPT_CAPACITY: usize = 32;

/// One thread's.
pub(crate) struct Spare<T>(RefCell<Vec<Vec<T>>>);

impl<T> Spare<T> {
    pub(crate) const fn new() -> Self {
        Self(RefCell::new(Vec::new()))
    }

    /// An empty vector, with room if there is one.
    pub(crate) fn take(&self) -> Vec<T> {
        self.0.borrow_mut().pop().unwrap_or_default()
    }

    /// Keeps a vector's room, if that is worth it.
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
