//! The topics that one connection is registered for.
//!
//! However a session ends, dropping this makes its connection leave its topics.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::sync::oneshot;
use wire::{RegistrationOptions, TopicName, UserName};

use crate::access::{Grant, Verbs};
use crate::gate::Admitted;
use crate::identity::Identity;
use crate::outbox::SharedOutbox;
use crate::outbox::batch::Batch;
use crate::topic::handle::{Registration, Topic};
use crate::topic::mailbox::Backpressure;
use crate::topic::presence::People;
use crate::topic::publication::{MessageId, Publication, Reply};
use crate::topic::registration::{RegistrationReply, Report, StartPosition};
use crate::topic::registry::Registry;

/// A connection's memberships, sorted by name.
pub(crate) struct Subscriptions {
    outbox: SharedOutbox,
    topics: Vec<Membership>,
    /// The index of the topic that was looked up last, because most publishers stay with one
    /// topic. It has 32 bits, so that it and the flags take one word.
    last: u32,
    /// The connection has registered, if only for an empty list of topics.
    is_registered: bool,
    /// A topic that was published to is busy.
    is_slowed: bool,
}

/// A topic that the connection takes part in.
struct Membership {
    topic: Arc<Topic>,
    /// What the connection may do there.
    grant: Grant,
}

impl Membership {
    fn name(&self) -> &TopicName {
        self.topic.name()
    }

    /// Whether the connection receives messages; otherwise it only publishes.
    fn is_reader(&self) -> bool {
        self.grant.verbs.contains(Verbs::LIVE)
    }
}

impl Subscriptions {
    pub(crate) fn new(outbox: SharedOutbox) -> Self {
        Self {
            outbox,
            topics: Vec::new(),
            last: 0,
            is_registered: false,
            is_slowed: false,
        }
    }

    /// The connection's outbox.
    pub(crate) fn outbox(&self) -> &SharedOutbox {
        &self.outbox
    }

    pub(crate) fn is_registered(&self) -> bool {
        self.is_registered
    }

    pub(crate) fn set_registered(&mut self) {
        self.is_registered = true;
    }

    pub(crate) fn len(&self) -> usize {
        self.topics.len()
    }

    /// The version of the policy by which the permissions were decided.
    pub(crate) fn version(&self) -> Option<u32> {
        self.topics
            .first()
            .map(|membership| membership.grant.version)
    }

    /// How many of `names` would be new.
    pub(crate) fn count_new(&self, names: &[TopicName]) -> usize {
        let is_new = |name: &&TopicName| self.place(name.as_str()).is_err();
        names.iter().filter(is_new).count()
    }

    /// Joins a topic as a classic connection, unless it is in it already.
    pub(crate) fn join(&mut self, topic: &Admitted, registry: &Arc<Registry>) {
        let (name, grant) = (topic.name(), topic.grant());
        let place = self.place(name.as_str());
        let is_reader = grant.verbs.contains(Verbs::LIVE);
        if place.is_ok_and(|place| self.topics[place].is_reader() || !is_reader) {
            return;
        }
        let topic = match is_reader {
            true => {
                let (topic, backpressure) = registry.join(name, self.outbox.clone());
                self.note(backpressure);
                topic
            }
            false => registry.visit(name).0,
        };
        self.put(place, Membership { topic, grant });
    }

    /// Joins topics as an extended connection, and has them answer. Returns the answer. Topics for which the
    /// connection was registered as a classic one are registered again as extended, and are in
    /// the answer too.
    pub(crate) fn register(
        &mut self,
        admitted: &[Admitted],
        options: &RegistrationOptions,
        identity: &Arc<Identity>,
        registry: &Arc<Registry>,
        was_classic: bool,
    ) -> Arc<RegistrationReply> {
        let others = match was_classic {
            true => self.except(admitted),
            false => Vec::new(),
        };
        let named = admitted.iter().map(Admitted::name);
        let named = named.chain(others.iter().map(|(topic, _)| topic.name()));
        let (outbox, user) = (self.outbox.clone(), identity.user.clone());
        let durability = Some(registry.durability());
        let answer = RegistrationReply::new(outbox, user, durability, named);
        let outbox = self.outbox.clone();
        let registration = |grant: Grant, start| Registration {
            outbox: outbox.clone(),
            identity: identity.clone(),
            start,
            people: match grant.verbs.contains(Verbs::WHO) {
                true => People::Shown,
                false => People::Hidden,
            },
            answer: answer.clone(),
        };
        for (topic, grant) in &others {
            if !grant.verbs.contains(Verbs::LIVE) {
                answer.report(topic.name(), Report::of_publisher());
                continue;
            }
            let start = StartPosition::default();
            let backpressure = topic.register(registration(*grant, start));
            self.is_slowed |= backpressure == Backpressure::Wait;
        }
        for new in admitted {
            let (name, grant) = (new.name(), new.grant());
            let place = self.place(name.as_str());
            if !grant.verbs.contains(Verbs::LIVE) {
                if place.is_err() {
                    let topic = registry.visit(name).0;
                    self.put(place, Membership { topic, grant });
                }
                answer.report(name, Report::of_publisher());
                continue;
            }
            let start = match grant.verbs.contains(Verbs::HISTORY) {
                true => StartPosition::of(options, name.as_str()),
                false => StartPosition::default(),
            };
            let (topic, backpressure) = registry.register(name, registration(grant, start));
            self.note(backpressure);
            self.put(place, Membership { topic, grant });
        }
        answer
    }

    /// The connection's other topics, and what it may do there.
    fn except(&self, admitted: &[Admitted]) -> Vec<(Arc<Topic>, Grant)> {
        let names: BTreeSet<&TopicName> = admitted.iter().map(Admitted::name).collect();
        let others = self.topics.iter();
        others
            .filter(|membership| !names.contains(membership.name()))
            .map(|membership| (membership.topic.clone(), membership.grant))
            .collect()
    }

    /// Leaves topics, and answers with their names. Topics that the connection isn't in count as
    /// left.
    pub(crate) fn leave(&mut self, names: &[TopicName], user: Option<UserName>) {
        let mut left = Vec::new();
        for name in names {
            if let Ok(place) = self.place(name.as_str()) {
                left.push(self.topics.remove(place));
            }
        }
        let named = left.iter().map(Membership::name);
        let answer = RegistrationReply::new(self.outbox.clone(), user, None, named);
        for membership in &left {
            if !membership.is_reader() {
                answer.report_left(membership.name());
                continue;
            }
            let topic = &membership.topic;
            let backpressure = topic.leave_answered(self.outbox.clone(), answer.clone());
            self.is_slowed |= backpressure == Backpressure::Wait;
        }
    }

    /// Checks again what the connection may do in each topic. It leaves those that it may no
    /// longer read as it did, and is told so. Returns their number.
    pub(crate) fn recheck(&mut self, decide: impl Fn(&TopicName) -> Grant) -> usize {
        let outbox = &self.outbox;
        let before = self.topics.len();
        self.topics.retain_mut(|membership| {
            let grant = decide(membership.name());
            let lost = membership.grant.verbs.without(grant.verbs);
            let topic = &membership.topic;
            if membership.is_reader() {
                if lost.intersects(Verbs::READ) {
                    topic.remove(outbox.clone());
                    return false;
                }
                if lost.contains(Verbs::WHO) {
                    topic.hide_people(outbox.clone());
                }
                membership.grant = grant;
            } else {
                if lost.contains(Verbs::WRITE) {
                    outbox.send_removed(topic.name().as_str());
                    return false;
                }
                // The connection becomes a reader only when it registers again.
                let verbs = grant.verbs.without(Verbs::READ);
                membership.grant = Grant { verbs, ..grant };
            }
            true
        });
        before - self.topics.len()
    }

    /// Whether a topic is busy.
    pub(crate) fn is_slowed(&self) -> bool {
        self.is_slowed
    }

    /// Tells all topics that the outbox has room.
    pub(crate) fn notify_drained(&self) {
        for membership in self.topics.iter().filter(|m| m.is_reader()) {
            membership.topic.has_room_for(self.outbox.clone());
        }
    }

    /// Inserts a membership at its index, or replaces the one there.
    fn put(&mut self, place: Result<usize, usize>, membership: Membership) {
        match place {
            Ok(place) => self.topics[place] = membership,
            Err(place) => {
                // Nearly every connection has one topic, so no room for four is reserved.
                if self.topics.is_empty() {
                    self.topics.reserve_exact(1);
                }
                self.topics.insert(place, membership);
            }
        }
    }

    /// The index of a topic; `None` if the connection isn't registered for it.
    pub(crate) fn find(&mut self, name: &str) -> Option<usize> {
        let is_last = |membership: &Membership| membership.name().as_str() == name;
        let last = self.last as usize;
        if self.topics.get(last).is_some_and(is_last) {
            return Some(last);
        }
        let place = self.place(name).ok()?;
        self.last = u32::try_from(place).unwrap_or(0);
        Some(place)
    }

    /// What the connection may do in the topic at an index from `find`.
    pub(crate) fn grant(&self, place: usize) -> Grant {
        let membership = self.topics.get(place);
        membership.map_or(Grant::default(), |membership| membership.grant)
    }

    /// Sends messages to everyone else in the topic at an index from `find`.
    pub(crate) fn publish(
        &mut self,
        place: usize,
        frames: Batch,
        id: Option<Box<MessageId>>,
        identity: Option<Arc<Identity>>,
        registry: &Arc<Registry>,
    ) {
        let Some(membership) = self.topics.get_mut(place) else {
            return;
        };
        let publication = Publication {
            origin: Some(self.outbox.clone()),
            identity,
            batch: frames,
            reply: id.map_or(Reply::None, Reply::Acknowledge),
        };
        let backpressure = if membership.is_reader() {
            membership.topic.publish(publication)
        } else {
            // The topic may have ended and been made again since.
            let (topic, backpressure) = registry.publish(membership.name(), publication);
            membership.topic = topic;
            backpressure
        };
        self.note(backpressure);
    }

    fn note(&mut self, backpressure: Backpressure) {
        self.is_slowed |= backpressure == Backpressure::Wait;
    }

    /// Waits until all topics can take more, if one of them was busy.
    pub(crate) fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.is_slowed {
            for membership in &self.topics {
                ready!(membership.topic.poll_room(cx));
            }
            self.is_slowed = false;
        }
        Poll::Ready(())
    }

    /// Leaves each topic when everything published there so far is delivered. The receivers
    /// resolve then.
    pub(crate) fn finish(&self, registry: &Arc<Registry>) -> Vec<oneshot::Receiver<()>> {
        let finish = |membership: &Membership| match membership.is_reader() {
            true => membership.topic.finish(self.outbox.clone()),
            // Resolves after its acknowledgements are sent.
            false => registry.visit(membership.name()).1,
        };
        self.topics.iter().map(finish).collect()
    }

    fn place(&self, name: &str) -> Result<usize, usize> {
        self.topics
            .binary_search_by(|membership| membership.name().as_str().cmp(name))
    }
}

impl Drop for Subscriptions {
    fn drop(&mut self) {
        for membership in self.topics.drain(..) {
            if membership.is_reader() {
                membership.topic.leave(self.outbox.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use bytes::Bytes;

    use super::*;
    use crate::clock::Clock;
    use crate::config::Config;
    use crate::outbox::tests::endless_outbox;
    use crate::queues::QueueLimits;

    #[tokio::test]
    async fn a_publisher_waits_for_every_topic_that_is_busy() {
        let (config, queues) = (Config::default(), QueueLimits::of_one(10));
        let registry = Registry::new(&config, queues, None, Clock::for_tests(), None).unwrap();
        let registry = Arc::new(registry);
        let mut subscriptions = Subscriptions::new(endless_outbox());
        for name in ["A", "B"] {
            subscriptions.join(&Admitted::for_tests(name), &registry);
        }
        let mut cx = Context::from_waker(Waker::noop());
        assert!(subscriptions.poll_room(&mut cx).is_ready());
        for place in 0..2 {
            let frames = Batch::new(Bytes::from_static(b"more than ten bytes\n"), 1);
            subscriptions.publish(place, frames, None, None, &registry);
        }
        assert!(subscriptions.poll_room(&mut cx).is_pending());
        // Each of the two has room when its task has run.
        let room = std::future::poll_fn(|cx| subscriptions.poll_room(cx));
        tokio::time::timeout(std::time::Duration::from_secs(10), room)
            .await
            .unwrap();
    }
}
