//! Which topics have the most to do, and who waits for them, for administrators.

use wire::TopicName;

use crate::topic::handle::Topic;
use crate::topic::registry::Registry;

/// Topics that are looked at with the lock held, where all are.
const LOOK: usize = 1_000;

/// What a topic looks like from outside.
pub(crate) struct Busy {
    pub(crate) name: TopicName,
    /// Connections that are registered.
    pub(crate) members: usize,
    /// The newest message's sequence number.
    pub(crate) newest: u64,
}

impl Busy {
    fn of(topic: &Topic) -> Self {
        let (members, newest) = topic.summary();
        let name = topic.name().clone();
        Self {
            name,
            members,
            newest,
        }
    }
}

impl Registry {
    /// Connections that are read no further until one of these topics has room.
    pub(crate) fn publishers_waiting(&self) -> usize {
        let mut waiting = 0;
        let mut after: Option<String> = None;
        loop {
            let some = self.following(after.as_deref(), LOOK);
            let putters = some.iter().map(|topic| topic.publishers_waiting());
            waiting += putters.sum::<usize>();
            after = some.last().map(|topic| topic.name().to_string());
            if some.len() < LOOK {
                return waiting;
            }
        }
    }

    /// How many topics there are, and the `most` with the most members, of as many members
    /// those with the most messages.
    pub(crate) fn busiest(&self, most: usize) -> (usize, Vec<Busy>) {
        let mut count = 0;
        let mut busiest: Vec<Busy> = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let some = self.following(after.as_deref(), LOOK);
            count += some.len();
            busiest.extend(some.iter().map(|topic| Busy::of(topic)));
            busiest.sort_by_key(|busy| std::cmp::Reverse((busy.members, busy.newest)));
            busiest.truncate(most);
            after = some.last().map(|topic| topic.name().to_string());
            if some.len() < LOOK {
                return (count, busiest);
            }
        }
    }
}
