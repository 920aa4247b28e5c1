//! What is known of the members of one topic on other servers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::message::{Change, Someone, Step};
use crate::cluster::nodes::NodeId;

/// The members of a topic on other servers.
#[derive(Debug)]
pub(super) struct Others {
    nodes: BTreeMap<NodeId, Other>,
    /// Servers that have not answered yet what they had when the topic got its first member here.
    awaited: BTreeSet<NodeId>,
    /// When that was.
    entered: Instant,
}

#[derive(Debug, Default)]
struct Other {
    version: u64,
    count: u64,
    named: u64,
    /// Those whose coming is announced, by the numbers of their comings.
    people: BTreeMap<u64, Remote>,
}

/// Somebody on another server whose coming was announced there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Remote {
    pub(crate) node: NodeId,
    /// Stands for the coming on that server.
    pub(crate) number: u64,
    pub(crate) person: Arc<Someone>,
    /// It was there before the topic got its first member here.
    pub(crate) was_there: bool,
}

/// The members of a topic on other servers, at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Elsewhere {
    /// How many connections are members there.
    pub(crate) count: u64,
    pub(crate) people: Vec<Remote>,
    /// Servers with members whose names aren't all known here, so that they must be asked.
    pub(crate) to_ask: Vec<NodeId>,
    /// How many of the members are there, as far as is known.
    pub(crate) count_to_ask: u64,
}

/// What came of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(super) enum Taken {
    /// It was known already.
    Known,
    /// It is in force.
    Changed,
    /// Something before it is missing.
    Gap,
}

impl Others {
    /// Nothing is known yet of these servers.
    pub(super) fn new(living: BTreeSet<NodeId>) -> Self {
        Self {
            nodes: BTreeMap::new(),
            awaited: living,
            entered: Instant::now(),
        }
    }

    /// The version of a server's members that is known; 0 if none is.
    pub(super) fn version(&self, node: NodeId) -> u64 {
        self.nodes.get(&node).map_or(0, |other| other.version)
    }

    /// A server was there before, and is asked only now.
    pub(super) fn expect(&mut self, node: NodeId) {
        self.awaited.insert(node);
    }

    /// Servers that haven't answered yet.
    pub(super) fn awaited(&self) -> impl Iterator<Item = NodeId> {
        self.awaited.iter().copied()
    }

    pub(super) fn take(&mut self, node: NodeId, change: Change) -> Taken {
        let other = self.nodes.entry(node).or_default();
        if change.to <= other.version {
            return Taken::Known;
        }
        if change.from != 0 && change.from != other.version {
            return Taken::Gap;
        }
        let before = match change.from {
            0 => std::mem::take(&mut other.people),
            _ => BTreeMap::new(),
        };
        let is_first = self.awaited.remove(&node);
        let here_for = self.entered.elapsed();
        for step in change.steps {
            match step {
                Step::Came {
                    number,
                    ago,
                    person,
                } => {
                    let known = before.get(&number).or(other.people.get(&number));
                    let is_older = Duration::from_millis(ago) > here_for;
                    let was_there = known.map_or(is_first && is_older, |known| known.was_there);
                    let remote = Remote {
                        node,
                        number,
                        person: Arc::new(person),
                        was_there,
                    };
                    other.people.insert(number, remote);
                }
                Step::Went { number } => {
                    other.people.remove(&number);
                }
            }
        }
        (other.version, other.count, other.named) = (change.to, change.count, change.named);
        Taken::Changed
    }

    /// A server is dead. Returns whether it had members.
    pub(super) fn forget(&mut self, node: NodeId) -> bool {
        self.awaited.remove(&node);
        self.nodes
            .remove(&node)
            .is_some_and(|other| other.count > 0)
    }

    pub(super) fn elsewhere(&self) -> Elsewhere {
        let mut elsewhere = Elsewhere {
            to_ask: self.awaited().collect(),
            ..Elsewhere::default()
        };
        for (node, other) in &self.nodes {
            elsewhere.count += other.count;
            elsewhere.people.extend(other.people.values().cloned());
            if other.named != other.people.len() as u64 {
                elsewhere.to_ask.push(*node);
                elsewhere.count_to_ask += other.count;
            }
        }
        elsewhere
    }
}
