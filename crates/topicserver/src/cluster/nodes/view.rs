//! Who lives at one moment, and who of them is responsible for what.

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::heartbeat::{Heartbeat, State};
use super::node::{NodeId, OwnNode};

/// Who is responsible for something, seen from this server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    This,
    Other(NodeId),
}

/// The servers that live.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct View {
    /// In the order of their numbers.
    nodes: Vec<Node>,
}

/// A server that lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) id: NodeId,
    pub(crate) name: String,
    /// Where clients reach it, if they do.
    advertise: Option<String>,
    /// It hands its topics over.
    is_leaving: bool,
    /// The hash of its name.
    hash: u64,
}

impl View {
    /// This server and others.
    pub(super) fn of(own: &OwnNode, is_leaving: bool, others: &[&Heartbeat]) -> Self {
        let own = Node::new(own.id, &own.name, own.advertise.as_deref(), is_leaving);
        let others = others.iter().map(|other| {
            let is_leaving = other.state == State::Leaving;
            Node::new(
                other.id,
                &other.name,
                other.advertise.as_deref(),
                is_leaving,
            )
        });
        let mut nodes: Vec<_> = others.chain([own]).collect();
        nodes.sort_unstable_by_key(|node| node.id);
        Self { nodes }
    }

    pub(crate) fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter()
    }

    pub(crate) fn has(&self, id: NodeId) -> bool {
        self.nodes.binary_search_by_key(&id, |node| node.id).is_ok()
    }

    /// The server that is responsible for what has this key: the one with the highest score of
    /// those that stay. So each has about as much as any other, and when one goes, the others
    /// keep what they have.
    ///
    /// Each server computes it by itself, also in an upgrade when they are of different releases:
    /// it may never change.
    pub(super) fn owner(&self, key: &str) -> NodeId {
        let score = |node: &&Node| {
            let score = xxh3_64_with_seed(key.as_bytes(), node.hash);
            (!node.is_leaving, score, node.id)
        };
        let owner = self.nodes.iter().max_by_key(score);
        // There is always this server.
        owner.map_or(NodeId(0), |node| node.id)
    }

    /// Where clients reach the servers that stay, without this one.
    pub(super) fn servers(&self, without: NodeId) -> Vec<String> {
        let others = self.nodes.iter();
        let mut others: Vec<_> = others
            .filter(|node| node.id != without && !node.is_leaving)
            .filter_map(|node| {
                let order = xxh3_64_with_seed(&without.0.to_le_bytes(), node.hash);
                node.advertise.clone().map(|address| (order, address))
            })
            .collect();
        others.sort_unstable();
        others.into_iter().map(|(_, address)| address).collect()
    }
}

impl Node {
    fn new(id: NodeId, name: &str, advertise: Option<&str>, is_leaving: bool) -> Self {
        Self {
            id,
            name: name.to_owned(),
            advertise: advertise.map(str::to_owned),
            is_leaving,
            hash: xxh3_64(name.as_bytes()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn own(name: &str, id: u64) -> OwnNode {
        OwnNode {
            id: NodeId(id),
            name: name.to_owned(),
            started: 1,
            advertise: Some(format!("{name}:20000")),
        }
    }

    fn heartbeat(name: &str, id: u64, state: State) -> Heartbeat {
        Heartbeat {
            id: NodeId(id),
            started: 1,
            number: 1,
            state,
            name: name.to_owned(),
            advertise: Some(format!("{name}:20000")),
        }
    }

    /// A view of `a`, `b` and `c`, of which some are leaving.
    fn view(leaving: &[&str]) -> View {
        let of = |name: &str, id| {
            let is_leaving = leaving.contains(&name);
            let state = if is_leaving {
                State::Leaving
            } else {
                State::Lives
            };
            heartbeat(name, id, state)
        };
        let others = [of("b", 2), of("c", 3)];
        View::of(&own("a", 1), leaving.contains(&"a"), &others.each_ref())
    }

    /// Servers of different releases must agree.
    #[test]
    fn the_owner_of_a_topic_never_changes_from_release_to_release() {
        let view = view(&[]);
        let topics = [
            "Lab",
            "lab",
            "ä",
            "user:alice",
            "a rather longer name of some topic",
        ];
        let owners = topics.map(|topic| view.owner(topic).0);
        assert_eq!(owners, [3, 1, 3, 2, 3]);
    }

    #[test]
    fn topics_are_spread_evenly_and_move_only_from_those_that_go() {
        let (all, fewer) = (view(&[]), view(&["c"]));
        let mut counts = BTreeMap::new();
        for number in 0..3000 {
            let topic = format!("topic {number}");
            let owner = all.owner(&topic);
            *counts.entry(owner).or_insert(0) += 1;
            if owner != NodeId(3) {
                assert_eq!(fewer.owner(&topic), owner);
            } else {
                assert_ne!(fewer.owner(&topic), owner);
            }
        }
        let is_even = |count: &i32| (900..1100).contains(count);
        assert!(
            counts.len() == 3 && counts.values().all(is_even),
            "{counts:?}"
        );
    }

    #[test]
    fn when_all_leave_somebody_is_responsible_all_the_same() {
        let leaving = view(&["a", "b", "c"]);
        assert_eq!(leaving.owner("Lab"), view(&[]).owner("Lab"));
    }

    #[test]
    fn clients_are_told_of_servers_that_stay() {
        assert_eq!(view(&["c"]).servers(NodeId(1)), ["b:20000"]);
        let mut all = view(&[]).servers(NodeId(9));
        all.sort();
        assert_eq!(all, ["a:20000", "b:20000", "c:20000"]);
    }
}
