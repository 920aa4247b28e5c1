//! What all topics of a server share of the cluster.

use std::sync::Arc;
use std::time::Duration;

use wire::TopicName;

use super::bus::Bus;
use super::heads::Heads;
use super::keep::Keep;
use super::log::Log;
use super::nodes::Nodes;
use super::presence::Presence;
use crate::clock::Clock;
use crate::history::dedup::IdLimits;

/// A server's part in its cluster.
pub(crate) struct Shared {
    pub(crate) log: Arc<dyn Log>,
    pub(crate) bus: Arc<dyn Bus>,
    pub(crate) nodes: Arc<Nodes>,
    pub(crate) heads: Arc<Heads>,
    /// Who is in topics on other servers.
    pub(crate) presence: Arc<Presence>,
    pub(crate) clock: Clock,
    /// For how long owners remember ids, and how many.
    pub(crate) ids: IdLimits,
    /// How long it may take until messages are in the log, before their publishers are told that
    /// it isn't known.
    pub(crate) patience: Duration,
    /// How much of each topic is kept.
    pub(crate) keep: Keep,
}

/// How long a feed may take to bring what is known to be in the log.
const FEED_DELAY: Duration = Duration::from_millis(30);

impl Shared {
    /// Has whoever follows a topic look into the log, if the feed doesn't bring it soon.
    pub(crate) fn look_soon(&self, topic: &TopicName) {
        let (heads, topic) = (self.heads.clone(), topic.clone());
        tokio::spawn(async move {
            tokio::time::sleep(FEED_DELAY).await;
            heads.look(&topic);
        });
    }
}
