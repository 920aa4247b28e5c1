//! The topics that have members here, and what is to be told of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use wire::TopicName;

use super::message::{Change, Item, Message, Someone};
use super::others::{Elsewhere, Others, Taken};
use super::own::Own;
use super::questions::Asker;
use crate::cluster::nodes::{NodeId, View};

/// For how long after a change its version is repeated.
const REPEATED: Duration = Duration::from_secs(10);

/// After so many ticks a topic is compared with all others' again.
const TICKS_PER_CHECK: u64 = 30;

/// After its start a server gets to know those that were there before for so long.
const SETTLING: Duration = Duration::from_secs(2);

/// About how many bytes go into one message.
const MESSAGE_BYTES: usize = 64 * 1024;

/// A topic that has members here.
pub(crate) trait Room: Send + Sync + 'static {
    /// Something has changed elsewhere since it was looked at. It may be told under a lock, so it
    /// doesn't look at once.
    fn elsewhere_has_changed(&self);

    /// Another server wants a page of the members here.
    fn list(&self, asker: Asker);
}

/// Everything that is known, and that is to be told.
pub(super) struct Table {
    own: NodeId,
    began: Instant,
    topics: BTreeMap<TopicName, Entry>,
    /// The other servers that live.
    living: BTreeSet<NodeId>,
    /// The last version, of any topic.
    version: u64,
    ticks: u64,
    /// Topics whose changes aren't told yet.
    changed: BTreeSet<TopicName>,
    /// Topics whose versions are repeated: since when, and the version.
    recent: BTreeMap<TopicName, (Instant, u64)>,
    /// What is told to single servers.
    letters: BTreeMap<NodeId, Vec<Item>>,
}

struct Entry {
    /// Tells it from an earlier one of the topic.
    number: u64,
    room: Arc<dyn Room>,
    own: Own,
    others: Others,
    /// The room was told that something has changed, and didn't look yet.
    is_told: bool,
}

/// To whom something is told: to all, or to one.
pub(super) type Told = Vec<(Option<NodeId>, Message)>;

impl Table {
    pub(super) fn new(own: NodeId, view: &View) -> Self {
        let mut table = Self {
            own,
            began: Instant::now(),
            topics: BTreeMap::new(),
            living: BTreeSet::new(),
            version: 1,
            ticks: 0,
            changed: BTreeSet::new(),
            recent: BTreeMap::new(),
            letters: BTreeMap::new(),
        };
        table.living = table.others_of(view);
        table
    }

    fn others_of(&self, view: &View) -> BTreeSet<NodeId> {
        let all = view.nodes().map(|node| node.id);
        all.filter(|node| *node != self.own).collect()
    }

    /// Returns what tells this stay of members in the topic from others.
    pub(super) fn enter(&mut self, topic: &TopicName, room: Arc<dyn Room>) -> u64 {
        self.version += 1;
        let entry = Entry {
            number: self.version,
            room,
            own: Own::default(),
            others: Others::new(self.living.clone()),
            is_told: false,
        };
        self.topics.insert(topic.clone(), entry);
        for node in self.living.clone() {
            self.check(topic, node);
        }
        self.version
    }

    pub(super) fn leave(&mut self, topic: &TopicName, number: u64) {
        if self
            .topics
            .get(topic)
            .is_some_and(|entry| entry.number == number)
        {
            self.topics.remove(topic);
            self.changed.insert(topic.clone());
        }
    }

    pub(super) fn set_count(&mut self, topic: &TopicName, count: u64, named: u64) {
        self.change(topic, |own, version| own.set_count(count, named, version));
    }

    pub(super) fn came(&mut self, topic: &TopicName, person: Someone) {
        self.change(topic, |own, version| own.came(person, version));
    }

    pub(super) fn went(&mut self, topic: &TopicName, user: &str) {
        self.change(topic, |own, version| own.went(user, version));
    }

    fn change(&mut self, topic: &TopicName, change: impl FnOnce(&mut Own, u64) -> bool) {
        let Some(entry) = self.topics.get_mut(topic) else {
            return;
        };
        if change(&mut entry.own, self.version + 1) {
            self.version += 1;
            self.changed.insert(topic.clone());
        }
    }

    pub(super) fn elsewhere(&mut self, topic: &TopicName) -> Elsewhere {
        let Some(entry) = self.topics.get_mut(topic) else {
            return Elsewhere::default();
        };
        entry.is_told = false;
        entry.others.elsewhere()
    }

    /// The room of a topic that has members here.
    pub(super) fn room(&self, topic: &TopicName) -> Option<Arc<dyn Room>> {
        self.topics.get(topic).map(|entry| entry.room.clone())
    }

    /// Other servers have come or gone. Returns the rooms in which something has changed.
    pub(super) fn follow(&mut self, view: &View) -> Vec<Arc<dyn Room>> {
        let living = self.others_of(view);
        let gone: Vec<_> = self.living.difference(&living).copied().collect();
        let new: Vec<_> = living.difference(&self.living).copied().collect();
        self.living = living;
        let mut rooms = Vec::new();
        for node in gone {
            self.letters.remove(&node);
            for entry in self.topics.values_mut() {
                if entry.others.forget(node) {
                    rooms.extend(entry.tell());
                }
            }
        }
        let topics: Vec<_> = self.topics.keys().cloned().collect();
        let was_there = self.began.elapsed() < SETTLING;
        for node in new {
            if was_there {
                let entries = self.topics.values_mut();
                entries.for_each(|entry| entry.others.expect(node));
            }
            topics.iter().for_each(|topic| self.check(topic, node));
        }
        rooms
    }

    /// Asks all others for what isn't known of their members.
    pub(super) fn check_all(&mut self) {
        let topics: Vec<_> = self.topics.keys().cloned().collect();
        for node in self.living.clone() {
            topics.iter().for_each(|topic| self.check(topic, node));
        }
    }

    fn check(&mut self, topic: &TopicName, node: NodeId) {
        if let Some(entry) = self.topics.get(topic) {
            let check = Item::Check(topic.clone(), entry.others.version(node));
            self.letters.entry(node).or_default().push(check);
        }
    }

    /// Takes what another server has said. Returns the rooms in which something has changed.
    pub(super) fn hear(&mut self, message: Message) -> Vec<Arc<dyn Room>> {
        let from = message.from;
        if !self.living.contains(&from) {
            // Its end wouldn't be noticed. It is asked when it is known to live.
            return Vec::new();
        }
        let mut rooms = Vec::new();
        for item in message.items {
            match item {
                Item::Change(change) => rooms.extend(self.take(from, change)),
                Item::Digest(topic, version) => {
                    let entry = self.topics.get(&topic);
                    if entry.is_some_and(|entry| entry.others.version(from) < version) {
                        self.check(&topic, from);
                    }
                }
                Item::Check(topic, version) => self.answer(from, topic, version),
            }
        }
        rooms
    }

    fn take(&mut self, from: NodeId, change: Change) -> Option<Arc<dyn Room>> {
        let topic = change.topic.clone();
        let entry = self.topics.get_mut(&topic)?;
        match entry.others.take(from, change) {
            Taken::Known => None,
            Taken::Changed => entry.tell(),
            Taken::Gap => {
                self.check(&topic, from);
                None
            }
        }
    }

    /// Tells another server what the members here are, if it doesn't know.
    fn answer(&mut self, from: NodeId, topic: TopicName, known: u64) {
        let all = match self.topics.get(&topic) {
            Some(entry) => entry.own.all(&topic),
            None => self.nobody(topic),
        };
        // Of a topic that was just entered nothing can be told yet.
        if all.to != known && all.to != 0 {
            self.letters
                .entry(from)
                .or_default()
                .push(Item::Change(all));
        }
    }

    fn nobody(&self, topic: TopicName) -> Change {
        Change {
            topic,
            from: 0,
            to: self.version,
            count: 0,
            named: 0,
            steps: Vec::new(),
        }
    }

    /// Compares some topics with all other servers. Returns the versions of topics that have
    /// changed lately.
    pub(super) fn tick(&mut self) -> Told {
        self.ticks += 1;
        self.recent
            .retain(|_, (since, _)| since.elapsed() < REPEATED);
        let turn = self.ticks % TICKS_PER_CHECK;
        let mut checks = Vec::new();
        for (topic, entry) in &self.topics {
            checks.extend(entry.others.awaited().map(|node| (topic.clone(), node)));
            if entry.number % TICKS_PER_CHECK == turn {
                checks.extend(self.living.iter().map(|node| (topic.clone(), *node)));
            }
        }
        for (topic, node) in checks {
            self.check(&topic, node);
        }
        self.digests()
    }

    pub(super) fn has_news(&self) -> bool {
        !self.changed.is_empty() || !self.letters.is_empty()
    }

    /// What is to be told now.
    pub(super) fn take_news(&mut self) -> Told {
        let mut to_all = Vec::new();
        for topic in std::mem::take(&mut self.changed) {
            let change = match self.topics.get_mut(&topic) {
                Some(entry) => entry.own.take_news(&topic),
                None => {
                    self.version += 1;
                    self.nobody(topic.clone())
                }
            };
            self.recent.insert(topic, (Instant::now(), change.to));
            to_all.push(Item::Change(change));
        }
        let mut told = Told::new();
        self.put(None, to_all, &mut told);
        for (node, items) in std::mem::take(&mut self.letters) {
            self.put(Some(node), items, &mut told);
        }
        told
    }

    fn digests(&self) -> Told {
        let recent = self.recent.iter();
        let digests = recent.map(|(topic, (_, version))| Item::Digest(topic.clone(), *version));
        let mut told = Told::new();
        self.put(None, digests.collect(), &mut told);
        told
    }

    /// Puts items into messages that aren't too big.
    fn put(&self, to: Option<NodeId>, items: Vec<Item>, told: &mut Told) {
        let from = self.own;
        let (mut some, mut size) = (Vec::new(), 0);
        for item in items {
            if size + item.size() > MESSAGE_BYTES && !some.is_empty() {
                let items = std::mem::take(&mut some);
                told.push((to, Message { from, items }));
                size = 0;
            }
            size += item.size();
            some.push(item);
        }
        if !some.is_empty() {
            told.push((to, Message { from, items: some }));
        }
    }
}

impl Entry {
    /// The room, if it wasn't told yet.
    fn tell(&mut self) -> Option<Arc<dyn Room>> {
        let was_told = std::mem::replace(&mut self.is_told, true);
        (!was_told).then(|| self.room.clone())
    }
}
