//! Requests of a session to the server.

use std::time::Instant;

use wire::{
    Endpoint, Page, Registration, RegistrationOptions, Request as Frame, TopicName, TopicSummary,
    UserName,
};

use super::pages::Next;
use super::resume::History;
use super::{Membership, Session, State};
use crate::event::{Event, RequestRefused};

/// A request of a program to the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Take part in one more topic.
    Join(TopicName),
    /// Leave a topic, after everything that was pushed before has been written.
    Leave(TopicName),
    /// Send a page of older messages: the newest of those before a number. Answered by
    /// [`Event::History`], or by [`Event::HistoryFailed`]. If the connection is lost
    /// meanwhile, the next one is asked. Pages are asked for one at a time.
    History {
        /// The topic.
        topic: TopicName,
        /// The messages with lower numbers than this; without it, the newest ones.
        before: Option<u64>,
        /// The most messages. A server may send fewer at once.
        limit: u64,
    },
    /// Who is in a topic? Answered by [`Event::Members`].
    Who(TopicName),
    /// What topics are there? Answered by [`Event::Topics`].
    Topics,
    /// Where can this user be called? Answered by [`Event::Found`].
    Lookup(UserName),
    /// Change the name. The old name stays until the server grants the new one, which an
    /// [`Event::Registered`] reports. If it refuses, an [`Event::ServerError`] has the reason.
    Rename(UserName),
}

/// A frame to be made when its turn comes.
#[derive(Debug)]
pub(super) enum Pending {
    /// A registration for one more topic.
    Join(TopicName),
    /// Written when everything that was pushed before is.
    Leave(TopicName),
    /// Anything else, as it goes over the wire.
    Frame(Vec<u8>),
}

impl Session {
    /// Sends a request as soon as the server can read it.
    pub fn request(&mut self, request: Request, now: Instant) {
        let frame = |frame: Frame| Pending::Frame(frame.to_line());
        match request {
            Request::Join(topic) => self.join(topic),
            Request::Leave(topic) => self.requests.push_back(Pending::Leave(topic)),
            Request::History {
                topic,
                before,
                limit,
            } => self.want_older(topic, before, limit),
            Request::Who(topic) => self.ask(frame(Frame::Who(topic, Page::default()))),
            Request::Topics => self.ask(frame(Frame::Topics(Page::default()))),
            Request::Rename(name) => self.rename(name),
            Request::Lookup(user) => self.ask(frame(Frame::Lookup(user.to_string()))),
        }
        self.update_deadlines(now);
    }

    fn ask(&mut self, request: Pending) {
        match self.state {
            State::Extended => self.requests.push_back(request),
            State::Unanswered => self.emit(Event::RequestRefused(RequestRefused::NotConnected)),
            State::Classic => self.emit(Event::RequestRefused(RequestRefused::Unsupported)),
        }
    }

    /// Asks who is in a topic that was just joined.
    pub(super) fn ask_who(&mut self, topic: TopicName) {
        self.unanswered_who.push_back(topic.clone());
        self.ask(Pending::Frame(Frame::Who(topic, Page::default()).to_line()));
    }

    /// Handles a page of topics: asks for the next one, or reports the complete list.
    pub(super) fn on_topics(&mut self, page: &[TopicSummary<'_>]) {
        match self.pages.take(page) {
            Next::Page(page) => self.ask(Pending::Frame(Frame::Topics(page).to_line())),
            Next::Complete(topics) => self.emit(Event::Topics(topics)),
        }
    }

    fn join(&mut self, topic: TopicName) {
        if self.membership(topic.as_str()).is_none() {
            let membership = Membership::new(topic.clone(), History::None);
            self.memberships.push(membership);
        }
        self.requests.push_back(Pending::Join(topic));
    }

    /// Drops the requests of the old connection: a new one registers for everything anyway, and
    /// can't answer old requests. Requests to leave a topic stay.
    pub(super) fn forget_requests(&mut self) {
        self.pages.clear();
        self.unanswered_who.clear();
        self.restart_older();
        self.requests
            .retain(|request| matches!(request, Pending::Leave(_)));
    }

    /// The next request's frame, if it can be sent now.
    pub(super) fn next_request(&mut self, source: Endpoint) -> Option<Vec<u8>> {
        let may_be_sent = match self.requests.front()? {
            Pending::Leave(_) => self.queue.is_written(),
            Pending::Join(_) => !self.awaits_registration(),
            Pending::Frame(_) => true,
        };
        if !may_be_sent {
            return None;
        }
        match self.requests.pop_front()? {
            Pending::Frame(frame) => Some(frame),
            Pending::Join(topic) => {
                self.membership(topic.as_str())?.asked = true;
                let is_extended = self.state != State::Classic;
                let options = is_extended.then(RegistrationOptions::default);
                if !is_extended {
                    self.membership(topic.as_str())?.is_in = true;
                    self.emit_joined(vec![topic.clone()]);
                }
                Some(registration(source, &topic, options.as_ref()))
            }
            Pending::Leave(topic) => self.leave(topic),
        }
    }

    /// Whether a registration has no answer yet. An error doesn't say to which one it belongs, so
    /// there is one at a time.
    fn awaits_registration(&self) -> bool {
        let mut memberships = self.memberships.iter();
        self.state == State::Unanswered
            || self.state == State::Extended && memberships.any(Membership::is_pending)
    }

    fn leave(&mut self, topic: TopicName) -> Option<Vec<u8>> {
        self.memberships.retain(|one| one.topic != topic);
        self.emit(Event::Left(topic.clone()));
        // A topic of a classic server can't be left, so its messages are ignored.
        let can_be_left = self.state != State::Classic;
        can_be_left.then(|| Frame::Leave(vec![topic]).to_line())
    }
}

fn registration(
    source: Endpoint,
    topic: &TopicName,
    extended: Option<&RegistrationOptions>,
) -> Vec<u8> {
    let topics = std::slice::from_ref(topic);
    Registration {
        source,
        topics,
        extended,
    }
    .to_line()
}
