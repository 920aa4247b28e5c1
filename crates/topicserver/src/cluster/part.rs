//! A server's part in a cluster, from its start to its end.

use std::sync::Arc;
use std::time::Duration;

use super::bus::Bus;
use super::heads::Heads;
use super::keep::Keep;
use super::log::Log;
use super::names::Names;
use super::nodes::{Nodes, OwnNode};
use super::presence::{Presence, TopicList};
use super::quorum::Quorum;
use super::sender::Sender;
use super::shared::Shared;
use crate::clock::Clock;
use crate::history::dedup::IdLimits;
use crate::identity::names::Directory;

/// The engine of a cluster, to which a server is connected.
pub struct Engine {
    pub(crate) log: Arc<dyn Log>,
    pub(crate) bus: Arc<dyn Bus>,
    /// 16 random bytes, the same on all servers, which stay.
    pub(crate) secret: [u8; 16],
}

/// What a server's part depends on.
#[derive(Debug)]
pub(crate) struct PartSettings {
    pub(crate) ids: IdLimits,
    pub(crate) patience: Duration,
    pub(crate) keep: Keep,
}

/// A server's part in a cluster.
pub(crate) struct Part {
    sender: Arc<Sender>,
    quorum: Quorum,
    secret: [u8; 16],
}

impl Part {
    pub(crate) fn new(engine: Engine, own: OwnNode, clock: Clock, settings: PartSettings) -> Self {
        let nodes = Nodes::new(own, engine.bus.clone());
        let shared = Shared {
            presence: Presence::new(nodes.clone(), engine.bus.clone()),
            nodes,
            log: engine.log,
            bus: engine.bus,
            heads: Arc::new(Heads::default()),
            clock,
            ids: settings.ids,
            patience: settings.patience,
            keep: settings.keep,
        };
        Self {
            sender: Sender::new(Arc::new(shared)),
            quorum: Quorum::new(),
            secret: engine.secret,
        }
    }

    /// Whether the log can be used.
    pub(crate) fn quorum(&self) -> &Quorum {
        &self.quorum
    }

    /// How many topics this server has appended to lately, and still owns.
    pub(crate) fn owned_topics(&self) -> usize {
        self.sender.owned_topics()
    }

    /// Whether this server may know all others: before it does, it takes no messages.
    pub(crate) fn has_settled(&self) -> bool {
        self.sender.shared().nodes.has_settled()
    }

    /// Keeps this much of each topic from now on.
    pub(crate) fn keep(&self, messages: u64, bytes: u64, age: Duration) {
        self.sender.shared().keep.set(messages, bytes, age);
    }

    /// Where clients reach the other servers.
    pub(crate) fn servers(&self) -> Vec<String> {
        self.sender.shared().nodes.servers()
    }

    /// What topics hand their messages to.
    pub(crate) fn sender(&self) -> &Arc<Sender> {
        &self.sender
    }

    /// The names at all servers, of which this one has those in the directory.
    pub(crate) fn names(&self, directory: Arc<Directory>) -> Arc<Names> {
        let shared = self.sender.shared();
        Names::new(shared.nodes.clone(), shared.bus.clone(), directory)
    }

    /// 16 random bytes that all servers share.
    pub(crate) fn secret(&self) -> [u8; 16] {
        self.secret
    }

    /// From now on other servers append to the topics that this one has appended to.
    pub(crate) fn leave(&self) {
        self.sender.shared().nodes.leave();
    }

    /// Tells the others that this server has ended.
    pub(crate) fn end(&self) {
        self.sender.shared().nodes.end();
    }

    /// Takes part, for ever, with the topics of this server.
    pub(crate) async fn run(&self, topics: Arc<dyn TopicList>) {
        let shared = self.sender.shared();
        let heads = shared.heads.clone();
        tokio::select! {
            biased;
            () = heads.run(shared.bus.clone()) => {}
            () = self.quorum.run(shared.log.clone(), shared.bus.link()) => {}
            () = shared.nodes.clone().run() => {}
            () = shared.keep.run(&*shared.log) => {}
            () = shared.presence.clone().run(topics) => {}
            () = self.sender.clone().serve() => {}
        }
    }
}
