//! The members of a topic who have a name, sorted by it, so that the request `who` needn't look
//! at all members.

use std::sync::Arc;

use wire::{Page, Person, UserName};

use crate::identity::Identity;
use crate::topic::page::PageRoom;

/// Identities with a name, sorted by it. A user has one, or for a moment two: the connection and
/// the one that it replaces.
#[derive(Default)]
pub(crate) struct People(Vec<Arc<Identity>>);

impl People {
    /// Adds a member that has joined, if it has a name.
    pub(crate) fn add(&mut self, identity: &Arc<Identity>) {
        if let Some(user) = name(identity) {
            let place = self.0.partition_point(|known| name(known) <= Some(user));
            if self.0.capacity() == 0 {
                // Most topics have one or two members.
                self.0.reserve_exact(1);
            }
            self.0.insert(place, identity.clone());
        }
    }

    /// Removes a member that was added.
    pub(crate) fn remove(&mut self, identity: &Arc<Identity>) {
        let Some(user) = name(identity) else {
            return;
        };
        let first = self.0.partition_point(|known| name(known) < Some(user));
        let is_same = |known: &Arc<Identity>| Arc::ptr_eq(known, identity);
        if let Some(offset) = self.0[first..].iter().position(is_same) {
            self.0.remove(first + offset);
        }
    }

    /// How many connections have a name.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// How many connections the user has here.
    pub(crate) fn count(&self, user: &UserName) -> usize {
        let user = Some(user.as_str());
        let start = self.0.partition_point(|known| name(known) < user);
        self.0[start..].partition_point(|known| name(known) <= user)
    }

    /// A page of the people.
    pub(crate) fn page(&self, page: &Page) -> PeoplePage<'_> {
        let start = match &page.after {
            Some(after) => self
                .0
                .partition_point(|known| name(known) <= Some(after.as_str())),
            None => 0,
        };
        let mut room = PageRoom::of(page);
        let mut people = Vec::new();
        let mut last = None;
        for identity in &self.0[start..] {
            let user = name(identity);
            if last == user {
                continue;
            }
            if !room.take(user.unwrap_or_default()) {
                return PeoplePage { people, more: true };
            }
            people.extend(identity.person());
            last = user;
        }
        PeoplePage {
            people,
            more: false,
        }
    }
}

/// A page of the people of a topic, in the order of their names.
pub(crate) struct PeoplePage<'a> {
    pub(crate) people: Vec<Person<'a>>,
    /// More entries follow after this page.
    pub(crate) more: bool,
}

fn name(identity: &Arc<Identity>) -> Option<&str> {
    identity.user.as_ref().map(wire::UserName::as_str)
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::num::NonZeroU32;

    use super::*;
    use crate::identity::Hashes;

    fn identity(user: &str) -> Arc<Identity> {
        let peer = SocketAddr::from(([10, 0, 0, 1], 7));
        let user = UserName::new(user).ok();
        Arc::new(Identity::new(
            &Hashes::random().unwrap(),
            peer,
            user,
            None,
            None,
        ))
    }

    /// All names, page by page.
    fn names(people: &People, limit: u32) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        let mut page = Page {
            after: None,
            limit: NonZeroU32::new(limit),
        };
        loop {
            let PeoplePage {
                people: found,
                more,
            } = people.page(&page);
            assert!(found.len() <= limit as usize);
            names.extend(found.iter().map(|person| person.user.to_string()));
            if !more {
                return names;
            }
            page = page.following(names.last().unwrap());
        }
    }

    #[test]
    fn everybody_is_on_one_page_in_order() {
        let mut people = People::default();
        let all: Vec<_> = ["c", "a", "d", "b"].iter().map(|n| identity(n)).collect();
        all.iter().for_each(|one| people.add(one));
        people.add(&identity(""));
        // Another connection of the same user.
        let again = identity("a");
        people.add(&again);
        for limit in 1..6 {
            assert_eq!(names(&people, limit), ["a", "b", "c", "d"], "{limit}");
        }
        people.remove(&all[1]);
        people.remove(&all[2]);
        assert_eq!(names(&people, 2), ["a", "b", "c"]);
        let count = |name| people.count(&UserName::new(name).unwrap());
        assert_eq!(["a", "b", "d"].map(count), [1, 1, 0]);
        people.remove(&again);
        assert_eq!(names(&people, 2), ["b", "c"]);
    }
}
