//! Which members were told of a user's join, so that the same members are told when the user
//! leaves.
//!
//! Announced joins have numbers. A member is told of joins with a higher number than the last one
//! before its own. It remembers the joins that it missed because its outbox was full. So nothing
//! is kept for each pair of members.

/// The number of the joins of those on other servers who were there before the first member here.
/// Only who asks for the list learns of them.
pub(crate) const BEFORE_ALL: u64 = 1;

/// What one member was told of others, and which announcement others got of it.
#[derive(Debug, Default)]
pub(crate) struct PresenceState {
    /// The number of the last announcement before it joined.
    since: u64,
    /// The number of the announcement of its own join; 0 if there was none.
    announced: u64,
    /// Announcements that it missed, of members who are still here.
    #[expect(clippy::box_collection, reason = "hardly anybody misses any")]
    missed: Option<Box<Vec<u64>>>,
}

/// Whether a member is told who joins and leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum People {
    Shown,
    Hidden,
}

impl PresenceState {
    /// The state of a member that joins after this many announcements.
    pub(crate) fn since(announcements: u64) -> Self {
        Self {
            since: announcements,
            ..Self::default()
        }
    }

    /// Stops telling the member who joins and leaves.
    pub(crate) fn hide(&mut self) {
        self.since = u64::MAX;
        self.missed = None;
    }

    /// Whether the member is told nothing.
    pub(crate) fn is_hidden(&self) -> bool {
        self.since == u64::MAX
    }

    /// The number of the announcement of its join, if there was one.
    pub(crate) fn announced(&self) -> Option<u64> {
        Some(self.announced).filter(|number| *number > 0)
    }

    /// Its join was announced, or that of another connection of the same user.
    pub(crate) fn set_announced(&mut self, number: u64) {
        self.announced = number;
    }

    /// Notes that the member missed an announcement.
    pub(crate) fn miss(&mut self, number: u64) {
        self.missed.get_or_insert_default().push(number);
    }

    /// The member got the list of all members, so it is told when they leave.
    pub(crate) fn set_listed(&mut self) {
        self.since = 0;
        self.missed = None;
    }

    /// Whether the member was told of the join of a user who leaves now.
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
    fn a_member_that_got_the_list_is_told_of_all_in_it() {
        let mut told = PresenceState::since(3);
        told.miss(5);
        told.set_listed();
        assert_eq!([1, 3, 5].map(|number| told.take(number)), [true; 3]);
    }

    #[test]
    fn a_member_is_told_of_later_joins_unless_it_missed_them() {
        let mut told = PresenceState::since(3);
        told.miss(5);
        assert_eq!(
            [3, 4, 5, 6].map(|number| told.take(number)),
            [false, true, false, true]
        );
        assert!(told.missed.is_none());
        assert_eq!(told.announced(), None);
    }
}
