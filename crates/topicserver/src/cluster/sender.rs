//! Hands messages over to a topic's owner until it is known what became of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::time::Instant;
use wire::TopicName;

use super::again::once_more;
use super::bus::{BusError, Said};
use super::forward::{Answer, Forwarded, Placement};
use super::nodes::Owner;
use super::record::Group;
use super::sequencer::Sequencers;
use super::shared::Shared;
use crate::metrics::{self, Count};

/// How long an owner on another server may take to answer before it is asked again.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(3);

/// The silence after which an owner on another server is asked once more, or the topic's next owner:
/// a NATS server or an owner that ends loses what is under way. It is longer than an owner waits
/// before it asks the log once more itself.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// The pause before a group is handed over again.
const PAUSE: Duration = Duration::from_millis(50);

/// The subject to which this server's owners listen.
fn subject(node: u64) -> String {
    format!("own.{node:016x}")
}

/// It isn't known whether messages are in the log, and it may stay so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotKnown;

/// Hands groups over.
pub(crate) struct Sender {
    shared: Arc<Shared>,
    /// The last number that was given to a group or a connection.
    last_number: AtomicU64,
    sequencers: Arc<Sequencers>,
}

impl Sender {
    pub(crate) fn new(shared: Arc<Shared>) -> Arc<Self> {
        Arc::new(Self {
            sequencers: Sequencers::new(shared.clone()),
            last_number: AtomicU64::new(0),
            shared,
        })
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// A number that grows, as long as the server runs.
    pub(crate) fn next_number(&self) -> u64 {
        self.last_number.fetch_add(1, Relaxed) + 1
    }

    /// Resolves when the group is in the log, or when nothing could be found out in time.
    /// A group may be handed over as often as it takes: it is in the log once.
    pub(crate) async fn hand_over(
        &self,
        topic: &TopicName,
        group: Group,
        until: Instant,
    ) -> Result<Placement, NotKnown> {
        let count = group.messages.len();
        // Who has just started doesn't know yet who else is there.
        let _ = tokio::time::timeout_at(until, self.shared.nodes.settle()).await;
        loop {
            let answer = self.ask_owner(topic, &group, until).await;
            match answer {
                Answer::Placed(all) if all.placed.len() == count => return Ok(all),
                _ if Instant::now() + PAUSE > until => return Err(NotKnown),
                _ => tokio::time::sleep(PAUSE).await,
            }
        }
    }

    async fn ask_owner(&self, topic: &TopicName, group: &Group, until: Instant) -> Answer {
        let nodes = &self.shared.nodes;
        let owner = nodes.owner(topic);
        let first = self.ask(owner, topic, group, until);
        if owner == Owner::This {
            return first.await;
        }
        // There may be another one then.
        let second = async { self.ask(nodes.owner(topic), topic, group, until).await };
        once_more(ASK_AGAIN_AFTER, first, second, tells_outcome).await
    }

    async fn ask(&self, owner: Owner, topic: &TopicName, group: &Group, until: Instant) -> Answer {
        match owner {
            Owner::This => {
                let answer = self.sequencers.append(topic, group.clone());
                let answer = tokio::time::timeout_at(until, answer).await;
                answer.unwrap_or(Answer::Unknown)
            }
            Owner::Other(node) => {
                let forwarded = Forwarded {
                    topic: topic.clone(),
                    group: group.clone(),
                };
                let subject = subject(node.0);
                let (bus, payload) = (&self.shared.bus, forwarded.encode());
                let timeout = ANSWER_TIMEOUT.min(until - Instant::now());
                match bus.request(&subject, payload, timeout).await {
                    Ok(answer) => note_forwarded(Answer::decode(answer), group),
                    Err(BusError::Nobody) => Answer::Elsewhere,
                    Err(BusError::Late | BusError::Down) => Answer::Unknown,
                }
            }
        }
    }

    /// How many topics this server has appended to lately, and still owns.
    pub(crate) fn owned_topics(&self) -> usize {
        let nodes = &self.shared.nodes;
        let topics = self.sequencers.topics().into_iter();
        topics
            .filter(|topic| nodes.owner(topic) == Owner::This)
            .count()
    }

    /// Serves other servers, which hand groups over to this one, for ever.
    pub(crate) async fn serve(self: Arc<Self>) {
        let subject = subject(self.shared.nodes.own().0);
        loop {
            if let Ok(mut requests) = self.shared.bus.subscribe(&subject).await {
                while let Some(said) = requests.recv().await {
                    tokio::spawn(self.clone().answer(said));
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn answer(self: Arc<Self>, said: Said) {
        let Some(reply) = said.reply else {
            return;
        };
        let answer = match Forwarded::decode(said.payload) {
            Some(Forwarded { topic, group }) => self.sequencers.append(&topic, group).await,
            None => Answer::Unknown,
        };
        reply(answer.encode());
    }
}

/// Whether this answer, to a group that was handed over twice, tells what to do next.
fn tells_outcome(answer: &Answer) -> bool {
    !matches!(answer, Answer::Unknown)
}

/// Counts the messages of a group that another server has taken.
fn note_forwarded(answer: Answer, group: &Group) -> Answer {
    if matches!(answer, Answer::Placed(_)) {
        let messages = group.messages.iter().map(|one| u64::from(one.count)).sum();
        metrics::count(Count::ClusterForwarded, messages);
    }
    answer
}
