//! The members of a topic on other servers of a cluster.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use wire::{TopicName, UserName};

use super::Members;
use crate::cluster::nodes::NodeId;
use crate::cluster::presence::{Presence, Present, Remote, Room};
use crate::cluster::text::{Someone, owned};
use crate::identity::Identity;
use crate::outbox::SharedOutbox;
use crate::topic::presence::BEFORE_ALL;

/// What is known of the members on other servers.
pub(super) struct Elsewhere {
    pub(super) presence: Arc<Presence>,
    topic: TopicName,
    /// What is told when something changes there.
    room: Arc<dyn Room>,
    /// While there are members here.
    pub(super) present: Option<Present>,
    /// How many connections are members there.
    pub(super) count: u64,
    /// Those whose coming was announced there, by their names.
    people: BTreeMap<String, Known>,
    /// Servers with members whose names aren't all known here.
    pub(super) to_ask: Vec<NodeId>,
    /// How many of the members are there.
    pub(super) count_to_ask: u64,
}

/// Somebody who is there.
struct Known {
    remote: Remote,
    /// The number of the announcement here, if it was announced here too.
    number: Option<u64>,
}

impl Members {
    /// From now on there are others on other servers.
    pub(crate) fn set_in_cluster(
        &mut self,
        presence: Arc<Presence>,
        topic: TopicName,
        room: Arc<dyn Room>,
    ) {
        self.elsewhere = Some(Box::new(Elsewhere {
            presence,
            topic,
            room,
            present: None,
            count: 0,
            people: BTreeMap::new(),
            to_ask: Vec::new(),
            count_to_ask: 0,
        }));
    }

    /// Members on all servers.
    pub(super) fn count_everywhere(&self) -> u64 {
        let elsewhere = self.elsewhere.as_ref().map_or(0, |known| known.count);
        self.len() as u64 + elsewhere
    }

    /// Tells other servers how many members are here, after each change.
    pub(crate) fn tell_count(&mut self) {
        let (count, named) = (self.len(), self.people.len());
        let Some(elsewhere) = &mut self.elsewhere else {
            return;
        };
        if count == 0 {
            // Nobody is left to be told anything of those elsewhere.
            elsewhere.present = None;
            elsewhere.people.clear();
            elsewhere.to_ask.clear();
            (elsewhere.count, elsewhere.count_to_ask) = (0, 0);
            return;
        }
        if elsewhere.present.is_none() {
            let room = elsewhere.room.clone();
            let present = elsewhere.presence.enter(&elsewhere.topic, room);
            elsewhere.to_ask = present.elsewhere().to_ask;
            elsewhere.present = Some(present);
        }
        if let Some(present) = &elsewhere.present {
            present.set_count(count, named);
        }
    }

    pub(super) fn tell_came(&self, identity: &Identity) {
        if let Some(present) = self.present()
            && let Some(person) = identity.person()
        {
            present.came(owned(&person));
        }
    }

    /// Tells other servers where somebody is now who was announced.
    pub(super) fn tell_address(&self, identity: &Identity, is_announced: bool) {
        if is_announced {
            self.tell_came(identity);
        }
    }

    pub(super) fn tell_went(&self, user: &UserName) {
        if let Some(present) = self.present() {
            present.went(user.as_str());
        }
    }

    fn present(&self) -> Option<&Present> {
        self.elsewhere.as_ref()?.present.as_ref()
    }

    /// Whether a new member has been here before on another server, from which it moves. Then it
    /// stands for the join that was announced.
    pub(super) fn takes_over(&mut self, of: &SharedOutbox, identity: &Identity) -> bool {
        let Some(elsewhere) = &self.elsewhere else {
            return false;
        };
        let user = identity.user.as_ref().map_or("", UserName::as_str);
        let Some(known) = elsewhere.people.get(user) else {
            return false;
        };
        if let Some(number) = known.number {
            if let Some(subscriber) = self.find(of) {
                subscriber.presence.set_announced(number);
            }
            self.tell_came(identity);
        }
        true
    }

    /// Whether a user who has gone here is on another server. Then that stands for the join that
    /// was announced.
    pub(super) fn is_elsewhere(&mut self, user: &UserName, number: u64) -> bool {
        let elsewhere = self.elsewhere.as_mut();
        let known = elsewhere.and_then(|elsewhere| elsewhere.people.get_mut(user.as_str()));
        known.is_some_and(|known| {
            known.number = Some(number);
            true
        })
    }

    /// Looks who is on other servers, and tells the members who has come and gone there, as if it
    /// were here.
    pub(crate) fn look_elsewhere(&mut self, topic: &str, max: usize) {
        let Some(elsewhere) = &mut self.elsewhere else {
            return;
        };
        let Some(present) = &elsewhere.present else {
            return;
        };
        let now = present.elsewhere();
        (elsewhere.count, elsewhere.count_to_ask) = (now.count, now.count_to_ask);
        elsewhere.to_ask = now.to_ask;
        let before = std::mem::take(&mut elsewhere.people);
        let now = by_name(now.people, &before);
        let mut after = BTreeMap::new();
        for (user, known) in before {
            match now.get(&user) {
                Some(remote) if !known.is_another(remote) => {
                    let remote = remote.clone();
                    let number = known.number;
                    after.insert(user, Known { remote, number });
                }
                // What follows is another coming.
                _ => self.has_gone_elsewhere(topic, &user, &known),
            }
        }
        for (user, remote) in now {
            if let Entry::Vacant(new) = after.entry(user) {
                let number = self.has_come_elsewhere(topic, new.key(), &remote, max);
                new.insert(Known { remote, number });
            }
        }
        if let Some(elsewhere) = &mut self.elsewhere {
            elsewhere.people = after;
        }
    }

    /// Returns the number of the announcement.
    fn has_come_elsewhere(
        &mut self,
        topic: &str,
        user: &str,
        remote: &Remote,
        max: usize,
    ) -> Option<u64> {
        if self.is_here(user) {
            // It has moved there, and is about to leave here.
            return self.announcement_of(user);
        }
        if remote.was_there {
            return Some(BEFORE_ALL);
        }
        if self.count_everywhere() > max as u64 {
            return None;
        }
        Some(self.announce_joined(topic, &remote.person, None))
    }

    fn has_gone_elsewhere(&mut self, topic: &str, user: &str, known: &Known) {
        let (Some(number), Ok(name)) = (known.number, UserName::new(user)) else {
            return;
        };
        if !self.hand_announcement_over(&name, number) {
            self.announce_left(topic, &known.remote.person, number);
        }
    }

    fn is_here(&self, user: &str) -> bool {
        UserName::new(user).is_ok_and(|user| self.people.count(&user) > 0)
    }

    /// Those on other servers whose names are known, in their order.
    pub(super) fn known_elsewhere(&self) -> Vec<Someone> {
        let people = self
            .elsewhere
            .iter()
            .flat_map(|known| known.people.values());
        people.map(|known| (*known.remote.person).clone()).collect()
    }
}

impl Known {
    /// Whether this is another coming, by somebody else.
    fn is_another(&self, remote: &Remote) -> bool {
        let is_same = (self.remote.node, self.remote.number) == (remote.node, remote.number);
        !is_same && self.remote.person != remote.person && !self.is_moving(remote)
    }

    /// Whether the same user has gone to another server.
    fn is_moving(&self, remote: &Remote) -> bool {
        self.remote.node != remote.node
    }
}

/// One coming for each name: the one that is known, if it still counts. A user is on two servers
/// only for a moment.
fn by_name(people: Vec<Remote>, before: &BTreeMap<String, Known>) -> BTreeMap<String, Remote> {
    let mut all = BTreeMap::new();
    for remote in people {
        let user = remote.person.user.to_string();
        let is_known = before.get(&user).is_some_and(|known| {
            (known.remote.node, known.remote.number) == (remote.node, remote.number)
        });
        if is_known || !all.contains_key(&user) {
            all.insert(user, remote);
        }
    }
    all
}
