//! The part of a session that acts on frames: it registers, publishes and answers.

use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::sync::oneshot;
use wire::{
    ErrorCode, Event, FrameError, JsonStr, Page, RegistrationOptions, Request, TopicName, UserName,
};

use crate::access::Verbs;
use crate::config::Config;
use crate::gate::Gate;
use crate::identity::Identity;
use crate::outbox::batch::Batch;
use crate::outbox::reply::PendingReply;
use crate::outbox::transport::Transport;
use crate::outbox::{Outbox, SharedOutbox};
use crate::queues::QueueLimits;
use crate::session::input::FrameSink;
use crate::session::ranges::Range;
use crate::session::subscriptions::Subscriptions;
use crate::state::{ConnectionGuard, ServerState};
use crate::topic::mailbox::Backpressure;
use crate::topic::page;
use crate::topic::publication::MessageId;

mod claim;
mod extended;
mod login;
mod pace;
mod pending;
mod registering;

use extended::Extended;
use login::LogIn;
use pace::Permit;

/// The state of a connection: its topics, its identity and its permissions.
pub(crate) struct Handler {
    guard: ConnectionGuard,
    subscriptions: Subscriptions,
    /// What only an extended connection has.
    extended: Option<Box<Extended>>,
}

impl Handler {
    pub(crate) fn new(guard: ConnectionGuard, outbox: SharedOutbox) -> Self {
        let mut handler = Self {
            guard,
            subscriptions: Subscriptions::new(outbox),
            extended: None,
        };
        let ip = handler.outbox().peer().ip();
        let principal = handler.state().access().principal_at(ip);
        handler.set_principal(principal);
        handler
    }

    /// Ends the session. Returns the connection's outbox and its guard.
    pub(crate) fn into_parts(self) -> (SharedOutbox, ConnectionGuard) {
        (self.subscriptions.outbox().clone(), self.guard)
    }

    /// Whether the peer's address isn't served.
    pub(crate) fn is_of_stranger(&self) -> bool {
        let ip = self.outbox().peer().ip();
        !self.state().access().lets_in(ip)
    }

    /// The connection's outbox, shared, for callers that also borrow the handler.
    pub(crate) fn shared_outbox(&self) -> SharedOutbox {
        self.subscriptions.outbox().clone()
    }

    /// The configuration of this connection.
    pub(crate) fn config(&self) -> &Config {
        self.guard.config()
    }

    pub(crate) fn state(&self) -> &Arc<ServerState> {
        self.guard.state()
    }

    pub(crate) fn outbox(&self) -> &Outbox<dyn Transport> {
        self.subscriptions.outbox()
    }

    pub(crate) fn is_registered(&self) -> bool {
        self.subscriptions.is_registered()
    }

    /// Leaves all topics and releases the name. What waits in the outbox stays.
    pub(crate) fn leave(&mut self) -> SharedOutbox {
        let outbox = self.subscriptions.outbox().clone();
        self.subscriptions = Subscriptions::new(outbox.clone());
        self.say_goodbye();
        outbox
    }

    /// Waits until all topics of the server, and each topic of the connection, can take
    /// more, and until what the peer has asked for before is answered, as far as that is needed
    /// for the order of answers.
    pub(crate) fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        ready!(self.poll_registered(cx));
        if let Some(extended) = &mut self.extended {
            if let Some(pace) = &mut extended.pace {
                ready!(pace.poll_wait(cx));
            }
            if let Some(topic) = &extended.slowed_by {
                ready!(topic.poll_room(cx));
                extended.slowed_by = None;
            }
            let asker = self.subscriptions.outbox();
            let gate = Gate::new(self.guard.state(), &extended.principal, asker.peer());
            ready!(extended.ranges.poll(cx, &gate, asker));
        }
        ready!(self.subscriptions.poll_room(cx));
        self.state().queue_limits().poll_mailboxes(cx)
    }

    /// Tells the topics for which the peer is behind that its outbox has room.
    pub(crate) fn notify_drained(&self) {
        self.subscriptions.notify_drained();
    }

    /// Releases the name, and leaves each topic when everything published there so far is
    /// delivered. The receivers resolve then.
    pub(crate) fn finish(&mut self) -> Vec<oneshot::Receiver<()>> {
        self.say_goodbye();
        self.subscriptions.finish(self.guard.state().registry())
    }

    /// Releases the name. The identity stays until everything is sent.
    fn say_goodbye(&mut self) {
        let principal = self.principal().clone();
        self.extended = None;
        self.set_principal(principal);
    }

    /// Whether the peer has said in a frame that it has sent everything.
    pub(crate) fn has_ended(&self) -> bool {
        self.extended
            .as_ref()
            .is_some_and(|extended| extended.has_ended)
    }

    fn identity(&self) -> Option<&Arc<Identity>> {
        self.extended.as_ref()?.identity.as_ref()
    }

    fn user(&self) -> Option<&UserName> {
        self.identity()?.user.as_ref()
    }

    /// Registers the peer, after a login if one was required.
    fn join(&mut self, topics: Vec<TopicName>, options: Option<Box<RegistrationOptions>>) {
        self.follow_policy();
        let max = self.config().max_topics;
        let new = self.subscriptions.count_new(&topics);
        if self.subscriptions.len() + new > max {
            let text = format!(
                "a connection may have {max} topics; you have {} and asked for {new} more; \
                 none of these was added",
                self.subscriptions.len()
            );
            return self
                .outbox()
                .send_error(ErrorCode::TooManyTopics, &text, None);
        }
        if self.take_permit() == Permit::Refused {
            return;
        }
        let admitted = match self.gate().admit(topics) {
            Ok(admitted) => admitted,
            Err(denied) => return self.refuse(&denied, None),
        };
        // A connection that is extended stays extended.
        let is_extended = options.is_some() || self.identity().is_some();
        let is_first = !self.is_registered();
        if is_extended {
            self.register_extended(&admitted, &options.unwrap_or_default());
        } else {
            let registry = self.guard.state().registry();
            for topic in &admitted {
                self.subscriptions.join(topic, registry);
            }
            self.subscriptions.set_registered();
        }
        if is_first && self.is_registered() {
            self.tell_of_lost_quorum();
        }
    }

    fn who(&mut self, name: &TopicName, page: &Page) {
        let reply = self.expect_page();
        match self.gate().who(name, page, reply) {
            Ok(Some((topic, Backpressure::Wait))) => {
                self.extended.get_or_insert_default().slowed_by = Some(topic);
            }
            Ok(_) => {}
            Err(denied) => self.refuse(&denied, None),
        }
    }

    /// Reserves room for an answer that is a page of a list.
    fn expect_page(&self) -> PendingReply {
        PendingReply::new(self.subscriptions.outbox().clone(), page::REPLY_BYTES)
    }

    fn look_up(&self, user: &str) {
        match self.gate().look_up(user) {
            Err(denied) => self.refuse(&denied, None),
            Ok(Some(found)) => self.send_reply(found),
            Ok(None) => self.look_up_elsewhere(user),
        }
    }

    fn send_reply(&self, line: Vec<u8>) {
        self.outbox().send_reply(line);
    }
}

impl FrameSink for Handler {
    fn queue_limits(&self) -> &Arc<QueueLimits> {
        self.state().queue_limits()
    }

    fn register(&mut self, topics: Vec<TopicName>, options: Option<Box<RegistrationOptions>>) {
        let Some(mut options) = options else {
            self.outbox().set_classic();
            return self.join(topics, None);
        };
        self.outbox().set_extended();
        match options.auth.take().map(|auth| self.log_in(&auth)) {
            None | Some(LogIn::Accepted) => self.join_with_name(topics, options),
            Some(LogIn::Refused) => {}
            Some(LogIn::Checking) => self.register_later(topics, options),
        }
    }

    fn route(&mut self, topic: &str, id: Option<&str>) -> Option<usize> {
        if let Some(place) = self.subscriptions.find(topic) {
            let grant = self.subscriptions.grant(place);
            if grant.version == self.state().access().version()
                && grant.verbs.contains(Verbs::WRITE)
            {
                return Some(place);
            }
        }
        self.route_again(topic, id)
    }

    fn message_id(&mut self, id: &str, text: JsonStr<'_>) -> Box<MessageId> {
        let (hashes, ip) = (self.state().hashes(), self.outbox().peer().ip());
        let identity = self.identity().map(Arc::as_ref);
        Box::new(MessageId::new(hashes, id, || text.decode(), identity, ip))
    }

    fn publish(&mut self, place: usize, frames: Batch, id: Option<Box<MessageId>>) {
        let identity = self.publisher().cloned();
        let registry = self.guard.state().registry();
        let (count, bytes) = (frames.count(), frames.bytes().len());
        self.subscriptions
            .publish(place, frames, id, identity, registry);
        self.charge(count, bytes);
    }

    fn request(&mut self, request: Request) {
        if let Request::End = request {
            // It has no answer, so classic clients can send it too.
            self.extended.get_or_insert_default().has_ended = true;
            return;
        }
        // A peer that sends this request understands the answer.
        self.outbox().set_extended();
        match request {
            Request::Auth(credential) => {
                self.log_in(&credential);
            }
            Request::Leave(topics) => {
                let user = self.user().cloned();
                self.subscriptions.leave(&topics, user);
                self.note_goodbye();
            }
            Request::Who(topic, page) => self.who(&topic, &page),
            Request::Lookup(user) => self.look_up(&user),
            Request::Topics(page) => {
                let reply = self.expect_page();
                self.gate().list(page, reply);
            }
            Request::History {
                topic,
                before,
                limit,
            } => {
                let extended = self.extended.get_or_insert_default();
                extended.ranges.add(Range {
                    topic,
                    before,
                    limit,
                });
            }
            Request::Ping(value) => self.send_reply(Event::Pong(&value).to_line()),
            Request::Pong | Request::End => {}
        }
    }

    fn reject(&mut self, error: &FrameError) {
        let text = format!("{error}; the frame was ignored");
        self.outbox().send_error(error.code(), &text, None);
        let peer = self.outbox().peer();
        self.state()
            .log_peer_error(peer, error.code(), &error.to_string());
    }

    fn has_room(&self) -> bool {
        let is_slowed = |extended: &Extended| {
            extended.slowed_by.is_some()
                || extended.registering.is_some()
                || extended.login.is_some()
                || extended.has_ended
                || extended.ranges.has_waiting()
        };
        !(self.outbox().is_full()
            || self.subscriptions.is_slowed()
            || self.extended.as_deref().is_some_and(is_slowed))
    }
}
