//! The gate: every permission is checked here, whichever transport a frame or request comes by.
//! Frames and HTTP requests reach topics only through it.
//!
//! Membership in a topic is decided once, and kept as a few bits with the topic. So a delivery
//! checks nothing, and a publication only compares the policy's version.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::oneshot;
use wire::{ErrorCode, Page, TopicName, UserName};

use crate::access::{ConnectionPermit, Denied, Grant, Meter, Principal, Verbs};
use crate::outbox::SharedOutbox;
use crate::outbox::reply::PendingReply;
use crate::state::ServerState;
use crate::topic::handle::Topic;
use crate::topic::mailbox::Backpressure;
use crate::topic::publication::Publication;
use crate::topic::registry::Registry;

/// What a principal at an address may do.
#[derive(Clone, Copy)]
pub(crate) struct Gate<'a> {
    state: &'a ServerState,
    principal: &'a Principal,
    peer: SocketAddr,
}

/// A topic that a principal may take part in, and how. Only the gate makes one.
#[derive(Clone, Debug)]
pub(crate) struct Admitted {
    name: TopicName,
    grant: Grant,
}

impl Admitted {
    pub(crate) fn name(&self) -> &TopicName {
        &self.name
    }

    pub(crate) fn grant(&self) -> Grant {
        self.grant
    }

    #[cfg(test)]
    pub(crate) fn for_tests(name: &str) -> Self {
        let (version, verbs) = (0, Verbs::ALL);
        Self {
            name: TopicName::new(name).unwrap(),
            grant: Grant { version, verbs },
        }
    }
}

impl<'a> Gate<'a> {
    pub(crate) fn new(state: &'a ServerState, principal: &'a Principal, peer: SocketAddr) -> Self {
        Self {
            state,
            principal,
            peer,
        }
    }

    /// The registry of topics, for topics that were admitted.
    pub(crate) fn registry(&self) -> &'a Arc<Registry> {
        self.state.registry()
    }

    /// Admits the principal to all of these topics, to read or to write, or to none of them.
    pub(crate) fn admit(&self, names: Vec<TopicName>) -> Result<Vec<Admitted>, Denied> {
        let admit = |name: TopicName| {
            let grant = self.grant(&name);
            if !grant.verbs.intersects(Verbs::LIVE.or(Verbs::WRITE)) {
                return Err(self.denied(Verbs::LIVE, name.as_str()));
            }
            Ok(Admitted { name, grant })
        };
        let admitted: Vec<_> = names.into_iter().map(admit).collect::<Result<_, _>>()?;
        self.make_topics(admitted.iter().map(Admitted::name))?;
        Ok(admitted)
    }

    /// Checks that the topics that don't exist yet may be created.
    fn make_topics<'n>(&self, names: impl Iterator<Item = &'n TopicName>) -> Result<(), Denied> {
        let Some(meter) = self.meter() else {
            return Ok(());
        };
        let now = Instant::now();
        for name in names {
            if !self.registry().has(name) {
                let made = meter.make_topic(now);
                made.map_err(|exceeded| self.noted(exceeded.into()))?;
            }
        }
        Ok(())
    }

    /// Counts a connection, where connections are limited.
    pub(crate) fn connect(&self) -> Result<Option<ConnectionPermit>, Denied> {
        let place = self.meter().map(|meter| meter.connect()).transpose();
        place.map_err(|exceeded| self.noted(exceeded.into()))
    }

    /// The meter; `None` if nothing is limited.
    fn meter(&self) -> Option<Meter> {
        self.state.access().meter(self.principal, self.peer.ip())
    }

    /// Admits the principal as a listener to all of these topics, or to none of them.
    pub(crate) fn admit_listener(&self, names: &[TopicName]) -> Result<(), Denied> {
        let listen = |name: &TopicName| self.require(Verbs::LIVE, name.as_str());
        names.iter().try_for_each(|name| listen(name).map(drop))
    }

    /// What the principal may do in a topic.
    pub(crate) fn grant(&self, name: &TopicName) -> Grant {
        self.state.access().grant(self.principal, name.as_str())
    }

    /// Publishes to a topic without being a member of it.
    pub(crate) fn publish(
        &self,
        name: &TopicName,
        publication: Publication,
    ) -> Result<(Arc<Topic>, Backpressure), Denied> {
        self.require(Verbs::WRITE, name.as_str())?;
        if let Some(meter) = self.meter() {
            let batch = &publication.batch;
            let (count, bytes) = (batch.count().into(), batch.bytes().len() as u64);
            let published = meter.publish(count, bytes, Instant::now());
            published.map_err(|exceeded| self.noted(exceeded.into()))?;
            self.make_topics(std::iter::once(name))?;
        }
        Ok(self.registry().publish(name, publication))
    }

    /// Checks that the principal may publish to a topic.
    pub(crate) fn check_publish(&self, name: &TopicName) -> Result<(), Denied> {
        self.require(Verbs::WRITE, name.as_str()).map(drop)
    }

    /// Requests the members of a topic.
    pub(crate) fn who(
        &self,
        name: &TopicName,
        page: &Page,
        reply: PendingReply,
    ) -> Result<Option<(Arc<Topic>, Backpressure)>, Denied> {
        self.require(Verbs::WHO, name.as_str())?;
        Ok(self.registry().who(name, page, reply))
    }

    /// Looks a user up. This needs the permission to see the members of all topics.
    pub(crate) fn look_up(&self, user: &str) -> Result<Option<Vec<u8>>, Denied> {
        self.require_everywhere(Verbs::WHO, "look anybody up")?;
        Ok(self.state.directory().find(user))
    }

    /// Checks that the principal may see the metrics, which are of all topics together.
    pub(crate) fn see_metrics(&self) -> Result<(), Denied> {
        self.require_everywhere(Verbs::METRICS, "see the metrics")
    }

    /// Checks that the principal may do something in every topic, whatever its name.
    fn require_everywhere(&self, verbs: Verbs, what: &str) -> Result<(), Denied> {
        let granted = self.state.access().grant_everywhere(self.principal);
        if granted.contains(verbs) {
            return Ok(());
        }
        let code = match self.principal {
            Principal::Everyone => ErrorCode::Unauthenticated,
            Principal::Known(_) => ErrorCode::Forbidden,
        };
        let text = format!(
            "you may not {what} as {}; that takes the right \"{verbs} *\"",
            self.principal
        );
        Err(self.noted(Denied::new(code, text)))
    }

    /// Requests the topics that the principal may see.
    pub(crate) fn list(&self, page: Page, reply: PendingReply) {
        let is_visible = self.state.access().lister(self.principal);
        self.registry().list(page, reply, is_visible);
    }

    /// Requests older messages of a topic. Resolves when the answer is in the outbox.
    pub(crate) fn range(
        &self,
        name: &TopicName,
        asker: SharedOutbox,
        before: Option<u64>,
        limit: Option<u64>,
    ) -> Result<oneshot::Receiver<()>, Denied> {
        self.require(Verbs::HISTORY, name.as_str())?;
        Ok(self.registry().range(name, asker, before, limit))
    }

    /// Checks that the principal may use a name.
    pub(crate) fn check_name(&self, name: &UserName) -> Result<(), Denied> {
        let checked = self.state.access().check_name(self.principal, name);
        checked.map_err(|denied| self.noted(denied))
    }

    /// The refusal that the principal may not do something.
    pub(crate) fn denied(&self, verbs: Verbs, topic: &str) -> Denied {
        self.noted(self.state.access().denial(self.principal, verbs, topic))
    }

    fn require(&self, verbs: Verbs, topic: &str) -> Result<Grant, Denied> {
        let required = self.state.access().require(self.principal, verbs, topic);
        required.map_err(|denied| self.noted(denied))
    }

    fn noted(&self, denied: Denied) -> Denied {
        let now = self.state.clock().read().stamp;
        let audit = self.state.access().audit();
        audit.refusal(self.peer, self.principal, denied.code, &denied.text, now);
        denied
    }
}
