//! Who was told of whose coming, so that the same are told of the going.
//!
//! Comings that are announced have numbers. A member is told of those that have a higher
//! one than the last before it came; what it wasn't told, because much waited for it, it
//! remembers. So nothing is kept for each pair of members.

/// What a member is told, and what others were told of it.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// The last announcement before it came.
    since: u64,
    /// The announcement of its own coming; 0: nobody was told.
    announced: u64,
    /// Announcements that it wasn't told, of members who are still here.
    #[expect(clippy::box_collection, reason = "hardly anybody misses any")]
    missed: Option<Box<Vec<u64>>>,
}

/// Whether a member is told who comes and goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum People {
    Shown,
    Hidden,
}

impl Told {
    /// Of a member that comes after so many announcements.
    pub(crate) fn since(announcements: u64) -> Self {
        Self {
            since: announcements,
            ..Self::default()
        }
    }

    /// From now on it is told nothing of those who come, and go.
    pub(crate) fn hide(&mut self) {
        self.since = u64::MAX;
        self.missed = None;
    }

    /// Whether it is told nothing.
    pub(crate) fn is_hidden(&self) -> bool {
        self.since == u64::MAX
    }

    /// The announcement of its coming, if there was one.
    pub(crate) fn announced(&self) -> Option<u64> {
        Some(self.announced).filter(|number| *number > 0)
    }

    /// Its coming is announced; or another connection of the same user was, before it.
    pub(crate) fn set_announced(&mut self, number: u64) {
        self.announced = number;
    }

    /// It can't be told of a coming.
    pub(crate) fn miss(&mut self, number: u64) {
        self.missed.get_or_insert_default().push(number);
    }

    /// It was given the list of those who are here, so it is told when they go.
    pub(crate) fn set_listed(&mut self) {
        self.since = 0;
        self.missed = None;
    }

    /// Whether it was told of the coming of somebody who goes now.
    pub(crate) fn take(&mut self, number: u64) -> bool {
        if let Some(missed) = &mut self.missed
            && let Some(place) = missed.iter().position(|known| *known == number)
        {
            missed.swap_remove(place);
            if missed.is_empty() {
                self.missed = None;
            }
            return false;
        }
        number > self.since
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_was_given_the_list_is_told_of_all_in_it() {
        let mut told = Told::since(3);
        told.miss(5);
        told.set_listed();
        assert_eq!([1, 3, 5].map(|number| told.take(number)), [true; 3]);
    }

    #[test]
    fn one_is_told_of_those_who_came_later_unless_it_missed_them() {
        let mut told = Told::since(3);
        told.miss(5);
        assert_eq!(
            [3, 4, 5, 6].map(|number| told.take(number)),
            [false, true, false, true]
        );
        assert!(told.missed.is_none());
        assert_eq!(told.announced(), None);
    }
}
