//! The part of a session that acts on frames: it registers, publishes and answers.

use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::sync::oneshot;
use wire::{
    ErrorCode, Event, FrameError, JsonStr, Page, RegistrationOptions, Request, TopicName, UserName,
};

use crate::identity::Identity;
use crate::identity::names::{HeldName, Taken};
use crate::outbox::batch::Batch;
use crate::outbox::reply::PendingReply;
use crate::outbox::transport::Transport;
use crate::outbox::{Outbox, SharedOutbox};
use crate::queues::QueueLimits;
use crate::session::input::FrameSink;
use crate::session::ranges::{Range, Ranges};
use crate::session::subscriptions::Subscriptions;
use crate::state::{ConnectionGuard, ServerState};
use crate::topic::handle::Topic;
use crate::topic::mailbox::Backpressure;
use crate::topic::page;
use crate::topic::publication::MessageId;

/// What a connection has and may do.
pub(crate) struct Handler {
    guard: ConnectionGuard,
    subscriptions: Subscriptions,
    /// Of an extended connection.
    extended: Option<Box<Extended>>,
}

/// What only an extended connection has. In a box, because classic ones shall not
/// keep room for it.
#[derive(Default)]
struct Extended {
    /// Who it is, once it has registered as an extended connection.
    identity: Option<Arc<Identity>>,
    name: Option<HeldName>,
    /// A topic that it has asked and that has enough to do for now.
    slowed_by: Option<Arc<Topic>>,
    /// Ranges of the history that it has asked for.
    ranges: Ranges,
}

impl Handler {
    pub(crate) fn new(guard: ConnectionGuard, outbox: SharedOutbox) -> Self {
        Self {
            guard,
            subscriptions: Subscriptions::new(outbox),
            extended: None,
        }
    }

    /// The connection's outbox and its guard, when there is no session any more.
    pub(crate) fn into_parts(self) -> (SharedOutbox, ConnectionGuard) {
        (self.subscriptions.outbox().clone(), self.guard)
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

    /// Leaves all topics and gives the name back; what waits for the peer is still
    /// there.
    pub(crate) fn leave(&mut self) -> SharedOutbox {
        let outbox = self.subscriptions.outbox().clone();
        self.subscriptions = Subscriptions::new(outbox.clone());
        self.extended = None;
        outbox
    }

    /// Waits until all topics of the server, and each topic of the connection, can take
    /// more, and until the ranges that the peer has asked for are on their way.
    pub(crate) fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(extended) = &mut self.extended {
            if let Some(topic) = &extended.slowed_by {
                ready!(topic.poll_room(cx));
                extended.slowed_by = None;
            }
            let registry = self.guard.state().registry();
            let asker = self.subscriptions.outbox();
            ready!(extended.ranges.poll(cx, registry, asker));
        }
        ready!(self.subscriptions.poll_room(cx));
        self.state().queue_limits().poll_mailboxes(cx)
    }

    /// Tells the topics that have more for the peer that its outbox has room.
    pub(crate) fn notify_drained(&self) {
        self.subscriptions.notify_drained();
    }

    /// Gives the name back, and leaves each topic when all that was published there
    /// before has been handed on; resolves then.
    pub(crate) fn finish(&mut self) -> Vec<oneshot::Receiver<()>> {
        self.extended = None;
        self.subscriptions.finish()
    }

    fn identity(&self) -> Option<&Arc<Identity>> {
        self.extended.as_ref()?.identity.as_ref()
    }

    fn user(&self) -> Option<&UserName> {
        self.identity()?.user.as_ref()
    }

    fn register_extended(&mut self, topics: &[TopicName], options: &RegistrationOptions) {
        let was_classic = self.identity().is_none();
        self.outbox().set_extended();
        let Some(identity) = self.identify(options) else {
            return;
        };
        let registry = self.guard.state().registry();
        self.subscriptions
            .register(topics, options, &identity, registry, was_classic);
        self.subscriptions.set_registered();
        self.note_goodbye();
    }

    /// Who the peer is now; `None` if it can't be that, which it was told.
    fn identify(&mut self, options: &RegistrationOptions) -> Option<Arc<Identity>> {
        let known = self.identity().cloned();
        if let Some(known) = &known {
            match (&known.user, &options.user) {
                (_, None) => return Some(known.clone()),
                (Some(name), Some(same)) if name == same => return Some(known.clone()),
                (Some(name), Some(other)) => {
                    self.tell_name(&format!(
                        "you are called {name:?} on this connection and can't become {other:?}; \
                         connect again for that"
                    ));
                    return None;
                }
                (None, Some(_)) => {}
            }
        }
        let outbox = self.subscriptions.outbox();
        let identity = Identity::new(
            self.state().hashes(),
            outbox.peer(),
            options.user.clone(),
            options.client.as_ref(),
            options.port,
        );
        let identity = Arc::new(identity.going_on(known.as_deref()));
        let directory = self.state().directory();
        match directory.take(&identity, options.client.is_some(), outbox) {
            Ok(name) => {
                let extended = self.extended.get_or_insert_default();
                extended.name = name;
                extended.identity = Some(identity.clone());
                Some(identity)
            }
            Err(taken) => {
                let name = options.user.as_ref().map_or("", UserName::as_str);
                self.tell_name(&match taken {
                    Taken::InUse => {
                        format!("somebody else is called {name:?} here; register with another name")
                    }
                    Taken::Kept(left) => format!(
                        "{name:?} is kept for a client that has lost its connection; register \
                         with another name, or try again in {} s",
                        left.as_secs() + 1
                    ),
                });
                None
            }
        }
    }

    /// Whoever has left all topics doesn't come back for the name.
    fn note_goodbye(&mut self) {
        let has_left = self.subscriptions.len() == 0;
        if let Some(extended) = &mut self.extended
            && let Some(name) = &mut extended.name
        {
            name.set_released(has_left);
        }
    }

    fn tell_name(&self, text: &str) {
        self.outbox().send_error(ErrorCode::NameTaken, text, None);
    }

    fn who(&mut self, name: &TopicName, page: &Page) {
        let reply = self.expect_page();
        let asked = self.state().registry().who(name, page, reply);
        if let Some((topic, Backpressure::Wait)) = asked {
            self.extended.get_or_insert_default().slowed_by = Some(topic);
        }
    }

    /// An answer that is a page of a list.
    fn expect_page(&self) -> PendingReply {
        PendingReply::new(self.subscriptions.outbox().clone(), page::REPLY_BYTES)
    }

    fn look_up(&self, user: &str) {
        match self.state().directory().find(user) {
            Some(found) => self.send_reply(found),
            None => {
                let text = format!("nobody here is called {user:?}");
                self.outbox()
                    .send_error(ErrorCode::UnknownUser, &text, None);
            }
        }
    }

    fn refuse_login(&self) {
        let text = "this server has no accounts; leave \"auth\" out";
        self.outbox()
            .send_error(ErrorCode::Unauthenticated, text, None);
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
        if options
            .as_ref()
            .is_some_and(|options| options.auth.is_some())
        {
            self.outbox().set_extended();
            return self.refuse_login();
        }
        let max = self.state().config().max_topics;
        let new = self.subscriptions.count_new(&topics);
        if self.subscriptions.len() + new > max {
            if options.is_some() {
                self.outbox().set_extended();
            }
            let text = format!(
                "a connection may have {max} topics; you have {} and asked for {new} more; \
                 none of these was added",
                self.subscriptions.len()
            );
            return self
                .outbox()
                .send_error(ErrorCode::TooManyTopics, &text, None);
        }
        // Once extended, a connection stays so.
        let is_extended = options.is_some() || self.identity().is_some();
        if is_extended {
            return self.register_extended(&topics, &options.unwrap_or_default());
        }
        for name in &topics {
            self.subscriptions.join(name, self.guard.state().registry());
        }
        self.subscriptions.set_registered();
    }

    fn route(&mut self, topic: &str, id: Option<&str>) -> Option<usize> {
        let place = self.subscriptions.find(topic);
        if place.is_none() {
            let text = format!(
                "you aren't registered for {topic:?}, so your message was discarded; \
                 register for it first"
            );
            self.outbox()
                .send_error(ErrorCode::NotRegistered, &text, id);
        }
        place
    }

    fn message_id(&mut self, id: &str, text: JsonStr<'_>) -> Box<MessageId> {
        let (hashes, ip) = (self.state().hashes(), self.outbox().peer().ip());
        let identity = self.identity().map(Arc::as_ref);
        Box::new(MessageId::new(hashes, id, || text.decode(), identity, ip))
    }

    fn publish(&mut self, place: usize, frames: Batch, id: Option<Box<MessageId>>) {
        let identity = self.identity().cloned();
        self.subscriptions.publish(place, frames, id, identity);
    }

    fn request(&mut self, request: Request) {
        // Whoever asks so understands the answer.
        self.outbox().set_extended();
        match request {
            Request::Auth(_) => self.refuse_login(),
            Request::Leave(topics) => {
                let user = self.user().cloned();
                self.subscriptions.leave(&topics, user);
                self.note_goodbye();
            }
            Request::Who(topic, page) => self.who(&topic, &page),
            Request::Lookup(user) => self.look_up(&user),
            Request::Topics(page) => {
                let reply = self.expect_page();
                self.state().registry().list(page, reply);
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
            Request::Pong => {}
        }
    }

    fn reject(&mut self, error: &FrameError) {
        let text = format!("{error}; the frame was ignored");
        self.outbox().send_error(error.code(), &text, None);
        let peer = self.outbox().peer();
        self.state()
            .complain(peer, error.code(), &error.to_string());
    }

    fn has_room(&self) -> bool {
        let is_slowed = |extended: &Extended| extended.slowed_by.is_some();
        !(self.outbox().is_full()
            || self.subscriptions.is_slowed()
            || self.extended.as_deref().is_some_and(is_slowed))
    }
}
