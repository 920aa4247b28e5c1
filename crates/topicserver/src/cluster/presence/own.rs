//! This server's members of one topic, as others are told of them.

use std::collections::BTreeMap;

use tokio::time::Instant;
use wire::TopicName;

use super::message::{Change, Someone, Step};

/// The most people of one topic of whom others are told. Beyond, nobody is: more wouldn't go into
/// a message.
const MAX_PEOPLE: usize = 1000;

/// This server's members of a topic.
#[derive(Debug, Default)]
pub(super) struct Own {
    count: u64,
    named: u64,
    /// Those whose coming is announced, by their names.
    people: BTreeMap<String, Present>,
    /// The version that others were told last; 0 if they were told nothing.
    told: u64,
    /// The present version.
    version: u64,
    /// What others weren't told yet.
    steps: Vec<Step>,
}

#[derive(Debug)]
struct Present {
    number: u64,
    since: Instant,
    person: Someone,
}

impl Own {
    /// Returns whether there is something to tell.
    pub(super) fn set_count(&mut self, count: u64, named: u64, version: u64) -> bool {
        let is_new = (self.count, self.named) != (count, named);
        if is_new {
            (self.count, self.named, self.version) = (count, named, version);
        }
        is_new
    }

    /// Somebody has come, or has got another address. Returns whether others are told.
    pub(super) fn came(&mut self, person: Someone, version: u64) -> bool {
        let known = self.people.get(person.user.as_ref());
        if known.is_some_and(|known| known.person == person)
            || known.is_none() && self.people.len() >= MAX_PEOPLE
        {
            return false;
        }
        let (number, since) = match known {
            Some(known) => (known.number, known.since),
            None => (version, Instant::now()),
        };
        self.version = version;
        let present = Present {
            number,
            since,
            person,
        };
        self.steps.push(present.step());
        self.people.insert(present.person.user.to_string(), present);
        true
    }

    /// Returns whether others are told.
    pub(super) fn went(&mut self, user: &str, version: u64) -> bool {
        let Some(known) = self.people.remove(user) else {
            return false;
        };
        self.version = version;
        self.steps.push(Step::Went {
            number: known.number,
        });
        true
    }

    /// What others weren't told yet.
    pub(super) fn take_news(&mut self, topic: &TopicName) -> Change {
        let change = Change {
            topic: topic.clone(),
            from: self.told,
            to: self.version,
            count: self.count,
            named: self.named,
            steps: std::mem::take(&mut self.steps),
        };
        self.told = self.version;
        change
    }

    /// Everything, for a server that knows nothing.
    pub(super) fn all(&self, topic: &TopicName) -> Change {
        Change {
            topic: topic.clone(),
            from: 0,
            to: self.version,
            count: self.count,
            named: self.named,
            steps: self.people.values().map(Present::step).collect(),
        }
    }
}

impl Present {
    fn step(&self) -> Step {
        let ago = self.since.elapsed().as_millis();
        Step::Came {
            number: self.number,
            ago: u64::try_from(ago).unwrap_or(u64::MAX),
            person: self.person.clone(),
        }
    }
}
