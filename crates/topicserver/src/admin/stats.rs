//! The state of the server as JSON, for people and `topicserver top`. Names of topics are in
//! here and never in the metrics: there may be any number.

use serde::Serialize;

use crate::metrics::{Count, Sums};
use crate::state::ServerState;
use crate::topic::busiest;
use crate::version;

/// Topics that are listed: as many as a person looks at.
const BUSIEST: usize = 50;

/// What the server is doing.
#[derive(Debug, Serialize)]
pub(super) struct Stats {
    version: &'static str,
    commit: &'static str,
    /// Seconds since the start.
    uptime: u64,
    connections: usize,
    members: u64,
    received_messages: u64,
    delivered_messages: u64,
    received_bytes: u64,
    sent_bytes: u64,
    /// Bytes that wait for connections, and for topics.
    outbox_bytes: usize,
    mailbox_bytes: usize,
    topics: usize,
    /// Those with the most members, and among those the ones with the most messages.
    busiest: Vec<Busy>,
}

#[derive(Debug, Serialize)]
struct Busy {
    topic: String,
    members: usize,
    /// The number of its newest message.
    seq: u64,
}

pub(super) fn stats(state: &ServerState) -> Stats {
    let sums = Sums::read();
    let queues = state.queue_limits();
    let (topics, busiest) = state.registry().busiest(BUSIEST);
    let busy = |busy: busiest::Busy| Busy {
        topic: busy.name.as_str().to_owned(),
        members: busy.members,
        seq: busy.newest,
    };
    Stats {
        version: version::VERSION,
        commit: version::COMMIT,
        uptime: state.uptime().as_secs(),
        connections: state.connections().count(),
        members: sums.level(Count::Members),
        received_messages: sums.of(Count::ReceivedMessages),
        delivered_messages: sums.of(Count::DeliveredMessages),
        received_bytes: sums.of(Count::ReceivedBytes),
        sent_bytes: sums.of(Count::SentBytes),
        outbox_bytes: queues.outboxes(),
        mailbox_bytes: queues.mailboxes(),
        topics,
        busiest: busiest.into_iter().map(busy).collect(),
    }
}
