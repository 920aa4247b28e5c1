//! Which servers live, and whom each of them reaches.

use std::collections::VecDeque;

use tokio::sync::watch;

use crate::cluster::bus::Link;

use super::chance::Chance;
use super::faults::Fate;

/// All servers there have been, by their numbers.
pub(super) struct Network {
    seed: u64,
    nodes: Vec<Node>,
    /// Whether the log has stopped for everybody.
    pub(super) is_log_stopped: bool,
}

/// One server.
pub(super) struct Node {
    /// What its requests to the log meet with.
    pub(super) log_chance: Chance,
    /// What its messages to others meet with.
    pub(super) bus_chance: Chance,
    /// The next fates of its appends, where they aren't left to chance.
    pub(super) fates: VecDeque<Fate>,
    /// How often it has died. What belongs to an earlier life reaches nobody.
    pub(super) life: u32,
    is_dead: bool,
    /// It reaches those with the same number; the log is with 0.
    side: u32,
    /// What the log's servers on its side have, if those are not the majority.
    pub(super) known: u64,
    /// One of them led the others, and goes on answering as if it did.
    pub(super) has_old_leader: bool,
    link: watch::Sender<Link>,
}

/// One life of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Life {
    pub(super) node: usize,
    pub(super) life: u32,
}

impl Network {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            seed,
            nodes: Vec::new(),
            is_log_stopped: false,
        }
    }

    /// A server. Those with smaller numbers come to be with it.
    pub(super) fn node(&mut self, number: usize) -> &mut Node {
        while self.nodes.len() <= number {
            let purpose = 1000 + 10 * self.nodes.len() as u64;
            self.nodes.push(Node {
                log_chance: Chance::new(self.seed, purpose),
                bus_chance: Chance::new(self.seed, purpose + 1),
                fates: VecDeque::new(),
                life: 0,
                is_dead: false,
                side: 0,
                known: 0,
                has_old_leader: false,
                link: watch::Sender::new(Link::Up),
            });
        }
        &mut self.nodes[number]
    }

    pub(super) fn now(&mut self, node: usize) -> Life {
        let life = self.node(node).life;
        Life { node, life }
    }

    pub(super) fn link(&mut self, node: usize) -> watch::Receiver<Link> {
        self.node(node).link.subscribe()
    }

    pub(super) fn lives(&self, life: Life) -> bool {
        let node = self.nodes.get(life.node);
        node.is_some_and(|node| !node.is_dead && node.life == life.life)
    }

    /// Whether it lives and has a connection.
    pub(super) fn is_up(&self, life: Life) -> bool {
        self.lives(life) && *self.nodes[life.node].link.borrow() == Link::Up
    }

    /// Whether it reaches the majority of the log's servers.
    pub(super) fn reaches_log(&self, life: Life) -> bool {
        self.is_up(life) && self.nodes[life.node].side == 0 && !self.is_log_stopped
    }

    /// Whether it has a connection, to fewer than half of the log's servers.
    pub(super) fn is_isolated(&self, life: Life) -> bool {
        self.is_up(life) && self.nodes[life.node].side != 0
    }

    pub(super) fn reaches(&self, from: Life, to: Life) -> bool {
        let is_same_side = || self.nodes[from.node].side == self.nodes[to.node].side;
        self.is_up(from) && self.is_up(to) && is_same_side()
    }

    /// Puts servers on a side of their own, where there are fewer than half of the log's.
    pub(super) fn isolate(&mut self, nodes: &[usize], known: u64) {
        let side = 1 + self.nodes.iter().map(|node| node.side).max().unwrap_or(0);
        for number in nodes {
            let node = self.node(*number);
            node.side = side;
            node.known = known;
            node.has_old_leader = false;
        }
    }

    /// Sets whether a server has a connection. Returns whether it had none and has one now.
    pub(super) fn connect(&mut self, node: usize, link: Link) -> bool {
        self.node(node).link.send_replace(link) == Link::Down && link == Link::Up
    }

    /// Brings all servers together. Returns those that had no connection.
    pub(super) fn heal(&mut self) -> Vec<usize> {
        self.is_log_stopped = false;
        for node in &mut self.nodes {
            node.side = 0;
        }
        (0..self.nodes.len())
            .filter(|node| self.connect(*node, Link::Up))
            .collect()
    }

    pub(super) fn kill(&mut self, node: usize) {
        let node = self.node(node);
        node.is_dead = true;
        node.fates.clear();
    }

    /// A new life, if it is dead.
    pub(super) fn revive(&mut self, node: usize) {
        let node = self.node(node);
        if node.is_dead {
            node.is_dead = false;
            node.life += 1;
            node.link.send_replace(Link::Up);
        }
    }
}
