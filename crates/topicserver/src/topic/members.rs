//! The members of one topic, and how each gets what is published.
//!
//! Nothing here waits for a receiver. A classic one whose outbox is full is disconnected by it.
//! An extended one is sent nothing more at once, and is caught up from the history when its
//! outbox has room again.

mod announcing;
mod elsewhere;
mod listing;

use std::sync::Arc;

use tokio::sync::oneshot;
use wire::ErrorCode;

use crate::identity::Identity;
use crate::metrics::{self, Count, Level};
use crate::outbox::SharedOutbox;
use crate::topic::log::TopicLog;
use crate::topic::people::People;
use crate::topic::presence::{BEFORE_ALL, PresenceState};
use crate::topic::publication::Publication;
use crate::topic::registration::RegistrationReply;
use crate::topic::render::EncodedBatch;
use crate::topic::subscriber::{Cursor, Fetch, Fetched, Offered, Progress, Subscriber};
use elsewhere::Elsewhere;

/// How many receivers are served before other tasks of the thread run: about half a millisecond
/// of writing.
const RECEIVERS_PER_TURN: usize = 256;

/// How many subscribers are caught up before new messages are handled. Each may take as long as a
/// write of some ten kilobytes.
const READERS_PER_TURN: usize = 8;

/// How many steps of catching up a connection gets directly after its registration: more than an
/// outbox of the default size takes.
const STEPS_AT_OPENING: usize = 16;

/// Everyone who is registered for a topic.
pub(crate) struct Members {
    classic: Vec<SharedOutbox>,
    extended: Vec<Subscriber>,
    /// The members with a name.
    people: People,
    /// The number of the last join that was announced.
    announcements: u64,
    /// Those on other servers, in a cluster.
    elsewhere: Option<Box<Elsewhere>>,
    /// How many extended subscribers are behind.
    behind: Level,
    /// The index at which the next turn of catching up begins.
    turn: usize,
    /// Connections that have finished sending and have just caught up.
    finished: Vec<(SharedOutbox, oneshot::Sender<()>)>,
}

/// Whether a connection brings a user into the topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Added {
    /// The other members don't know the user yet.
    NewUser,
    /// The same user was here before, over this connection.
    KnownUser,
}

impl Default for Members {
    fn default() -> Self {
        Self {
            classic: Vec::new(),
            extended: Vec::new(),
            people: People::default(),
            announcements: BEFORE_ALL,
            elsewhere: None,
            behind: Level::new(Count::ReadersBehind),
            turn: 0,
            finished: Vec::new(),
        }
    }
}

impl Members {
    pub(crate) fn len(&self) -> usize {
        self.classic.len() + self.extended.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether there is an extended subscriber.
    pub(crate) fn has_extended(&self) -> bool {
        !self.extended.is_empty()
    }

    pub(crate) fn add_classic(&mut self, outbox: SharedOutbox) {
        if self.classic.capacity() == 0 {
            self.classic.reserve_exact(1);
        }
        self.classic.push(outbox);
    }

    /// Adds an extended connection, or moves its cursor if it is in the topic already.
    pub(crate) fn add_extended(&mut self, mut subscriber: Subscriber) -> Added {
        self.classic.retain(|known| !known.is(&subscriber.outbox));
        self.behind.add(subscriber.cursor.is_behind().into());
        self.people.add(&subscriber.identity);
        let user = subscriber.identity.user.clone();
        if let Some(known) = self.find(&subscriber.outbox) {
            let was_behind = known.cursor.is_behind();
            subscriber.joined_at = known.joined_at;
            subscriber.presence = std::mem::take(&mut known.presence);
            let is_announced = subscriber.presence.announced().is_some();
            let identity = subscriber.identity.clone();
            let known = std::mem::replace(known, subscriber);
            self.people.remove(&known.identity);
            self.behind.remove(was_behind.into());
            self.tell_address(&identity, is_announced);
            return match known.identity.user == user {
                true => Added::KnownUser,
                false => Added::NewUser,
            };
        }
        subscriber.presence = PresenceState::since(self.announcements);
        if self.extended.capacity() == 0 {
            // Most topics have one or two members.
            self.extended.reserve_exact(1);
        }
        self.extended.push(subscriber);
        Added::NewUser
    }

    /// The subscriber of an extended connection.
    pub(crate) fn find(&mut self, outbox: &SharedOutbox) -> Option<&mut Subscriber> {
        let mut all = self.extended.iter_mut();
        all.find(|known| known.outbox.is(outbox))
    }

    /// Removes a connection. Returns its subscriber if it was extended.
    pub(crate) fn remove(&mut self, outbox: &SharedOutbox) -> Option<Subscriber> {
        if let Some(place) = self.classic.iter().position(|known| known.is(outbox)) {
            self.classic.swap_remove(place);
            return None;
        }
        let mut extended = self.extended.iter();
        let place = extended.position(|known| known.outbox.is(outbox))?;
        let gone = self.extended.swap_remove(place);
        self.people.remove(&gone.identity);
        self.behind.remove(gone.cursor.is_behind().into());
        Some(gone)
    }

    /// An extended connection registers again without asking for older messages. Returns whether
    /// it is here, with the same name.
    pub(crate) fn confirm(&mut self, outbox: &SharedOutbox, identity: &Arc<Identity>) -> bool {
        let Some(known) = self.find(outbox) else {
            return false;
        };
        if known.identity.user != identity.user {
            return false;
        }
        let before = std::mem::replace(&mut known.identity, identity.clone());
        let is_announced = known.presence.announced().is_some();
        self.people.remove(&before);
        self.people.add(identity);
        self.tell_address(identity, is_announced);
        true
    }

    /// Delivers messages to everyone but their publishers, each in one write if the socket takes
    /// it. `next` is the number of the message that comes after them.
    pub(crate) async fn deliver(
        &mut self,
        publications: &[Publication],
        pieces: &[EncodedBatch],
        next: u64,
    ) {
        let mut turns = self.classic.chunks(RECEIVERS_PER_TURN).peekable();
        while let Some(turn) = turns.next() {
            let delivered = deliver_classic(turn, publications);
            metrics::count(Count::DeliveredMessages, delivered);
            if turns.peek().is_some() {
                tokio::task::yield_now().await;
            }
        }
        let mut turns = self.extended.chunks_mut(RECEIVERS_PER_TURN).peekable();
        while let Some(turn) = turns.next() {
            for subscriber in turn {
                if subscriber.try_send(publications, pieces, next) == Offered::FellBehind {
                    self.behind.add(1);
                }
            }
            if turns.peek().is_some() {
                tokio::task::yield_now().await;
            }
        }
    }

    /// From this message on some were not delivered. Extended subscribers get them from the
    /// history.
    pub(crate) fn fall_behind(&mut self, from: u64) {
        for subscriber in &mut self.extended {
            if !subscriber.cursor.is_behind() {
                subscriber.cursor = Cursor::Behind {
                    next: from,
                    until: None,
                };
                self.behind.add(1);
            }
        }
    }

    /// Closes all extended connections.
    pub(crate) fn close_extended(&self, code: ErrorCode, text: &str) {
        for subscriber in &self.extended {
            subscriber.outbox.close(code, text);
        }
    }

    /// A connection's outbox has room again.
    pub(crate) fn has_room(&mut self, outbox: &SharedOutbox) {
        if let Some(subscriber) = self.find(outbox) {
            subscriber.cursor.has_room();
        }
    }

    /// Messages that a connection missed were read from disk.
    pub(crate) fn has_read(
        &mut self,
        topic: &str,
        log: &TopicLog,
        outbox: &SharedOutbox,
        fetched: Fetched,
    ) {
        if let Some(subscriber) = self.find(outbox) {
            subscriber.take_read(topic, log, fetched);
        }
    }

    /// Keeps what a connection was promised while the answer to its registration waits for other
    /// topics.
    pub(crate) fn keep_snapshot(&mut self, outbox: &SharedOutbox, log: &TopicLog) {
        if let Some(subscriber) = self.find(outbox) {
            subscriber.keep_snapshot(log);
        }
    }

    /// The answer to a connection's registration was sent. The messages that it asked for follow
    /// at once, as far as its outbox has room, before the history moves on.
    pub(crate) fn open(
        &mut self,
        outbox: &SharedOutbox,
        answer: &Arc<RegistrationReply>,
        topic: &str,
        log: &TopicLog,
    ) -> Option<Fetch> {
        let mut all = self.extended.iter_mut();
        let subscriber = all.find(|known| known.outbox.is(outbox))?;
        answer.pass();
        if let Some(snapshot) = subscriber.cursor.open(answer) {
            subscriber.send_snapshot(topic, &snapshot);
        }
        for _ in 0..STEPS_AT_OPENING {
            if !subscriber.cursor.is_ready() {
                return None;
            }
            match subscriber.step(topic, log) {
                Progress::Behind => {}
                Progress::Fetch(from) => return Some(subscriber.fetch(from)),
                Progress::CaughtUp => {
                    self.finished.extend(subscriber.take_finished());
                    self.behind.remove(1);
                    return None;
                }
            }
        }
        None
    }

    /// A connection that has finished sending and has just caught up, if there is one.
    pub(crate) fn take_finished(&mut self) -> Option<(SharedOutbox, oneshot::Sender<()>)> {
        self.finished.pop()
    }

    /// Whether some subscriber is behind and has room.
    pub(crate) fn has_ready(&self) -> bool {
        self.behind.get() > 0 && self.extended.iter().any(|known| known.cursor.is_ready())
    }

    /// Sends some of the missed messages to subscribers that are behind and have room. Returns
    /// what has to be read from disk for them.
    pub(crate) fn catch_up(&mut self, topic: &str, log: &TopicLog) -> Vec<Fetch> {
        let mut fetches = Vec::new();
        let count = self.extended.len();
        let mut served = 0;
        for offset in 0..count {
            if self.behind.get() == 0 || served == READERS_PER_TURN {
                break;
            }
            let at = (self.turn + offset) % count;
            let subscriber = &mut self.extended[at];
            if !subscriber.cursor.is_ready() {
                continue;
            }
            served += 1;
            match subscriber.step(topic, log) {
                Progress::Behind => {}
                Progress::Fetch(from) => fetches.push(subscriber.fetch(from)),
                Progress::CaughtUp => {
                    self.finished.extend(subscriber.take_finished());
                    self.behind.remove(1);
                }
            }
            if served == READERS_PER_TURN {
                self.turn = at + 1;
            }
        }
        fetches
    }
}

/// Returns how many messages that were, each counted for each subscriber.
fn deliver_classic(subscribers: &[SharedOutbox], publications: &[Publication]) -> u64 {
    let mut delivered = 0;
    if let [one] = publications {
        for subscriber in subscribers {
            if !one.is_from(subscriber) {
                subscriber.send(&one.batch);
                delivered += u64::from(one.batch.count());
            }
        }
    } else {
        for subscriber in subscribers {
            delivered += send_others(subscriber, publications);
        }
    }
    delivered
}

/// Sends a subscriber all that it didn't publish itself, and returns how many messages that
/// were.
fn send_others(subscriber: &SharedOutbox, publications: &[Publication]) -> u64 {
    let others = publications
        .iter()
        .filter(|publication| !publication.is_from(subscriber))
        .map(|publication| &publication.batch);
    let messages = others.clone().map(|batch| u64::from(batch.count())).sum();
    if messages > 0 {
        subscriber.send_all(others);
    }
    messages
}
